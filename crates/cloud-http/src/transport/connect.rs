//! Opening connections, through a proxy where the environment says so.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::{Service, ServiceExt as _};

use super::{BoxError, Proxy, TransportOptions};

pub(super) fn connector(tls: ClientConfig, options: &TransportOptions) -> HttpsConnector<ProxyConnector> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(options.connect_timeout));
    tcp.set_keepalive(Some(std::time::Duration::from_secs(30)));
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(ProxyConnector {
            tcp,
            matcher: matcher(&options.proxy).map(Arc::new),
        })
}

fn matcher(proxy: &Proxy) -> Option<Matcher> {
    match proxy {
        Proxy::Environment => Some(Matcher::from_env()),
        Proxy::Never => None,
        Proxy::Fixed { https, http, no } => {
            let rules = Matcher::builder()
                .https(https.as_str())
                .http(http.as_str())
                .no(no.as_str());
            Some(rules.build())
        }
    }
}

fn intercept(matcher: Option<&Matcher>, target: &Uri) -> Option<Intercept> {
    matcher
        .filter(|_| !is_loopback(target))
        .and_then(|matcher| matcher.intercept(target))
}

impl Proxy {
    /// The proxy that requests to `url` go through, as `http://HOST:PORT`, without the credential it may be asked with.
    /// `None` means that they go straight there.
    pub fn of(&self, url: &str) -> Option<String> {
        let proxy = intercept(matcher(self).as_ref(), &url.parse().ok()?)?;
        Some(address(proxy.uri()))
    }
}

/// A proxy as it is shown.
fn address(proxy: &Uri) -> String {
    let scheme = proxy.scheme_str().unwrap_or("http");
    proxy
        .authority()
        .map_or_else(String::new, |authority| format!("{scheme}://{authority}"))
}

/// A connection that failed at the proxy it should have gone through.
#[derive(Debug)]
pub(super) struct ProxyError {
    /// The proxy, as it is shown.
    pub(super) proxy: String,
    /// What went wrong there.
    pub(super) source: BoxError,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {}", self.proxy)
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// Connects directly, through a CONNECT tunnel (https), or to the proxy itself (http).
#[derive(Clone)]
pub(super) struct ProxyConnector {
    tcp: HttpConnector,
    matcher: Option<Arc<Matcher>>,
}

impl Service<Uri> for ProxyConnector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let tcp = self.tcp.clone();
        let proxy = intercept(self.matcher.as_deref(), &target);
        Box::pin(async move {
            let Some(proxy) = proxy else {
                let io = tcp.oneshot(target).await?;
                return Ok(Stream { io, proxied: false });
            };
            let failed = |source: BoxError| ProxyError {
                proxy: address(proxy.uri()),
                source,
            };
            if proxy.uri().scheme_str() != Some("http") {
                return Err(failed("only proxies at http:// addresses are supported".into()).into());
            }
            if target.scheme_str() == Some("https") {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                let io = tunnel.oneshot(target).await.map_err(|error| failed(error.into()))?;
                return Ok(Stream { io, proxied: false });
            }
            let io = tcp
                .oneshot(proxy.uri().clone())
                .await
                .map_err(|error| failed(error.into()))?;
            Ok(Stream { io, proxied: true })
        })
    }
}

/// Go's rule, and the only sane one: what runs on this machine is never asked of a proxy.
fn is_loopback(target: &Uri) -> bool {
    let host = target.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A connection that knows whether a plain-text proxy is at its other end (requests then name the whole URL).
pub(super) struct Stream {
    io: TokioIo<TcpStream>,
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_on_this_machine_is_never_asked_of_a_proxy() {
        for (uri, loopback) in [
            ("http://127.0.0.1:8080/x", true),
            ("https://[::1]/", true),
            ("https://localhost:6443", true),
            ("https://spot.example", false),
            ("https://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&Uri::from_static(uri)), loopback, "{uri}");
        }
    }

    #[test]
    fn it_is_known_which_proxy_a_request_goes_through_and_not_with_what_password() {
        let proxy = |https: &str, no: &str| Proxy::Fixed {
            https: https.to_owned(),
            http: String::new(),
            no: no.to_owned(),
        };
        for (https, no, url, through) in [
            (
                "http://me:s3cr3t@proxy:3128",
                "",
                "https://spot.example/x",
                Some("http://proxy:3128"),
            ),
            ("proxy:3128", "", "https://spot.example", Some("http://proxy:3128")),
            ("http://proxy:3128", "spot.example", "https://spot.example", None),
            ("http://proxy:3128", "", "https://127.0.0.1:6443", None),
            ("http://proxy:3128", "", "http://spot.example", None),
            ("", "", "https://spot.example", None),
            ("http://proxy:3128", "", "no url", None),
        ] {
            assert_eq!(proxy(https, no).of(url).as_deref(), through, "{https} {no} {url}");
        }
        assert_eq!(Proxy::Never.of("https://spot.example"), None);
    }
}
