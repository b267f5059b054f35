//! How the client and the driver reach the world.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloud_http::{Metrics, RetryPolicy, Roots, Transport, TransportError, TransportOptions};
use kit::{Clock, go_duration};
use secrecy::SecretString;

use crate::driver::kubeconfig::Access;

/// The public API.
const API_URL: &str = "https://spot.rackspace.com";
/// The login service.
const OAUTH_URL: &str = "https://login.spot.rackspace.com";
/// The public client of Rackspace's own console at the login service.
const CLIENT_ID: &str = "mwG3lUMV8KyeMqHe4fJ5Bb3nM1vBvRNa";

/// Opens the way to a cloudspace's own API server, which is trusted as the roots say.
pub type ClusterTransport = Arc<dyn Fn(&Roots) -> Result<Transport, TransportError> + Send + Sync>;

/// Lists certificates, as DER.
pub type PublicRoots = Arc<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>;

/// Where Kubernetes puts the credentials of a pod's account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A variable of the environment holds something it cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("{name}={value:?}: {problem}")]
pub struct SettingsError {
    /// The variable.
    pub name: &'static str,
    /// What it holds; never a secret one.
    pub value: String,
    /// What it should be.
    pub problem: String,
}

/// How long the driver waits, and how often it looks.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The first wait between two looks. Default 1 s; grows by half each time.
    pub poll_first: Duration,
    /// The longest wait between two looks. Default 15 s.
    pub poll_most: Duration,
    /// Failed looks in a row that are tolerated. Default 3.
    pub poll_failures: u32,
    /// How long a cloudspace may say `Error` before it counts. Default 2 minutes.
    pub error_grace: Duration,
    /// How often in a row it must say so after that. Default 3.
    pub error_looks: u32,
    /// Until the control plane answers, or an upgrade is done. Default 30 minutes.
    pub control_plane: Duration,
    /// Until there are enough nodes. Default 20 minutes.
    pub nodes: Duration,
    /// How long bids below the market may stay without any node before the driver gives up early. Default 5 minutes.
    pub losing_bids: Duration,
    /// Until a replacement pool has its machines; only then the replaced one goes. Default 15 minutes.
    pub replacement: Duration,
    /// Until a deleted cloudspace is gone. Default 10 minutes.
    pub deletion: Duration,
    /// Until there is a kubeconfig once the control plane is up, and until its credentials work. Default 2 minutes.
    pub kubeconfig: Duration,
    /// How long something just made may stay invisible to reads. Default 30 s.
    pub visibility: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            poll_first: Duration::from_secs(1),
            poll_most: Duration::from_secs(15),
            poll_failures: 3,
            error_grace: Duration::from_mins(2),
            error_looks: 3,
            control_plane: Duration::from_mins(30),
            nodes: Duration::from_mins(20),
            losing_bids: Duration::from_mins(5),
            replacement: Duration::from_mins(15),
            deletion: Duration::from_mins(10),
            kubeconfig: Duration::from_mins(2),
            visibility: Duration::from_secs(30),
        }
    }
}

/// Everything the client and the driver take from outside.
#[derive(Clone)]
pub struct Settings {
    /// Base URL of the API (`RXTSPOT_BASE_URL`).
    pub api_url: String,
    /// Base URL of the login service (`RXTSPOT_OAUTH_URL`).
    pub oauth_url: String,
    /// Client at the login service (`RXTSPOT_CLIENT_ID`).
    pub client_id: String,
    /// Used where a cluster brings no refresh token of its own (`RXTSPOT_REFRESH_TOKEN`).
    pub refresh_token: Option<SecretString>,
    /// An id token to begin with (`RXTSPOT_ACCESS_TOKEN`); once it is refused, the refresh token is used if there is one.
    pub access_token: Option<SecretString>,
    /// Deadline of one request (`RXTSPOT_REQUEST_TIMEOUT`). Default 30 s.
    pub timeout: Duration,
    /// When requests are repeated (`RXTSPOT_MAX_RETRIES`, `RXTSPOT_RETRY_WAIT_MIN`, `RXTSPOT_RETRY_WAIT_MAX`).
    pub retry: RetryPolicy,
    /// The way to both services.
    pub transport: Transport,
    /// The way to the API servers of cloudspaces.
    pub clusters: ClusterTransport,
    /// The way into the cluster that Rancher runs in, where an administrator may have laid down credentials for all
    /// clusters. `None` outside of a pod, and in Rancher's jail.
    pub home: Option<Access>,
    /// The certificates of the public authorities that the machine trusts, as DER; asked for only where a cluster's API
    /// server shows a certificate of one of them.
    pub public_roots: PublicRoots,
    /// The time.
    pub clock: Clock,
    /// How long to wait.
    pub limits: Limits,
    /// One record per operation of the API.
    pub metrics: Metrics,
}

impl Settings {
    /// The defaults, over these ways to the world.
    pub fn new(transport: Transport, clusters: ClusterTransport, clock: Clock) -> Self {
        Self {
            api_url: API_URL.to_owned(),
            oauth_url: OAUTH_URL.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            refresh_token: None,
            access_token: None,
            timeout: Duration::from_secs(30),
            retry: RetryPolicy {
                attempts: 8,
                ..RetryPolicy::default()
            },
            transport,
            clusters,
            home: None,
            public_roots: Arc::new(Vec::new),
            clock,
            limits: Limits::default(),
            metrics: Metrics::new(),
        }
    }

    /// What programs use: the network, the wall clock, and the `RXTSPOT_*` variables of the process.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// Like [`Settings::from_env`], with the variables read by `var`. Empty ones count as not set.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let get = |name: &'static str| {
            var(name)
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let defaults = TransportOptions::default();
        let options = TransportOptions {
            idle_timeout: duration(&get, "RXTSPOT_IDLE_CONN_TIMEOUT")?.unwrap_or(defaults.idle_timeout),
            max_idle: number(&get, "RXTSPOT_MAX_IDLE_CONNS")?.unwrap_or(defaults.max_idle),
            ..defaults
        };
        let clusters: ClusterTransport = Arc::new(|roots| {
            Transport::network(&TransportOptions {
                roots: roots.clone(),
                ..TransportOptions::default()
            })
        });
        let transport = Transport::lazy(move || Transport::network(&options));
        let mut settings = Self::new(transport, clusters, Clock::system());
        for (field, name) in [
            (&mut settings.api_url, "RXTSPOT_BASE_URL"),
            (&mut settings.oauth_url, "RXTSPOT_OAUTH_URL"),
            (&mut settings.client_id, "RXTSPOT_CLIENT_ID"),
        ] {
            if let Some(value) = get(name) {
                *field = value;
            }
        }
        settings.public_roots = Arc::new(cloud_http::system_certificates);
        settings.home = home(&get);
        settings.refresh_token = get("RXTSPOT_REFRESH_TOKEN").map(SecretString::from);
        settings.access_token = get("RXTSPOT_ACCESS_TOKEN").map(SecretString::from);
        if let Some(timeout) = duration(&get, "RXTSPOT_REQUEST_TIMEOUT")? {
            settings.timeout = timeout;
        }
        if let Some(attempts) = number(&get, "RXTSPOT_MAX_RETRIES")? {
            settings.retry.attempts = attempts;
        }
        if let Some(first) = duration(&get, "RXTSPOT_RETRY_WAIT_MIN")? {
            settings.retry.first = first;
        }
        if let Some(most) = duration(&get, "RXTSPOT_RETRY_WAIT_MAX")? {
            settings.retry.most = most;
        }
        Ok(settings)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("api_url", &self.api_url)
            .field("oauth_url", &self.oauth_url)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The way to the API server of the cluster that this process is a pod of, if it is one and has an account.
fn home(get: &impl Fn(&'static str) -> Option<String>) -> Option<Access> {
    let (host, port) = (get("KUBERNETES_SERVICE_HOST")?, get("KUBERNETES_SERVICE_PORT")?);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let token = std::fs::read_to_string(format!("{ACCOUNT}/token")).ok()?;
    Some(Access {
        server: format!("https://{host}:{port}"),
        ca: Some(std::fs::read(format!("{ACCOUNT}/ca.crt")).ok()?),
        token: Some(SecretString::from(token.trim().to_owned())),
        ..Access::default()
    })
}

fn duration(
    get: &impl Fn(&'static str) -> Option<String>,
    name: &'static str,
) -> Result<Option<Duration>, SettingsError> {
    let Some(value) = get(name) else { return Ok(None) };
    match go_duration::parse(&value) {
        Ok(duration) => Ok(Some(duration)),
        Err(error) => Err(SettingsError {
            name,
            problem: error.to_string(),
            value,
        }),
    }
}

fn number<N: std::str::FromStr>(
    get: &impl Fn(&'static str) -> Option<String>,
    name: &'static str,
) -> Result<Option<N>, SettingsError> {
    let Some(value) = get(name) else { return Ok(None) };
    match value.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(SettingsError {
            name,
            problem: "must be a whole number".to_owned(),
            value,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_honoured() {
        let settings = Settings::from_vars(|name| {
            Some(
                match name {
                    "RXTSPOT_BASE_URL" => "http://127.0.0.1:1234",
                    "RXTSPOT_OAUTH_URL" => "http://127.0.0.1:1235",
                    "RXTSPOT_CLIENT_ID" => "",
                    "RXTSPOT_REQUEST_TIMEOUT" => "5s",
                    "RXTSPOT_MAX_RETRIES" => "2",
                    "RXTSPOT_RETRY_WAIT_MAX" => "1m",
                    _ => return None,
                }
                .to_owned(),
            )
        })
        .unwrap();
        assert_eq!(settings.api_url, "http://127.0.0.1:1234");
        assert_eq!(settings.oauth_url, "http://127.0.0.1:1235");
        assert_eq!(settings.client_id, CLIENT_ID);
        assert_eq!(settings.timeout, Duration::from_secs(5));
        assert_eq!(
            (settings.retry.attempts, settings.retry.most),
            (2, Duration::from_mins(1))
        );
    }

    #[test]
    fn a_variable_that_makes_no_sense_is_named() {
        let error =
            Settings::from_vars(|name| (name == "RXTSPOT_REQUEST_TIMEOUT").then(|| "soon".to_owned())).unwrap_err();
        assert!(
            error.to_string().starts_with("RXTSPOT_REQUEST_TIMEOUT=\"soon\""),
            "{error}"
        );
    }
}
