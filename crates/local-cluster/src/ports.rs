//! Free ports, and who holds one that is not.

use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Error, Fault};

/// A port of 127.0.0.1 that is free now. Somebody may take it before it is used: callers try once more.
pub(crate) fn free() -> Result<u16, Error> {
    several_free().map(|[port]| port)
}

/// So many different ports of 127.0.0.1 that are free now.
pub(crate) fn several_free<const N: usize>() -> Result<[u16; N], Error> {
    let mut ports = [0; N];
    let mut held = Vec::new();
    for port in &mut ports {
        // Held until all are found: a port that was given back may be the next one found.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| none_free(&error))?;
        *port = listener.local_addr().map_err(|error| none_free(&error))?.port();
        held.push(listener);
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
    let holder = owner(port).map_or_else(|| "another program".to_owned(), |owner| owner.to_string());
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

/// The process that listens on a TCP port, when this user may see it. Reads Linux's `/proc`; elsewhere it is not known.
pub(crate) fn owner(port: u16) -> Option<Owner> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let socket = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let handles = std::fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        for handle in handles {
            if std::fs::read_link(handle.path()).is_ok_and(|link| link.as_os_str() == socket.as_str()) {
                let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(Owner {
                    pid,
                    name: name.trim().to_owned(),
                });
            }
        }
    }
    None
}

/// The socket that listens on a port, out of the kernel's table of sockets.
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
}
