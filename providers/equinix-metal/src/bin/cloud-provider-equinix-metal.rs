//! The cloud controller manager of Equinix Metal.

use std::process::ExitCode;

use cloud_provider::Manager;
use equinix_metal::{EquinixMetal, VERSION, provider_id};

// There is little to compute, and one thread needs a third of the memory of several.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let manager = Manager::new("cloud-provider-equinix-metal", VERSION)
        .cloud(provider_id::NAME, |config| EquinixMetal::from_file(config.as_deref()))
        .expect("one provider cannot be registered twice");
    // There is only one provider, so nobody has to name it.
    let args = std::iter::once(format!("--cloud-provider={}", provider_id::NAME)).chain(std::env::args().skip(1));
    ExitCode::from(manager.run(args).await)
}
