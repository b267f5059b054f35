use axum::BoxError;
use cloud_sim::Network;
use cloud_sim::crash::{Scenario, every_cut};

use super::*;

/// A client that makes a cloudspace with a pool, by names it knows beforehand or by one it makes up.
struct Creating {
    named: bool,
}

struct World {
    sim: SpotSim,
    network: Network,
}

impl Creating {
    async fn create(&self, sim: &SpotSim) -> Result<(), BoxError> {
        let form = format!("grant_type=refresh_token&client_id={CLIENT_ID}&refresh_token={ACME_TOKEN}");
        let request = Request::post("https://login.spot.sim/oauth/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form))?;
        let token = answer(sim.network().send(request).await?).await.json["id_token"].clone();
        let cloudspace = json!({
            "apiVersion": "ngpc.rxt.io/v1", "kind": "CloudSpace", "metadata": {"name": "c"},
            "spec": {"region": "us-east-iad-1", "kubernetesVersion": "1.33.0"},
        });
        let mut pool = json!({
            "apiVersion": "ngpc.rxt.io/v1", "kind": "OnDemandNodePool", "metadata": {},
            "spec": {"serverClass": "gp.vs1.medium-iad", "desired": 1, "cloudSpace": "c"},
        });
        if self.named {
            pool["metadata"]["name"] = POOL.into();
        }
        for (plural, body) in [("cloudspaces", cloudspace), ("ondemandnodepools", pool)] {
            let request = Request::post(format!("{}/{plural}", objects()))
                .header(
                    "authorization",
                    format!("Bearer {}", token.as_str().unwrap_or_default()),
                )
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))?;
            let answer = answer(sim.network().send(request).await?).await;
            if answer.status != 201 && answer.status != 409 {
                return Err(answer.text.into());
            }
        }
        Ok(())
    }
}

impl Scenario for Creating {
    type World = World;

    async fn setup(&self) -> World {
        let sim = start(Settings::default());
        World {
            network: sim.network(),
            sim,
        }
    }

    fn network<'a>(&self, world: &'a World) -> &'a Network {
        &world.network
    }

    async fn run(&self, world: &World) -> Result<(), BoxError> {
        self.create(&world.sim).await
    }

    async fn recover(&self, world: &World) -> Result<(), BoxError> {
        self.create(&world.sim).await
    }

    async fn end_state(&self, world: &World) -> Value {
        json!([
            world.sim.objects("cloudspaces").len(),
            world.sim.objects("ondemandnodepools").len()
        ])
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_knows_its_names_survives_every_cut() {
    let report = every_cut(&Creating { named: true }).await.unwrap();
    assert_eq!(report.points, 6);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_names_to_the_server_is_caught_leaking_a_pool() {
    let error = every_cut(&Creating { named: false }).await.unwrap_err().to_string();
    assert!(error.starts_with("cut after request 3, POST spot.sim/apis/"), "{error}");
    assert!(error.ends_with("/1: should be 1, is 2"), "{error}");
}
