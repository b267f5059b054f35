//! The endpoints.

use std::fmt;
use std::sync::Arc;

use cloud_http::{Client, Metrics, Secrets, SetupError, Tokens, path};
use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::token::Login;
use super::{
    Claims, CloudSpace, OnDemandNodePool, Organization, Region, ServerClass, SpotError, SpotNodePool, SpotResult,
    errors,
};
use crate::Settings;

/// What `PATCH` bodies are.
const MERGE_PATCH: &str = "application/merge-patch+json";
/// The label that ties a pool to its cloudspace, as the official SDK sets it.
pub(crate) const CLOUDSPACE_LABEL: &str = "ngpc.rxt.io/cloudspace";

/// A logged-in view of the API. Clones share the token.
#[derive(Clone)]
pub struct SpotClient {
    api: Client,
    tokens: Arc<Tokens<Login>>,
}

impl fmt::Debug for SpotClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpotClient({})", self.api.base())
    }
}

#[derive(Deserialize)]
struct List<T> {
    /// Go writes a list of nothing as `null`.
    items: Option<Vec<T>>,
    metadata: Option<ListMeta>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListMeta {
    r#continue: Option<String>,
}

/// Adds type and version to an object.
#[derive(Serialize)]
struct Typed<'a, T> {
    #[serde(rename = "apiVersion")]
    version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    object: &'a T,
}

fn typed<'a, T>(kind: &'static str, object: &'a T) -> Typed<'a, T> {
    Typed {
        version: "ngpc.rxt.io/v1",
        kind,
        object,
    }
}

fn cluster_scoped(plural: &str) -> String {
    path(&["apis", "ngpc.rxt.io", "v1", plural])
}

fn namespaced(namespace: &str, plural: &str) -> String {
    path(&["apis", "ngpc.rxt.io", "v1", "namespaces", namespace, plural])
}

fn named(namespace: &str, plural: &str, name: &str) -> String {
    path(&["apis", "ngpc.rxt.io", "v1", "namespaces", namespace, plural, name])
}

const CLOUDSPACES: &str = "cloudspaces";
const SPOT_POOLS: &str = "spotnodepools";
const ON_DEMAND_POOLS: &str = "ondemandnodepools";

impl SpotClient {
    /// A client that logs in with this refresh token (else with what the settings hold) when it first has to.
    pub fn new(settings: &Settings, refresh_token: Option<SecretString>) -> SpotResult<Self> {
        let own = refresh_token.is_some();
        let refresh_token = refresh_token.or_else(|| settings.refresh_token.clone());
        // A token from the environment must not speak for a cluster that brings its own.
        let given = settings.access_token.clone().filter(|_| !own);
        if refresh_token.is_none() && given.is_none() {
            return Err(SpotError::NoCredential);
        }
        let secrets = Secrets::new();
        let builder = |url: &str| {
            Client::builder(url)
                .transport(settings.transport.clone())
                .timeout(settings.timeout)
                .retry(settings.retry.clone())
                .secrets(secrets.clone())
                .metrics(settings.metrics.clone())
                .clock(settings.clock.clone())
        };
        let setup = |error: SetupError| SpotError::Setup(kit::chain(&error));
        let oauth = builder(&settings.oauth_url)
            .classify(errors::login)
            .build()
            .map_err(setup)?;
        let login = Login::new(
            oauth,
            settings.client_id.clone(),
            settings.clock.clone(),
            refresh_token,
            given,
        );
        let tokens = Arc::new(Tokens::new(login, settings.clock.clone(), secrets.clone()));
        let api = builder(&settings.api_url)
            .classify(errors::api)
            .authenticator(tokens.clone())
            .build()
            .map_err(setup)?;
        Ok(Self { api, tokens })
    }

    pub(super) fn api(&self) -> &Client {
        &self.api
    }

    /// What the last id token said of itself; empty before the first request.
    pub fn claims(&self) -> Claims {
        self.tokens.source().claims()
    }

    /// The refresh token to keep: the service may have put a new one in place of the one given.
    pub fn refresh_token(&self) -> Option<SecretString> {
        self.tokens.source().refresh_token()
    }

    /// The secrets that no text may show.
    pub fn secrets(&self) -> &Secrets {
        self.api.secrets()
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        self.api.metrics()
    }

    /// All regions.
    pub async fn regions(&self) -> SpotResult<Vec<Region>> {
        self.list("list regions", cluster_scoped("regions")).await
    }

    /// All kinds of machines, of all regions.
    pub async fn server_classes(&self) -> SpotResult<Vec<ServerClass>> {
        self.list("list server classes", cluster_scoped("serverclasses")).await
    }

    /// All cloudspaces of a namespace.
    pub async fn cloudspaces(&self, namespace: &str) -> SpotResult<Vec<CloudSpace>> {
        self.list("list cloudspaces", namespaced(namespace, CLOUDSPACES)).await
    }

    /// One cloudspace, `None` if there is none of that name.
    pub async fn cloudspace(&self, namespace: &str, name: &str) -> SpotResult<Option<CloudSpace>> {
        self.get("read cloudspace", named(namespace, CLOUDSPACES, name)).await
    }

    /// Makes a cloudspace.
    pub async fn create_cloudspace(&self, namespace: &str, cloudspace: &CloudSpace) -> SpotResult<()> {
        let path = namespaced(namespace, CLOUDSPACES);
        self.post("create cloudspace", path, &typed("CloudSpace", cloudspace))
            .await
    }

    /// Changes a cloudspace by a merge patch.
    pub async fn patch_cloudspace(&self, namespace: &str, name: &str, patch: &Value) -> SpotResult<()> {
        self.patch("change cloudspace", named(namespace, CLOUDSPACES, name), patch)
            .await
    }

    /// Begins the deletion of a cloudspace. That it is gone already is success.
    pub async fn delete_cloudspace(&self, namespace: &str, name: &str) -> SpotResult<()> {
        self.delete("delete cloudspace", named(namespace, CLOUDSPACES, name))
            .await
    }

    /// All spot pools of a namespace. The API sets no label that lists could select by, so callers filter on
    /// `spec.cloud_space`.
    pub async fn spot_pools(&self, namespace: &str) -> SpotResult<Vec<SpotNodePool>> {
        self.list("list spot node pools", namespaced(namespace, SPOT_POOLS))
            .await
    }

    /// One spot pool.
    pub async fn spot_pool(&self, namespace: &str, name: &str) -> SpotResult<Option<SpotNodePool>> {
        self.get("read spot node pool", named(namespace, SPOT_POOLS, name))
            .await
    }

    /// Makes a spot pool.
    pub async fn create_spot_pool(&self, namespace: &str, pool: &SpotNodePool) -> SpotResult<()> {
        let path = namespaced(namespace, SPOT_POOLS);
        self.post("create spot node pool", path, &typed("SpotNodePool", pool))
            .await
    }

    /// Changes a spot pool by a merge patch.
    pub async fn patch_spot_pool(&self, namespace: &str, name: &str, patch: &Value) -> SpotResult<()> {
        self.patch("change spot node pool", named(namespace, SPOT_POOLS, name), patch)
            .await
    }

    /// Deletes a spot pool. That it is gone already is success.
    pub async fn delete_spot_pool(&self, namespace: &str, name: &str) -> SpotResult<()> {
        self.delete("delete spot node pool", named(namespace, SPOT_POOLS, name))
            .await
    }

    /// All on-demand pools of a namespace.
    pub async fn on_demand_pools(&self, namespace: &str) -> SpotResult<Vec<OnDemandNodePool>> {
        self.list("list on-demand node pools", namespaced(namespace, ON_DEMAND_POOLS))
            .await
    }

    /// One on-demand pool.
    pub async fn on_demand_pool(&self, namespace: &str, name: &str) -> SpotResult<Option<OnDemandNodePool>> {
        self.get("read on-demand node pool", named(namespace, ON_DEMAND_POOLS, name))
            .await
    }

    /// Makes an on-demand pool.
    pub async fn create_on_demand_pool(&self, namespace: &str, pool: &OnDemandNodePool) -> SpotResult<()> {
        let path = namespaced(namespace, ON_DEMAND_POOLS);
        self.post("create on-demand node pool", path, &typed("OnDemandNodePool", pool))
            .await
    }

    /// Changes an on-demand pool by a merge patch.
    pub async fn patch_on_demand_pool(&self, namespace: &str, name: &str, patch: &Value) -> SpotResult<()> {
        let path = named(namespace, ON_DEMAND_POOLS, name);
        self.patch("change on-demand node pool", path, patch).await
    }

    /// Deletes an on-demand pool. That it is gone already is success.
    pub async fn delete_on_demand_pool(&self, namespace: &str, name: &str) -> SpotResult<()> {
        let path = named(namespace, ON_DEMAND_POOLS, name);
        self.delete("delete on-demand node pool", path).await
    }

    /// The kubeconfig of a cloudspace, as YAML. There is none before the control plane is up.
    pub async fn kubeconfig(&self, organization: &Organization, cloudspace: &str) -> SpotResult<SecretString> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            data: Data,
            #[serde(default)]
            status_code: Option<i64>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Data {
            #[serde(deserialize_with = "kit::lenient::secret")]
            kubeconfig: Option<SecretString>,
        }
        // The refresh token stands in the body, so there must be one even where an id token came from outside.
        let refresh_token = self.refresh_token().ok_or(SpotError::NoCredential)?;
        let path = path(&["apis", "auth.ngpc.rxt.io", "v1", "generate-kubeconfig"]);
        let answer: Answer = self
            .api
            .call("generate kubeconfig", Method::POST, path)
            .body(&json!({
                "organization_name": organization.name,
                "cloudspace_name": cloudspace,
                "refresh_token": refresh_token.expose_secret(),
            }))
            .secret(&refresh_token)
            .sensitive()
            .repeatable()
            .json()
            .await?;
        answer
            .data
            .kubeconfig
            .filter(|text| !text.expose_secret().trim().is_empty())
            .filter(|_| answer.status_code.is_none_or(|code| (200..300).contains(&code)))
            .ok_or_else(|| SpotError::NoKubeconfig(cloudspace.to_owned()))
    }

    async fn get<T: DeserializeOwned>(&self, operation: &'static str, path: String) -> SpotResult<Option<T>> {
        match self.api.call(operation, Method::GET, path).json().await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All pages of a list. A list that expired between pages begins again.
    async fn list<T: DeserializeOwned>(&self, operation: &'static str, path: String) -> SpotResult<Vec<T>> {
        const GONE: u16 = 410;
        let mut all = Vec::new();
        let mut next: Option<String> = None;
        let mut restarts = 0;
        loop {
            let mut call = self.api.call(operation, Method::GET, path.clone());
            if let Some(next) = &next {
                call = call.query("continue", next.clone());
            }
            let page: List<T> = match call.json().await {
                Ok(page) => page,
                Err(error) if next.is_some() && restarts < 3 && error.status().is_some_and(|it| it == GONE) => {
                    restarts += 1;
                    all.clear();
                    next = None;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            all.extend(page.items.into_iter().flatten());
            let following = page.metadata.and_then(|metadata| metadata.r#continue);
            match following.filter(|text| !text.is_empty()) {
                Some(following) if next.as_ref() != Some(&following) => next = Some(following),
                _ => return Ok(all),
            }
        }
    }

    async fn post(&self, operation: &'static str, path: String, body: &impl Serialize) -> SpotResult<()> {
        self.api.call(operation, Method::POST, path).body(body).send().await?;
        Ok(())
    }

    async fn patch(&self, operation: &'static str, path: String, patch: &Value) -> SpotResult<()> {
        let call = self.api.call(operation, Method::PATCH, path);
        // A merge patch sets values: twice is once.
        call.body_as(MERGE_PATCH, patch).repeatable().send().await?;
        Ok(())
    }

    async fn delete(&self, operation: &'static str, path: String) -> SpotResult<()> {
        match self.api.call(operation, Method::DELETE, path).send().await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}
