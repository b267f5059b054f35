//! BGP of the project and of its devices.

use cloud_http::path;
use http::Method;
use kit::lenient::list;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{BgpConfig, BgpNeighbor, BgpSession, MetalClient, MetalResult, timed};

/// How the project is to speak BGP.
#[derive(Clone, Debug)]
pub struct BgpRequest {
    /// The number that devices speak as.
    pub asn: u32,
    /// The password of sessions, if there is to be one.
    pub md5: Option<SecretString>,
    /// What for, for people.
    pub use_case: String,
}

#[derive(Deserialize)]
struct Sessions {
    #[serde(deserialize_with = "list")]
    bgp_sessions: Vec<BgpSession>,
}

#[derive(Deserialize)]
struct Neighbors {
    #[serde(deserialize_with = "list")]
    bgp_neighbors: Vec<BgpNeighbor>,
}

impl MetalClient {
    /// How the project speaks BGP; see [`BgpConfig::is_enabled`]. Its password is kept out of texts from then on.
    pub async fn bgp_config(&self) -> MetalResult<BgpConfig> {
        const OPERATION: &str = "read bgp config";
        let path = path(&["projects", &self.0.project, "bgp-config"]);
        // An answer without a body stands for none, too.
        let call = self.0.api.call(OPERATION, Method::GET, path).sensitive();
        let call = call.json::<Option<BgpConfig>>();
        let config = timed(&self.0.meter, OPERATION, call).await?.unwrap_or_default();
        self.keep_secret(config.md5.as_ref());
        Ok(config)
    }

    /// Makes the project speak BGP locally. The API refuses it when it does already.
    pub async fn enable_bgp(&self, request: &BgpRequest) -> MetalResult<()> {
        const OPERATION: &str = "enable bgp";
        let path = path(&["projects", &self.0.project, "bgp-configs"]);
        let mut body = json!({ "deployment_type": "local", "asn": request.asn, "use_case": request.use_case });
        if let Some(md5) = &request.md5 {
            body["md5"] = md5.expose_secret().into();
            self.keep_secret(Some(md5));
        }
        let call = self.0.api.call(OPERATION, Method::POST, path).body(&body).sensitive();
        let call = async { call.send().await.map(drop) };
        timed(&self.0.meter, OPERATION, call).await
    }

    /// All BGP sessions of the project's devices, in one request.
    pub async fn project_bgp_sessions(&self) -> MetalResult<Vec<BgpSession>> {
        self.sessions(
            "list bgp sessions",
            path(&["projects", &self.0.project, "bgp", "sessions"]),
        )
        .await
    }

    /// A device's BGP sessions.
    pub async fn bgp_sessions(&self, device: &str) -> MetalResult<Vec<BgpSession>> {
        self.sessions(
            "list device bgp sessions",
            path(&["devices", device, "bgp", "sessions"]),
        )
        .await
    }

    async fn sessions(&self, operation: &'static str, path: String) -> MetalResult<Vec<BgpSession>> {
        let call = self.0.api.call(operation, Method::GET, path).within(&self.0.by_device);
        let call = call.json::<Sessions>();
        Ok(timed(&self.0.meter, operation, call).await?.bgp_sessions)
    }

    /// Makes a session for `ipv4` or `ipv6`. Refused with status 422 when there is one already, and for other reasons: look
    /// again.
    pub async fn create_bgp_session(&self, device: &str, family: &str) -> MetalResult<BgpSession> {
        const OPERATION: &str = "create bgp session";
        let call = self
            .0
            .api
            .call(OPERATION, Method::POST, path(&["devices", device, "bgp", "sessions"]))
            .body(&json!({ "address_family": family }))
            .within(&self.0.by_device);
        timed(&self.0.meter, OPERATION, call.json()).await
    }

    /// Whom a device speaks BGP with. Passwords are kept out of texts from then on.
    pub async fn bgp_neighbors(&self, device: &str) -> MetalResult<Vec<BgpNeighbor>> {
        const OPERATION: &str = "list bgp neighbors";
        let path = path(&["devices", device, "bgp", "neighbors"]);
        let call = self.0.api.call(OPERATION, Method::GET, path).sensitive();
        let call = call.within(&self.0.by_device);
        let neighbors = timed(&self.0.meter, OPERATION, call.json::<Neighbors>()).await?;
        for neighbor in &neighbors.bgp_neighbors {
            self.keep_secret(neighbor.md5_password.as_ref());
        }
        Ok(neighbors.bgp_neighbors)
    }

    fn keep_secret(&self, secret: Option<&SecretString>) {
        if let Some(secret) = secret {
            self.0.api.secrets().add(secret);
        }
    }
}
