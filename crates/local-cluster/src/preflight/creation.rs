//! What is looked at before a cluster is created, so that it fails before anything is begun.

use std::sync::Arc;

use super::files;
use crate::drivers::engine::Engine;
use crate::error::{Error, Fault};
use crate::host::Host;
use crate::needs::Needs;
use crate::ports;

/// Looks at everything side by side. What is missing is an error; what is scarce is a warning.
///
/// # Errors
/// The first of: a program that is not there, a port that is taken, an engine that does not answer.
pub(crate) async fn check(host: &Arc<Host>, driver: &str, needs: &Needs) -> Result<(), Error> {
    programs(host, driver, needs)?;
    for port in &needs.ports {
        ports::refuse_taken(driver, *port)?;
    }
    let engine = async {
        match needs.engine.map(|name| Engine::named(host, name)) {
            // It is asked as patiently as by the tool: a slow engine is not one that is down.
            Some(engine) => engine.ping().await.map(drop),
            None => Ok(()),
        }
    };
    let scarce = async {
        if needs.disk
            && let Some(disk) = files::little_disk(host)
        {
            host.events.warn(disk);
        }
        if let Some(memory) = files::little_memory(needs.memory) {
            host.events.warn(memory);
        }
    };
    let (engine, ()) = tokio::join!(engine, scarce);
    engine
}

/// Fails at the first program that is not there.
pub(crate) fn programs(host: &Host, driver: &str, needs: &Needs) -> Result<(), Error> {
    let missing = needs.programs.iter().find(|program| host.find(program.name).is_none());
    missing.map_or(Ok(()), |program| {
        let message = format!("{} is not on PATH, and {driver} needs it", program.name);
        Err(Error::tool(program.called, "", Fault::BackendMissing, message).advise(program.advice))
    })
}
