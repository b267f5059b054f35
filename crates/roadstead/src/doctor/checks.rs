//! What is looked at, one function each.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloud_http::Proxy;
use kit::{Finding, Verdict};
use kontainer_engine::PersistentStore as _;
use tokio::net::TcpListener;

use super::rackspace_spot;
use crate::drivers;

/// Looks at everything; what takes time, side by side.
pub(super) async fn all(offline: bool) -> Vec<Finding> {
    let mut findings = vec![
        home(),
        store().await,
        kubeconfig(),
        loopback().await,
        kubectl(),
        certificates(),
    ];
    findings.extend(driver_binaries());
    findings.extend(proxies());
    let machine = Arc::new(crate::cluster::this_machine());
    let (local, spot) = tokio::join!(local_cluster::preflight(&machine), rackspace_spot::check(offline));
    findings.extend(local.into_iter().map(|finding| Finding {
        check: format!("cluster: {}", finding.check),
        ..finding
    }));
    findings.extend(spot);
    findings
}

fn home() -> Finding {
    const CHECK: &str = "home directory";
    match env::var_os("HOME").map(PathBuf::from) {
        Some(home) if home.is_dir() => Finding::new(CHECK, Verdict::Ok, home.display().to_string()),
        Some(home) => Finding::new(
            CHECK,
            Verdict::Problem,
            format!("{} is not a directory", home.display()),
        )
        .advice("set HOME to a directory of yours: clusters are remembered below it"),
        None => Finding::new(CHECK, Verdict::Problem, "HOME is not set")
            .advice("set HOME to a directory of yours: clusters are remembered below it"),
    }
}

async fn store() -> Finding {
    const CHECK: &str = "cluster store";
    let store = match crate::engine::default_store() {
        Ok(store) => store,
        Err(failure) => return Finding::new(CHECK, Verdict::Problem, failure.message),
    };
    let root = store.kubeconfig().parent().map(Path::to_path_buf).unwrap_or_default();
    if !root.exists() {
        return Finding::new(
            CHECK,
            Verdict::Ok,
            format!("empty ({} comes with the first cluster)", root.display()),
        );
    }
    let (clusters, damaged) = match store.list().await {
        Ok((clusters, damaged)) => (clusters, damaged.into_iter().next()),
        Err(error) => (Vec::new(), Some(error)),
    };
    if let Some(error) = damaged {
        return Finding::new(CHECK, Verdict::Problem, kit::chain(&error))
            .advice("repair or remove the file that is named; the other clusters are not affected");
    }
    let open = open_to_others(&root);
    let root = root.display();
    if open {
        return Finding::new(CHECK, Verdict::Warning, format!("{root} can be read by other users"))
            .advice(format!("chmod -R go= {root}"));
    }
    Finding::new(CHECK, Verdict::Ok, format!("{} clusters in {root}", clusters.len()))
}

fn kubeconfig() -> Finding {
    const CHECK: &str = "kubeconfig";
    let Some(path) = crate::engine::default_store().ok().map(|store| store.kubeconfig()) else {
        return Finding::new(CHECK, Verdict::Note, "not looked at: there is no store");
    };
    if !path.exists() {
        return Finding::new(CHECK, Verdict::Ok, "none yet");
    }
    let parsed = std::fs::read_to_string(&path)
        .map_err(|error| error.to_string())
        .and_then(|text| kube_kit::kubeconfig::Kubeconfig::parse(&text).map_err(|error| kit::chain(&error)));
    match parsed {
        Ok(_) => Finding::new(CHECK, Verdict::Ok, path.display().to_string()),
        Err(error) => Finding::new(CHECK, Verdict::Problem, format!("{}: {error}", path.display()))
            .advice("repair the file, or move it away: it is written anew with the next cluster"),
    }
}

async fn loopback() -> Finding {
    const CHECK: &str = "loopback";
    match TcpListener::bind("127.0.0.1:0").await {
        Ok(_) => Finding::new(CHECK, Verdict::Ok, "drivers can listen on 127.0.0.1"),
        Err(error) => Finding::new(CHECK, Verdict::Problem, format!("cannot listen on 127.0.0.1: {error}"))
            .advice("bring the loopback interface up (ip link set lo up)"),
    }
}

fn kubectl() -> Finding {
    const CHECK: &str = "kubectl";
    match find_on_path("kubectl") {
        Some(path) => Finding::new(CHECK, Verdict::Ok, path.display().to_string()),
        None => Finding::new(CHECK, Verdict::Note, "not on PATH").advice("only needed to look into clusters yourself"),
    }
}

/// Where the systems we know keep their certificate authorities.
const CA_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

fn certificates() -> Finding {
    const CHECK: &str = "CA certificates";
    let chosen = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    if let Some(path) = &chosen
        && !path.is_file()
    {
        return Finding::new(
            CHECK,
            Verdict::Problem,
            format!("SSL_CERT_FILE names {}, which is no file", path.display()),
        )
        .advice("correct it or unset it");
    }
    let found = chosen.or_else(|| CA_FILES.iter().map(PathBuf::from).find(|path| path.is_file()));
    match found {
        Some(path) => Finding::new(CHECK, Verdict::Ok, path.display().to_string()),
        None => Finding::new(CHECK, Verdict::Warning, "no bundle of certificate authorities found")
            .advice("install ca-certificates, or set SSL_CERT_FILE: without it no provider can be reached over TLS"),
    }
}

fn driver_binaries() -> Vec<Finding> {
    let built_in = match drivers::builtin() {
        Ok(registry) => Finding::new(
            "drivers",
            Verdict::Ok,
            format!("built in: {}", registry.names().collect::<Vec<_>>().join(", ")),
        ),
        Err(failure) => {
            Finding::new("drivers", Verdict::Problem, failure.message).advice("correct the variable it names")
        }
    };
    let found = drivers::on_path()
        .into_iter()
        .map(|(name, path)| Finding::new("drivers", Verdict::Ok, format!("{name}: {}", path.display())));
    std::iter::once(built_in).chain(found).collect()
}

fn proxies() -> Vec<Finding> {
    const CHECK: &str = "proxy";
    let mut findings = Vec::new();
    for name in ["HTTPS_PROXY", "HTTP_PROXY"] {
        let Some(value) = env::var(name).ok().filter(|value| !value.is_empty()) else {
            continue;
        };
        let fixed = Proxy::Fixed {
            https: value,
            http: String::new(),
            no: String::new(),
        };
        // Any host but this machine shows what the value means.
        findings.push(match fixed.of("https://host.invalid") {
            Some(proxy) if proxy.starts_with("http://") => Finding::new(CHECK, Verdict::Ok, format!("{name}: {proxy}")),
            Some(proxy) => Finding::new(
                CHECK,
                Verdict::Problem,
                format!("{name}: {proxy} is of a kind that is not spoken"),
            )
            .advice("give the address of a proxy that is spoken to over http://"),
            // The value may hold a password.
            None => Finding::new(CHECK, Verdict::Problem, format!("{name} is not the address of a proxy"))
                .advice("it looks like http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT"),
        });
    }
    let only_lower: Vec<&str> = [
        ("https_proxy", "HTTPS_PROXY"),
        ("http_proxy", "HTTP_PROXY"),
        ("no_proxy", "NO_PROXY"),
    ]
    .into_iter()
    .filter(|(lower, upper)| env::var_os(lower).is_some() && env::var_os(upper).is_none())
    .map(|(lower, _)| lower)
    .collect();
    if !only_lower.is_empty() {
        findings.push(
            Finding::new(CHECK, Verdict::Warning, format!("only {} set", only_lower.join(", ")))
                .advice("works here; Rancher passes only the upper-case names to drivers"),
        );
    }
    findings
}

fn find_on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

fn open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|data| data.permissions().mode() & 0o077 != 0)
}
