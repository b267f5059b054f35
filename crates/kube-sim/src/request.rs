//! What a request asks for, read from its method and path.
//!
//! Mirrors kubernetes/apiserver pkg/endpoints/request/requestinfo.go.

use http::Method;

/// The query of a URL, decoded leniently: what cannot be decoded is dropped, as the real server does.
#[derive(Debug, Default, Clone)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        let mut pairs = Vec::new();
        for part in text.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if let (Some(key), Some(value)) = (decode(key), decode(value)) {
                pairs.push((key, value));
            }
        }
        Self(pairs)
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter, empty when it is missing.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// A boolean as the API reads it: present and not "false" or "0".
    pub fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }
}

/// Percent-decoding; `+` is a space. Nothing when an escape is broken or the text is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    percent(text, true)
}

/// Percent-decoding of a path, where `+` is itself.
pub(crate) fn decode_path(text: &str) -> Option<String> {
    percent(text, false)
}

fn percent(text: &str, plus: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
                out.push(u8::try_from(value).ok()?);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

/// A request in the API's own words.
#[derive(Debug, Default, Clone)]
pub(crate) struct RequestInfo {
    pub path: String,
    pub verb: &'static str,
    /// False for paths such as `/healthz` and for discovery documents.
    pub is_resource: bool,
    pub group: String,
    pub version: String,
    pub namespace: String,
    pub resource: String,
    pub subresource: String,
    pub name: String,
    /// Path segments after the subresource.
    pub rest: Vec<String>,
}

impl RequestInfo {
    /// The resource as roles name it, such as `nodes/status`.
    pub fn named_in_roles(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            sub => format!("{}/{sub}", self.resource),
        }
    }

    pub fn new(method: &Method, path: &str, query: &Query) -> Self {
        let mut info = Self {
            path: path.to_owned(),
            verb: match *method {
                Method::GET => "get",
                Method::HEAD => "head",
                Method::POST => "post",
                Method::PUT => "put",
                Method::PATCH => "patch",
                Method::DELETE => "delete",
                _ => "",
            },
            ..Self::default()
        };
        let mut parts: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .filter(|p| !p.is_empty())
            .map(|p| decode_path(p).unwrap_or_else(|| p.to_owned()))
            .collect();
        let prefix = match parts.first().map(String::as_str) {
            Some("api") if parts.len() >= 3 => 2,
            Some("apis") if parts.len() >= 4 => 3,
            _ => return info,
        };
        if prefix == 3 {
            info.group.clone_from(&parts[1]);
        }
        info.version.clone_from(&parts[prefix - 1]);
        parts.drain(..prefix);
        info.is_resource = true;
        info.verb = match *method {
            Method::GET | Method::HEAD => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        };
        let legacy_watch = parts.len() > 1 && parts[0] == "watch";
        if legacy_watch {
            parts.remove(0);
        }
        if parts[0] == "namespaces" && parts.len() > 1 {
            info.namespace.clone_from(&parts[1]);
            if parts.len() > 2 && !matches!(parts[2].as_str(), "status" | "finalize") {
                parts.drain(..2);
            }
        }
        let mut parts = parts.into_iter();
        info.resource = parts.next().unwrap_or_default();
        info.name = parts.next().unwrap_or_default();
        info.subresource = parts.next().unwrap_or_default();
        info.rest = parts.collect();
        if info.name.is_empty() {
            match info.verb {
                "get" if query.flag("watch") => info.verb = "watch",
                "get" => info.verb = "list",
                "delete" => info.verb = "deletecollection",
                _ => {}
            }
            if matches!(info.verb, "list" | "watch" | "deletecollection") {
                info.name = named_by_selector(query.text("fieldSelector"));
            }
        }
        if legacy_watch && !info.verb.is_empty() {
            info.verb = "watch";
        }
        info
    }
}

/// A field selector that picks one name makes the request one about that name, for authorization.
fn named_by_selector(selector: &str) -> String {
    selector
        .split(',')
        .find_map(|part| {
            part.strip_prefix("metadata.name=")
                .map(|v| v.trim_start_matches('=').to_owned())
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(method: &Method, path: &str) -> RequestInfo {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        RequestInfo::new(method, path, &Query::parse(query))
    }

    #[test]
    fn paths_tell_verb_namespace_resource_and_name() {
        let got = info(&Method::GET, "/api/v1/namespaces/a/configmaps/b/status");
        assert_eq!(
            (got.verb, got.namespace.as_str(), got.resource.as_str()),
            ("get", "a", "configmaps")
        );
        assert_eq!((got.name.as_str(), got.subresource.as_str()), ("b", "status"));
        let got = info(&Method::GET, "/api/v1/namespaces/a");
        assert_eq!(
            (got.resource.as_str(), got.name.as_str(), got.namespace.as_str()),
            ("namespaces", "a", "a")
        );
        let got = info(&Method::PUT, "/api/v1/namespaces/a/finalize");
        assert_eq!(
            (got.resource.as_str(), got.subresource.as_str()),
            ("namespaces", "finalize")
        );
        let got = info(&Method::GET, "/apis/coordination.k8s.io/v1/leases?&watch=1");
        assert_eq!((got.verb, got.group.as_str()), ("watch", "coordination.k8s.io"));
        let got = info(&Method::GET, "/api/v1/watch/namespaces/a/configmaps/b");
        assert_eq!(
            (got.verb, got.resource.as_str(), got.name.as_str()),
            ("watch", "configmaps", "b")
        );
        assert!(!info(&Method::GET, "/api/v1").is_resource);
        assert_eq!(info(&Method::DELETE, "/api/v1/nodes").verb, "deletecollection");
        assert_eq!(
            info(&Method::GET, "/api/v1/nodes?fieldSelector=metadata.name%3Dn").name,
            "n"
        );
    }

    #[test]
    fn a_broken_escape_drops_the_parameter() {
        let query = Query::parse("&labelSelector=%zz&limit=1&limit=2&q=a+b");
        assert_eq!(query.get("labelSelector"), None);
        assert_eq!(query.get("limit"), Some("1"));
        assert_eq!(query.get("q"), Some("a b"));
    }
}
