//! What the secure port serves, and whom it believes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use k8s_openapi::api::core::v1 as core;
use kit::Backoff;
use kube::Api;
use tracing::warn;

use super::{Inner, ProcessError};
use crate::manager::admin::Admin;
use crate::manager::auth::{Auth, RequestHeaders, Ttl, guard};
use crate::manager::clients::Purpose;
use crate::manager::logs::Verbosity;
use crate::manager::serve::{self, Authorities, Reload, Tls};

/// How often certificates are read anew.
const RELOAD: Duration = Duration::from_mins(1);
/// How long the cluster's authorities are waited for between two tries, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Inner {
    /// What the secure port serves, and how.
    pub(super) async fn secure(
        &self,
        address: IpAddr,
        verbosity: Verbosity,
    ) -> Result<(Router, Tls, Option<Reload>), ProcessError> {
        let p = &self.options.parsed;
        let reviewer = |flag: &str, name: &'static str| Purpose {
            timeout: Some(Duration::from_secs(10)),
            kubeconfig: p.optional(flag).map(Into::into),
            ..Purpose::new(name)
        };
        let authentication = self
            .clients
            .make(reviewer("authentication-kubeconfig", "authentication"))
            .await?;
        let authorization = self
            .clients
            .make(reviewer("authorization-kubeconfig", "authorization"))
            .await?;
        let (authorities, proxies) = self.authorities(&authentication).await?;
        let tls = serve::tls(p, address, &authorities)?;
        let flags = p.clone();
        let reload = serve::is_in_files(p).then(|| Reload {
            every: RELOAD,
            read: Box::new(move || serve::tls(&flags, address, &authorities)),
        });
        let ttl = Ttl {
            token: p.duration("authentication-token-webhook-cache-ttl"),
            yes: p.duration("authorization-webhook-cache-authorized-ttl"),
            no: p.duration("authorization-webhook-cache-unauthorized-ttl"),
        };
        let auth = Auth::new(
            authentication,
            authorization,
            p.list("authorization-always-allow-paths"),
            proxies,
            &ttl,
        );
        let board = self.board.clone();
        let admin = Admin {
            title: self.title.clone(),
            checks: self.checks.clone(),
            metrics: self.clients.metrics().clone(),
            slis: self.slis.clone(),
            configz: Arc::new(self.options.configz()),
            state: Arc::new(move || board.state()),
            verbosity,
            profiling: p.bool("profiling"),
        };
        Ok((admin.router().layer(from_fn_with_state(auth, guard)), tls, reload))
    }

    /// The authorities for client certificates, and what proxies may say, as the cluster has it unless flags do.
    async fn authorities(&self, client: &kube::Client) -> Result<(Authorities, RequestHeaders), ProcessError> {
        let p = &self.options.parsed;
        let given = RequestHeaders {
            allowed: p.list("requestheader-allowed-names"),
            user: p.list("requestheader-username-headers"),
            groups: p.list("requestheader-group-headers"),
        };
        let own_clients = p.optional("client-ca-file").is_some();
        let own_proxies = p.optional("requestheader-client-ca-file").is_some();
        if (own_clients && own_proxies) || p.bool("authentication-skip-lookup") {
            return Ok((Authorities::default(), given));
        }
        let maps: Api<core::ConfigMap> = Api::namespaced(client.clone(), "kube-system");
        let mut waits = Backoff::new(Duration::from_secs(1), LONGEST_WAIT).jitter(0.2);
        let found = loop {
            match maps.get("extension-apiserver-authentication").await {
                // An API server that is away comes back; until then this process would only be started again and again.
                Err(error) if kube_kit::retry::class(&error).is_temporary() && !own_clients => {
                    warn!(error = %kit::chain(&error), "cannot read the cluster's authorities yet");
                    tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT)).await;
                }
                found => break found,
            }
        };
        let mut data = match found {
            Ok(map) => map.data.unwrap_or_default(),
            // Whoever brings an authority of his own does not depend on the cluster's.
            Err(error) if own_clients || p.bool("authentication-tolerate-lookup-failure") => {
                warn!(error = %kit::chain(&error), "client certificates and proxies that only the cluster knows are not accepted");
                return Ok((Authorities::default(), given));
            }
            Err(error) => return Err(ProcessError::Lookup(error)),
        };
        let authorities = Authorities {
            clients: data.remove("client-ca-file"),
            proxies: data.remove("requestheader-client-ca-file"),
        };
        let list = |name: &str| -> Vec<String> {
            let text = data.get(name).map_or("[]", String::as_str);
            serde_json::from_str(text).unwrap_or_default()
        };
        // All of it from one place: an authority goes with the names it vouches for.
        let headers = if own_proxies {
            given
        } else {
            RequestHeaders {
                allowed: list("requestheader-allowed-names"),
                user: list("requestheader-username-headers"),
                groups: list("requestheader-group-headers"),
            }
        };
        Ok((authorities, headers))
    }
}
