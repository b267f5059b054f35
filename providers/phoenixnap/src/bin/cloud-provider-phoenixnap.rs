//! The cloud controller manager of PhoenixNAP.

use std::process::ExitCode;

use cloud_provider::Manager;

#[tokio::main]
async fn main() -> ExitCode {
    let manager = Manager::new("cloud-provider-phoenixnap", env!("CARGO_PKG_VERSION"));
    ExitCode::from(manager.run(std::env::args().skip(1)).await)
}
