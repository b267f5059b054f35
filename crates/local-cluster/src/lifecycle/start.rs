//! Starting, restarting and making anew.

use std::time::Duration;

use kit::Backoff;

use super::{Deadline, Lifecycle};
use crate::config::ClusterConfig;
use crate::driver::{Phase, Sight};
use crate::drivers::engine;
use crate::error::{self, Error};
use crate::host::Merge;
use crate::kubeconfig::{self, Entry};
use crate::preflight;
use crate::probe::probe;
use crate::record::{Record, Step};
use crate::settings::{Applies, Difference, Settings, differences};

/// The longest a single question to the API server may take while waiting for it.
const QUESTION: Duration = Duration::from_secs(3);
/// So many questions to the API server between looks at what runs it.
const QUESTIONS_PER_LOOK: u32 = 8;

impl Lifecycle {
    pub(super) async fn start_cluster(&self, config: &ClusterConfig) -> Result<(), Error> {
        let wants = self.driver.wants(config)?;
        let deadline = Self::deadline(self.host.limits.start, self.driver.deadlines().start);
        let _lock = self.lock(deadline).await?;
        self.start_locked(config, wants, deadline).await
    }

    pub(super) async fn restart_cluster(&self, config: &ClusterConfig) -> Result<(), Error> {
        let wants = self.driver.wants(config)?;
        let usual = self.driver.deadlines();
        let deadline = Self::deadline(self.host.limits.start, usual.stop + usual.start);
        let _lock = self.lock(deadline).await?;
        self.host.events.phase("look at what is there");
        let mut sight = self.look().await?;
        if sight.exists() {
            // What restarting cannot apply is refused before the cluster is stopped for nothing.
            self.driver.look_closer(&mut sight).await;
            self.refuse_leftovers(&sight)?;
            let differences = self.differences(&wants, &sight);
            if differences.iter().any(|one| !one.applies_on_restart()) {
                return Err(Error::ConfigMismatch(differences));
            }
            self.stop_locked(&sight, deadline).await?;
        }
        if self.host.dry_run && sight.exists() {
            sight.phase = Phase::Stopped;
            return self.driver.resume(&sight, config, deadline.left()).await;
        }
        self.start_locked(config, wants, deadline).await
    }

    pub(super) async fn recreate_cluster(&self, config: &ClusterConfig) -> Result<(), Error> {
        let wants = self.driver.wants(config)?;
        let usual = self.driver.deadlines();
        let deadline = Self::deadline(self.host.limits.start, usual.destroy + usual.start);
        let _lock = self.lock(deadline).await?;
        self.host.events.phase("look at what is there");
        let sight = self.look().await?;
        // What could not be made anew must not be destroyed.
        self.refuse_impossible(config, &sight).await?;
        self.driver.rehearse(config).await?;
        self.destroy_locked(&sight, deadline).await?;
        self.create(config, &wants, deadline).await?;
        self.finish(&wants, None, deadline).await
    }

    /// Fails when the machine cannot make such a cluster. What the one that is there holds, will be free.
    async fn refuse_impossible(&self, config: &ClusterConfig, sight: &Sight) -> Result<(), Error> {
        self.host.events.phase("check what it needs");
        let names = self.driver.names();
        let before = Entry::load(&self.host, names.clone()).map(|entry| entry.access.server);
        kubeconfig::refuse_foreign(&self.host, &names, &[before.as_deref().unwrap_or_default()])?;
        let mut needs = self.driver.needs(config);
        let own = sight
            .settings
            .iter()
            .filter(|(field, _)| field.to_lowercase().contains("port"));
        let own = own.flat_map(|(_, setting)| setting.value.split(|c: char| !c.is_ascii_digit()));
        let own: Vec<u16> = own.filter_map(|number| number.parse().ok()).collect();
        needs.ports.retain(|port| !own.contains(port));
        preflight::check(&self.host, self.driver.name(), &needs).await
    }

    async fn create(&self, config: &ClusterConfig, wants: &Settings, deadline: Deadline) -> Result<(), Error> {
        self.host.events.phase("create the cluster");
        let mut expected = self.driver.creation_defaults();
        expected.extend(wants.clone());
        self.remember(Step::Creating, &expected, None);
        let created = self.driver.create(config, deadline.left()).await;
        if created.is_err() {
            self.after_failed_creation().await;
        }
        created
    }

    async fn start_locked(&self, config: &ClusterConfig, wants: Settings, deadline: Deadline) -> Result<(), Error> {
        let unchanged = self.bring_up(config, &wants, deadline).await?;
        let untouched = unchanged.is_some();
        match self.finish(&wants, unchanged, deadline).await {
            // It ended between two looks: what was left alone has to be started after all.
            Err(Error::LeftOver { .. }) if untouched => {
                let unchanged = self.bring_up(config, &wants, deadline).await?;
                self.finish(&wants, unchanged, deadline).await
            }
            outcome => outcome,
        }
    }

    /// Makes it run, and returns what was seen when nothing had to be done.
    async fn bring_up(
        &self,
        config: &ClusterConfig,
        wants: &Settings,
        deadline: Deadline,
    ) -> Result<Option<Sight>, Error> {
        let events = &self.host.events;
        events.phase("look at what is there");
        let mut sight = self.look().await?;
        if sight.exists() {
            self.driver.look_closer(&mut sight).await;
            self.refuse_leftovers(&sight)?;
            self.refuse_mismatch(wants, &sight)?;
        }
        match sight.phase.clone() {
            Phase::Absent => {
                self.warn_of_another_engine(config);
                self.refuse_impossible(config, &sight).await?;
                self.create(config, wants, deadline).await?;
            }
            Phase::Stopped | Phase::Starting(_) | Phase::Incomplete(_) | Phase::Broken(_) => {
                events.phase("start the cluster");
                if let Phase::Incomplete(why) | Phase::Broken(why) = &sight.phase {
                    events.detail(why.clone());
                }
                self.driver.resume(&sight, config, deadline.left()).await?;
            }
            Phase::NotReady(_) | Phase::Running => {
                events.detail("the cluster runs already");
                self.warn_of_unknown(wants, &sight);
                return Ok(Some(sight));
            }
        }
        // A sight from before a change is worth nothing after it.
        Ok(None)
    }

    /// Waits until what was started takes work, and lets the user have it.
    async fn finish(&self, wants: &Settings, seen: Option<Sight>, deadline: Deadline) -> Result<(), Error> {
        if self.host.dry_run {
            return Ok(());
        }
        let events = &self.host.events;
        events.phase(if self.host.wait {
            "wait until it takes work"
        } else {
            "fetch the kubeconfig"
        });
        // Of a cluster that was left as it is, only what is known to be so may be remembered.
        let mut proven = wants.clone();
        if let Some(sight) = &seen {
            let known = self.recorded();
            proven.retain(|field, _| sight.settings.contains_key(field) || known.contains_key(field));
        }
        let entry = self.wait_until_ready(seen, deadline).await?;
        self.remember(Step::Ready, &proven, Some(&entry));
        events.phase("write the kubeconfig");
        let before = Entry::load(&self.host, self.driver.names()).map(|entry| entry.access.server);
        let own = match entry.save(&self.host) {
            Ok(own) => Some(own),
            // Without the user's own file, it is the only way to the cluster.
            Err(error) if self.host.merge == Merge::Never => return Err(error),
            Err(error) => {
                events.warn(kit::chain(&error));
                None
            }
        };
        let known = [entry.access.server.as_str(), before.as_deref().unwrap_or_default()];
        kubeconfig::refuse_foreign(&self.host, &self.driver.names(), &known)?;
        entry.merge(&self.host).await.map_err(|error| match own {
            Some(own) => error.advise(format!("the cluster runs: use KUBECONFIG={}", own.display())),
            None => error,
        })
    }

    /// What was asked for when the cluster was made, or changed since.
    fn recorded(&self) -> Settings {
        let record = Record::load(&self.host, self.driver.name(), self.driver.profile());
        record.map(|record| record.spec).unwrap_or_default()
    }

    fn differences(&self, wants: &Settings, sight: &Sight) -> Vec<Difference> {
        let recorded = self.recorded();
        differences(wants, &sight.settings, &recorded, |field, have, want| {
            self.driver.applies(field, have, want)
        })
    }

    fn refuse_mismatch(&self, wants: &Settings, sight: &Sight) -> Result<(), Error> {
        let differences = self.differences(wants, sight);
        let restarts = matches!(sight.phase, Phase::Stopped | Phase::Broken(_));
        if differences.is_empty() || (restarts && differences.iter().all(Difference::applies_on_restart)) {
            return Ok(());
        }
        Err(Error::ConfigMismatch(differences))
    }

    /// A cluster in another container engine looks absent from here.
    fn warn_of_another_engine(&self, config: &ClusterConfig) {
        let Some(record) = Record::load(&self.host, self.driver.name(), self.driver.profile()) else {
            return;
        };
        let here = engine::address(&self.host);
        let is_there = self.driver.needs(config).engine == Some("docker");
        if is_there && record.phase == Step::Ready && record.docker_host != here {
            let called = |address: &str| {
                if address.is_empty() {
                    "the usual engine".to_owned()
                } else {
                    address.to_owned()
                }
            };
            let (title, there, here) = (self.title(), called(&record.docker_host), called(&here));
            self.host.events.warn(format!(
                "{title} was last seen in {there}; DOCKER_HOST or the docker context names another engine now: {here}"
            ));
        }
    }

    /// What was asked for of a cluster that is left as it is, and that nobody can compare, is told.
    fn warn_of_unknown(&self, wants: &Settings, sight: &Sight) {
        let known = self.recorded();
        let unknown = wants
            .keys()
            .filter(|field| !sight.settings.contains_key(*field) && !known.contains_key(*field));
        let unknown: Vec<_> = unknown.map(String::as_str).collect();
        if !unknown.is_empty() {
            self.host.events.warn(format!(
                "whether the cluster has what was asked for cannot be told of {}; it is left as it is",
                unknown.join(", ")
            ));
        }
    }

    /// What an interrupted change left is not built upon, unless the driver can complete it.
    fn refuse_leftovers(&self, sight: &Sight) -> Result<(), Error> {
        let Some(record) = Record::load(&self.host, self.driver.name(), self.driver.profile()) else {
            return Ok(());
        };
        let what = match record.phase {
            Step::Destroying => error::REMOVAL,
            _ if self.is_half_made(&record, sight) => error::CREATION,
            _ => return Ok(()),
        };
        let found = if sight.parts.is_empty() {
            "part of it".to_owned()
        } else {
            sight.parts.join(", ")
        };
        Err(Error::Partial {
            what,
            cluster: self.title(),
            found,
        })
    }

    /// Whether an unfinished creation left less than it was to make.
    pub(super) fn is_half_made(&self, record: &Record, sight: &Sight) -> bool {
        if record.phase != Step::Creating || self.driver.resumes_creation() {
            return false;
        }
        let short = differences(&record.spec, &sight.settings, &Settings::new(), |_, _, _| {
            Applies::Recreate
        });
        sight.phase != Phase::Running || !short.is_empty()
    }

    /// Tells what a creation that failed left, and forgets about it when that is nothing.
    async fn after_failed_creation(&self) {
        match self.look().await {
            Ok(sight) if sight.exists() => {
                let parts = if sight.parts.is_empty() {
                    "part of it".to_owned()
                } else {
                    sight.parts.join(", ")
                };
                self.host
                    .events
                    .warn(format!("creation failed and left {parts}; nothing was deleted"));
            }
            Ok(_) if !self.host.dry_run => {
                let _ = Record::forget(&self.host, self.driver.name(), self.driver.profile());
            }
            _ => {}
        }
    }

    async fn wait_until_ready(&self, seen: Option<Sight>, deadline: Deadline) -> Result<Entry, Error> {
        let mut waits = Backoff::new(Duration::from_millis(40), Duration::from_secs(2)).factor(1.5);
        let mut asked = 0;
        let mut told = String::new();
        let mut sight = match seen {
            Some(sight) => sight,
            None => self.verified_sight().await?,
        };
        let mut entry: Option<Entry> = None;
        loop {
            if entry.is_none() {
                entry = match self
                    .entry(self.host.limits.look.min(deadline.left().max(QUESTION)))
                    .await
                {
                    Ok(entry) => Some(entry),
                    Err(error) => {
                        told = kit::chain(&error);
                        None
                    }
                };
            }
            if let Some(entry) = &entry {
                if !self.host.wait {
                    return Ok(entry.clone());
                }
                let report = probe(&entry.access, QUESTION).await;
                match report.trouble(sight.nodes) {
                    None => return Ok(entry.clone()),
                    Some(trouble) if trouble != told => {
                        self.host.events.detail(trouble.clone());
                        told = trouble;
                    }
                    Some(_) => {}
                }
            }
            if deadline.left().is_zero() {
                let advice = match &sight.phase {
                    Phase::NotReady(why) | Phase::Starting(why) => format!("the tool says: {why}"),
                    _ => "look at status, or give more time with --timeout; the cluster was left as it is".to_owned(),
                };
                return Err(Error::ClusterNotReady { reason: told, advice });
            }
            let wait = waits
                .next()
                .unwrap_or(QUESTION)
                .min(deadline.left().max(Duration::from_millis(1)));
            tokio::time::sleep(wait).await;
            asked += 1;
            if asked % QUESTIONS_PER_LOOK == 0 {
                sight = self.verified_sight().await?;
            }
        }
    }

    /// A sight of a cluster that should be running.
    async fn verified_sight(&self) -> Result<Sight, Error> {
        let sight = self.look().await?;
        let left = match &sight.phase {
            Phase::Absent => "there is no such cluster",
            Phase::Stopped => "the cluster does not run",
            Phase::Incomplete(why) | Phase::Broken(why) => why.as_str(),
            _ => return Ok(sight),
        };
        Err(Error::LeftOver {
            tool: self.driver.name().to_owned(),
            left: left.to_owned(),
        })
    }
}
