use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::{Kind, OTHER_CLIENT_ID, OTHER_CLIENT_SECRET};

const FORM: &str = "grant_type=client_credentials&client_id=acme-client&client_secret=acme-s3cret-0f-the-simulation";

#[tokio::test(start_paused = true)]
async fn credentials_are_taken_from_the_header_and_from_the_form() {
    let sim = start(Settings::default());
    let given = log_in(&sim, FORM).await;
    assert_eq!((given.status, &given.json["expires_in"]), (200, &json!(300)));
    assert_eq!(given.json["scope"], "bmc bmc.read tags tags.read");
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    let request = Request::post(format!("https://phoenixnap.sim{TOKEN_PATH}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Basic {basic}"))
        .body(Body::from("grant_type=client_credentials&scope=bmc.read"));
    let given = answer(sim.network().send(request.unwrap()).await.unwrap()).await;
    assert_eq!((given.status, &given.json["scope"]), (200, &json!("bmc.read")));
}

#[tokio::test(start_paused = true)]
async fn wrong_logins_are_refused_in_the_words_of_the_standard() {
    let sim = start(Settings::default());
    for (form, status, error) in [
        ("client_id=acme-client", 400, "invalid_request"),
        ("grant_type=password", 400, "unsupported_grant_type"),
        (
            "grant_type=client_credentials&client_id=acme-client&client_secret=no",
            401,
            "invalid_client",
        ),
        (&format!("{FORM}&scope=bmc+admin"), 400, "invalid_scope"),
    ] {
        let given = log_in(&sim, form).await;
        assert_eq!(
            (given.status, given.json["error"].as_str().unwrap()),
            (status, error),
            "{form}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_its_time_and_its_scopes() {
    let mut client = Client::new(Settings::default()).await;
    assert_eq!(client.get("/bmc/v1/servers").await.status, 200);
    seconds(300).await;
    let late = client.get("/bmc/v1/servers").await;
    assert_eq!((late.status, late.json), (401, json!({"message": "Token not valid."})));

    let reader = log_in(&client.sim, &format!("{FORM}&scope=bmc.read")).await;
    client.token = reader.json["access_token"].as_str().unwrap().to_owned();
    assert_eq!(client.get("/ips/v1/ip-blocks").await.status, 200);
    assert_eq!(client.get("/tag-manager/v1/tags").await.status, 403);
    let body = json!({"location": "ASH", "cidrBlockSize": "/29"});
    assert_eq!(client.call("POST", "/ips/v1/ip-blocks", body).await.status, 403);
}

#[tokio::test(start_paused = true)]
async fn revoked_clients_are_401_and_those_without_rights_403_everywhere() {
    let client = Client::new(Settings::default()).await;
    client
        .sim
        .change(Kind::Client, CLIENT_ID, &json!({"forbidden": true}))
        .unwrap();
    assert_eq!(client.get("/bmc/v1/servers").await.status, 403);
    assert_eq!(log_in(&client.sim, FORM).await.status, 200);
    client
        .sim
        .change(Kind::Client, CLIENT_ID, &json!({"forbidden": false, "revoked": true}))
        .unwrap();
    assert_eq!(client.get("/bmc/v1/servers").await.status, 401);
    assert_eq!(log_in(&client.sim, FORM).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn what_is_of_another_account_is_as_if_it_were_not_there() {
    let mut client = Client::new(Settings::default()).await;
    let block = client.block().await;
    client.token = token(&client.sim, OTHER_CLIENT_ID, OTHER_CLIENT_SECRET).await;
    assert_eq!(client.get("/ips/v1/ip-blocks").await.json, json!([]));
    for path in [
        format!("/ips/v1/ip-blocks/{block}"),
        "/ips/v1/ip-blocks/none".to_owned(),
    ] {
        let read = client.get(&path).await;
        assert_eq!(read.status, 403);
        assert!(read.json["message"].is_string());
    }
    client.sim.set(|settings| settings.missing_code = 404);
    assert_eq!(client.get(&format!("/ips/v1/ip-blocks/{block}")).await.status, 404);
}
