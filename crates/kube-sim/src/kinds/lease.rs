//! Leases.

use serde_json::Value;

use super::Rules;
use crate::field::FieldError;

/// Mirrors kubernetes/kubernetes pkg/apis/coordination/validation.
#[derive(Debug)]
pub(crate) struct Lease;

impl Rules for Lease {
    fn default(&self, object: &mut Value) {
        // Coordinated leader election is off.
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.shift_remove("strategy");
            spec.shift_remove("preferredHolder");
        }
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = &object["spec"];
        if let Some(seconds) = spec["leaseDurationSeconds"].as_i64()
            && seconds <= 0
        {
            errors.push(FieldError::invalid(
                "spec.leaseDurationSeconds",
                seconds,
                "must be greater than 0",
            ));
        }
        if let Some(count) = spec["leaseTransitions"].as_i64()
            && count < 0
        {
            errors.push(FieldError::invalid(
                "spec.leaseTransitions",
                count,
                "must be greater than or equal to 0",
            ));
        }
        errors
    }
}
