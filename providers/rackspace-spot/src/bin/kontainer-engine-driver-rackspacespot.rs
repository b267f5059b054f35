//! The driver's binary, as Rancher starts it: one argument, the port.

use std::process::ExitCode;
use std::sync::Arc;

use kontainer_engine::Driver;
use rackspace_spot::driver::{NAME, option_table};
use rackspace_spot::{Settings, SpotDriver};

fn main() -> ExitCode {
    let args = std::env::args_os();
    kontainer_engine::driver_main_with(NAME, option_table, env!("CARGO_PKG_VERSION"), args, || {
        Settings::from_env().map(|settings| Arc::new(SpotDriver::new(settings)) as Arc<dyn Driver>)
    })
}
