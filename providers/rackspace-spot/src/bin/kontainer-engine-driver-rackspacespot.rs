//! The driver's binary, as Rancher starts it: one argument, the port.

use std::process::ExitCode;
use std::sync::Arc;

use rackspace_spot::{Settings, SpotDriver};

fn main() -> ExitCode {
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            tell(&kit::chain(&error));
            return ExitCode::from(kit::exit::USAGE);
        }
    };
    let driver = Arc::new(SpotDriver::new(settings));
    kontainer_engine::driver_main(driver, env!("CARGO_PKG_VERSION"), std::env::args_os())
}

#[allow(clippy::print_stderr, reason = "there is no log yet")]
fn tell(problem: &str) {
    eprintln!("kontainer-engine-driver-rackspacespot: {problem}");
}
