//! What the file system and the kernel say.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::host::Host;
use crate::identity::Identity;
use crate::kubeconfig;
use crate::lock::Lock;
use crate::record::{self, Record, Step};
use kit::{Finding, Verdict};

const GIB: u64 = 1024 * 1024 * 1024;
/// Images and volumes of one small cluster.
const LITTLE_DISK: u64 = 5 * GIB;
const NO_DISK: u64 = GIB / 4;
const LITTLE_MEMORY: u64 = 2 * GIB;
/// kind's own documentation asks for this much.
const INOTIFY: [(&str, u64); 2] = [("max_user_instances", 512), ("max_user_watches", 524_288)];
/// Whoever holds the lock of a kubeconfig only rewrites a small file.
const OLD_LOCK: Duration = Duration::from_mins(1);

fn amount(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB as f64)
}

/// What is free where our data goes, and where.
fn free_disk(host: &Host) -> Option<(u64, PathBuf)> {
    let place = host.data.ancestors().find(|dir| dir.exists())?;
    let volume = rustix::fs::statvfs(place).ok()?;
    Some((volume.f_bavail.saturating_mul(volume.f_frsize), place.to_path_buf()))
}

/// Linux only.
fn free_memory() -> Option<u64> {
    let table = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// That there is less than a cluster of containers or machines fills soon.
pub(super) fn little_disk(host: &Host) -> Option<String> {
    let (free, place) = free_disk(host)?;
    let place = place.display();
    (free < LITTLE_DISK).then(|| format!("only {} of disk are free at {place}", amount(free)))
}

/// That there is less than is wanted.
pub(super) fn little_memory(wanted: u64) -> Option<String> {
    let free = free_memory()?;
    (free < wanted).then(|| {
        let (free, wanted) = (amount(free), amount(wanted));
        format!("only {free} of memory are available, and the cluster may use {wanted}")
    })
}

pub(super) fn disk(host: &Host) -> Option<Finding> {
    let (free, place) = free_disk(host)?;
    let found = format!("{} free at {}", amount(free), place.display());
    Some(match free {
        free if free < NO_DISK => {
            Finding::new("disk", Verdict::Problem, found).advice("free some: nothing can be created")
        }
        free if free < LITTLE_DISK => {
            Finding::new("disk", Verdict::Warning, found).advice("free some: nodes evict their Pods when it runs out")
        }
        _ => Finding::new("disk", Verdict::Ok, found),
    })
}

pub(super) fn memory() -> Finding {
    let Some(free) = free_memory() else {
        return Finding::new(
            "memory",
            Verdict::Note,
            "how much is available is not known on this system",
        )
        .advice("a cluster with containers wants 2 GiB; sim needs none of it");
    };
    let found = format!("{} available", amount(free));
    if free < LITTLE_MEMORY {
        Finding::new("memory", Verdict::Warning, found)
            .advice("a cluster with containers wants 2 GiB; sim needs none of it")
    } else {
        Finding::new("memory", Verdict::Ok, found)
    }
}

/// Linux only.
pub(super) fn inotify() -> Vec<Finding> {
    let read = |name: &str| {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    INOTIFY
        .into_iter()
        .filter_map(|(name, least)| Some((name, least, read(name)?)))
        .filter(|(_, least, have)| have < least)
        .map(|(name, least, have): (_, _, u64)| {
            Finding::new(
                format!("fs.inotify.{name}"),
                Verdict::Note,
                format!("{have}; clusters of several nodes want {least}"),
            )
            .advice(format!("sudo sysctl fs.inotify.{name}={least}"))
        })
        .collect()
}

pub(super) fn kubeconfigs(host: &Host) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in kubeconfig::files(host) {
        let check = format!("kubeconfig {}", path.display());
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        if age(Path::new(&lock)).is_some_and(|age| age > OLD_LOCK) {
            findings.push(
                Finding::new(&check, Verdict::Warning, "its lock was left behind").advice(format!(
                    "if no other program is writing to it, rm {}",
                    lock.to_string_lossy()
                )),
            );
        }
        let Ok(data) = path.metadata() else { continue };
        match kube_kit::kubeconfig::load(&path) {
            Err(error) => findings.push(
                Finding::new(&check, Verdict::Problem, kit::chain(&error))
                    .advice("repair it, or move it away; no command will overwrite it"),
            ),
            Ok(_) if data.permissions().mode() & 0o200 == 0 => findings.push(
                Finding::new(&check, Verdict::Warning, "it is read-only").advice("clusters cannot be added: chmod u+w"),
            ),
            Ok(_) if data.permissions().mode() & 0o077 != 0 => findings.push(
                Finding::new(&check, Verdict::Warning, "others can read it")
                    .advice(format!("chmod 600 {}", path.display())),
            ),
            Ok(_) => findings.push(Finding::new(&check, Verdict::Ok, "can be read and written")),
        }
    }
    findings
}

fn age(path: &Path) -> Option<Duration> {
    SystemTime::now()
        .duration_since(path.metadata().ok()?.modified().ok()?)
        .ok()
}

/// Clusters whose creation or removal was interrupted.
pub(super) fn interrupted(host: &Host) -> Vec<Finding> {
    let left = Record::all(host).into_iter().filter_map(|record| {
        let what = match record.phase {
            Step::Creating => "creation",
            Step::Destroying => "removal",
            Step::Ready | Step::Stopping => return None,
        };
        let going_on = Lock::is_held(&record::lock_path(host, &record.driver, &record.profile));
        (!going_on).then_some((record, what))
    });
    left.map(|(record, what)| {
        let (driver, profile) = (&record.driver, &record.profile);
        let orphan = Identity::load(&record::tool_path(host, driver, profile)).and_then(Identity::running);
        let (found, advice) = match orphan {
            Some(tool) => (
                format!("its {what} was interrupted, and process {} goes on with it", tool.pid),
                format!("wait for it, or end it (kill {})", tool.pid),
            ),
            None => (
                format!("its {what} was interrupted"),
                format!("roadstead cluster destroy --driver {driver} --profile {profile} removes what is left"),
            ),
        };
        Finding::new(format!("{driver} cluster {profile}"), Verdict::Warning, found).advice(advice)
    })
    .collect()
}
