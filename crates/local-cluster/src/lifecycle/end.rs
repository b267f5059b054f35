//! Stopping and destroying.

use super::{Deadline, Lifecycle};
use crate::driver::{Phase, Sight};
use crate::error::Error;
use crate::kubeconfig::{self, Entry};
use crate::record::{Record, Step};

impl Lifecycle {
    pub(super) async fn stop_cluster(&self) -> Result<(), Error> {
        let deadline = Self::deadline(self.host.limits.stop, self.driver.deadlines().stop);
        let _lock = self.lock(deadline).await?;
        self.host.events.phase("look at what is there");
        let sight = self.look().await?;
        self.stop_locked(&sight, deadline).await
    }

    pub(super) async fn stop_locked(&self, sight: &Sight, deadline: Deadline) -> Result<(), Error> {
        if matches!(sight.phase, Phase::Absent | Phase::Stopped) {
            self.host.events.detail("the cluster does not run");
            return Ok(());
        }
        self.host.events.phase("stop the cluster");
        self.advance(Step::Ready, Step::Stopping);
        self.driver.halt(sight, deadline.left()).await?;
        if self.host.dry_run {
            return Ok(());
        }
        match self.look().await?.phase {
            Phase::Absent | Phase::Stopped => Ok(()),
            _ => Err(Error::LeftOver {
                tool: self.driver.name().to_owned(),
                left: format!("{} still runs", self.title()),
            }),
        }
    }

    pub(super) async fn destroy_cluster(&self) -> Result<(), Error> {
        let deadline = Self::deadline(self.host.limits.destroy, self.driver.deadlines().destroy);
        let _lock = self.lock(deadline).await?;
        self.host.events.phase("look at what is there");
        let sight = self.look().await?;
        self.destroy_locked(&sight, deadline).await
    }

    /// The addresses that are this cluster's. Its tool is asked when the user's kubeconfig has others: others started it,
    /// or it moved since.
    async fn endpoints(&self, sight: &Sight, deadline: Deadline) -> Vec<String> {
        let names = self.driver.names();
        let recorded = Record::load(&self.host, self.driver.name(), self.driver.profile());
        let own = Entry::load(&self.host, names.clone()).map(|entry| entry.access.server);
        let mut ours: Vec<String> = own
            .into_iter()
            .chain(recorded.map(|record| record.endpoint))
            .filter(|endpoint| !endpoint.is_empty())
            .collect();
        if sight.exists() && !self.host.dry_run && kubeconfig::leads_elsewhere(&self.host, &names, &ours) {
            match self.entry(self.host.limits.look.min(deadline.left() / 2)).await {
                Ok(entry) => ours.push(entry.access.server),
                Err(error) => self.host.events.detail(kit::chain(&error)),
            }
        }
        ours
    }

    pub(super) async fn destroy_locked(&self, sight: &Sight, deadline: Deadline) -> Result<(), Error> {
        let events = &self.host.events;
        // Once it is gone, nobody can tell.
        let endpoints = self.endpoints(sight, deadline).await;
        if sight.exists() {
            events.phase("destroy the cluster");
            for step in [Step::Creating, Step::Ready, Step::Stopping] {
                self.advance(step, Step::Destroying);
            }
            let removed = self.driver.remove(sight, deadline.left()).await;
            if self.host.dry_run {
                return removed;
            }
            let after = self.look().await;
            match (removed, after) {
                (_, Ok(after)) if after.exists() && !after.parts.is_empty() => {
                    return Err(Error::LeftOver {
                        tool: self.driver.name().to_owned(),
                        left: format!("these are still there: {}", after.parts.join(", ")),
                    });
                }
                (Ok(()), Ok(after)) if after.exists() => {
                    return Err(Error::LeftOver {
                        tool: self.driver.name().to_owned(),
                        left: format!("{} is still there", self.title()),
                    });
                }
                (Err(error), Ok(after)) if after.exists() => return Err(error),
                // What counts is what is there; a complaint on the way is told.
                (Err(error), Ok(_)) => events.warn(kit::chain(&error)),
                (Ok(()), Ok(_)) => {}
                (_, Err(error)) => return Err(error),
            }
        } else {
            events.detail("there is no such cluster");
        }
        if self.host.dry_run {
            return Ok(());
        }
        events.phase("clean the kubeconfig");
        for left in kubeconfig::remove(&self.host, &self.driver.names(), &endpoints).await? {
            events.warn(left);
        }
        Record::forget(&self.host, self.driver.name(), self.driver.profile())
    }
}
