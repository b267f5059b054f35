//! The manifest that `kubectl apply` takes, and the example of a configuration.

use cloud_provider::manager::{Options, flags::Parsed};
use cloud_provider::names::TAINT_UNINITIALIZED;
use k8s_openapi::api::core::v1::{PodSpec, Secret};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::{Shipped, Workload, hold};
use crate::provider::Provider;

impl Shipped {
    /// The objects in the manifest as it is shipped.
    pub fn documents(&self) -> Vec<Value> {
        let text = self.read("deployment.yaml");
        let documents = text.split("\n---\n").skip(1);
        documents
            .map(|document| serde_saphyr::from_str(document).unwrap())
            .collect()
    }

    /// The flags that the program is started with as it is shipped.
    pub fn flags(&self) -> Vec<String> {
        let documents = self.documents();
        let workload = documents.last().expect("the manifest has objects");
        let pod: PodSpec = serde_json::from_value(workload["spec"]["template"]["spec"].clone()).unwrap();
        let command = pod.containers[0].command.clone().expect("it has a command");
        assert_eq!(command[0], format!("./{}", self.name));
        command[1..].to_vec()
    }
}

/// The file is made of this.
pub fn the_shipped_manifest_is_what_the_code_says<P: Provider>() {
    let shipped = &P::SHIPPED;
    let folder = shipped.folder;
    let mut text = format!("# A test of providers/{folder} makes this file and fails when it is stale.\n");
    for object in shipped.objects() {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&object).unwrap());
    }
    hold(&format!("deploy/{folder}/deployment.yaml"), &text);
    assert_eq!(shipped.documents(), shipped.objects());
}

/// Nothing else would make nodes ready, so it tolerates that they are not; it is given flags there are; and it may do
/// nothing that it need not.
pub fn the_pod_runs_before_any_node_is_ready_and_can_do_no_harm<P: Provider>() {
    let shipped = &P::SHIPPED;
    let pod: PodSpec = serde_json::from_value(shipped.pod()).unwrap();
    let tolerated: Vec<_> = pod.tolerations.unwrap().into_iter().filter_map(|one| one.key).collect();
    for taint in [TAINT_UNINITIALIZED, "node.kubernetes.io/not-ready"] {
        assert!(tolerated.iter().any(|key| key == taint), "{taint}");
    }
    let flags = shipped.flags();
    Options::new(Parsed::parse(shipped.name, flags.iter().cloned()).unwrap(), "me").unwrap();
    assert!(flags.contains(&format!("--cloud-provider={}", shipped.provider)));
    assert!(flags.contains(&"--cloud-config=/etc/cloud-sa/cloud-sa.json".to_owned()));
    let container = &pod.containers[0];
    assert_eq!(pod.host_network, Some(true));
    let port = &container.ports.as_ref().unwrap()[0];
    for probe in [&container.liveness_probe, &container.readiness_probe] {
        let get = probe.as_ref().unwrap().http_get.as_ref().unwrap();
        // A node that is not initialised has no address, and so its pods have none.
        assert_eq!(
            (get.host.as_deref(), get.scheme.as_deref()),
            (Some("127.0.0.1"), Some("HTTPS"))
        );
        assert_eq!(get.port, IntOrString::Int(port.container_port));
    }
    // No two of them meet on one port: not where the scheduler puts them, and not while one takes another's place.
    assert_eq!(port.host_port, Some(port.container_port));
    if shipped.workload == Workload::Deployment {
        let update = &shipped.workload()["spec"]["strategy"]["rollingUpdate"];
        assert_eq!(*update, json!({"maxSurge": 0, "maxUnavailable": 1}));
    }
    let mounts = container.volume_mounts.as_ref().unwrap();
    assert_eq!((mounts.len(), mounts[0].mount_path.as_str()), (1, "/etc/cloud-sa"));
    let security = container.security_context.as_ref().unwrap();
    assert_eq!(
        [
            security.allow_privilege_escalation,
            security.read_only_root_filesystem,
            security.run_as_non_root
        ],
        [Some(false), Some(true), Some(true)]
    );
}

/// Strict JSON, with keys there are.
pub fn the_example_secret_has_a_configuration_that_can_be_read<P: Provider>() {
    let shipped = P::SHIPPED;
    let secret: Secret = serde_saphyr::from_str(&shipped.read("secret.yaml")).unwrap();
    assert_eq!(secret.metadata.name.as_deref(), Some(shipped.secret));
    let config = &secret.string_data.unwrap()["cloud-sa.json"];
    let strict: Value = serde_json::from_str(config).unwrap();
    for key in strict.as_object().expect("an object").keys() {
        assert!((shipped.settings)().contains(&key.as_str()), "{key}");
    }
    assert!(
        strict["loadbalancer"].is_string(),
        "it shows how to have load balancers"
    );
    P::read(config);
}
