//! What the secure port serves, and whom it believes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use futures::future::BoxFuture;

use super::{Inner, ProcessError};
use crate::manager::admin::Admin;
use crate::manager::auth::{Auth, Ttl, guard};
use crate::manager::clients::Purpose;
use crate::manager::logs::Verbosity;
use crate::manager::serve::{Reload, Source, Tls};
use crate::manager::trust::Trust;

/// How often certificates are read anew.
const RELOAD: Duration = Duration::from_mins(1);

/// All that it takes to serve.
pub(super) struct Secure {
    pub router: Router,
    pub tls: Tls,
    pub reload: Reload,
    /// What keeps up with the cluster meanwhile.
    pub follow: BoxFuture<'static, ()>,
}

impl Inner {
    /// What the secure port serves, and how.
    pub(super) async fn secure(&self, address: IpAddr, verbosity: Verbosity) -> Result<Secure, ProcessError> {
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
        let trust = Trust::new(p);
        trust.begin(&authentication).await.map_err(ProcessError::Lookup)?;
        let follow = Box::pin(trust.clone().follow(authentication.clone()));
        let source = Source::new(p, address);
        let tls = source.read(&trust.authorities())?;
        let known = trust.clone();
        let reload = Reload {
            every: RELOAD,
            read: Box::new(move || source.read(&known.authorities())),
        };
        let ttl = Ttl {
            token: p.duration("authentication-token-webhook-cache-ttl"),
            yes: p.duration("authorization-webhook-cache-authorized-ttl"),
            no: p.duration("authorization-webhook-cache-unauthorized-ttl"),
        };
        let auth = Auth::new(
            authentication,
            authorization,
            p.list("authorization-always-allow-paths"),
            trust,
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
        Ok(Secure {
            router: admin.router().layer(from_fn_with_state(auth, guard)),
            tls,
            reload,
            follow,
        })
    }
}
