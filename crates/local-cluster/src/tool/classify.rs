//! The one place that reads the tools' error texts: they have no better way of saying what went wrong.

use crate::error::Fault;
use crate::tool::Output;

/// Which texts mean what, in the order they are tried: the more telling first.
const MEANINGS: &[(Fault, &[&str])] = &[
    (
        Fault::Broken,
        &[
            "failed to parse ip ''",
            "host agent is not",
            "errors inspecting instance",
        ],
    ),
    (
        Fault::BackendMissing,
        &["executable file not found in $path", "dependency check failed"],
    ),
    (
        Fault::BackendTooOld,
        &[
            "unknown flag:",
            "unknown command",
            "lima compatibility error",
            "minimum lima version supported is",
        ],
    ),
    (
        Fault::DaemonDown,
        &[
            "cannot connect to the docker daemon",
            "is the docker daemon running",
            "docker daemon is not running",
            "provider_docker_not_running",
            "provider_docker_cannot_connect",
            "provider_docker_refused",
            "drv_docker_not_running",
            "cannot connect to podman",
        ],
    ),
    (
        Fault::PortInUse,
        &[
            "port is already allocated",
            "address already in use",
            "ports are not available",
        ],
    ),
    (
        Fault::KubeconfigLocked,
        &["failed to lock config file", ".lock: file exists"],
    ),
    (Fault::PermissionDenied, &["permission denied"]),
    (
        Fault::AlreadyExists,
        &[
            "a cluster with that name already exists",
            "node(s) already exist for a cluster with the name",
            "conflict. the container name",
        ],
    ),
    (
        Fault::OutOfResources,
        &[
            "no space left on device",
            "no available ipv4",
            "non-overlapping ipv4 address pool",
            "cannot allocate memory",
        ],
    ),
    (
        Fault::Network,
        &[
            "failed to pull",
            "pull access denied",
            "manifest unknown",
            "toomanyrequests",
            "x509:",
            "no such host",
        ],
    ),
    (Fault::Timeout, &["context deadline exceeded", "timed out waiting"]),
    (
        Fault::NotFound,
        &["no nodes found for", "could not locate any control plane nodes"],
    ),
    (Fault::NotRunning, &["is not running"]),
    (
        Fault::Unsupported,
        &["requires macos 13", "virtualization is not supported"],
    ),
    (Fault::RollbackFailed, &["also failed to rollback changes"]),
    (Fault::RolledBack, &["all changes have been rolled back"]),
];

/// Decides why a program failed from what it printed.
pub(crate) fn classify(output: &Output) -> Fault {
    // Whoever prints more than this does not say why.
    let part = |text| crate::tool::beginning(text, 256 * 1024);
    let text = format!("{}\n{}", part(&output.stderr), part(&output.stdout)).to_lowercase();
    let says = |needle: &&str| text.contains(needle);
    // k3d says the same when there is no cluster and when it could not look.
    let could_not_look = text.contains("failed to get nodes");
    for (fault, needles) in MEANINGS {
        if *fault == Fault::NotFound && could_not_look {
            return Fault::DaemonDown;
        }
        if needles.iter().any(says) {
            return *fault;
        }
    }
    if text.contains("connection refused") && text.contains("docker") {
        return Fault::DaemonDown;
    }
    Fault::Unknown
}
