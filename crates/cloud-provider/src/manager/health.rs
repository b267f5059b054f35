//! `/healthz`, `/livez`, `/readyz`: named checks, answered as the Go programs answer them.

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use kube_kit::metrics::{Counter, Gauge, Registry};

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What a failing check means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// The process is stuck: restart it. Part of all three probes.
    Stuck,
    /// The process is fine and not ready. Part of `/healthz` and `/readyz`.
    NotReady,
}

/// The checks of a process. Clones share them.
#[derive(Clone)]
pub struct Checks {
    named: Arc<RwLock<Vec<(String, Means, Check)>>>,
    now: Gauge,
    total: Counter,
}

/// What is asked of a probe.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `?verbose`: tell about checks that are good, too.
    pub verbose: bool,
    /// `?exclude=name`: checks to leave out.
    pub exclude: Vec<String>,
}

impl Checks {
    /// No checks yet; `slis` is what `/metrics/slis` serves.
    pub fn new(slis: &Registry) -> Self {
        Self {
            named: Arc::default(),
            now: slis.gauge(
                "kubernetes_healthcheck",
                "This metric records the result of a single healthcheck.",
                &["name", "type"],
            ),
            total: slis.counter(
                "kubernetes_healthchecks_total",
                "This metric records the results of all healthcheck.",
                &["name", "type", "status"],
            ),
        }
    }

    /// Adds a check, or replaces the one of this name.
    pub fn add(&self, name: &str, means: Means, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        let mut checks = self.named.write().unwrap_or_else(PoisonError::into_inner);
        checks.retain(|(known, _, _)| known != name);
        checks.push((name.to_owned(), means, Arc::new(check)));
    }

    /// Answers a probe: whether all is well, and the text.
    pub fn probe(&self, probe: &str, asked: &Asked) -> (bool, String) {
        let mut text = String::new();
        let mut good = true;
        let checks = self.of(probe);
        for (name, check) in &checks {
            if asked.exclude.contains(name) {
                let _ = writeln!(text, "[+]{name} excluded: ok");
                continue;
            }
            let result = check();
            let (value, status) = if result.is_ok() {
                (1.0, "success")
            } else {
                (0.0, "error")
            };
            self.now.set(&[name, probe], value);
            self.total.inc(&[name, probe, status]);
            match result {
                Ok(()) => {
                    let _ = writeln!(text, "[+]{name} ok");
                }
                Err(why) => {
                    tracing::warn!(check = %name, probe, "check failed: {why}");
                    good = false;
                    let _ = writeln!(text, "[-]{name} failed: reason withheld");
                }
            }
        }
        let unknown: Vec<String> = asked
            .exclude
            .iter()
            .filter(|name| !checks.iter().any(|(known, _)| known == *name))
            .map(|name| format!("{name:?}"))
            .collect();
        if !unknown.is_empty() {
            let _ = writeln!(
                text,
                "warn: some health checks cannot be excluded: no matches for {}",
                unknown.join(",")
            );
        }
        match (good, asked.verbose) {
            (false, _) => (false, format!("{text}{probe} check failed\n")),
            (true, true) => (true, format!("{text}{probe} check passed\n")),
            (true, false) => (true, "ok".to_owned()),
        }
    }

    /// Answers for one check. Nothing when there is no such check.
    pub fn single(&self, probe: &str, name: &str) -> Option<(bool, String)> {
        let (_, check) = self.of(probe).into_iter().find(|(known, _)| known == name)?;
        Some(match check() {
            Ok(()) => (true, "ok".to_owned()),
            Err(why) => (false, format!("internal server error: {why}\n")),
        })
    }

    fn of(&self, probe: &str) -> Vec<(String, Check)> {
        let checks = self.named.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<(String, Check)> = checks
            .iter()
            .filter(|(_, means, _)| probe != "livez" || *means == Means::Stuck)
            .map(|(name, _, check)| (name.clone(), Arc::clone(check)))
            .collect();
        if found.is_empty() {
            found.push(("ping".to_owned(), Arc::new(|| Ok(()))));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verbose() -> Asked {
        Asked {
            verbose: true,
            exclude: vec![],
        }
    }

    #[test]
    fn every_upstream_case_of_the_healthz_handler() {
        let checks = Checks::new(&Registry::new());
        assert_eq!(checks.probe("healthz", &Asked::default()), (true, "ok".to_owned()));
        checks.add("good", Means::Stuck, || Ok(()));
        assert_eq!(checks.probe("healthz", &Asked::default()), (true, "ok".to_owned()));
        assert_eq!(
            checks.probe("healthz", &verbose()),
            (true, "[+]good ok\nhealthz check passed\n".to_owned())
        );
        checks.add("bad", Means::NotReady, || Err("secret".to_owned()));
        let failed = "[+]good ok\n[-]bad failed: reason withheld\nhealthz check failed\n";
        assert_eq!(checks.probe("healthz", &Asked::default()), (false, failed.to_owned()));
        assert_eq!(checks.single("healthz", "good"), Some((true, "ok".to_owned())));
        assert_eq!(checks.single("healthz", "none"), None);
        println!("healthz handler: 7 upstream cases");
    }

    #[test]
    fn what_is_not_ready_is_alive() {
        let checks = Checks::new(&Registry::new());
        checks.add("sync", Means::NotReady, || Err("not yet".to_owned()));
        assert!(checks.probe("livez", &Asked::default()).0);
        assert!(!checks.probe("readyz", &Asked::default()).0);
        let asked = Asked {
            verbose: true,
            exclude: vec!["sync".to_owned(), "x".to_owned()],
        };
        let text = "[+]sync excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed\n";
        assert_eq!(checks.probe("readyz", &asked), (true, text.to_owned()));
    }

    #[test]
    fn results_are_counted() {
        let slis = Registry::new();
        let checks = Checks::new(&slis);
        checks.add("good", Means::Stuck, || Ok(()));
        checks.probe("livez", &Asked::default());
        let text = slis.render();
        assert!(
            text.contains("kubernetes_healthcheck{name=\"good\",type=\"livez\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("kubernetes_healthchecks_total{name=\"good\",type=\"livez\",status=\"success\"} 1\n"));
    }
}
