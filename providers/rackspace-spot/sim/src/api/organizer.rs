//! The organizer service: organizations and kubeconfigs. It is no Kubernetes API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{identity, login};
use crate::failure::Failure;
use crate::kubeconfig;
use crate::service::Service;
use crate::settings::OrgNext;

pub(super) async fn organizations(
    State(service): State<Arc<Service>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Failure> {
    service.with(|world| {
        identity(&service, world, &headers).map_err(|_| Failure::plain(401, "access_denied", "Unauthorized"))?;
        // Where the page starts: a number, or the address of a page, which ends with it.
        let given = ["start", "from", "next"]
            .into_iter()
            .find_map(|name| query.get(name))
            .map(String::as_str);
        let given = given.unwrap_or("0").rsplit('=').next().unwrap_or_default();
        let bad = |name: &str| Failure::plain(400, "bad_request", &format!("{name} must be a number"));
        let start: usize = given.parse().map_err(|_| bad("start"))?;
        let limit: usize = match query.get("limit").or_else(|| query.get("take")) {
            Some(limit) => limit.parse().map_err(|_| bad("limit"))?,
            None => usize::MAX,
        };
        let size = world.settings.org_page_size;
        let limit = limit.clamp(1, size);
        let total = world.organizations.len();
        let page: Vec<Value> = world
            .organizations
            .iter()
            .skip(start)
            .take(limit)
            .map(|org| {
                json!({
                    "id": org.id, "name": org.name, "display_name": org.display_name,
                    "metadata": {"namespace": org.namespace()},
                })
            })
            .collect();
        let after = start.saturating_add(page.len());
        let next = match world.settings.org_next {
            _ if after >= total => String::new(),
            OrgNext::Token => after.to_string(),
            OrgNext::Url => format!("/apis/auth.ngpc.rxt.io/v1/organizations?start={after}"),
        };
        Ok(Json(json!({
            "start": start, "limit": limit, "length": page.len(), "total": total, "next": next, "organizations": page,
        })))
    })
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    organization_name: String,
    #[serde(default)]
    cloudspace_name: String,
    #[serde(default)]
    refresh_token: String,
}

pub(super) async fn generate_kubeconfig(
    State(service): State<Arc<Service>>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let wanted: Wanted = serde_json::from_slice(&body)
        .map_err(|_| Failure::plain(400, "bad_request", "The request body is not valid JSON."))?;
    service.with(|world| {
        if wanted.refresh_token.is_empty() {
            return Err(Failure::plain(400, "bad_request", "Missing or invalid refresh_token."));
        }
        let denied = || Failure::plain(401, "access_denied", "Unauthorized");
        let grant = login::granted(world, &wanted.refresh_token)
            .cloned()
            .ok_or_else(denied)?;
        let org = world.organizations.iter().find(|org| org.id == grant.org_id);
        let org = org
            .filter(|org| org.name == wanted.organization_name)
            .cloned()
            .ok_or_else(denied)?;
        let key = format!("{}/{}", org.namespace(), wanted.cloudspace_name);
        if !world.cloudspaces.contains_key(&key) {
            let why = format!("Cloudspace {:?} not found.", wanted.cloudspace_name);
            return Err(Failure::plain(404, "not_found", &why));
        }
        let Some(endpoint) = world.endpoint(&key).map(str::to_owned) else {
            let (code, why) = (
                world.settings.kubeconfig_early_code,
                "The cloudspace has no API server yet.",
            );
            return Err(Failure::plain(
                code,
                if code == 404 { "not_found" } else { "bad_request" },
                why,
            ));
        };
        let (token, expires) = login::id_token(&service.signer, world, &grant, "https://login.spot.sim/");
        service.note_token(&token, &org.namespace(), expires);
        let ca = service.ca(&key);
        let facts = kubeconfig::Facts {
            organization: &org.name,
            cloudspace: &wanted.cloudspace_name,
            endpoint: &endpoint,
            token: &token,
            ca: ca.as_deref(),
        };
        let text = kubeconfig::write(&facts, world.settings.kubeconfig);
        Ok(Json(json!({
            "data": {"kubeconfig": text}, "message": "kubeconfig generated successfully", "status_code": 200,
        })))
    })
}
