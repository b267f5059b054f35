use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::post;
use http::Request;
use serde_json::json;

use super::*;

struct World {
    network: Network,
    things: Arc<Mutex<Vec<String>>>,
}

/// Makes two things; careful ones have a name, so that making them again is seen.
struct Making {
    careful: bool,
}

impl Scenario for Making {
    type World = World;

    async fn setup(&self) -> World {
        let things = Arc::new(Mutex::new(Vec::new()));
        let made = things.clone();
        let careful = self.careful;
        let make = move |Path(name): Path<String>| async move {
            let mut things = made.lock().unwrap();
            if careful && things.contains(&name) {
                return http::StatusCode::CONFLICT;
            }
            things.push(name);
            http::StatusCode::CREATED
        };
        let network = Network::new();
        network.host("cloud.sim", Router::new().route("/{name}", post(make)));
        // What happened before the operation is not the operation.
        network
            .send(Request::get("http://cloud.sim/before").body(Body::empty()).unwrap())
            .await
            .unwrap();
        World { network, things }
    }

    fn network<'a>(&self, world: &'a World) -> &'a Network {
        &world.network
    }

    async fn run(&self, world: &World) -> Result<(), BoxError> {
        for name in ["a", "b"] {
            world
                .network
                .send(Request::post(format!("http://cloud.sim/{name}")).body(Body::empty())?)
                .await?;
        }
        Ok(())
    }

    async fn recover(&self, world: &World) -> Result<(), BoxError> {
        self.run(world).await
    }

    async fn end_state(&self, world: &World) -> Value {
        json!(*world.things.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_can_be_repeated_survives_every_cut() {
    let report = every_cut(&Making { careful: true }).await.unwrap();
    assert_eq!(report.points, 4);
    let paths: BTreeSet<_> = report.requests.iter().map(|r| r.path.as_str()).collect();
    assert_eq!(paths, ["/a", "/b"].into());
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_leaks_is_caught_and_the_crash_point_named() {
    let error = every_cut(&Making { careful: false }).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cut after request 1, POST cloud.sim/a: the end state is not that of the undisturbed run:\n  \
         /: should be [\"a\",\"b\"], is [\"a\",\"a\",\"b\"]"
    );
}

#[test]
fn differences_are_told_by_their_place() {
    let expected = json!({"same": 1, "gone": true, "list": [1, {"x": 2}]});
    let found = json!({"same": 1, "new": null, "list": [1, {"x": 3}]});
    assert_eq!(
        differences(&expected, &found),
        [
            "  /gone: missing, should be true",
            "  /list/1/x: should be 2, is 3",
            "  /new: should not be there, is null"
        ]
    );
}
