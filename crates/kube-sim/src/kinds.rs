//! The built-in resources: one row each, and the rules that are special to a kind in a module of its own.

mod config;
pub(crate) mod crd;
pub(crate) mod endpoints;
pub(crate) mod event;
mod lease;
mod namespace;
mod node;
pub(crate) mod pod;
mod rbac;
pub(crate) mod secret;
mod service;
mod service_ips;
mod service_rules;
mod table;

use std::borrow::Cow;
use std::fmt::Debug;

pub(crate) use table::all;

use serde_json::Value;

use crate::field::FieldError;
use crate::store::Store;

/// What is special to a kind. Everything has a default: most kinds are only data.
pub(crate) trait Rules: Debug + Sync + Send {
    /// From the shape that clients send to the one that is kept.
    fn to_storage(&self, object: Value) -> Value {
        object
    }

    /// From the shape that is kept to the one that clients see.
    fn stored_as_seen<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        Cow::Borrowed(object)
    }

    /// Fills what was left out, beyond the defaults of the type table.
    fn default(&self, _object: &mut Value) {}

    /// Before an object is validated for creation; admission that looks at other objects happens here too.
    fn prepare_create(&self, _object: &mut Value, _store: &Store) -> Vec<FieldError> {
        Vec::new()
    }

    /// Before an object is replaced through its main path.
    fn prepare_update(&self, _new: &mut Value, _old: &Value, _store: &Store) -> Vec<FieldError> {
        Vec::new()
    }

    /// Before an object is replaced through `/status`. What status writes may not change has been restored already.
    fn prepare_status(&self, _new: &mut Value, _old: &Value) {}

    /// After validation: takes addresses and ports that no other object has.
    fn allocate(&self, _new: &mut Value, _old: Option<&Value>, _store: &Store, _dry_run: bool) -> Vec<FieldError> {
        Vec::new()
    }

    /// What forbids the creation, in words.
    fn admit(&self, _object: &mut Value, _namespace: &str, _store: &Store) -> Result<(), String> {
        Ok(())
    }

    /// What is wrong with an object.
    fn validate(&self, _object: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    /// What is wrong with a change.
    fn validate_update(&self, new: &Value, _old: &Value) -> Vec<FieldError> {
        self.validate(new)
    }

    /// What is wrong with a change of the status.
    fn validate_status(&self, _new: &Value, _old: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    /// What people are warned of.
    fn warnings(&self, _new: &Value, _old: Option<&Value>) -> Vec<String> {
        Vec::new()
    }
}

/// A kind without special rules.
#[derive(Debug)]
pub(crate) struct Plain;
impl Rules for Plain {}
