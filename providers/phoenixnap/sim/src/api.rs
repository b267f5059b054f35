//! The service over HTTP: the login and all APIs on one base address.

mod ask;
mod blocks;
mod login;
mod networks;
mod servers;
mod tags;
mod told;

use std::sync::Arc;

use axum::Router;
use axum::routing::post as login_post;
use serde_json::{Value, json};

use self::ask::{Answer, Ask, delete, get, patch, post, put};
use crate::catalogue::Wanted;
use crate::failure::Failure;
use crate::service::Service;
use crate::sim::TOKEN_PATH;
use crate::world::World;

/// Everything the service answers, without the control API.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let bmc = Router::new()
        .route("/servers", get(servers::list).merge(post(servers::create)))
        .route(
            "/servers/{id}",
            get(servers::read)
                .merge(patch(servers::change))
                .merge(delete(servers::delete)),
        )
        .route("/servers/{id}/tags", put(servers::tag))
        .route("/servers/{id}/actions/{action}", post(servers::act))
        .route(
            "/servers/{id}/network-configuration/ip-block-configurations/ip-blocks",
            post(servers::give_block),
        )
        .route(
            "/servers/{id}/network-configuration/ip-block-configurations/ip-blocks/{block}",
            delete(servers::take_block),
        )
        .route(
            "/servers/{id}/network-configuration/{configuration}/{networks}",
            post(servers::join),
        )
        .route(
            "/servers/{id}/network-configuration/{configuration}/{networks}/{network}",
            patch(servers::readdress).merge(delete(servers::leave)),
        )
        .route("/quotas", get(|world, ask| Ok(Answer::ok(quotas(world, &ask.account)))));
    let ips = Router::new()
        .route("/ip-blocks", get(blocks::list).merge(post(blocks::create)))
        .route(
            "/ip-blocks/{id}",
            get(blocks::read)
                .merge(patch(blocks::change))
                .merge(delete(blocks::delete)),
        )
        .route("/ip-blocks/{id}/tags", put(blocks::tag));
    let tag_manager = Router::new()
        .route("/tags", get(tags::list).merge(post(tags::create)))
        .route(
            "/tags/{id}",
            get(tags::read).merge(patch(tags::change)).merge(delete(tags::delete)),
        );
    let public = Router::new()
        .route(
            "/public-networks",
            get(networks::list_public).merge(post(networks::create_public)),
        )
        .route(
            "/public-networks/{id}",
            get(networks::read_public)
                .merge(patch(networks::change_public))
                .merge(delete(networks::delete_public)),
        )
        .route("/public-networks/{id}/ip-blocks", post(networks::add_block))
        .route(
            "/public-networks/{id}/ip-blocks/{block}",
            delete(networks::remove_block),
        );
    let private = Router::new()
        .route(
            "/private-networks",
            get(networks::list_private).merge(post(networks::create_private)),
        )
        .route(
            "/private-networks/{id}",
            get(networks::read_private)
                .merge(put(networks::change_private))
                .merge(delete(networks::delete_private)),
        );
    let billing = Router::new()
        .route("/products", get(|_, ask| Ok(Answer::ok(wanted(ask).products()))))
        .route(
            "/product-availability",
            get(|world, ask| Ok(Answer::ok(wanted(ask).availability(world.settings.stock)))),
        );
    Router::new()
        .route(TOKEN_PATH, login_post(login::token))
        .nest("/bmc/v1", bmc)
        .nest("/ips/v1", ips)
        .nest("/tag-manager/v1", tag_manager)
        .nest("/networks/v1", public.merge(private))
        .nest("/billing/v1", billing)
        .nest(
            "/location-api/v1",
            Router::new().route("/locations", get(|_, ask| Ok(Answer::ok(wanted(ask).places())))),
        )
        .fallback(async || Failure::new(404, "No such path."))
        .method_not_allowed_fallback(async || Failure::new(405, "Request method is not supported."))
        .with_state(service)
}

fn wanted(ask: &Ask) -> Wanted<'_> {
    Wanted {
        code: ask.query("productCode"),
        category: ask.query("productCategory"),
        location: ask.query("location"),
    }
}

fn quotas(world: &World, account: &str) -> Value {
    let used = world.server_ids(account, &[]).len();
    let limit = used + world.settings.stock as usize;
    let status = if world.settings.stock == 0 {
        "ON_LIMIT"
    } else {
        "WITHIN_LIMIT"
    };
    json!([{
        "id": "bmc.servers.max_count", "name": "Server Limit", "description": "Maximum number of servers.",
        "status": status, "limit": limit, "used": used, "unit": "count", "limitationScopes": ["GLOBAL"],
    }])
}
