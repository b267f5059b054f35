//! Whether a cluster's API server answers to our credentials, and whether it has nodes.

use kit::lenient::nullable;
use kit::{Class, go_duration};
use kontainer_engine::DriverError;
use kube::api::ListParams;
use serde::Deserialize;

use super::access;
use super::kubeconfig::Access;
use super::observe::{LivePool, total};
use super::session::Session;
use super::state::{NodesReady, State};
use super::wait::{self, explain_bids};

/// A node, as far as it matters here.
#[derive(Deserialize)]
struct Node {
    #[serde(default, deserialize_with = "nullable")]
    status: NodeStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    #[serde(deserialize_with = "nullable")]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

#[derive(Deserialize)]
struct Nodes {
    #[serde(default, deserialize_with = "nullable")]
    items: Vec<Node>,
    #[serde(default, deserialize_with = "nullable")]
    metadata: Page,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    r#continue: Option<String>,
}

impl Node {
    fn is_ready(&self) -> bool {
        self.status
            .conditions
            .iter()
            .any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }
}

fn page_request(limit: u32, next: Option<&str>) -> Result<http::Request<Vec<u8>>, kube::Error> {
    let params = ListParams {
        limit: Some(limit),
        continue_token: next.map(str::to_owned),
        ..ListParams::default()
    };
    kube::core::Request::new("/api/v1/nodes")
        .list(&params)
        .map_err(kube::Error::BuildRequest)
}

async fn page(client: &kube::Client, limit: u32, next: Option<&str>) -> Result<Nodes, kube::Error> {
    client.request(page_request(limit, next)?).await
}

/// Whether these credentials reach the server and may do what an administrator may.
pub(super) async fn may_list_nodes(session: &Session, access: &Access) -> Result<(), DriverError> {
    let client = access::client(&session.settings, access)?;
    page(&client, 1, None)
        .await
        .map(drop)
        .map_err(|error| told(session, &error))
}

fn told(session: &Session, error: &kube::Error) -> DriverError {
    let class = match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => Class::Unauthorized,
        _ => Class::Transient,
    };
    DriverError::new(
        class,
        session
            .client
            .secrets()
            .tidy(&format!("list nodes: {}", kit::chain(error))),
    )
}

/// How many nodes are ready, counted no further than `enough`.
async fn count_ready(client: &kube::Client, enough: i64) -> Result<i64, kube::Error> {
    let mut ready = 0;
    let mut next: Option<String> = None;
    loop {
        let nodes = page(client, 500, next.as_deref()).await?;
        ready += nodes.items.iter().filter(|node| node.is_ready()).count() as i64;
        let following = nodes.metadata.r#continue.filter(|text| !text.is_empty());
        if ready >= enough || following.is_none() || following == next {
            return Ok(ready);
        }
        next = following;
    }
}

/// Machines that must be there before the cluster counts as ready.
fn needed(policy: NodesReady, pools: &[LivePool]) -> i64 {
    let least = |pool: &LivePool| {
        if pool.autoscales() {
            pool.autoscaling.min_nodes.min(pool.count)
        } else {
            pool.count
        }
    };
    let all = total(pools.iter().filter(|pool| pool.ours).map(least));
    match policy {
        NodesReady::None => 0,
        NodesReady::Any => all.min(1),
        NodesReady::All => all,
    }
}

/// Waits until the cluster has as many ready nodes as its policy says. Bids that are below the market, and stay so, end the
/// wait early.
pub(super) async fn nodes(session: &Session, state: &State, access: &Access) -> Result<(), DriverError> {
    let policy = state.extra.nodes_ready;
    if policy == NodesReady::None {
        return Ok(());
    }
    let limits = &session.settings.limits;
    let limit = wait::limit(&state.extra.nodes_timeout, limits.nodes);
    let client = access::client(&session.settings, access)?;
    let begun = session.now();
    let mut waits = session.waits();
    let (mut failures, mut told_before) = (0, String::new());
    loop {
        let looked = look(session, state, &client).await;
        let waited = session.settings.clock.since(begun);
        match looked {
            Ok((pools, ready)) => {
                failures = 0;
                let needed = needed(policy, &pools);
                if ready >= needed {
                    return Ok(());
                }
                let ours: Vec<LivePool> = pools.into_iter().filter(|pool| pool.ours).collect();
                let got = total(ours.iter().map(|pool| pool.got));
                let is = format!("{ready} of {needed} nodes are ready, {got} machines are there");
                if is != told_before {
                    session.call.info(format!("cloudspace {}: {is}", state.cloudspace));
                    told_before = is;
                }
                let lost = got < needed && waited >= limits.losing_bids && wait::bids_are_lost(session, &ours).await;
                if lost || waited >= limit {
                    let why = explain_bids(session, &ours).await;
                    let why = if why.is_empty() {
                        "the machines are there but do not join".to_owned()
                    } else {
                        why
                    };
                    return Err(DriverError::transient(format!(
                        "cloudspace {} has {ready} of {needed} ready nodes after {}: {why}",
                        state.cloudspace,
                        go_duration::format(std::time::Duration::from_secs(waited.as_secs()))
                    )));
                }
            }
            Err(error) => {
                failures += 1;
                if failures > limits.poll_failures || waited >= limit {
                    return Err(error);
                }
            }
        }
        session.pause(&mut waits).await?;
    }
}

/// The pools, and how many nodes are ready; the cluster is asked only once its pools have machines.
async fn look(session: &Session, state: &State, client: &kube::Client) -> Result<(Vec<LivePool>, i64), DriverError> {
    let pools = session.pools(state).await?;
    let needed = needed(state.extra.nodes_ready, &pools);
    let got = total(pools.iter().filter(|pool| pool.ours).map(|pool| pool.got));
    let ready = if needed > 0 && got >= needed {
        count_ready(client, needed)
            .await
            .map_err(|error| told(session, &error))?
    } else {
        0
    };
    Ok((pools, ready))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continue_token_is_encoded() {
        let request = page_request(500, Some("a+b/c=&limit=1 #")).unwrap();
        assert_eq!(
            request.uri(),
            "/api/v1/nodes?&limit=500&continue=a%2Bb%2Fc%3D%26limit%3D1+%23"
        );
    }

    #[test]
    fn lists_of_nothing_are_read_however_they_are_written() {
        for text in [
            "{}",
            r#"{"items":null,"metadata":null}"#,
            r#"{"items":[{"status":null},{"status":{"conditions":null}}]}"#,
        ] {
            let nodes: Nodes = serde_json::from_str(text).unwrap();
            assert!(!nodes.items.iter().any(Node::is_ready), "{text}");
        }
    }

    #[test]
    fn counts_that_no_cloud_has_do_not_overflow() {
        let pool = LivePool {
            count: i64::MAX,
            got: i64::MAX,
            ours: true,
            ..LivePool::default()
        };
        assert_eq!(needed(NodesReady::All, &[pool.clone(), pool]), i64::MAX);
    }
}
