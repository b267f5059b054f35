//! What is shipped beside the binary: manifest, chart, example Secret, reference.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is test code, which clippy sees only in test functions"
)]

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
#[path = "../cloud/harness.rs"]
mod harness;
mod reference;
mod rights;
mod suite;

use phoenixnap::{PROVIDER_NAME, SETTINGS};
use provider_suite::shipped::{Shipped, Workload};

/// The names are those of the original, so that applying this replaces that; and so are labels and the command, which are
/// those of its `deploy/template/deployment.yaml`.
const SHIPPED: Shipped = Shipped {
    name: "cloud-provider-phoenixnap",
    provider: PROVIDER_NAME,
    folder: "phoenixnap",
    account: "cloud-controller-manager",
    role: "system:cloud-controller-manager",
    autoupdate: true,
    secret: "phoenixnap-cloud-config",
    workload: Workload::Deployment,
    own: rights::OWN,
    settings: || SETTINGS.iter().map(|setting| setting.key).collect(),
    unsuggested: &[],
    helm: &[
        "--set=config.clientID=a,config.clientSecret=b,configSecret.name=phoenixnap-cloud-config",
        "--set=serviceAccount.name=cloud-controller-manager",
    ],
};
