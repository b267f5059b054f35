//! What tests do to the server: errors, delays, stale reads, cut watches; and the log of what was asked.

use std::collections::VecDeque;
use std::time::Duration;

use crate::request::RequestInfo;
use crate::status::Status;

/// How many requests the log keeps.
const LOG_CAPACITY: usize = 10_000;

/// Picks requests. An empty text matches everything.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    verb: String,
    resource: String,
    name: String,
}

impl Matcher {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests with this verb: get, list, watch, create, update, patch, delete or deletecollection.
    #[must_use]
    pub fn verb(mut self, verb: &str) -> Self {
        verb.clone_into(&mut self.verb);
        self
    }

    /// Requests for this resource: its plural, with `/subresource` when there is one.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        resource.clone_into(&mut self.resource);
        self
    }

    /// Requests for the object with this name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    fn matches(&self, info: &RequestInfo) -> bool {
        let resource = info.named_in_roles();
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        fits(&self.verb, info.verb) && fits(&self.resource, &resource) && fits(&self.name, &info.name)
    }
}

/// One request as the log keeps it. Bodies are never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Counts from 1.
    pub n: u64,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query as it came, without the question mark.
    pub query: String,
    /// What it is to RBAC: `get`, `list`, `watch`, `create`, …; the method in small letters for what is no resource.
    pub verb: String,
    /// The API group; empty for the core.
    pub group: String,
    /// The resource, as roles name it, such as `nodes/status`; empty for what is no resource.
    pub resource: String,
    /// The name of the object; empty where it has none, as in lists.
    pub name: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Who asked.
    pub user: String,
    /// The fault that was injected, if any.
    pub fault: Option<String>,
}

/// When the connection of a request is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing is done.
    Before,
    /// It is done, but the answer is lost.
    After,
}

#[derive(Debug)]
enum Action {
    Fail(Status),
    Cut(Cut),
    Delay(Duration),
}

#[derive(Debug)]
struct Rule {
    matcher: Matcher,
    times: usize,
    action: Action,
}

/// The faults that wait for their request, and the log.
#[derive(Debug, Default)]
pub(crate) struct FaultState {
    rules: Vec<Rule>,
    /// Reads answer the state of this revision.
    pub frozen_at: Option<u64>,
    /// Watches send no bookmarks.
    pub no_bookmarks: bool,
    /// How many lines of watches are cut in half.
    pub half_lines: usize,
    log: VecDeque<LoggedRequest>,
    count: u64,
}

/// What happens to one request.
#[derive(Debug, Default)]
pub(crate) struct Injected {
    pub delay: Option<Duration>,
    pub cut: Option<Cut>,
    pub fail: Option<Status>,
}

impl Injected {
    pub fn label(&self) -> Option<String> {
        if let Some(cut) = self.cut {
            return Some(format!("cut {}", if cut == Cut::Before { "before" } else { "after" }));
        }
        match (&self.fail, self.delay) {
            (Some(status), _) => Some(format!("status {}", status.code())),
            (None, Some(delay)) => Some(format!("delay {} ms", delay.as_millis())),
            (None, None) => None,
        }
    }
}

impl FaultState {
    pub fn fail(&mut self, matcher: Matcher, status: Status, times: usize) {
        self.rules.push(Rule {
            matcher,
            times,
            action: Action::Fail(status),
        });
    }

    pub fn delay(&mut self, matcher: Matcher, delay: Duration, times: usize) {
        self.rules.push(Rule {
            matcher,
            times,
            action: Action::Delay(delay),
        });
    }

    pub fn cut(&mut self, matcher: Matcher, cut: Cut, times: usize) {
        self.rules.push(Rule {
            matcher,
            times,
            action: Action::Cut(cut),
        });
    }

    pub fn clear(&mut self) {
        self.rules.clear();
        (self.frozen_at, self.no_bookmarks, self.half_lines) = (None, false, 0);
    }

    /// Takes what waits for this request: at most one of each kind.
    pub fn take(&mut self, info: &RequestInfo) -> Injected {
        let mut injected = Injected::default();
        for rule in &mut self.rules {
            if rule.times == 0 || !rule.matcher.matches(info) {
                continue;
            }
            match &rule.action {
                Action::Fail(status) if injected.fail.is_none() => injected.fail = Some(status.clone()),
                Action::Cut(cut) if injected.cut.is_none() => injected.cut = Some(*cut),
                Action::Delay(delay) if injected.delay.is_none() => injected.delay = Some(*delay),
                _ => continue,
            }
            rule.times -= 1;
        }
        self.rules.retain(|rule| rule.times > 0);
        injected
    }

    /// Whether the next line of a watch is cut in half.
    pub fn take_half_line(&mut self) -> bool {
        let cut = self.half_lines > 0;
        self.half_lines = self.half_lines.saturating_sub(1);
        cut
    }

    pub fn log(&mut self, mut request: LoggedRequest) {
        self.count += 1;
        request.n = self.count;
        self.log.push_back(request);
        if self.log.len() > LOG_CAPACITY {
            self.log.pop_front();
        }
    }

    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.log.iter().cloned().collect()
    }

    pub fn clear_log(&mut self) {
        self.log.clear();
    }
}
