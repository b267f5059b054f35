//! Which process it is. A process ID alone may belong to somebody else by now.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A process, told apart from a later one with the same ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// When it began, in whatever form the system tells it, and on Linux in which boot.
    began: String,
    /// What it has in its environment, as long as its ID is not known: see [`Identity::announced`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mark: String,
}

/// The variable by which a process is found that nobody noted in time.
pub(crate) const MARK: &str = "ROADSTEAD_CHANGE";

impl Identity {
    /// The process that has this ID now.
    pub(crate) fn of(pid: u32) -> Self {
        Self {
            pid,
            began: began(pid).unwrap_or_default(),
            mark: String::new(),
        }
    }

    /// A process that is about to be started with this in its environment. Noted before it is: whoever starts it may be
    /// killed before its ID can be.
    pub(crate) fn announced(mark: &str) -> Self {
        Self {
            pid: 0,
            began: String::new(),
            mark: mark.to_owned(),
        }
    }

    /// The process, when it runs; one that was only announced is looked for.
    pub(crate) fn running(self) -> Option<Self> {
        if self.mark.is_empty() {
            Some(self).filter(Self::runs)
        } else {
            marked(&self.mark)
        }
    }

    /// Reads one from a file; what cannot be read counts as not there.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Writes it to a file. That is not made durable: no process outlives the machine's memory.
    pub(crate) fn save(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, serde_json::to_vec(self)?)
    }

    /// Whether this very process runs.
    pub(crate) fn runs(&self) -> bool {
        began(self.pid).is_some_and(|began| began == self.began)
    }
}

/// The leader of a group of processes that has this in its environment. What it started has it too, but is in its group.
#[cfg(target_os = "linux")]
fn marked(mark: &str) -> Option<Identity> {
    let variable = format!("{MARK}={mark}");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        if !environment
            .split(|byte| *byte == 0)
            .any(|one| one == variable.as_bytes())
        {
            continue;
        }
        let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let group = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(2));
        if group == Some(pid.to_string().as_str()) && began(pid).is_some() {
            return Some(Identity::of(pid));
        }
    }
    None
}

/// Other systems do not show the environment of a process.
#[cfg(not(target_os = "linux"))]
fn marked(_mark: &str) -> Option<Identity> {
    None
}

/// When a process began; `None` when there is none of that ID that runs.
#[cfg(target_os = "linux")]
pub(crate) fn began(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return None;
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{} of {}", fields.get(19)?, boot.trim()))
}

/// When a process began; `None` when there is none of that ID that runs.
#[cfg(not(target_os = "linux"))]
pub(crate) fn began(pid: u32) -> Option<String> {
    began_by_ps(pid)
}

/// Where there is no `/proc`.
#[cfg(any(test, not(target_os = "linux")))]
fn began_by_ps(pid: u32) -> Option<String> {
    let told = crate::system::told("ps", &["-o", "stat=,lstart=", "-p", &pid.to_string()])?;
    let (state, since) = told.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| since.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_not_another_with_its_id() {
        let own = Identity::of(std::process::id());
        assert!(own.runs());
        let other = Identity {
            began: "long ago".to_owned(),
            ..own
        };
        assert!(!other.runs());
    }

    #[test]
    fn without_proc_it_is_told_apart_by_when_it_began() {
        let began = began_by_ps(std::process::id()).unwrap();
        let year = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
        assert!(
            began.ends_with(&format!(" {year}")),
            "in one form for everybody: {began}"
        );
        assert_eq!(began_by_ps(std::process::id()).unwrap(), began);
        assert_eq!(began_by_ps(999_999_999), None);
        // One that has ended and that nobody has asked for yet.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let begun = std::time::Instant::now();
        while began_by_ps(child.id()).is_some() {
            assert!(begun.elapsed() < std::time::Duration::from_secs(5));
        }
        child.wait().unwrap();
    }
}
