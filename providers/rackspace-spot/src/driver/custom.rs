//! Labels, annotations and taints as users write them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::client::{Autoscaling, Effect, Taint};
use crate::driver::names::as_uuid;
use crate::driver::options::{DEFAULT_BID, DEFAULT_COUNT, DEFAULT_MAX, DEFAULT_MIN};
use crate::driver::plan::Kind;
use crate::driver::state::Pool;

/// `a=b,c=d`, or a JSON object; `{}` is none at all.
pub(super) fn map(text: &str) -> Result<BTreeMap<String, String>, String> {
    let text = text.trim();
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("is no JSON object of texts: {error}"));
    }
    let mut map = BTreeMap::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (key, value) = item
            .split_once('=')
            .ok_or_else(|| format!("must be like a=b,c=d, not {item:?}"))?;
        if key.trim().is_empty() {
            return Err(format!("has an empty key in {item:?}"));
        }
        map.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(map)
}

/// Labels: a map whose values Kubernetes takes.
pub(super) fn labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let map = map(text)?;
    check_labels(&map)?;
    Ok(map)
}

fn check_labels(map: &BTreeMap<String, String>) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    for (key, value) in map {
        let name = key.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || name.len() > 63 || !name.chars().all(fine) {
            return Err(format!("has a key that Kubernetes does not take: {key:?}"));
        }
        if value.len() > 63 || !value.chars().all(fine) {
            return Err(format!("has a value that Kubernetes does not take: {value:?}"));
        }
    }
    Ok(())
}

/// `key=value:NoSchedule,key:NoExecute`, or a JSON array; `[]` is none at all.
pub(super) fn taints(text: &str) -> Result<Vec<Taint>, String> {
    let text = text.trim();
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|error| format!("is no JSON array of taints: {error}"));
    }
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(taint)
        .collect()
}

fn taint(item: &str) -> Result<Taint, String> {
    let (head, effect) = item
        .rsplit_once(':')
        .ok_or_else(|| format!("must be like key=value:NoSchedule, not {item:?}"))?;
    let (key, value) = head.split_once('=').unwrap_or((head, ""));
    let effect = match effect {
        "NoSchedule" => Effect::NoSchedule,
        "PreferNoSchedule" => Effect::PreferNoSchedule,
        "NoExecute" => Effect::NoExecute,
        other => {
            return Err(format!(
                "has effect {other:?}; it must be NoSchedule, PreferNoSchedule or NoExecute"
            ));
        }
    };
    if key.is_empty() {
        return Err(format!("has an empty key in {item:?}"));
    }
    Ok(Taint {
        key: key.to_owned(),
        value: value.to_owned(),
        effect,
    })
}

/// A further pool as users, and Rancher's form, write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    name: Option<String>,
    server_class: Option<String>,
    node_count: Option<Loose>,
    bid_price: Option<Loose>,
    autoscaling: Option<Loose>,
    min_nodes: Option<Loose>,
    max_nodes: Option<Loose>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    taints: Option<Vec<Taint>>,
}

/// A value in whatever type a form made of it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Loose(Value);

impl Loose {
    fn text(&self) -> String {
        match &self.0 {
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        }
    }

    fn number(&self) -> Option<i64> {
        self.text().parse().ok().filter(|number| (0..=10_000).contains(number))
    }
}

/// Further pools from a JSON array. Every problem names the pool by its place.
pub(super) fn pools(kind: Kind, text: &str) -> Result<Vec<Pool>, String> {
    let wishes: Vec<Wish> = serde_json::from_str(text)
        .map_err(|error| format!("failed to parse additional {} pools: {error}", kind.as_str()))?;
    let number = |loose: &Option<Loose>, default: i64, what: &str, place: usize| match loose {
        None => Ok(default),
        Some(loose) if loose.text().is_empty() || loose.0.is_null() => Ok(default),
        Some(loose) => loose.number().ok_or_else(|| {
            format!(
                "additional {} pool {place}: {what} must be between 0 and 10000",
                kind.as_str()
            )
        }),
    };
    let mut pools = Vec::new();
    for (index, wish) in wishes.into_iter().enumerate() {
        let place = index + 1;
        let class = wish.server_class.unwrap_or_default().trim().to_owned();
        if class.is_empty() {
            return Err(format!(
                "additional {} pool {place}: serverClass is required",
                kind.as_str()
            ));
        }
        if let Some(labels) = &wish.labels {
            check_labels(labels)
                .map_err(|problem| format!("additional {} pool {place}: labels {problem}", kind.as_str()))?;
        }
        let enabled = kind == Kind::Spot && wish.autoscaling.is_some_and(|yes| yes.text() == "true");
        let autoscaling = if enabled {
            Autoscaling {
                enabled,
                min_nodes: number(&wish.min_nodes, DEFAULT_MIN, "minNodes", place)?,
                max_nodes: number(&wish.max_nodes, DEFAULT_MAX, "maxNodes", place)?,
            }
        } else {
            Autoscaling::default()
        };
        let bid = wish
            .bid_price
            .filter(|_| kind == Kind::Spot)
            .map(|bid| bid.text())
            .unwrap_or_default();
        pools.push(Pool {
            kind,
            name: wish.name.as_deref().and_then(as_uuid).unwrap_or_default(),
            class,
            count: number(&wish.node_count, DEFAULT_COUNT, "nodeCount", place)?,
            bid: if bid.is_empty() && kind == Kind::Spot {
                DEFAULT_BID.to_owned()
            } else {
                bid
            },
            autoscaling,
            labels: wish.labels,
            annotations: wish.annotations,
            taints: wish.taints,
        });
    }
    Ok(pools)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_labels_are_read() {
        let both = [("a".to_owned(), "b".to_owned()), ("c/d".to_owned(), String::new())].into();
        assert_eq!(labels("a=b, c/d="), Ok(both));
        assert_eq!(labels(r#"{"a":"b"}"#), Ok([("a".to_owned(), "b".to_owned())].into()));
        assert_eq!(labels("{}"), Ok(BTreeMap::new()));
        for wrong in ["a", "=b", "{\"a\":1}", "a=b c", "a/=b"] {
            assert!(labels(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn both_ways_to_write_taints_are_read() {
        let taint = |key: &str, value: &str, effect| Taint {
            key: key.to_owned(),
            value: value.to_owned(),
            effect,
        };
        assert_eq!(
            taints("gpu=yes:NoSchedule,spot:NoExecute"),
            Ok(vec![
                taint("gpu", "yes", Effect::NoSchedule),
                taint("spot", "", Effect::NoExecute)
            ])
        );
        assert_eq!(
            taints(r#"[{"key":"a","effect":"PreferNoSchedule"}]"#),
            Ok(vec![taint("a", "", Effect::PreferNoSchedule)])
        );
        assert_eq!(taints("[]"), Ok(vec![]));
        for wrong in ["a", "a=b:Never", ":NoSchedule", "[1]"] {
            assert!(taints(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pools_are_read_from_what_forms_send() {
        let read = pools(
            Kind::Spot,
            r#"[{"serverClass":"x","nodeCount":"2","bidPrice":0.04,"autoscaling":"true","minNodes":1,"maxNodes":"5","_key":7},
                {"name":"no uuid","serverClass":"y","nodeCount":0}]"#,
        )
        .unwrap();
        assert_eq!(
            (read[0].count, read[0].bid.as_str(), read[0].autoscaling.max_nodes),
            (2, "0.04", 5)
        );
        assert_eq!(
            (read[1].count, read[1].bid.as_str(), read[1].name.as_str()),
            (0, "0.01", "")
        );
        assert_eq!(pools(Kind::Spot, "[]"), Ok(vec![]));
        for wrong in [
            "",
            "{}",
            "[1]",
            r#"[{"nodeCount":1}]"#,
            r#"[{"serverClass":"x","nodeCount":-1}]"#,
            r#"[{"serverClass":"x","nodeCount":"many"}]"#,
        ] {
            assert!(pools(Kind::Spot, wrong).is_err(), "{wrong}");
        }
    }
}
