//! Acting as somebody else: the `Impersonate-*` headers.
//!
//! Mirrors kubernetes/apiserver pkg/endpoints/filters/impersonation.

use http::HeaderMap;

use crate::authn::User;
use crate::authz::{self, Attributes, Decision};
use crate::request::RequestInfo;
use crate::status::Status;
use crate::store::Store;

/// The user that a request acts as, when its sender may act as them.
pub(crate) fn impersonate(store: &Store, sender: User, headers: &HeaderMap) -> Result<User, Status> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let groups: Vec<&str> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect();
    let name = text("impersonate-user");
    if name.is_empty() {
        if groups.is_empty() {
            return Ok(sender);
        }
        return Err(Status::new(
            500,
            "InternalError",
            "requested groups without impersonating a user",
        ));
    }
    let account = name
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'));
    match account {
        Some((namespace, account)) => may(store, &sender, "serviceaccounts", namespace, account)?,
        None => may(store, &sender, "users", "", name)?,
    }
    for group in &groups {
        may(store, &sender, "groups", "", group)?;
    }
    if let (Some((namespace, account)), true) = (account, groups.is_empty()) {
        return Ok(User::service_account(namespace, account, text("impersonate-uid")));
    }
    let mut user = User::new(name, &groups);
    if name == "system:anonymous" {
        user = User::anonymous();
    }
    text("impersonate-uid").clone_into(&mut user.uid);
    Ok(user)
}

fn may(store: &Store, sender: &User, resource: &str, namespace: &str, name: &str) -> Result<(), Status> {
    let info = RequestInfo {
        verb: "impersonate",
        is_resource: true,
        namespace: namespace.to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        ..RequestInfo::default()
    };
    match authz::authorize(store, sender, &Attributes::of(&info)) {
        Decision::Allowed(_) => Ok(()),
        Decision::NoOpinion => Err(authz::denied(sender, &info)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn an_administrator_can_be_anybody_and_others_only_themselves() {
        let store = Store::new(100);
        let admin = User::new("admin", &["system:masters"]);
        let as_bot = headers(&[("impersonate-user", "system:serviceaccount:ns:bot")]);
        let bot = impersonate(&store, admin.clone(), &as_bot).unwrap();
        assert!(bot.in_group("system:serviceaccounts:ns"));
        let refused = impersonate(&store, User::new("eve", &[]), &as_bot).unwrap_err();
        assert_eq!(refused.code(), 403);
        assert!(
            refused
                .message()
                .contains("cannot impersonate resource \"serviceaccounts\"")
        );
        let in_group = headers(&[("impersonate-user", "u"), ("impersonate-group", "g")]);
        assert!(impersonate(&store, admin.clone(), &in_group).unwrap().in_group("g"));
        assert_eq!(impersonate(&store, admin.clone(), &headers(&[])).unwrap(), admin);
    }
}
