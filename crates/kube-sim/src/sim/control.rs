//! The handle through which tests inject faults.

use std::time::Duration;

use super::Inner;
use crate::faults::{Cut, Matcher};
use crate::status::Status;

/// What tests can do to the server.
#[derive(Debug)]
pub struct Faults<'a>(&'a Inner);

impl<'a> Faults<'a> {
    pub(super) fn new(inner: &'a Inner) -> Self {
        Self(inner)
    }

    /// The next request that matches fails with this HTTP status; nothing is done.
    pub fn fail_next(&self, matcher: Matcher, status: u16) {
        self.fail(matcher, status, 1);
    }

    /// The next `times` requests that match fail with this HTTP status; nothing is done.
    pub fn fail(&self, matcher: Matcher, status: u16, times: usize) {
        let (reason, message) = match status {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden by an injected fault"),
            404 => ("NotFound", "the server could not find the requested resource"),
            409 => (
                "Conflict",
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            410 => ("Expired", "The resourceVersion for the provided list is too old."),
            422 => ("Invalid", "invalid by an injected fault"),
            429 => (
                "TooManyRequests",
                "the server has received too many requests and has asked us to try again later",
            ),
            500 => ("InternalError", "Internal error occurred: injected fault"),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => (
                "Timeout",
                "the server was unable to return a response in the time allotted, but may still be processing the request",
            ),
            _ => ("", "injected fault"),
        };
        self.0
            .faults()
            .fail(matcher, Status::new(status, reason, message), times);
    }

    /// The next `times` requests that match are answered `delay` later, on the server's clock.
    pub fn delay(&self, matcher: Matcher, delay: Duration, times: usize) {
        self.0.faults().delay(matcher, delay, times);
    }

    /// The next `times` requests that match lose their connection, before or after they are done.
    pub fn cut(&self, matcher: Matcher, cut: Cut, times: usize) {
        self.0.faults().cut(matcher, cut, times);
    }

    /// Ends all watches now; clients watch again from where they were.
    pub fn drop_watches(&self) {
        self.0.state().store.drop_watchers();
    }

    /// The next `times` lines that watches send break off in the middle, and their connections with them.
    pub fn cut_watch_lines(&self, times: usize) {
        self.0.faults().half_lines = times;
    }

    /// Whether watches send no bookmarks from now on, whatever their clients asked for.
    pub fn drop_bookmarks(&self, drop: bool) {
        self.0.faults().no_bookmarks = drop;
    }

    /// From now on, lists and gets that allow it (`resourceVersion=0`) answer the state of this moment.
    pub fn freeze_reads(&self) {
        let revision = self.0.state().store.revision();
        self.0.faults().frozen_at = Some(revision);
    }

    /// Ends [`Faults::freeze_reads`].
    pub fn thaw_reads(&self) {
        self.0.faults().frozen_at = None;
    }

    /// Throws away all history: watches and lists from older versions get 410.
    pub fn compact(&self) {
        let mut state = self.0.state();
        let revision = state.store.revision();
        state.store.compact(revision);
    }

    /// Throws away the history before `revision`.
    pub fn compact_before(&self, revision: u64) {
        self.0.state().store.compact(revision);
    }

    /// Forgets all faults that wait for their request, thaws reads, and sends bookmarks again.
    pub fn clear(&self) {
        self.0.faults().clear();
    }
}
