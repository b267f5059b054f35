//! What is remembered of a cluster while it changes.

use super::Lifecycle;
use crate::drivers::engine;
use crate::kubeconfig::Entry;
use crate::record::{Record, Step};
use crate::settings::Settings;

impl Lifecycle {
    /// Writes the record. That it cannot be written (a full disk) is told, and changes nothing else.
    pub(super) fn remember(&self, phase: Step, wants: &Settings, entry: Option<&Entry>) {
        if self.host.dry_run {
            return;
        }
        // What is remembered of a cluster that is gone says nothing about the one that is being made.
        let before = Record::load(&self.host, self.driver.name(), self.driver.profile());
        let before = before.filter(|_| phase != Step::Creating);
        let mut spec = before.as_ref().map(|record| record.spec.clone()).unwrap_or_default();
        spec.extend(wants.clone());
        let record = Record {
            version: 1,
            driver: self.driver.name().to_owned(),
            profile: self.driver.profile().to_owned(),
            spec,
            context: self.driver.names().context,
            endpoint: entry.map(|entry| entry.access.server.clone()).unwrap_or_default(),
            docker_host: engine::address(&self.host),
            created_at: before.map_or_else(jiff::Timestamp::now, |record| record.created_at),
            phase,
        };
        self.write(&record);
    }

    /// Moves the record from one step to another, when it is at that one.
    pub(super) fn advance(&self, from: Step, to: Step) {
        if self.host.dry_run {
            return;
        }
        if let Some(mut record) = Record::load(&self.host, self.driver.name(), self.driver.profile())
            && record.phase == from
        {
            record.phase = to;
            self.write(&record);
        }
    }

    fn write(&self, record: &Record) {
        if let Err(error) = record.save(&self.host) {
            self.host
                .events
                .warn(format!("what was done is not recorded: {}", kit::chain(&error)));
        }
    }
}
