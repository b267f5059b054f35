//! Writing to Services: strategic merge patches of the status subresource, which also takes finalizers.

use serde_json::{Value, json};

use crate::data::Ingress;
use crate::names::FINALIZER;

/// Adds our finalizer behind those there are.
pub fn add_finalizer(known: &[String]) -> Value {
    let order: Vec<&str> = known.iter().map(String::as_str).chain([FINALIZER]).collect();
    json!({ "metadata": { "$setElementOrder/finalizers": order, "finalizers": [FINALIZER] } })
}

/// Removes our finalizer and no other, whoever adds one at the same time.
pub fn remove_finalizer() -> Value {
    json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": [FINALIZER] } })
}

/// Sets where the load balancer is reached.
pub fn set_ingress(ingress: &[Ingress]) -> Value {
    let list: Value = if ingress.is_empty() {
        Value::Null
    } else {
        ingress.iter().map(Ingress::json).collect()
    };
    json!({ "status": { "loadBalancer": { "ingress": list } } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::PortStatus;

    #[test]
    fn patches_are_those_of_upstream() {
        assert_eq!(
            add_finalizer(&["foo".to_owned()]),
            json!({"metadata": {"$setElementOrder/finalizers": ["foo", FINALIZER], "finalizers": [FINALIZER]}})
        );
        crate::upstream_cases::passed("getPatchBytes", "one more finalizer");
        let ports = vec![PortStatus {
            port: 80,
            protocol: "TCP".to_owned(),
            error: None,
        }];
        let ingress = Ingress {
            ip_mode: Some("VIP".to_owned()),
            ports,
            ..Ingress::ip("8.8.8.8")
        };
        assert_eq!(
            set_ingress(&[ingress]).to_string(),
            r#"{"status":{"loadBalancer":{"ingress":[{"ip":"8.8.8.8","ipMode":"VIP","ports":[{"port":80,"protocol":"TCP"}]}]}}}"#
        );
        assert_eq!(
            set_ingress(&[]).to_string(),
            r#"{"status":{"loadBalancer":{"ingress":null}}}"#
        );
    }
}
