//! Taking over a cloudspace that is there. Nothing of it is changed, and it is never deleted.

use kit::Class;
use kontainer_engine::{Call, ClusterInfo, CreateError, DriverError, Options};

use super::create;
use super::given::said;
use super::names::cloudspace_name;
use super::observe::{self, LivePool};
use super::options as o;
use super::plan::Kind;
use super::session::Session;
use super::shared::Shared;
use super::state::{Extra, NodesReady, State, password};
use crate::Settings;
use crate::client::CloudSpace;

/// Describes the cloudspace that the options name. An error leaves a record that says that nothing was begun, unless an
/// earlier attempt left another one.
pub(super) async fn import(
    settings: &Settings,
    call: &Call,
    options: &Options,
    previous: Option<ClusterInfo>,
) -> Result<ClusterInfo, CreateError> {
    let refused = |error, previous| CreateError::keeping(error, create::refused(options, previous));
    let shared = create::shared(settings, call, options, previous.as_ref()).await;
    let (mut session, wish) = match prepare(settings, call, options, previous.as_ref(), shared) {
        Ok(prepared) => prepared,
        Err(error) => return Err(refused(error, previous)),
    };
    let work = describe(&mut session, &wish);
    let described = call.run(Box::pin(work)).await.and_then(|done| done);
    let mut state = match described {
        Ok(state) => state,
        Err(error) => {
            let mut failed = refused(error, previous);
            if let Some(info) = &mut failed.info {
                session.hand_on(info);
            }
            return Err(failed);
        }
    };
    // Rancher sends the whole of its form with every call: this is what it says as long as nobody changes it.
    state.extra.said = Some(said::by(options));
    options.name().clone_into(&mut state.cluster_id);
    state.extra.nodes_ready = NodesReady::parse(options.string_or_default(o::NODES_READY));
    session.keep_token(&mut state);
    let mut info = previous.unwrap_or_default();
    state.save(&mut info).map_err(CreateError::from)?;
    call.info(format!(
        "imported cloudspace {} with {} pools",
        state.cloudspace,
        state.pools.len()
    ));
    Ok(info)
}

/// Which cloudspace is meant.
struct Wish {
    organization: String,
    cloudspace: String,
}

fn prepare(
    settings: &Settings,
    call: &Call,
    options: &Options,
    previous: Option<&ClusterInfo>,
    shared: Shared,
) -> Result<(Session, Wish), DriverError> {
    let organization = options
        .non_empty(o::ORGANIZATION)
        .map(str::to_owned)
        .or(shared.organization)
        .ok_or_else(|| DriverError::invalid(format!("{} is required", o::ORGANIZATION)))?;
    let token = options
        .secret(o::REFRESH_TOKEN)
        .or_else(|| previous.and_then(password))
        .or(shared.refresh_token);
    if token.is_none() && settings.refresh_token.is_none() {
        return Err(DriverError::invalid(format!("{} is required", o::REFRESH_TOKEN)));
    }
    let cloudspace = cloudspace_name(options.string_or_default(o::IMPORT_NAME)).ok_or_else(|| {
        DriverError::invalid(format!(
            "invalid cloudspace name: name cannot be empty; give {}",
            o::IMPORT_NAME
        ))
    })?;
    let wish = Wish {
        organization,
        cloudspace,
    };
    Ok((Session::new(settings, call, token)?, wish))
}

/// Reads the cloudspace and its pools.
async fn describe(session: &mut Session, wish: &Wish) -> Result<State, DriverError> {
    let name = &wish.cloudspace;
    session.log_in(&wish.organization).await?;
    let found = session.client.cloudspace(session.namespace(), name).await;
    let found = found.map_err(|error| session.failed(&format!("look up cloudspace {name:?}"), error))?;
    let Some(cloudspace) = found else {
        return Err(DriverError::new(
            Class::NotFound,
            format!("cloudspace {name:?} not found: use create mode to provision a new cluster"),
        ));
    };
    let known = State {
        cloudspace: name.clone(),
        ..State::default()
    };
    let pools = observe::pools(&session.client, session.namespace(), &known).await;
    let pools = pools.map_err(|error| session.failed("list its node pools", error))?;
    let mut state = from_cloudspace(&cloudspace, &pools);
    state.organization.clone_from(&wish.organization);
    Ok(state)
}

/// The state that describes what is there: every pool, in the order spot, on demand.
fn from_cloudspace(cloudspace: &CloudSpace, pools: &[LivePool]) -> State {
    let spec = &cloudspace.spec;
    State {
        cloudspace: cloudspace.metadata.name.clone(),
        imported: true,
        region: spec.region.clone(),
        version: spec.kubernetes_version.clone(),
        cni: spec.cni.clone(),
        gpu: spec.gpu_enabled,
        webhook: Some(spec.webhook.clone()).filter(|url| !url.is_empty()),
        deployment_type: spec.deployment_type.clone(),
        pools: pools
            .iter()
            .filter(|pool| !pool.deleting)
            .map(LivePool::as_pool)
            .collect(),
        extra: Extra {
            owned: Some(false),
            first_on_demand: pools.iter().any(|live| live.kind == Kind::OnDemand),
            ..Extra::default()
        },
        ..State::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Autoscaling, CloudSpaceSpec, Meta};

    fn spot(name: &str, bid: &str) -> LivePool {
        LivePool {
            name: name.to_owned(),
            class: "gp.vs1.medium-iad".to_owned(),
            count: 3,
            bid: bid.to_owned(),
            ..LivePool::default()
        }
    }

    #[test]
    fn every_field_and_every_pool_of_the_live_object_is_taken_over() {
        let cloudspace = CloudSpace {
            metadata: Meta {
                name: "mine".to_owned(),
                ..Meta::default()
            },
            spec: CloudSpaceSpec {
                region: "us-east-iad-1".to_owned(),
                kubernetes_version: "1.31.1".to_owned(),
                cni: "cilium".to_owned(),
                gpu_enabled: true,
                webhook: "https://hook.example".to_owned(),
                deployment_type: "gen2".to_owned(),
                ..CloudSpaceSpec::default()
            },
            ..CloudSpace::default()
        };
        let limits = Autoscaling {
            enabled: true,
            min_nodes: 2,
            max_nodes: 8,
        };
        let pools = [
            LivePool {
                autoscaling: limits,
                ..spot("a", "0.05")
            },
            spot("b", "0.01"),
            LivePool {
                kind: Kind::OnDemand,
                ..spot("c", "")
            },
        ];
        let state = from_cloudspace(&cloudspace, &pools);
        assert!(state.imported && state.gpu);
        assert_eq!(
            (state.cni.as_str(), state.version.as_str(), state.region.as_str()),
            ("cilium", "1.31.1", "us-east-iad-1")
        );
        assert_eq!(state.webhook.as_deref(), Some("https://hook.example"));
        assert_eq!(state.pools[0].autoscaling, limits);
        assert_eq!(state.pool_names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(state.of_kind(Kind::OnDemand).count(), 1);
    }

    #[test]
    fn one_spot_pool_is_the_primary_one_and_there_is_no_on_demand_pool() {
        let state = from_cloudspace(&CloudSpace::default(), &[spot("a", "0.05")]);
        assert!(!state.extra.first_on_demand);
        let mut info = ClusterInfo::default();
        state.save(&mut info).unwrap();
        let stored: serde_json::Value =
            serde_json::from_str(&info.metadata[kontainer_engine::wire::STATE_KEY]).unwrap();
        assert_eq!(
            (
                &stored["spotPoolName"],
                &stored["spotBidPrice"],
                &stored["onDemandEnabled"]
            ),
            (&"a".into(), &"0.05".into(), &false.into())
        );
        for empty in [
            "additionalSpotPools",
            "onDemandPoolName",
            "onDemandServerClass",
            "onDemandNodeCount",
        ] {
            assert!(stored.get(empty).is_none(), "{empty}");
        }
    }

    #[test]
    fn a_cloudspace_without_pools_has_none_afterwards() {
        let state = from_cloudspace(&CloudSpace::default(), &[]);
        assert!(state.pools.is_empty());
        let mut info = ClusterInfo::default();
        state.save(&mut info).unwrap();
        assert!(State::of(&info).unwrap().unwrap().pools.is_empty());
    }
}
