use std::time::Duration;

use cloud_sim::{Action, Fault};

use super::*;
use crate::settings::{DeleteAnswer, OrgNext, RevokedAnswer};
use crate::{FREDERICK_TOKEN, REVOKED_TOKEN};

#[tokio::test(start_paused = true)]
async fn a_login_gives_the_documented_answer() {
    let sim = start(Settings::default());
    let answer = login(&sim, ACME_TOKEN).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["token_type"], "Bearer");
    assert_eq!(answer.json["expires_in"], 86_400);
    assert_eq!(answer.json.get("refresh_token"), None);
    let claims = answer.json["id_token"]
        .as_str()
        .unwrap()
        .split('.')
        .nth(1)
        .unwrap()
        .to_owned();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["iss"], "https://login.spot.sim/");
    assert_eq!(claims["org_id"], "org_Acme0001");
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        86_400
    );
}

#[tokio::test(start_paused = true)]
async fn bad_logins_are_told_so() {
    let sim = start(Settings::default());
    for token in [REVOKED_TOKEN, "unknown"] {
        let refused = login(&sim, token).await;
        assert_eq!(refused.status, 401);
        assert_eq!(
            refused.json,
            json!({"error": "access_denied", "error_description": "Unauthorized"})
        );
    }
    sim.set(|settings| settings.revoked_answer = RevokedAnswer::InvalidGrant);
    let refused = login(&sim, REVOKED_TOKEN).await;
    assert_eq!((refused.status, &refused.json["error"]), (403, &json!("invalid_grant")));
    let request = Request::post("https://login.spot.sim/oauth/token").header("content-type", "application/json");
    let refused = answer(
        sim.network()
            .send(request.body(Body::from("{}")).unwrap())
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (refused.status, &refused.json["error"]),
        (400, &json!("invalid_request"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_rotated_refresh_token_replaces_the_old_one() {
    let sim = start(Settings {
        rotate_refresh_tokens: true,
        ..Settings::default()
    });
    let new = login(&sim, ACME_TOKEN).await.json["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(login(&sim, ACME_TOKEN).await.status, 401);
    assert_eq!(login(&sim, &new).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn only_a_valid_id_token_of_the_organization_gets_in() {
    let mut client = Client::new(Settings {
        id_token_ttl: Duration::from_mins(1),
        ..Settings::default()
    })
    .await;
    assert_eq!(client.get("cloudspaces").await.status, 200);
    client.wait(61).await;
    let refused = client.get("cloudspaces").await;
    let unauthorized = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
        "reason": "Unauthorized", "code": 401,
    });
    assert_eq!((refused.status, refused.json), (401, unauthorized));
    let answer = login(&client.sim, ACME_TOKEN).await;
    client.token = answer.json["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        client.get("cloudspaces").await.status,
        401,
        "an access token is no id token"
    );
    let answer = login(&client.sim, FREDERICK_TOKEN).await;
    client.token = answer.json["id_token"].as_str().unwrap().to_owned();
    let refused = client.get("cloudspaces/x").await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.json["message"],
        "cloudspaces.ngpc.rxt.io \"x\" is forbidden: User \"owner@frederick.example\" cannot get resource \"cloudspaces\" in \
         API group \"ngpc.rxt.io\" in the namespace \"org-acme0001\""
    );
}

#[tokio::test(start_paused = true)]
async fn organizations_come_in_pages() {
    let client = Client::new(Settings {
        org_page_size: 1,
        ..Settings::default()
    })
    .await;
    for next in [OrgNext::Token, OrgNext::Url] {
        client.sim.set(|settings| settings.org_next = next);
        let base = "https://spot.sim/apis/auth.ngpc.rxt.io/v1/organizations";
        let (mut url, mut names) = (base.to_owned(), Vec::new());
        loop {
            let page = client.send("GET", &url, "", String::new()).await.json;
            assert_eq!((&page["length"], &page["total"]), (&json!(1), &json!(3)));
            names.push(page["organizations"][0]["name"].as_str().unwrap().to_owned());
            url = match page["next"].as_str().unwrap() {
                "" => break,
                next if next.starts_with('/') => format!("https://spot.sim{next}"),
                next => format!("{base}?start={next}"),
            };
        }
        assert_eq!(names, ["acme", "frederick.", "penniless"]);
    }
}

#[tokio::test(start_paused = true)]
async fn objects_are_created_read_changed_and_deleted() {
    let client = Client::new(Settings::default()).await;
    let created = client.create_cloudspace("one").await;
    assert_eq!(created.status, 201);
    assert_eq!(created.json["spec"]["deploymentType"], "gen2");
    let version = created.json["metadata"]["resourceVersion"].clone();
    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"HAControlPlane": true}});
    let refused = client.call("PATCH", "cloudspaces/one", stale).await;
    assert_eq!((refused.status, &refused.json["reason"]), (409, &json!("Conflict")));
    assert_eq!(
        refused.json["message"],
        "Operation cannot be fulfilled on cloudspaces.ngpc.rxt.io \"one\": the object has been modified; please apply your \
         changes to the latest version and try again"
    );
    let changed = client
        .call("PATCH", "cloudspaces/one", json!({"spec": {"HAControlPlane": true}}))
        .await;
    assert_eq!(
        (changed.status, &changed.json["metadata"]["generation"]),
        (200, &json!(2))
    );
    assert_ne!(changed.json["metadata"]["resourceVersion"], version);

    let mut whole = client.get("cloudspaces/one").await.json;
    whole["spec"]["webhook"] = "http://127.0.0.1:9/".into();
    let put = client.call("PUT", "cloudspaces/one", whole.clone()).await;
    assert_eq!(
        (put.status, &put.json["spec"]["webhook"]),
        (200, &json!("http://127.0.0.1:9/"))
    );
    assert_eq!(
        client.call("PUT", "cloudspaces/one", whole).await.status,
        409,
        "the version is used up"
    );

    let steps = json!([{"op": "test", "path": "/spec/HAControlPlane", "value": true},
        {"op": "replace", "path": "/spec/HAControlPlane", "value": false}]);
    let url = format!("{}/cloudspaces/one", objects());
    let patched = client
        .send("PATCH", &url, "application/json-patch+json", steps.to_string())
        .await;
    assert_eq!(
        (patched.status, &patched.json["spec"]["HAControlPlane"]),
        (200, &json!(false))
    );
    assert_eq!(
        client
            .send("PATCH", &url, "application/json-patch+json", steps.to_string())
            .await
            .status,
        422
    );
    assert_eq!(
        client.send("PATCH", &url, "application/json", "{}".into()).await.status,
        415
    );
    assert_eq!(
        client
            .send("PATCH", &url, "application/merge-patch+json", "{".into())
            .await
            .status,
        400
    );

    let wrong = json!({"preconditions": {"uid": "other"}});
    assert_eq!(client.call("DELETE", "cloudspaces/one", wrong).await.status, 409);
    let deleted = client.call("DELETE", "cloudspaces/one", Value::Null).await;
    assert_eq!((deleted.status, &deleted.json["status"]), (200, &json!("Success")));
    assert_eq!(client.get("cloudspaces/one").await.json["status"]["phase"], "Deleting");
    client.wait(60).await;
    let gone = client.get("cloudspaces/one").await;
    let not_found = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "cloudspaces.ngpc.rxt.io \"one\" not found", "reason": "NotFound",
        "details": {"name": "one", "group": "ngpc.rxt.io", "kind": "cloudspaces"}, "code": 404,
    });
    assert_eq!((gone.status, gone.json), (404, not_found));
    assert_eq!(client.call("DELETE", "cloudspaces/one", Value::Null).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_can_be_answered_in_three_ways() {
    let client = Client::new(Settings::default()).await;
    for (answer, status, field) in [
        (DeleteAnswer::Status, 200, "/details/uid"),
        (DeleteAnswer::Object, 200, "/metadata/deletionTimestamp"),
        (DeleteAnswer::Empty, 202, ""),
    ] {
        client.sim.set(|settings| settings.delete_answer = answer);
        let name = format!("{answer:?}").to_lowercase();
        client.create_cloudspace(&name).await;
        let deleted = client.call("DELETE", &format!("cloudspaces/{name}"), Value::Null).await;
        assert_eq!(deleted.status, status);
        assert!(
            deleted.json.pointer(field).is_some() && deleted.text.is_empty() == field.is_empty(),
            "{deleted:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_and_by_label() {
    let client = Client::new(Settings {
        list_page_size: Some(2),
        ..Settings::default()
    })
    .await;
    client.create_cloudspace("one").await;
    client.create_cloudspace("two").await;
    for (i, space) in ["one", "one", "one", "one", "two"].iter().enumerate() {
        let name = format!("00000000-0000-4000-8000-00000000000{i}");
        assert_eq!(client.create_pool(&name, space, 1).await.status, 201);
    }
    let (mut found, mut pages, mut token) = (0, 0, String::new());
    loop {
        let path = format!("spotnodepools?labelSelector=ngpc.rxt.io/cloudspace%3Done&continue={token}");
        let page = client.get(&path).await.json;
        assert_eq!(page["kind"], "SpotNodePoolList");
        found += page["items"].as_array().unwrap().len();
        pages += 1;
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!((found, pages), (4, 2));
    client.sim.set(|settings| {
        settings.auto_label = false;
        settings.list_page_size = None;
    });
    client
        .create_pool("00000000-0000-4000-8000-000000000009", "one", 1)
        .await;
    let count = async |selector: &str| {
        let list = client
            .get(&format!("spotnodepools?labelSelector={selector}"))
            .await
            .json;
        list["items"].as_array().unwrap().len()
    };
    assert_eq!(
        count("ngpc.rxt.io/cloudspace=one").await,
        4,
        "without the label it is not found"
    );
    assert_eq!(count("").await, 6);
    assert_eq!(count("!ngpc.rxt.io/cloudspace").await, 1);
    assert_eq!(count("ngpc.rxt.io/cloudspace!=one").await, 2);
    assert_eq!(client.get("spotnodepools?labelSelector=a%20in%20(b)").await.status, 400);
    assert_eq!(client.get("spotnodepools?continue=%21").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn what_was_just_created_may_not_be_readable_yet() {
    let client = Client::new(Settings {
        read_lag: Duration::from_secs(3),
        ..Settings::default()
    })
    .await;
    assert_eq!(client.create_cloudspace("one").await.status, 201);
    assert_eq!(client.get("cloudspaces/one").await.status, 404);
    assert_eq!(client.get("cloudspaces").await.json["items"], json!([]));
    assert_eq!(
        client.create_cloudspace("one").await.status,
        409,
        "it is there all the same"
    );
    client.wait(3).await;
    assert_eq!(client.get("cloudspaces/one").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_deletion_of_a_whole_collection_really_deletes_it() {
    let client = Client::new(Settings::default()).await;
    client.create_cloudspace("one").await;
    client.create_cloudspace("two").await;
    assert_eq!(client.call("DELETE", "cloudspaces", Value::Null).await.status, 200);
    client.wait(60).await;
    assert_eq!(client.get("cloudspaces").await.json["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn regions_classes_and_prices_can_be_read() {
    let client = Client::new(Settings::default()).await;
    let api = "https://spot.sim/apis/ngpc.rxt.io/v1";
    let get = async |url: String| client.send("GET", &url, "", String::new()).await;
    assert_eq!(
        get(format!("{api}/regions")).await.json["items"]
            .as_array()
            .unwrap()
            .len(),
        8
    );
    assert_eq!(get(format!("{api}/regions/mars")).await.status, 404);
    assert_eq!(get(format!("{api}/planets")).await.status, 404);
    let class = get(format!("{api}/serverclasses/gp.vs1.medium-iad")).await.json;
    assert_eq!(class["spec"]["minBidPricePerHour"], "0.01");
    assert_eq!(class["status"]["spotPricing"]["marketPricePerHour"], "0.001000");
    let prices = "https://prices.spot.sim";
    let class = "/regions/us-east-iad-1/serverclasses/gp.vs1.medium-iad/market_price";
    assert_eq!(
        get(format!("{prices}/percentiles.json")).await.json.pointer(class),
        Some(&json!("0.001000"))
    );
    client.sim.set_market("*", "0.25");
    client.wait(7200).await;
    let history = get(format!("{prices}/history/gp.vs1.medium-iad")).await.json;
    assert_eq!(history["history"].as_array().unwrap().len(), 3);
    assert_eq!(history["history"][2]["hammer_price"], 0.25);
    assert_eq!(get(format!("{prices}/history/none")).await.status, 400);
    assert_eq!(get(format!("{prices}/comparable_prices.json")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_shows_the_world_before_the_last_write() {
    let client = Client::new(Settings::default()).await;
    client.create_cloudspace("one").await;
    client.call("DELETE", "cloudspaces/one", Value::Null).await;
    client
        .sim
        .front()
        .inject(Fault::new(Action::Stale).on("GET", "cloudspaces/one$"))
        .unwrap();
    assert_eq!(
        client.get("cloudspaces/one").await.json["metadata"].get("deletionTimestamp"),
        None
    );
    assert!(
        client.get("cloudspaces/one").await.json["metadata"]
            .get("deletionTimestamp")
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn the_request_log_never_holds_a_token() {
    let client = Client::new(Settings::default()).await;
    client.create_cloudspace("one").await;
    let log = serde_json::to_string(&client.sim.front().requests()).unwrap();
    assert!(log.contains("/oauth/token"));
    cloud_sim::secrets::assert_absent(&log, &[ACME_TOKEN, &client.token]);
}
