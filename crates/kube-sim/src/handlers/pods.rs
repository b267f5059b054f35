//! Binding and eviction: what a scheduler and a drain do to pods.

use serde_json::{Value, json};

use super::Found;
use super::write::decode_as;
use crate::meta;
use crate::ops::{DeleteOptions, Target};
use crate::respond::{Answer, Payload};
use crate::schema::{Shape, format_time};
use crate::status::{Named, Status};

fn done() -> Answer {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Answer::new(201, Payload::Object(status))
}

/// Assigns a pod to a node.
pub(super) fn bind(found: &Found) -> Result<Answer, Status> {
    let binding = decode_as(found, "v1", "Binding", &Shape::builtin("Binding"))?;
    let asked = &found.call.info.name;
    let name = if asked.is_empty() { meta::name(&binding) } else { asked };
    let mut state = found.call.inner.state();
    let resource = state
        .registry
        .by_name("pods")
        .cloned()
        .ok_or_else(Status::no_such_resource)?;
    let target = Target {
        resource: &resource,
        namespace: found.namespace(),
        name,
    };
    let of = Named {
        group: "",
        resource: "pods/binding",
    };
    let mut write = found.call.inner.write("kube-scheduler");
    "binding".clone_into(&mut write.subresource);
    state.update(target, &write, |_, old| {
        let old = old.ok_or_else(|| Status::not_found(resource.named(), name))?;
        if let Some(node) = old["spec"]["nodeName"].as_str() {
            return Err(Status::conflict(of, name, &format!("pod {name} is already assigned to node \"{node}\"")));
        }
        let mut pod = Value::clone(old);
        pod["spec"]["nodeName"] = binding["target"]["name"].clone();
        let scheduled = json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": format_time(write.now),
        });
        match pod["status"]["conditions"].as_array_mut() {
            Some(conditions) => {
                conditions.retain(|c| c["type"] != "PodScheduled");
                conditions.push(scheduled);
            }
            None => pod["status"]["conditions"] = json!([scheduled]),
        }
        Ok(pod)
    })?;
    Ok(done())
}

/// Deletes a pod as a drain asks for it. There are no disruption budgets here that could refuse.
pub(super) fn evict(found: &Found) -> Result<Answer, Status> {
    let mut state = found.call.inner.state();
    state.delete(found.target(), &DeleteOptions::default(), &found.call.inner.write(""))?;
    Ok(done())
}
