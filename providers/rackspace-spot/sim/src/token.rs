//! Tokens as the login service gives them: JSON web tokens, signed with a key that follows from the seed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::chance;

/// The id of the public client that people log in with.
pub(crate) const CLIENT_ID: &str = "mwG3lUMV8KyeMqHe4fJ5Bb3nM1vBvRNa";

const KEY_ID: &str = "spot-sim-1";

/// Who a valid id token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) org_id: String,
    pub(crate) email: String,
}

/// The login service's key.
#[derive(Debug)]
pub(crate) struct Signer(Ed25519KeyPair);

impl Signer {
    pub(crate) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        for (i, part) in bytes.chunks_mut(8).enumerate() {
            part.copy_from_slice(&chance::mix(seed, i as u64).to_be_bytes());
        }
        Self(Ed25519KeyPair::from_seed_unchecked(&bytes).expect("any 32 bytes are a seed"))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": KEY_ID});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(text.as_bytes()).as_ref());
        format!("{text}.{signature}")
    }

    /// The claims of a token of ours, whatever they say.
    fn claims(&self, token: &str) -> Option<Value> {
        let (text, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ED25519, self.0.public_key().as_ref());
        public.verify(text.as_bytes(), &signature).ok()?;
        let (_, claims) = text.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// Who an id token speaks for: nobody when it is not ours, is over, or is an access token.
    pub(crate) fn identify(&self, token: &str, now: Timestamp) -> Option<Identity> {
        let claims = self.claims(token)?;
        let live = claims.get("exp")?.as_i64()? > now.as_second();
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        if !live || text("aud")? != CLIENT_ID {
            return None;
        }
        Some(Identity {
            org_id: text("org_id")?,
            email: text("email").unwrap_or_default(),
        })
    }

    /// The public key as a JSON web key set.
    pub(crate) fn jwks(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": KEY_ID, "x": x}]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_speaks_for_its_organization_until_it_is_over() {
        let signer = Signer::new(1);
        let now = Timestamp::from_second(1000).unwrap();
        let claims = json!({"aud": CLIENT_ID, "org_id": "org_A", "email": "a@b.c", "exp": 1001});
        let token = signer.sign(&claims);
        assert_eq!(signer.identify(&token, now).unwrap().org_id, "org_A");
        assert_eq!(
            signer.identify(&token, Timestamp::from_second(1001).unwrap()),
            None,
            "expired"
        );
        assert_eq!(Signer::new(2).identify(&token, now), None, "somebody else's");
        assert_eq!(signer.identify(&token[1..], now), None, "garbled");
        assert_eq!(signer.identify("a.b.c", now), None, "garbage");
        let other = signer.sign(&json!({"aud": "https://login/userinfo", "org_id": "org_A", "exp": 1001}));
        assert_eq!(signer.identify(&other, now), None, "an access token");
    }
}
