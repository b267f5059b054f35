//! The cloud controller manager of PhoenixNAP.

use std::process::ExitCode;

use cloud_provider::Manager;
use phoenixnap::{PROVIDER_NAME, PhoenixNap, VERSION};

// There is little to compute, and one thread needs a third of the memory of several.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let manager = Manager::new("cloud-provider-phoenixnap", VERSION)
        .cloud(PROVIDER_NAME, |config| PhoenixNap::factory(config.as_deref()))
        .expect("one provider cannot be registered twice");
    // There is only one provider, so nobody has to name it.
    let args = std::iter::once(format!("--cloud-provider={PROVIDER_NAME}")).chain(std::env::args().skip(1));
    ExitCode::from(manager.run(args).await)
}
