//! Patches, as functions from documents to documents.

mod merge;

pub(crate) use merge::merge;
