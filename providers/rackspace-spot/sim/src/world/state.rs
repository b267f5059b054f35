//! The state as JSON that can be given back, whole or in part.

use cloud_sim::BadState;
use serde_json::{Map, Value, json};

use super::{Space, Times, World, name_of, named_uuid, stamp, times_key};
use crate::resource::{API_VERSION, FINALIZER, Resource};

const WRITTEN: [Resource; 3] = [Resource::CloudSpace, Resource::SpotNodePool, Resource::OnDemandNodePool];

impl World {
    /// A world from a state: what it does not have is as in `first`, the first day at the present time.
    pub(crate) fn from_json(state: Value, first: &World) -> Result<Self, BadState> {
        let mut world = cloud_sim::state::over(first, state)?;
        if let Some(fault) = world.settings.fault() {
            return Err(BadState::new(fault));
        }
        world.check_keys()?;
        world.complete();
        world.happen();
        Ok(world)
    }

    fn check_keys(&self) -> Result<(), BadState> {
        for resource in [Resource::Region, Resource::ServerClass].into_iter().chain(WRITTEN) {
            for (key, object) in self.objects(resource) {
                let expected = match object.pointer("/metadata/namespace").and_then(Value::as_str) {
                    Some(namespace) if resource.namespaced() => format!("{namespace}/{}", name_of(object)),
                    _ => name_of(object).to_owned(),
                };
                if *key != expected || key.contains('/') != resource.namespaced() {
                    let shape = if resource.namespaced() {
                        "namespace/name"
                    } else {
                        "name"
                    };
                    let at = format!("{}[{key:?}]", resource.plural());
                    return Err(BadState::new(format!(
                        "{at}: the key must be the {shape} its metadata has"
                    )));
                }
                if !object.get("spec").is_some_and(Value::is_object) {
                    return Err(BadState::new(format!("{}[{key:?}] has no spec", resource.plural())));
                }
            }
        }
        Ok(())
    }

    /// Gives hand-made objects what the server gives its own.
    pub(crate) fn complete(&mut self) {
        for resource in [Resource::Region, Resource::ServerClass].into_iter().chain(WRITTEN) {
            let keys: Vec<String> = self.objects(resource).keys().cloned().collect();
            for key in keys {
                self.complete_object(resource, &key);
            }
        }
        // What has no object any more.
        let World {
            cloudspaces,
            spotnodepools,
            ondemandnodepools,
            times,
            spaces,
            ..
        } = self;
        spaces.retain(|key, _| cloudspaces.contains_key(key));
        times.retain(|key, _| match key.split_once('/') {
            Some(("cloudspaces", key)) => cloudspaces.contains_key(key),
            Some(("spotnodepools", key)) => spotnodepools.contains_key(key),
            Some(("ondemandnodepools", key)) => ondemandnodepools.contains_key(key),
            _ => false,
        });
        let missing: Vec<String> = self
            .cloudspaces
            .keys()
            .filter(|key| !self.spaces.contains_key(*key))
            .cloned()
            .collect();
        for key in missing {
            let space = self.new_space(&key);
            self.spaces.insert(key, space);
        }
    }

    fn complete_object(&mut self, resource: Resource, key: &str) {
        let (now, version) = (self.now, self.version);
        let Some(Value::Object(object)) = self.objects_mut(resource).get_mut(key) else {
            return;
        };
        let old = std::mem::take(object);
        object.insert("apiVersion".to_owned(), API_VERSION.into());
        object.insert("kind".to_owned(), resource.kind().into());
        object.extend(
            old.into_iter()
                .filter(|(field, _)| field != "apiVersion" && field != "kind"),
        );
        let Some(Value::Object(metadata)) = object.get_mut("metadata") else {
            return;
        };
        let uid = named_uuid(&times_key(resource, key));
        for (field, value) in [
            ("uid", Value::from(uid)),
            ("resourceVersion", version.to_string().into()),
            ("generation", 1.into()),
            ("creationTimestamp", stamp(now).into()),
        ] {
            metadata.entry(field).or_insert(value);
        }
        if !resource.namespaced() {
            return;
        }
        metadata.entry("finalizers").or_insert_with(|| json!([FINALIZER]));
        let when = |field: &str, metadata: &Map<String, Value>| {
            metadata
                .get(field)
                .and_then(Value::as_str)
                .and_then(|at| at.parse().ok())
        };
        let created = when("creationTimestamp", metadata).unwrap_or(now);
        let times = Times {
            created,
            changed: created,
            deleted: when("deletionTimestamp", metadata),
        };
        self.times.entry(times_key(resource, key)).or_insert(times);
    }

    /// What is behind a new cloudspace: its API server will have a name of its own.
    pub(super) fn new_space(&mut self, key: &str) -> Space {
        let name = key.rsplit('/').next().unwrap_or_default();
        Space {
            address: format!("{name}-{}.spot.sim", self.draw_suffix()),
            ..Space::default()
        }
    }
}
