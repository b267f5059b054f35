//! The cluster drivers this binary carries, and how a `--driver` value names one.

use std::path::PathBuf;
use std::sync::Arc;

use kontainer_engine::{Cluster, Driver, DriverSource, Registry};

use crate::failure::Failure;

/// The prefix every driver binary's file name has.
pub const BINARY_PREFIX: &str = "kontainer-engine-driver-";

/// Every built-in driver. This is the place to add one.
pub fn builtin() -> Result<Registry, Failure> {
    let mut registry = Registry::new();
    let spot: Arc<dyn Driver> = Arc::new(rackspace_spot::SpotDriver::new(
        rackspace_spot::Settings::from_env().map_err(|error| Failure::usage(kit::chain(&error)))?,
    ));
    let import: Arc<dyn Driver> = Arc::new(kontainer_engine::ImportDriver::new(kit::Clock::system()));
    for driver in [spot, import] {
        registry
            .register(driver)
            .map_err(|error| Failure::other("register the built-in drivers", error))?;
    }
    Ok(registry)
}

/// Finds the driver that `name` means: a built-in one, a path, or a `kontainer-engine-driver-NAME` on `PATH`.
pub fn find(name: &str) -> Result<DriverSource, Failure> {
    let registry = builtin()?;
    if let Some(driver) = registry.get(name) {
        return Ok(DriverSource::BuiltIn(driver));
    }
    if name.contains('/') {
        let path = PathBuf::from(name);
        return if path.is_file() {
            Ok(DriverSource::Program(path))
        } else {
            Err(Failure::not_found(format!("there is no driver binary at {name}")))
        };
    }
    let found = on_path().into_iter().find(|(found, _)| found == name);
    found
        .map(|(_, path)| DriverSource::Program(path))
        .ok_or_else(|| Failure::not_found(format!("no driver is called {name:?}")).hint(which_there_are()))
}

/// The driver that made a cluster.
pub fn of(cluster: &Cluster) -> Result<DriverSource, Failure> {
    match &cluster.driver_path {
        Some(path) if path.is_file() => Ok(DriverSource::Program(path.clone())),
        Some(path) => Err(Failure::not_found(format!(
            "the driver of {} is gone: there is no file {}",
            cluster.name,
            path.display()
        ))
        .hint("put the driver's binary back, or say where it is now: the same command with --driver PATH, which is remembered")),
        None => find(&cluster.driver_name),
    }
}

/// Says where drivers are found, and which.
pub fn which_there_are() -> String {
    let built_in = builtin()
        .map(|registry| registry.names().collect::<Vec<_>>().join(", "))
        .unwrap_or_default();
    let found: Vec<String> = on_path().into_iter().map(|(name, _)| name).collect();
    let on_path = if found.is_empty() {
        String::new()
    } else {
        format!("; on PATH: {}", found.join(", "))
    };
    format!("built in: {built_in}{on_path}; others by the path of their binary, {BINARY_PREFIX}NAME")
}

/// The driver binaries on `PATH`, by name; the first of a name wins, as with any command.
pub fn on_path() -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for dir in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Some(name) = entry
                .file_name()
                .to_str()
                .and_then(|file| file.strip_prefix(BINARY_PREFIX))
                .map(str::to_owned)
            else {
                continue;
            };
            if !found.iter().any(|(known, _)| *known == name) && executable(&entry.path()) {
                found.push((name, entry.path()));
            }
        }
    }
    found.sort();
    found
}

fn executable(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
