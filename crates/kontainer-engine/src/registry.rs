//! The drivers that a program carries.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::driver::Driver;

/// Two drivers have the same name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a driver named {0:?} is registered already")]
pub struct DuplicateDriver(pub String);

/// Built-in drivers by name. A program's `main` fills one in a visible place.
#[derive(Clone, Default)]
pub struct Registry {
    drivers: BTreeMap<&'static str, Arc<dyn Driver>>,
}

impl Registry {
    /// No drivers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a driver under its name.
    pub fn register(&mut self, driver: Arc<dyn Driver>) -> Result<(), DuplicateDriver> {
        let name = driver.name();
        if self.drivers.contains_key(name) {
            return Err(DuplicateDriver(name.to_owned()));
        }
        self.drivers.insert(name, driver);
        Ok(())
    }

    /// The driver of this name.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Driver>> {
        self.drivers.get(name).cloned()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.drivers.keys().copied()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.drivers.keys()).finish()
    }
}
