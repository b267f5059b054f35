//! Tables: what `kubectl get` prints.

use serde_json::Value;

use crate::handlers::Found;

/// Turns watch events into tables; the columns are described once.
#[derive(Debug, Default)]
pub(crate) struct TableStream {}

impl TableStream {
    pub fn event(&mut self, _found: &Found, object: &Value) -> Value {
        object.clone()
    }
}
