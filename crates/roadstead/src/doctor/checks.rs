//! What is looked at, one function each.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kit::{Finding, Verdict};
use kontainer_engine::PersistentStore as _;
use tokio::net::{TcpListener, TcpStream};

use crate::drivers;

/// How long a host gets to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Looks at everything, the network last and side by side.
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
    let local = local_cluster::preflight(&Arc::new(crate::cluster::this_machine())).await;
    findings.extend(local.into_iter().map(|finding| Finding {
        check: format!("cluster: {}", finding.check),
        ..finding
    }));
    findings.extend(rackspace_spot(offline).await);
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
    let variables = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];
    let set: Vec<&str> = variables
        .into_iter()
        .filter(|name| env::var_os(name).is_some())
        .collect();
    let lower = ["https_proxy", "http_proxy", "no_proxy"]
        .into_iter()
        .filter(|name| env::var_os(name).is_some());
    let lower: Vec<&str> = lower
        .filter(|name| !set.contains(&name.to_uppercase().as_str()))
        .collect();
    let mut findings = Vec::new();
    if !set.is_empty() {
        findings.push(Finding::new("proxy", Verdict::Ok, format!("{} set", set.join(", "))));
    }
    if !lower.is_empty() {
        findings.push(
            Finding::new("proxy", Verdict::Warning, format!("only {} set", lower.join(", ")))
                .advice("drivers read the upper-case names, as Rancher passes only those"),
        );
    }
    findings
}

async fn rackspace_spot(offline: bool) -> Vec<Finding> {
    const CHECK: &str = "rackspace spot";
    let settings = match rackspace_spot::Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            return vec![
                Finding::new(CHECK, Verdict::Problem, kit::chain(&error)).advice("correct the variable it names"),
            ];
        }
    };
    let credential = match env::var("RXTSPOT_REFRESH_TOKEN") {
        Ok(token) if !token.trim().is_empty() => Finding::new(CHECK, Verdict::Ok, "RXTSPOT_REFRESH_TOKEN is set"),
        _ => Finding::new(CHECK, Verdict::Note, "no refresh token in RXTSPOT_REFRESH_TOKEN").advice(
            "get one in the console under API Access, Terraform, Get New Token; or give it to `roadstead engine create`",
        ),
    };
    let mut findings = vec![credential];
    if offline {
        return findings;
    }
    let hosts = [("API", settings.api_url.clone()), ("login", settings.oauth_url.clone())];
    let looks = hosts.map(|(what, url)| tokio::spawn(reachable(what, url)));
    for look in looks {
        findings.extend(look.await.ok());
    }
    findings
}

async fn reachable(what: &'static str, url: String) -> Finding {
    let check = "rackspace spot";
    let Some(address) = host_and_port(&url) else {
        return Finding::new(check, Verdict::Problem, format!("{what} address {url:?} is not a URL"))
            .advice("it looks like https://HOST; see RXTSPOT_BASE_URL and RXTSPOT_OAUTH_URL");
    };
    let outcome = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&address)).await;
    let why = match outcome {
        Ok(Ok(_)) => return Finding::new(check, Verdict::Ok, format!("{what} is reachable at {url}")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {}", kit::go_duration::format(CONNECT_TIMEOUT)),
    };
    Finding::new(
        check,
        Verdict::Warning,
        format!("{what} is not reachable at {url}: {why}"),
    )
    .advice("check network, proxy and firewall; to try without the provider: roadstead sim rackspace-spot")
}

/// `host:port` of an http or https URL.
fn host_and_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest
        .split(['/', '?', '#'])
        .next()
        .filter(|authority| !authority.is_empty())?;
    let port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some(if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:{port}")
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_port_gets_that_of_its_scheme() {
        for (url, expected) in [
            ("https://spot.rackspace.com", Some("spot.rackspace.com:443")),
            ("http://127.0.0.1:8080/x", Some("127.0.0.1:8080")),
            ("http://[::1]:9/", Some("[::1]:9")),
            ("http://host?x", Some("host:80")),
            ("spot.rackspace.com", None),
            ("ftp://x", None),
            ("https://", None),
        ] {
            assert_eq!(host_and_port(url).as_deref(), expected, "{url}");
        }
    }
}
