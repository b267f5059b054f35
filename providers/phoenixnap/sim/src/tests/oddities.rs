use super::*;
use crate::Kind;

#[tokio::test(start_paused = true)]
async fn answers_can_be_odd_in_every_way_that_was_seen() {
    let settings = Settings {
        shouting: true,
        extra_fields: true,
        null_lists: true,
        omitted: vec!["publicIpAddresses".to_owned()],
        ..Settings::default()
    };
    let client = Client::new(settings).await;
    assert_eq!(client.get("/bmc/v1/servers").await.json, Value::Null);
    let id = client
        .sim
        .add(Kind::Server, json!({"hostname": "a", "public_ips": ["203.0.113.9"]}))
        .unwrap();
    let read = client.get(&format!("/bmc/v1/servers/{id}")).await.json;
    assert_eq!(read["status"], "POWERED-ON");
    assert_eq!(read["tags"], Value::Null);
    assert!(read["addedLater"].is_object());
    assert_eq!(read.get("publicIpAddresses"), None);
}

#[tokio::test(start_paused = true)]
async fn a_new_block_can_be_late_in_lists() {
    let settings = Settings {
        list_lag: Duration::from_secs(5),
        ..Settings::default()
    };
    let client = Client::new(settings).await;
    let block = client.block().await;
    assert_eq!(client.get("/ips/v1/ip-blocks").await.json, json!([]));
    assert_eq!(client.block_status(&block).await, "unassigned");
    seconds(5).await;
    assert_eq!(client.get("/ips/v1/ip-blocks").await.json.as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_asked_for_in_the_right_way_is_refused() {
    let client = Client::new(Settings::default()).await;
    assert_eq!(client.get("/bmc/v2/servers").await.status, 404);
    assert_eq!(client.call("PATCH", "/ips/v1/ip-blocks", json!({})).await.status, 405);
    let request = Request::post("https://phoenixnap.sim/ips/v1/ip-blocks")
        .header("authorization", format!("Bearer {}", client.token))
        .body(Body::from(r#"{"location": "ASH", "cidrBlockSize": "/29"}"#));
    assert_eq!(
        answer(client.sim.network().send(request.unwrap()).await.unwrap())
            .await
            .status,
        415
    );
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_shows_what_was_before_the_last_write() {
    let client = Client::new(Settings::default()).await;
    let block = client.block().await;
    client.block().await;
    let stale = cloud_sim::Fault::new(cloud_sim::Action::Stale).on("GET", "ip-blocks");
    client.sim.front().inject(stale).unwrap();
    let listed = client.get("/ips/v1/ip-blocks").await.json;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], block.as_str());
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_give_the_same_state() {
    let tell = async || {
        let client = Client::new(Settings::default()).await;
        let (block, network) = (client.block().await, client.network().await);
        client.assign(&network, &block).await;
        seconds(4).await;
        client.sim.state()
    };
    assert_eq!(tell().await, tell().await);
}
