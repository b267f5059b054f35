//! Query parameters of reads and writes, with the errors of the real server.

use crate::body::FieldValidation;
use crate::field::FieldError;
use crate::handlers::Found;
use crate::ops::Write;
use crate::request::Query;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::Status;

/// What selects objects.
#[derive(Debug, Clone, Default)]
pub(super) struct Selectors {
    pub labels: LabelSelector,
    pub fields: FieldSelector,
}

impl Selectors {
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn of(found: &Found) -> Result<Self, Status> {
        let query = &found.call.query;
        let info = &found.call.info;
        let labels = LabelSelector::parse(query.text("labelSelector")).map_err(Status::bad_request)?;
        let mut fields =
            FieldSelector::parse(query.text("fieldSelector"), &found.resource).map_err(Status::bad_request)?;
        // The old watch paths name the object.
        if info.verb == "watch" && !info.name.is_empty() && query.text("fieldSelector").is_empty() {
            fields = FieldSelector::name(&info.name);
        }
        Ok(Self { labels, fields })
    }

    pub fn matches(&self, found: &Found, object: &serde_json::Value) -> bool {
        self.labels.matches(object) && self.fields.matches(&found.resource, object)
    }
}

/// The parameters of a list or watch.
#[derive(Debug, Default)]
pub(super) struct ListOptions {
    pub resource_version: String,
    pub version_match: String,
    pub limit: usize,
    pub token: String,
    pub bookmarks: bool,
    pub initial_events: Option<bool>,
    pub timeout: Option<i64>,
}

impl ListOptions {
    pub fn of(query: &Query, watch: bool) -> Result<Self, Status> {
        let number = |name: &str| match query.text(name) {
            "" => Ok(None),
            text => text
                .parse::<i64>()
                .map(Some)
                .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))),
        };
        let options = Self {
            resource_version: query.text("resourceVersion").to_owned(),
            version_match: query.text("resourceVersionMatch").to_owned(),
            limit: number("limit")?.and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            token: query.text("continue").to_owned(),
            bookmarks: query.flag("allowWatchBookmarks"),
            initial_events: query.get("sendInitialEvents").map(|_| query.flag("sendInitialEvents")),
            timeout: number("timeoutSeconds")?,
        };
        let errors = if watch {
            options.watch_errors()
        } else {
            options.list_errors()
        };
        if errors.is_empty() {
            return Ok(options);
        }
        Err(Status::invalid("meta.k8s.io", "ListOptions", "", &errors))
    }

    fn list_errors(&self) -> Vec<FieldError> {
        const MATCH: &str = "resourceVersionMatch";
        let mut errors = Vec::new();
        if !self.version_match.is_empty() {
            if self.resource_version.is_empty() {
                errors.push(FieldError::forbidden(
                    MATCH,
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
            if !self.token.is_empty() {
                errors.push(FieldError::forbidden(
                    MATCH,
                    "resourceVersionMatch is forbidden when continue is provided",
                ));
            }
            if !matches!(self.version_match.as_str(), "Exact" | "NotOlderThan") {
                let known = ["Exact", "NotOlderThan", ""];
                errors.push(FieldError::not_supported(MATCH, self.version_match.as_str(), &known));
            }
            if self.version_match == "Exact" && self.resource_version == "0" {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                errors.push(FieldError::forbidden(MATCH, why));
            }
        }
        if self.initial_events.is_some() {
            errors.push(FieldError::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            ));
        }
        errors
    }

    fn watch_errors(&self) -> Vec<FieldError> {
        const MATCH: &str = "resourceVersionMatch";
        let mut errors = Vec::new();
        if self.initial_events.is_some() {
            if self.version_match != "NotOlderThan" {
                let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                errors.push(FieldError::forbidden(MATCH, why));
            }
            if !matches!(self.version_match.as_str(), "" | "NotOlderThan") {
                errors.push(FieldError::not_supported(
                    MATCH,
                    self.version_match.as_str(),
                    &["NotOlderThan"],
                ));
            }
        } else if !self.version_match.is_empty() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(FieldError::forbidden(MATCH, why));
        }
        if !self.token.is_empty() {
            errors.push(FieldError::forbidden(
                MATCH,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        errors
    }
}

/// The parameters of a create, update or patch.
#[derive(Debug)]
pub(super) struct WriteOptions {
    pub validation: FieldValidation,
    pub write: Write,
}

impl WriteOptions {
    /// `kind` is how errors call the options: `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub fn of(found: &Found, kind: &str) -> Result<Self, Status> {
        let query = &found.call.query;
        let mut errors = Vec::new();
        let dry = query.all("dryRun");
        if dry.iter().any(|d| *d != "All") {
            errors.push(FieldError::not_supported("dryRun", serde_json::json!(dry), &["All"]));
        }
        let manager = query.text("fieldManager");
        if manager.len() > 128 {
            errors.push(FieldError::too_long("fieldManager", 128));
        }
        for (i, c) in manager.chars().enumerate().filter(|(_, c)| c.is_control()) {
            let why = format!("should only contain printable characters (found {c:?} at {i})");
            errors.push(FieldError::invalid("fieldManager", manager, &why));
        }
        let validation = match query.text("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                errors.push(FieldError::not_supported(
                    "fieldValidation",
                    other,
                    &["", "Ignore", "Strict", "Warn"],
                ));
                FieldValidation::Warn
            }
        };
        if !errors.is_empty() {
            return Err(Status::invalid("meta.k8s.io", kind, "", &errors));
        }
        Ok(Self {
            validation,
            write: Write {
                now: found.call.inner.clock.now(),
                dry_run: !dry.is_empty(),
                manager: manager_of(found, manager),
                subresource: found.call.info.subresource.clone(),
                apply: false,
            },
        })
    }
}

/// The field manager: as asked for, or the first word of the User-Agent.
fn manager_of(found: &Found, asked: &str) -> String {
    if !asked.is_empty() {
        return asked.to_owned();
    }
    let agent = found
        .call
        .parts
        .headers
        .get(http::header::USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let name: String = agent
        .split('/')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(128)
        .collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}
