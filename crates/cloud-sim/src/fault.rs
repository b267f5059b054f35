//! What a simulated cloud does wrong on request.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A rule: which requests meet a fault, how often, and what happens to them.
///
/// Rules are tried in the order they were given; the first one that acts decides. Each rule first lets `skip` matching
/// requests pass, then acts on `times` of them, then is spent.
///
/// ```
/// # use cloud_sim::Fault;
/// let twice_throttled = Fault::status(429).header("retry-after", "2").on("POST", "^/oauth/token$").times(2);
/// let same: Fault = serde_json::from_str(r#"{
///     "match": {"method": "POST", "path": "^/oauth/token$"}, "times": 2,
///     "action": {"kind": "status", "status": 429, "headers": {"retry-after": "2"}}
/// }"#).unwrap();
/// assert_eq!(twice_throttled, same);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests.
    #[serde(rename = "match", default)]
    pub matching: Match,
    /// How many matching requests pass first; 0 when not given.
    #[serde(default)]
    pub skip: u64,
    /// How many requests then meet the fault; 1 when not given.
    #[serde(default = "once")]
    pub times: u64,
    /// Chance, 0 to 1, that a request it would act on really meets it, drawn from the simulation's seed. Always when not
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What happens.
    pub action: Action,
}

/// Which requests a rule is about; what is not given matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The HTTP method, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A regular expression found anywhere in the path; anchor it with `^` and `$` to be exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What happens to a request that meets a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// This answer is given.
    Status {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// Headers of the answer.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, String>,
        /// The body: text is sent as it is, anything else as JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Value>,
        /// Whether the request is carried out first, so that only the answer is wrong. Not when not given.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        after: bool,
    },
    /// The answer comes this much later, in milliseconds of the runtime's time: the client's, not the simulated clock's.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The connection is cut and nothing is done.
    DropBefore,
    /// The request is carried out, then the connection is cut without an answer.
    DropAfter,
    /// A read is answered from the state before the last write; a write, or a cloud that keeps no earlier state, answers
    /// as usual.
    Stale,
    /// The answer's head is whole and its body is cut off, then the connection is.
    Truncate {
        /// How much of the body is sent, in bytes; half of it when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<usize>,
    },
    /// No answer ever comes and nothing is done; the connection stays open.
    Hang,
}

/// Why a fault cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadFault {
    /// The path is no regular expression.
    #[error("match.path is not a regular expression")]
    Path(#[source] regex::Error),
    /// The method has characters no method has.
    #[error("match.method {0:?} is not an HTTP method")]
    Method(String),
    /// The probability is no probability.
    #[error("probability must be between 0 and 1, not {0}")]
    Probability(f64),
    /// The status is out of range.
    #[error("action.status must be between 200 and 599, not {0}")]
    Status(u16),
    /// A header cannot be sent.
    #[error("action.headers has {0:?}, which cannot be sent")]
    Header(String),
}

fn once() -> u64 {
    1
}

impl Fault {
    /// A rule that does `action` to the next request, whatever it is.
    pub fn new(action: Action) -> Self {
        Self {
            matching: Match::default(),
            skip: 0,
            times: 1,
            probability: None,
            action,
        }
    }

    /// A rule that answers the next request with `status` and no body, without carrying it out.
    pub fn status(status: u16) -> Self {
        Self::new(Action::Status {
            status,
            headers: BTreeMap::new(),
            body: None,
            after: false,
        })
    }

    /// Adds a header to the answer of a [`Action::Status`] rule.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Action::Status { headers, .. } = &mut self.action {
            headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// Sets the body of the answer of a [`Action::Status`] rule.
    #[must_use]
    pub fn body(mut self, value: impl Into<Value>) -> Self {
        if let Action::Status { body, .. } = &mut self.action {
            *body = Some(value.into());
        }
        self
    }

    /// Makes a [`Action::Status`] rule carry the request out before it answers wrongly.
    #[must_use]
    pub fn after(mut self) -> Self {
        if let Action::Status { after, .. } = &mut self.action {
            *after = true;
        }
        self
    }

    /// Limits it to requests with this method whose path contains this regular expression.
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.matching.method = Some(method.to_owned());
        self.matching.path = Some(path.to_owned());
        self
    }

    /// Lets `n` matching requests pass first.
    #[must_use]
    pub fn skip(mut self, n: u64) -> Self {
        self.skip = n;
        self
    }

    /// Acts on `n` requests.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.times = n;
        self
    }

    /// Acts on every matching request until it is cleared.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }
}

impl Action {
    /// The word for it in the request log.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Delay { .. } => "delay",
            Self::DropBefore => "drop_before",
            Self::DropAfter => "drop_after",
            Self::Stale => "stale",
            Self::Truncate { .. } => "truncate",
            Self::Hang => "hang",
        }
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    path: Option<Regex>,
}

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    rules: Mutex<Rules>,
}

#[derive(Debug)]
struct Rules {
    armed: Vec<Armed>,
    rng: fastrand::Rng,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        let rules = Rules {
            armed: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
        };
        Self {
            seed,
            rules: Mutex::new(rules),
        }
    }

    pub(crate) fn arm(&self, fault: Fault) -> Result<(), BadFault> {
        let path = fault
            .matching
            .path
            .as_deref()
            .map(Regex::new)
            .transpose()
            .map_err(BadFault::Path)?;
        if let Some(method) = &fault.matching.method
            && Method::from_bytes(method.as_bytes()).is_err()
        {
            return Err(BadFault::Method(method.clone()));
        }
        if let Some(probability) = fault.probability
            && !(0.0..=1.0).contains(&probability)
        {
            return Err(BadFault::Probability(probability));
        }
        if let Action::Status { status, headers, .. } = &fault.action {
            if !(200..=599).contains(status) || StatusCode::from_u16(*status).is_err() {
                return Err(BadFault::Status(*status));
            }
            for (name, value) in headers {
                if name.parse::<HeaderName>().is_err() || HeaderValue::from_str(value).is_err() {
                    return Err(BadFault::Header(name.clone()));
                }
            }
        }
        self.lock().armed.push(Armed { fault, path });
        Ok(())
    }

    /// What is to happen to this request, if anything.
    pub(crate) fn strike(&self, method: &Method, path: &str) -> Option<Action> {
        let mut guard = self.lock();
        let Rules { armed, rng } = &mut *guard;
        let mut struck = None;
        for Armed { fault, path: regex } in armed.iter_mut() {
            let by_method = fault
                .matching
                .method
                .as_ref()
                .is_none_or(|m| m.eq_ignore_ascii_case(method.as_str()));
            if !by_method || regex.as_ref().is_some_and(|regex| !regex.is_match(path)) || fault.times == 0 {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault.probability.is_some_and(|p| rng.f64() >= p) {
                continue;
            }
            fault.times -= 1;
            struck = Some(fault.action.clone());
            break;
        }
        armed.retain(|rule| rule.fault.times > 0);
        struck
    }

    /// The rules that are not spent, with what is left of their counts.
    pub(crate) fn list(&self) -> Vec<Fault> {
        self.lock().armed.iter().map(|rule| rule.fault.clone()).collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().armed.clear();
    }

    /// As on the first day: no rules, and chance begins anew.
    pub(crate) fn restart(&self) {
        let mut rules = self.lock();
        rules.armed.clear();
        rules.rng = fastrand::Rng::with_seed(self.seed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(fault: Fault, requests: &[(&str, &str)]) -> Vec<bool> {
        let faults = Faults::new(1);
        faults.arm(fault).unwrap();
        requests
            .iter()
            .map(|(method, path)| faults.strike(&method.parse().unwrap(), path).is_some())
            .collect()
    }

    #[test]
    fn a_rule_skips_then_acts_then_is_spent_and_counts_only_what_it_matches() {
        let fault = Fault::status(500).on("post", "^/a$").skip(1).times(2);
        let requests = [
            ("POST", "/a"),
            ("GET", "/a"),
            ("POST", "/ab"),
            ("POST", "/a"),
            ("POST", "/a"),
            ("POST", "/a"),
        ];
        assert_eq!(strikes(fault, &requests), [false, false, false, true, true, false]);
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed_and_neither_always_nor_never() {
        let mut fault = Fault::new(Action::DropBefore).always();
        fault.probability = Some(0.5);
        let requests = vec![("GET", "/"); 64];
        let first = strikes(fault.clone(), &requests);
        assert_eq!(first, strikes(fault, &requests));
        let hits = first.iter().filter(|hit| **hit).count();
        assert!((10..55).contains(&hits), "{hits}");
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        let faults = Faults::new(1);
        let mut improbable = Fault::new(Action::Hang);
        improbable.probability = Some(1.5);
        for (fault, expected) in [
            (
                Fault::status(200).on("GET", "("),
                "match.path is not a regular expression",
            ),
            (Fault::status(99), "action.status must be between 200 and 599, not 99"),
            (
                Fault::status(500).header("a b", "c"),
                "action.headers has \"a b\", which cannot be sent",
            ),
            (
                Fault::status(500).on("G T", "/"),
                "match.method \"G T\" is not an HTTP method",
            ),
            (improbable, "probability must be between 0 and 1, not 1.5"),
        ] {
            assert_eq!(faults.arm(fault).unwrap_err().to_string(), expected);
        }
        assert!(faults.list().is_empty());
    }
}
