//! Free ports, and who holds one that is not.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
#[cfg(target_os = "linux")]
use std::path::Path;

use crate::drivers;
use crate::error::{Error, Fault};
use crate::host::Host;
use crate::lock::Lock;
use crate::record::Record;
#[cfg(any(test, not(target_os = "linux")))]
use crate::system;

/// So many different ports of 127.0.0.1 that are free now and that no cluster of ours has, running or not. `keep` writes down
/// whose they are before any other command may choose, so that two never choose the same. Another program may still take one
/// before it is used.
pub(crate) async fn choose<const N: usize, T>(
    host: &Host,
    keep: impl FnOnce([u16; N]) -> Result<T, Error>,
) -> Result<T, Error> {
    // Where it cannot be had (a full disk), they are chosen all the same.
    let _lock = if host.dry_run {
        None
    } else {
        let path = host.data.join("ports.lock");
        let lock = Lock::acquire(path, "the ports of this machine", host.limits.look, |_| {});
        lock.await.ok()
    };
    keep(pick(&claimed(host), listen)?)
}

/// The ports that belong to clusters, whether anybody listens there or not.
fn claimed(host: &Host) -> Vec<u16> {
    let of_url = |url: String| url.rsplit(':').next()?.trim_end_matches('/').parse().ok();
    let made = Record::all(host)
        .into_iter()
        .filter_map(|record| of_url(record.endpoint));
    let kept = drivers::kept_ports(host).into_iter().map(|kept| kept.port);
    made.chain(kept).collect()
}

fn listen() -> io::Result<(u16, TcpListener)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((listener.local_addr()?.port(), listener))
}

/// What the system gives that is not taken. All are held until enough are found: one that was given back may be the next.
fn pick<const N: usize, H>(taken: &[u16], mut next: impl FnMut() -> io::Result<(u16, H)>) -> Result<[u16; N], Error> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        *port = loop {
            let (found, holder) = next().map_err(|error| none_free(&error))?;
            held.push(holder);
            if !taken.contains(&found) {
                break found;
            }
        };
    }
    Ok(ports)
}

fn none_free(error: &std::io::Error) -> Error {
    Error::tool(
        "the system",
        "find a free port",
        Fault::OutOfResources,
        error.to_string(),
    )
}

/// Whether 127.0.0.1 has nobody on this port. One that we may not use ourselves counts as free: an engine may.
pub(crate) fn is_free(port: u16) -> bool {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    !bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

/// Fails when the port is taken, naming who holds it as far as that can be seen.
pub(crate) fn refuse_taken(tool: &str, port: u16) -> Result<(), Error> {
    if is_free(port) {
        return Ok(());
    }
    let owner = owner(port);
    // Somebody who looked for a free port may have had it for a moment.
    if owner.is_none() && is_free(port) {
        return Ok(());
    }
    let holder = owner.map_or_else(|| "another program".to_owned(), |owner| owner.to_string());
    Err(Error::tool(
        tool,
        "start",
        Fault::PortInUse,
        format!("port {port} of 127.0.0.1 is taken by {holder}"),
    ))
}

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) pid: u32,
    pub(crate) name: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The process that listens on a TCP port, when this user may see it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn owner(port: u16) -> Option<Owner> {
    owner_by_lsof(port)
}

/// Where there is no `/proc`.
#[cfg(any(test, not(target_os = "linux")))]
fn owner_by_lsof(port: u16) -> Option<Owner> {
    let told = system::told("lsof", &["-nP", &format!("-iTCP:{port}"), "-sTCP:LISTEN", "-Fpc"])?;
    let field = |kind: char| told.lines().find_map(|line| line.strip_prefix(kind));
    Some(Owner {
        pid: field('p')?.parse().ok()?,
        name: field('c')?.to_owned(),
    })
}

/// The process that listens on a TCP port, when this user may see it. Of several the eldest: the others have it from that
/// one, children that are about to become another program among them.
#[cfg(target_os = "linux")]
pub(crate) fn owner(port: u16) -> Option<Owner> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let socket = format!("socket:[{inode}]");
    let holds = |process: &Path| {
        let handles = std::fs::read_dir(process.join("fd")).into_iter().flatten();
        let mut links = handles
            .flatten()
            .filter_map(|handle| std::fs::read_link(handle.path()).ok());
        links.any(|link| link.as_os_str() == socket.as_str())
    };
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let holders = processes.filter_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let path = process.path();
        holds(&path).then(|| (started(&path), pid, path))
    });
    let (_, pid, path) = holders.min()?;
    let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
    Some(Owner {
        pid,
        name: name.trim().to_owned(),
    })
}

/// When a process started, in ticks since the machine did; the end of time for one that is gone.
#[cfg(target_os = "linux")]
fn started(process: &Path) -> u64 {
    /// The start's place in the line, counted from after the name, which may hold anything.
    const START: usize = 19;
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    let start = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').nth(START)?.parse().ok());
    start.unwrap_or(u64::MAX)
}

/// The socket that listens on a port, out of the kernel's table of sockets.
#[cfg(target_os = "linux")]
fn listening_inode(table: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let listens = fields.get(3) == Some(&LISTEN) && fields.get(1).is_some_and(|local| local.ends_with(&wanted));
        listens.then(|| fields.get(9).map(ToString::to_string)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_a_cluster_has_is_not_chosen_again() {
        let mut given = [5, 6, 5, 7].into_iter();
        let next = || {
            given
                .next()
                .map(|port| (port, ()))
                .ok_or_else(|| io::Error::other("no more"))
        };
        assert_eq!(pick::<2, ()>(&[5], next).unwrap(), [6, 7]);
        assert!(pick::<1, ()>(&[5], || Err(io::Error::other("none"))).is_err());
    }

    #[tokio::test]
    async fn choosing_is_one_after_the_other_and_knows_what_was_chosen() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::new([("HOME".into(), dir.path().into())].into(), crate::Os::Linux);
        let path = host.data.join("ports.lock");
        let held = Lock::acquire(path, "x", std::time::Duration::ZERO, |_| {})
            .await
            .unwrap();
        let second = choose(&host, |[port]| Ok(port));
        let waits = tokio::time::timeout(std::time::Duration::from_millis(50), second).await;
        assert!(waits.is_err(), "somebody is choosing");
        drop(held);
        let port = choose(&host, |[port]| {
            let kept = host.data.join("sim/dev");
            std::fs::create_dir_all(&kept).unwrap();
            std::fs::write(kept.join("sim.json"), format!("{{\"apiPort\":{port}}}")).unwrap();
            Ok(port)
        });
        let port = port.await.unwrap();
        assert_eq!(claimed(&host), [port], "though nobody listens there");
    }

    #[test]
    fn the_owner_of_a_port_is_named_without_proc() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if system::told("lsof", &["-v"]).is_none() {
            return;
        }
        assert_eq!(owner_by_lsof(port).unwrap().pid, std::process::id());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_owner_of_a_port_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(owner(port).unwrap().pid, std::process::id());
        let error = refuse_taken("k3d", port).unwrap_err().to_string();
        assert!(
            error.contains(&port.to_string()) && error.contains(&std::process::id().to_string()),
            "{error}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn of_several_that_hold_a_port_the_eldest_is_its_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inherited = std::os::fd::OwnedFd::from(listener.try_clone().unwrap());
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .stdin(inherited)
            .spawn()
            .unwrap();
        let starts = [std::process::id(), child.id()].map(|pid| started(&Path::new("/proc").join(pid.to_string())));
        let owner = owner(port).unwrap();
        // The child holds it alone once it is ours no more.
        drop(listener);
        let heir = super::owner(port).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((owner.pid, heir.pid), (std::process::id(), child.id()));
        assert!(
            0 < starts[0] && starts[0] <= starts[1] && starts[1] < u64::MAX,
            "{starts:?}"
        );
        assert_eq!(started(Path::new("/proc/none")), u64::MAX);
    }
}
