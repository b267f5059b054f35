//! Posting notices of preemption. Only to loopback: a simulation must not call anybody else.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::world::World;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which notices are posted already.
#[derive(Debug, Default)]
pub(crate) struct Webhooks(Mutex<usize>);

impl Webhooks {
    /// Posts what is new.
    pub(crate) fn follow(&self, world: &World) {
        let mut posted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = world.notices.get(*posted..).unwrap_or_default();
        *posted = world.notices.len();
        for notice in new {
            // Without a runtime, as in a plain test, there is nobody to post to.
            let (Some(url), Ok(runtime)) = (loopback(&notice.url), tokio::runtime::Handle::try_current()) else {
                continue;
            };
            runtime.spawn(post(url, notice.body.to_string()));
        }
    }

    /// Takes the notices of a state that was put in place as posted.
    pub(crate) fn restart(&self, world: &World) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = world.notices.len();
    }
}

/// The address, if it is plain HTTP on this machine.
fn loopback(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?;
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    (uri.scheme_str() == Some("http") && here).then_some(uri)
}

async fn post(url: Uri, body: String) {
    let request = Request::post(url.clone())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body));
    let Ok(request) = request else { return };
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    match tokio::time::timeout(PATIENCE, client.request(request)).await {
        Ok(Ok(response)) => tracing::debug!(%url, status = %response.status(), "notice of preemption posted"),
        Ok(Err(error)) => tracing::warn!(%url, %error, "notice of preemption not posted"),
        Err(_) => tracing::warn!(%url, "notice of preemption not taken in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_ever_called() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/hook", true),
            ("http://[::1]:8080/", true),
            ("http://localhost/x", true),
            ("https://127.0.0.1/", false),
            ("http://example.com/", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://localhost@example.com/", false),
            ("", false),
            ("not a url", false),
        ] {
            assert_eq!(loopback(url).is_some(), expected, "{url}");
        }
    }
}
