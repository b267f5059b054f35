//! Resources that CustomResourceDefinitions make.

/// What a definition adds to a resource beyond its shape.
#[derive(Debug)]
pub(crate) struct Custom {}
