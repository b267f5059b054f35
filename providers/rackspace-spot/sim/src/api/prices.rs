//! The public price data.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::market;
use crate::service::Service;
use crate::world::{World, text};

/// Of how many hours the history tells.
const HOURS: u64 = 24;

/// Times and market prices in thousandths of the last day, oldest first.
fn past(world: &World, class: &str) -> Vec<(i64, u64)> {
    let age = world.age().as_secs();
    let hours = (age / 3600).min(HOURS);
    (0..=hours)
        .rev()
        .map(|back| {
            let then = age.saturating_sub(back * 3600);
            let price = market::price(&world.settings, world.seed, class, Duration::from_secs(then));
            (world.epoch.as_second() + i64::try_from(then).unwrap_or(0), price)
        })
        .collect()
}

fn dollars(thousandths: u64) -> f64 {
    thousandths as f64 / 1000.0
}

/// Something of every server class, by region and name.
fn by_region(world: &World, tell: impl Fn(&str, &Value) -> Value) -> Map<String, Value> {
    let mut regions = Map::new();
    for (name, region) in &world.regions {
        let classes: Map<String, Value> = world
            .serverclasses
            .iter()
            .filter(|(_, class)| text(class, "/spec/region") == name)
            .map(|(class, object)| (class.clone(), tell(class, object)))
            .collect();
        let told = json!({"generation": text(region, "/spec/generation"), "serverclasses": classes});
        regions.insert(name.clone(), told);
    }
    regions
}

pub(super) async fn percentiles(State(service): State<Arc<Service>>) -> Json<Value> {
    service.with(|world| {
        let regions = by_region(world, |name, class| {
            let mut prices: Vec<u64> = past(world, name).into_iter().map(|(_, price)| price).collect();
            prices.sort_unstable();
            let at = |percent: usize| dollars(prices.get((prices.len() - 1) * percent / 100).copied().unwrap_or(0));
            json!({
                "20_percentile": at(20), "50_percentile": at(50), "80_percentile": at(80),
                "market_price": market::text(world.price(name)), "cpu": text(class, "/spec/resources/cpu"),
                "memory": text(class, "/spec/resources/memory"), "display_name": text(class, "/spec/displayName"),
                "category": text(class, "/spec/category"), "description": text(class, "/spec/displayName"),
            })
        });
        Json(json!({ "regions": regions }))
    })
}

pub(super) async fn comparable(State(service): State<Arc<Service>>) -> Json<Value> {
    service.with(|world| {
        let mut regions = by_region(world, |_, class| {
            let cost = market::thousandths(text(class, "/spec/onDemandPricing/cost")).unwrap_or(0);
            let price = format!("${:.3}", dollars(cost));
            json!({
                "hyperscaler_average_price": price,
                "comparables": [{"cloud": "example", "class": "example.same-size", "price": price}],
            })
        });
        for region in regions.values_mut() {
            *region = region.get_mut("serverclasses").map(Value::take).unwrap_or_default();
        }
        Json(json!({ "regions": regions }))
    })
}

pub(super) async fn history(
    State(service): State<Arc<Service>>,
    Path(class): Path<String>,
) -> Result<Json<Value>, Failure> {
    service.with(|world| {
        if !world.serverclasses.contains_key(&class) {
            return Err(Failure::plain(400, "bad_request", "invalid server class"));
        }
        let history: Vec<Value> = past(world, &class)
            .into_iter()
            .map(|(at, price)| json!({"run_at": at, "hammer_price": dollars(price)}))
            .collect();
        Ok(Json(json!({"auction": class, "history": history})))
    })
}
