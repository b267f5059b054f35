//! What a failed request says about the way to a service, and what to do about it.

use std::time::Duration;

use cloud_http::Failure;
use kit::{Finding, Verdict};

/// How long one request may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);
/// How long a second look at a host's name may take.
const LOOKUP: Duration = Duration::from_secs(2);

/// A service that was asked something.
#[derive(Clone, Copy)]
pub(super) struct Service<'a> {
    /// What findings call it.
    pub(super) check: &'a str,
    /// Where it is.
    pub(super) url: &'a str,
    /// The variable that says so.
    pub(super) variable: &'a str,
    /// How bad it is when it cannot be used.
    pub(super) verdict: Verdict,
}

impl Service<'_> {
    /// It answers as it should.
    pub(super) fn fine(&self) -> Finding {
        let through = cloud_http::Proxy::Environment
            .of(self.url)
            .map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"));
        Finding::new(self.check, Verdict::Ok, format!("answers at {}{through}", self.shown()))
    }

    /// Its address is none.
    pub(super) fn misnamed(&self) -> Finding {
        Finding::new(self.check, Verdict::Problem, format!("{:?} is not a URL", self.shown()))
            .advice(format!("correct {}: it looks like https://HOST", self.variable))
    }

    /// It does not answer, or not as it should.
    pub(super) async fn broken(&self, failure: &Failure) -> Finding {
        let (found, advice) = match failure {
            Failure::Proxy { proxy, reason } => (
                format!("cannot be reached through the proxy {proxy}: {reason}"),
                format!(
                    "correct HTTPS_PROXY or HTTP_PROXY, or name {} in NO_PROXY if it is reached directly",
                    self.host().unwrap_or(self.url)
                ),
            ),
            Failure::Untrusted(why) => (
                format!("is reached, but not trusted: {why}"),
                "if a proxy opens TLS connections here, add its certificate to those that this machine trusts, or name \
                 a file with it in SSL_CERT_FILE"
                    .to_owned(),
            ),
            Failure::Connect(why) if self.nameless().await => (
                format!("the name of its host is not known: {why}"),
                format!(
                    "check {} and the name service of this machine; where only a proxy knows names, set HTTPS_PROXY",
                    self.variable
                ),
            ),
            Failure::Connect(why) => (
                format!("no connection: {why}"),
                "check network and firewall; where a proxy leads out, set HTTPS_PROXY".to_owned(),
            ),
            Failure::Timeout(_) => (
                failure.to_string(),
                "a firewall that drops what it forbids looks like this; where a proxy leads out, set HTTPS_PROXY"
                    .to_owned(),
            ),
            Failure::Broken(_) => (
                failure.to_string(),
                "something in between cuts the connection: check proxy and firewall".to_owned(),
            ),
            Failure::Status { status, .. } if status.is_server_error() => (
                format!("answers with an error of its own: {failure}"),
                "try again later".to_owned(),
            ),
            _ => (
                format!("something answers there, but not this service: {failure}"),
                format!("check {}; a network that asks for a login first looks like this, too", self.variable),
            ),
        };
        Finding::new(self.check, self.verdict, format!("{}: {found}", self.shown())).advice(advice)
    }

    /// The URL without what may stand in front of the host: that can be a password.
    fn shown(&self) -> String {
        match self.url.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
                let host = authority.rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}{path}")
            }
            None => self.url.rsplit('@').next().unwrap_or_default().to_owned(),
        }
    }

    fn host(&self) -> Option<&str> {
        let authority = self.url.split_once("://")?.1.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit('@').next()?;
        let bare = match authority.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => host,
            _ => authority,
        };
        Some(bare.trim_start_matches('[').trim_end_matches(']')).filter(|host| !host.is_empty())
    }

    /// Whether it fails because nobody knows the host.
    async fn nameless(&self) -> bool {
        let Some(host) = self.host() else { return false };
        let lookup = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 443))).await;
        matches!(lookup, Ok(Err(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Service<'_> {
        Service {
            check: "x",
            url,
            variable: "X_URL",
            verdict: Verdict::Warning,
        }
    }

    #[test]
    fn the_host_of_a_url_is_found_and_a_password_in_it_is_not_shown() {
        for (url, host, shown) in [
            (
                "https://spot.rackspace.com",
                Some("spot.rackspace.com"),
                "https://spot.rackspace.com",
            ),
            ("http://127.0.0.1:8080/x", Some("127.0.0.1"), "http://127.0.0.1:8080/x"),
            ("http://[::1]:9/", Some("::1"), "http://[::1]:9/"),
            ("https://me:pw@host/y", Some("host"), "https://host/y"),
            ("https://me:p/w@host", Some("me:p"), "https://me:p/w@host"),
            ("me:pw@host", None, "host"),
            ("https://", None, "https://"),
        ] {
            assert_eq!((at(url).host(), at(url).shown().as_str()), (host, shown), "{url}");
        }
    }

    #[tokio::test]
    async fn each_way_to_fail_has_advice_of_its_own() {
        let service = at("https://127.0.0.1");
        let mut advice = std::collections::BTreeSet::new();
        for failure in [
            Failure::Connect("refused".to_owned()),
            Failure::Proxy {
                proxy: "http://proxy:3128".to_owned(),
                reason: "unsuccessful".to_owned(),
            },
            Failure::Untrusted("UnknownIssuer".to_owned()),
            Failure::Timeout(PATIENCE),
            Failure::Broken("end of file".to_owned()),
            Failure::Answer("expected value".to_owned()),
            Failure::Status {
                status: http::StatusCode::BAD_GATEWAY,
                reason: String::new(),
            },
        ] {
            let finding = service.broken(&failure).await;
            assert!(finding.found.starts_with("https://127.0.0.1: "), "{finding:?}");
            advice.insert(finding.advice.unwrap());
        }
        assert_eq!(advice.len(), 7);
    }
}
