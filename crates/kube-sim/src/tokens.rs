//! Bearer tokens: static ones, and the signed ones of service accounts.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::signature::{self, KeyPair, RsaKeyPair};
use serde_json::{Map, Value, json};

use crate::authn::User;
use crate::meta;
use crate::ops::State;

/// Who issues the tokens of service accounts, and whom they are for unless asked otherwise.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// A token that was handed in from outside.
#[derive(Debug, Clone)]
pub(crate) struct StaticToken {
    pub user: User,
    pub expires: Option<Timestamp>,
}

/// Signs and checks the tokens of service accounts.
///
/// The key is the same in every build and known to everyone: these tokens prove nothing outside of a simulation. In return
/// they are the same in every run with the same seed.
#[derive(Debug)]
pub(crate) struct Signer(RsaKeyPair);

/// What a token that is not bound to an account's secret says.
#[derive(Debug, Clone)]
pub(crate) struct Claims<'a> {
    pub namespace: &'a str,
    pub account: &'a str,
    pub uid: &'a str,
    pub audiences: &'a [String],
    pub issued: Timestamp,
    pub expires: Timestamp,
    pub id: &'a str,
    /// Kind (`secret`, `pod` or `node`), name and uid of the object whose end is the token's end.
    pub bound: Option<(String, String, String)>,
}

impl Signer {
    pub fn new() -> Self {
        let key = RsaKeyPair::from_pkcs8(include_bytes!("tokens/demo-key.pk8"));
        Self(key.expect("the key in the source is well formed"))
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": "roadstead"});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(claims));
        let mut bytes = vec![0; self.0.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        self.0
            .sign(&signature::RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut bytes)
            .expect("signing with a good key cannot fail");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The claims of a token whose signature is ours.
    fn verify(&self, token: &str) -> Option<Value> {
        let (text, signed) = token.rsplit_once('.')?;
        let signed = URL_SAFE_NO_PAD.decode(signed).ok()?;
        let key =
            signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, self.0.public_key().as_ref());
        key.verify(text.as_bytes(), &signed).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(text.split_once('.')?.1).ok()?;
        serde_json::from_slice(&claims).ok()
    }

    /// A token as TokenRequest gives it out.
    pub fn bound_token(&self, claims: &Claims<'_>) -> String {
        let mut kubernetes = json!({
            "namespace": claims.namespace,
            "serviceaccount": {"name": claims.account, "uid": claims.uid},
        });
        if let Some((kind, name, uid)) = &claims.bound {
            kubernetes[kind] = json!({"name": name, "uid": uid});
        }
        self.sign(&json!({
            "aud": claims.audiences, "exp": claims.expires.as_second(), "iat": claims.issued.as_second(), "iss": ISSUER,
            "jti": claims.id, "kubernetes.io": kubernetes, "nbf": claims.issued.as_second(),
            "sub": subject(claims.namespace, claims.account),
        }))
    }

    /// A token that lives as long as its secret.
    pub fn secret_token(&self, namespace: &str, account: &str, uid: &str, secret: &str) -> String {
        let mut claims = Map::new();
        claims.insert("iss".into(), json!(LEGACY_ISSUER));
        claims.insert("kubernetes.io/serviceaccount/namespace".into(), json!(namespace));
        claims.insert("kubernetes.io/serviceaccount/secret.name".into(), json!(secret));
        claims.insert(
            "kubernetes.io/serviceaccount/service-account.name".into(),
            json!(account),
        );
        claims.insert("kubernetes.io/serviceaccount/service-account.uid".into(), json!(uid));
        claims.insert("sub".into(), json!(subject(namespace, account)));
        self.sign(&Value::Object(claims))
    }

    /// The account behind a token, for one of `audiences` (empty: the server's own). The error is the text of a TokenReview.
    pub fn authenticate(
        &self,
        state: &State,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Authenticated, String> {
        const INVALID: &str = "invalid bearer token";
        let claims = self.verify(token).ok_or(INVALID)?;
        let wrong = |why: String| format!("[{INVALID}, {why}]");
        let wanted: Vec<String> = if audiences.is_empty() {
            vec![ISSUER.to_owned()]
        } else {
            audiences.to_vec()
        };
        if claims["iss"] == LEGACY_ISSUER {
            return legacy(state, &claims, &wanted).map_err(wrong);
        }
        let given: Vec<String> = claims["aud"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|a| a.as_str().map(str::to_owned))
            .collect();
        let common: Vec<String> = wanted.iter().filter(|a| given.contains(a)).cloned().collect();
        if common.is_empty() {
            let list = |names: &[String]| names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(" ");
            return Err(wrong(format!(
                "token audiences [{}] is invalid for the target audiences [{}]",
                list(&given),
                list(&wanted)
            )));
        }
        if claims["exp"].as_i64().is_none_or(|at| at <= now.as_second()) {
            return Err(wrong("service account token has expired".to_owned()));
        }
        let kubernetes = &claims["kubernetes.io"];
        let namespace = kubernetes["namespace"].as_str().unwrap_or_default();
        let account = kubernetes["serviceaccount"]["name"].as_str().unwrap_or_default();
        let uid = kubernetes["serviceaccount"]["uid"].as_str().unwrap_or_default();
        check(state, "serviceaccounts", namespace, account, uid).map_err(wrong)?;
        for (kind, collection) in [("secret", "secrets"), ("pod", "pods")] {
            if let Some(bound) = kubernetes.get(kind) {
                let text = |member: &str| bound[member].as_str().unwrap_or_default();
                check(state, collection, namespace, text("name"), text("uid")).map_err(wrong)?;
            }
        }
        let mut user = User::service_account(namespace, account, uid);
        if let Some(id) = claims["jti"].as_str() {
            user.extra.insert(
                "authentication.kubernetes.io/credential-id".to_owned(),
                vec![format!("JTI={id}")],
            );
        }
        Ok(Authenticated {
            user,
            audiences: common,
        })
    }
}

/// Who a token is, and for which of the audiences asked for.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated {
    pub user: User,
    pub audiences: Vec<String>,
}

/// The name of a service account as a user.
pub(crate) fn subject(namespace: &str, account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{account}")
}

/// That an object is still the one that a token was made for.
fn check(state: &State, collection: &str, namespace: &str, name: &str, uid: &str) -> Result<(), String> {
    match state.store.get(collection, namespace, name) {
        Some(object) if meta::text(object, "uid") == uid => Ok(()),
        _ => Err(format!("{collection} \"{name}\" not found")),
    }
}

fn legacy(state: &State, claims: &Value, audiences: &[String]) -> Result<Authenticated, String> {
    let claim = |name: &str| {
        claims[format!("kubernetes.io/serviceaccount/{name}")]
            .as_str()
            .unwrap_or_default()
    };
    let (namespace, account) = (claim("namespace"), claim("service-account.name"));
    check(
        state,
        "serviceaccounts",
        namespace,
        account,
        claim("service-account.uid"),
    )?;
    let secret = claim("secret.name");
    if state.store.get("secrets", namespace, secret).is_none() {
        return Err(format!("secrets \"{secret}\" not found"));
    }
    Ok(Authenticated {
        user: User::service_account(namespace, account, claim("service-account.uid")),
        audiences: audiences.iter().filter(|a| *a == ISSUER).cloned().collect(),
    })
}

/// Tokens that were handed in from outside, by their text.
pub(crate) type StaticTokens = BTreeMap<String, StaticToken>;
