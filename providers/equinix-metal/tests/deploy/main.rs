//! What is shipped beside the binary: manifests, chart, images, and the make targets that publish them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

#[path = "../harness/mod.rs"]
mod harness;

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../services/cluster.rs"]
mod cluster;

mod image;
mod make;
mod rights;
mod suite;

use equinix_metal::config::table::SETTINGS;
use provider_suite::shipped::{Shipped, Workload};

/// Names, labels and the command are those of `deploy/template/deployment.yaml` of the Go program, so that applying this
/// replaces that.
const SHIPPED: Shipped = Shipped {
    name: "cloud-provider-equinix-metal",
    provider: "equinixmetal",
    folder: "equinix-metal",
    account: "cloud-provider-equinix-metal",
    role: "cloud-provider-equinix-metal",
    autoupdate: false,
    secret: "metal-cloud-config",
    workload: Workload::DaemonSet,
    own: rights::OWN,
    settings: || SETTINGS.iter().map(|setting| setting.key).collect(),
    // The older spelling of the key may be given.
    unsuggested: &["config.projectId"],
    helm: &["--set=config.apiKey=k,config.projectID=p"],
};
