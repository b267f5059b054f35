//! Drivers by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::Error;
use crate::host::Host;
use crate::manager::Manager;

/// Makes the manager of one profile. It looks at nothing but the name: what is wrong with the machine shows when the
/// manager is used.
pub type Factory = Arc<dyn Fn(&Arc<Host>, &str) -> Result<Arc<dyn Manager>, Error> + Send + Sync>;

/// The drivers there are. A value, safe to share between threads.
#[derive(Default)]
pub struct Registry {
    drivers: RwLock<BTreeMap<String, Factory>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.names()).finish()
    }
}

impl Registry {
    /// One without drivers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a driver.
    ///
    /// # Errors
    /// [`Error::DuplicateDriver`] when the name is taken; the first factory stays. (The original panics instead.)
    pub fn register<F>(&self, name: &str, factory: F) -> Result<(), Error>
    where
        F: Fn(&Arc<Host>, &str) -> Result<Arc<dyn Manager>, Error> + Send + Sync + 'static,
    {
        let mut drivers = self.drivers.write().unwrap_or_else(PoisonError::into_inner);
        if drivers.contains_key(name) {
            return Err(Error::DuplicateDriver(name.to_owned()));
        }
        drivers.insert(name.to_owned(), Arc::new(factory));
        Ok(())
    }

    /// The names of all drivers, sorted.
    pub fn names(&self) -> Vec<String> {
        self.drivers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    /// The manager of one profile through one driver.
    ///
    /// # Errors
    /// [`Error::DriverNotFound`]; [`Error::InvalidProfile`] when the driver cannot use that name.
    pub fn manager(&self, driver: &str, host: &Arc<Host>, profile: &str) -> Result<Arc<dyn Manager>, Error> {
        let factory = self
            .drivers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(driver)
            .cloned();
        let factory = factory.ok_or_else(|| Error::DriverNotFound {
            name: driver.to_owned(),
            known: self.names(),
        })?;
        factory(host, profile)
    }
}
