//! Who wrote which field.

use serde_json::Value;

use crate::ops::Write;
use crate::resource::Resource;

pub(crate) fn created(_resource: &Resource, _object: &mut Value, _write: &Write) {}

pub(crate) fn updated(_resource: &Resource, _new: &mut Value, _old: &Value, _write: &Write) {}
