//! The numbered log of what a simulated cloud was asked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// How many requests are kept; older ones are forgotten, their numbers are not given again.
const KEPT: usize = 20_000;

/// Query parameters whose name contains one of these carry a credential.
const SECRET_WORDS: [&str; 10] = [
    "token",
    "secret",
    "passw",
    "api_key",
    "apikey",
    "api-key",
    "authorization",
    "credential",
    "signature",
    "jwt",
];

/// One request a simulated cloud received. Bodies and headers are never kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Its number, counted from 1 in the order of arrival.
    pub n: u64,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query as sent, with the values of credentials replaced; empty when there was none.
    pub query: String,
    /// What was answered; nothing while it is being answered, and when the connection was cut.
    pub status: Option<u16>,
    /// The kind of fault it met.
    pub fault: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    last: u64,
    kept: VecDeque<LoggedRequest>,
}

impl Log {
    /// Notes that a request arrived and gives its number.
    pub(crate) fn begin(&self, method: &str, path: &str, query: Option<&str>, fault: Option<&str>) -> u64 {
        let mut entries = self.lock();
        entries.last += 1;
        let n = entries.last;
        if entries.kept.len() == KEPT {
            entries.kept.pop_front();
        }
        entries.kept.push_back(LoggedRequest {
            n,
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.map(redact).unwrap_or_default(),
            status: None,
            fault: fault.map(str::to_owned),
        });
        n
    }

    /// Notes what request `n` was answered with.
    pub(crate) fn end(&self, n: u64, status: u16) {
        let mut entries = self.lock();
        // Usually it is among the last few.
        if let Some(entry) = entries.kept.iter_mut().rev().find(|entry| entry.n == n) {
            entry.status = Some(status);
        }
    }

    pub(crate) fn since(&self, n: u64) -> Vec<LoggedRequest> {
        self.lock().kept.iter().filter(|entry| entry.n > n).cloned().collect()
    }

    /// Forgets the entries; numbers go on, so that a reader who polls with `since` misses nothing.
    pub(crate) fn clear(&self) {
        self.lock().kept.clear();
    }

    pub(crate) fn restart(&self) {
        *self.lock() = Entries::default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The query with the values of credential-like parameters replaced.
fn redact(query: &str) -> String {
    let redacted: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key, _)) if is_secret(key) => format!("{key}=REDACTED"),
            _ => pair.to_owned(),
        })
        .collect();
    redacted.join("&")
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_credential_like_parameters_are_redacted_and_others_kept() {
        for (query, expected) in [
            ("page=2&access_token=abc", "page=2&access_token=REDACTED"),
            ("X-Auth-Token=abc&flag", "X-Auth-Token=REDACTED&flag"),
            ("labelSelector=a%3Db&continue=xyz", "labelSelector=a%3Db&continue=xyz"),
            ("PASSWORD=a=b", "PASSWORD=REDACTED"),
            ("", ""),
        ] {
            assert_eq!(redact(query), expected);
        }
    }

    #[test]
    fn the_log_is_bounded_and_numbers_are_never_reused() {
        let log = Log::default();
        for _ in 0..KEPT + 5 {
            log.begin("GET", "/", None, None);
        }
        assert_eq!(log.since(0).len(), KEPT);
        assert_eq!(log.since(0)[0].n, 6);
        log.clear();
        assert_eq!(log.begin("GET", "/", None, None), KEPT as u64 + 6);
    }
}
