//! Patches, as functions from documents to documents.

mod json;
mod merge;
mod strategic;

pub(crate) use json::json_patch;
pub(crate) use merge::merge;
pub(crate) use strategic::strategic_merge;
