//! Users that a proxy in front of the secure port vouches for (`--requestheader-…`): the proxy shows a client certificate
//! and names the user in headers.

use axum::http::HeaderMap;

use super::User;

/// Which proxy speaks, by the common name in its certificate; put into requests by the server.
#[derive(Clone, Debug)]
pub(crate) struct Proxied(pub String);

/// Which proxies are believed, and where they say who the user is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestHeaders {
    /// The common names of proxies; any proxy when there is none.
    pub allowed: Vec<String>,
    /// Headers with the user's name: the first that is there.
    pub user: Vec<String>,
    /// Headers with groups: all of them.
    pub groups: Vec<String>,
}

impl RequestHeaders {
    /// The user that a proxy vouches for.
    pub fn user(&self, proxy: &Proxied, headers: &HeaderMap) -> Option<User> {
        if !self.allowed.is_empty() && !self.allowed.contains(&proxy.0) {
            return None;
        }
        let values = |name: &String| {
            let all = headers.get_all(name.as_str()).into_iter();
            all.filter_map(|value| value.to_str().ok().filter(|text| !text.is_empty()))
        };
        let name = self.user.iter().find_map(|name| values(name).next())?;
        let mut groups: Vec<String> = self.groups.iter().flat_map(values).map(str::to_owned).collect();
        groups.push("system:authenticated".to_owned());
        Some(User {
            name: name.to_owned(),
            groups,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_is_allowed_says_who_the_user_is() {
        let headers = HeaderMap::from_iter([
            ("x-remote-user".parse().unwrap(), "alice".parse().unwrap()),
            ("x-remote-group".parse().unwrap(), "dev".parse().unwrap()),
            ("x-other-group".parse().unwrap(), "ops".parse().unwrap()),
        ]);
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let rules = |allowed: &[&str], user: &[&str]| RequestHeaders {
            allowed: texts(allowed),
            user: texts(user),
            groups: texts(&["x-remote-group", "x-other-group"]),
        };
        let proxy = Proxied("front".to_owned());
        let alice = rules(&[], &["x-missing", "x-remote-user"])
            .user(&proxy, &headers)
            .unwrap();
        assert_eq!(alice.name, "alice");
        assert_eq!(alice.groups, ["dev", "ops", "system:authenticated"]);
        assert!(rules(&["front"], &["x-remote-user"]).user(&proxy, &headers).is_some());
        assert_eq!(rules(&["other"], &["x-remote-user"]).user(&proxy, &headers), None);
        assert_eq!(rules(&[], &["x-missing"]).user(&proxy, &headers), None);
    }
}
