//! What the service's own webhooks refuse.

use serde_json::Value;
use uuid::Uuid;

use super::ladder;
use crate::failure::Failure;
use crate::market::thousandths;
use crate::resource::Resource;
use crate::world::World;

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object
        .pointer(&format!("/spec/{field}"))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn integer(object: &Value, field: &str) -> Option<i64> {
    object.pointer(&format!("/spec/{field}")).and_then(Value::as_i64)
}

pub(super) fn cloudspace(world: &World, old: Option<&Value>, new: &Value) -> Result<(), Failure> {
    let deny = |why: String| Err(Failure::denied(Resource::CloudSpace, world.settings.denial_code, &why));
    let (region, version) = (text(new, "region"), text(new, "kubernetesVersion"));
    if let Some(old) = old {
        for field in ["region", "cni"] {
            if text(old, field) != text(new, field) {
                return deny(format!("{field} is immutable"));
            }
        }
    } else {
        if !world.regions.contains_key(region) {
            return deny(format!("region {region:?} does not exist"));
        }
        if text(new, "deploymentType") != "gen2" {
            return deny("deploymentType gen1 is not allowed for new cloudspaces".to_owned());
        }
    }
    let before = old.map(|old| text(old, "kubernetesVersion"));
    if before == Some(version) {
        return Ok(());
    }
    if !world.settings.versions.iter().any(|known| known == version) {
        let known = world.settings.versions.join(", ");
        return deny(format!(
            "kubernetesVersion {version:?} is not supported, supported versions: {known}"
        ));
    }
    match before {
        Some(before) if numbers(version) < numbers(before) => deny(format!(
            "kubernetesVersion cannot be downgraded from {before} to {version}"
        )),
        _ => Ok(()),
    }
}

/// A version as numbers, to compare.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

pub(super) fn pool(
    world: &World,
    resource: Resource,
    name: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Failure> {
    let settings = &world.settings;
    let deny = |why: String| Err(Failure::denied(resource, settings.denial_code, &why));
    let namespace = new
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let space = text(new, "cloudSpace");
    if let Some(old) = old {
        for field in ["cloudSpace", "serverClass"] {
            if text(old, field) != text(new, field) {
                return deny(format!("{field} is immutable"));
            }
        }
    } else {
        if !is_lowercase_uuid(name) {
            return deny(format!("name {name:?} must be a lowercase UUID"));
        }
        if let Some(org) = world
            .organizations
            .iter()
            .find(|org| org.namespace() == namespace && !org.billing)
        {
            let why = format!("billing is not enabled for organization {:?}", org.name);
            return Err(Failure::denied(resource, settings.billing_code, &why));
        }
        place(world, new, namespace).or_else(deny)?;
    }
    match integer(new, "desired") {
        Some(desired) if desired < 0 => return deny("desired must not be negative".to_owned()),
        Some(0) if !settings.desired_zero => return deny("desired must be at least 1".to_owned()),
        _ => {}
    }
    if resource == Resource::OnDemandNodePool {
        return Ok(());
    }
    let bid = text(new, "bidPrice");
    // A stored bid may be off a newer ladder; only a bid that is made is judged.
    if old.is_none_or(|old| text(old, "bidPrice") != bid) {
        let class = world.serverclasses.get(text(new, "serverClass"));
        let minimum = class.map(|class| text(class, "minBidPricePerHour")).unwrap_or_default();
        if thousandths(bid) < thousandths(minimum) {
            return deny(format!(
                "BidPrice must be greater than or equal to the minimum bid price of {minimum}"
            ));
        }
        if !ladder::allows(settings.ladder, bid) {
            return deny(format!("bid price {bid} is not on the bid ladder"));
        }
    }
    if !autoscales(new) {
        return Ok(());
    }
    match (
        integer(new, "autoscaling/minNodes"),
        integer(new, "autoscaling/maxNodes"),
    ) {
        (Some(min), Some(max)) if min >= 1 && max >= min => {}
        (Some(min), Some(max)) if min >= 1 && max >= 1 => {
            return deny(format!(
                "autoscaling maxNodes ({max}) must not be less than minNodes ({min})"
            ));
        }
        _ => return deny("autoscaling needs minNodes and maxNodes of at least 1".to_owned()),
    }
    let other = world
        .pools_of(Resource::SpotNodePool, namespace, space)
        .find(|(_, other)| {
            let deleting = other.pointer("/metadata/deletionTimestamp").is_some();
            other.pointer("/metadata/name").and_then(Value::as_str) != Some(name)
                && autoscales(other)
                && (!deleting || settings.count_deleting_autoscalers)
        });
    match other {
        Some((key, _)) => {
            let other = key.rsplit('/').next().unwrap_or_default();
            deny(format!(
                "only one SpotNodePool with autoscaling enabled is allowed per cloudspace, {other} has it"
            ))
        }
        None => Ok(()),
    }
}

/// Whether a new pool can be where it wants to be.
fn place(world: &World, pool: &Value, namespace: &str) -> Result<(), String> {
    let (space, class) = (text(pool, "cloudSpace"), text(pool, "serverClass"));
    let Some(found) = world.cloudspaces.get(&format!("{namespace}/{space}")) else {
        return Err(format!("cloudSpace {space:?} does not exist"));
    };
    if found.pointer("/metadata/deletionTimestamp").is_some() {
        return Err(format!("cloudSpace {space:?} is being deleted"));
    }
    let Some(offer) = world.serverclasses.get(class) else {
        return Err(format!("serverClass {class:?} does not exist"));
    };
    let availability = text(offer, "availability");
    if availability != "available" {
        return Err(format!("serverClass {class:?} is {availability}"));
    }
    let (here, there) = (text(found, "region"), text(offer, "region"));
    if here != there {
        return Err(format!(
            "serverClass {class:?} is in region {there}, cloudSpace {space:?} is in region {here}"
        ));
    }
    Ok(())
}

fn autoscales(pool: &Value) -> bool {
    pool.pointer("/spec/autoscaling/enabled") == Some(&Value::Bool(true))
}

fn is_lowercase_uuid(name: &str) -> bool {
    name.len() == 36 && name == name.to_lowercase() && Uuid::try_parse(name).is_ok()
}
