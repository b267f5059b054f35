use super::*;
use crate::Kind;

#[tokio::test(start_paused = true)]
async fn a_network_is_busy_while_a_block_moves_and_holds_ten_blocks() {
    let client = Client::new(Settings::default()).await;
    let network = client.network().await;
    let path = format!("/networks/v1/public-networks/{network}");
    for _ in 0..10 {
        let block = client.block().await;
        assert_eq!(client.assign(&network, &block).await.status, 202);
    }
    assert_eq!(client.get(&path).await.json["status"], "BUSY");
    let eleventh = client.block().await;
    assert_eq!(client.assign(&network, &eleventh).await.status, 400);
    let v6 = json!({"location": "ASH", "cidrBlockSize": "/64", "ipVersion": "V6"});
    let v6 = client.call("POST", "/ips/v1/ip-blocks", v6).await.json;
    assert_eq!(client.assign(&network, v6["id"].as_str().unwrap()).await.status, 202);
    seconds(10).await;
    let read = client.get(&path).await.json;
    assert_eq!(
        (read["status"].as_str(), read["ipBlocks"].as_array().unwrap().len()),
        (Some("READY"), 11)
    );
}

#[tokio::test(start_paused = true)]
async fn blocks_and_networks_must_be_in_one_place() {
    let client = Client::new(Settings::default()).await;
    let network = client.network().await;
    let body = json!({"location": "PHX", "cidrBlockSize": "/29"});
    let block = client.call("POST", "/ips/v1/ip-blocks", body).await.json;
    assert_eq!(client.assign(&network, block["id"].as_str().unwrap()).await.status, 400);
    assert_eq!(client.assign(&network, "none").await.status, 403);
    assert_eq!(client.assign("none", block["id"].as_str().unwrap()).await.status, 403);
}

#[tokio::test(start_paused = true)]
async fn a_block_in_use_by_a_member_stays_unless_forced() {
    let client = Client::new(Settings::default()).await;
    let (block, network) = (client.block().await, client.network().await);
    client.assign(&network, &block).await;
    seconds(10).await;
    let server = client.sim.add(Kind::Server, json!({"hostname": "node-1"})).unwrap();
    let path = format!("/bmc/v1/servers/{server}/network-configuration/public-network-configuration/public-networks");
    let joined = client.call("POST", &path, json!({"id": network})).await;
    assert_eq!((joined.status, &joined.json["ips"]), (202, &json!(["203.0.113.2"])));
    let read = client
        .get(&format!("/networks/v1/public-networks/{network}"))
        .await
        .json;
    assert_eq!(read["ipBlocks"][0]["usedIpsCount"], "1");
    assert_eq!(read["memberships"][0]["ips"], json!(["203.0.113.2"]));
    let told = client.get(&format!("/bmc/v1/servers/{server}")).await.json;
    assert_eq!(told["publicIpAddresses"], json!(["203.0.113.2"]));

    let taken = json!({"ips": ["203.0.113.99"]});
    assert_eq!(
        client.call("PATCH", &format!("{path}/{network}"), taken).await.status,
        400
    );
    let changed = client
        .call("PATCH", &format!("{path}/{network}"), json!({"ips": ["203.0.113.3"]}))
        .await;
    assert_eq!(changed.json["ips"], json!(["203.0.113.3"]));

    assert_eq!(client.unassign(&network, &block).await.status, 409);
    let by_force = format!("/networks/v1/public-networks/{network}/ip-blocks/{block}?force=true");
    assert_eq!(client.call("DELETE", &by_force, Value::Null).await.status, 202);
    let here = format!("/networks/v1/public-networks/{network}");
    assert_eq!(client.call("DELETE", &here, Value::Null).await.status, 409);
    assert_eq!(
        client
            .call("DELETE", &format!("{path}/{network}"), Value::Null)
            .await
            .status,
        202
    );
    assert_eq!(client.call("DELETE", &here, Value::Null).await.status, 204);
    assert_eq!(client.block_status(&block).await, "unassigned");
}

#[tokio::test(start_paused = true)]
async fn private_networks_have_one_default_for_each_location() {
    let client = Client::new(Settings::default()).await;
    let body = |name: &str| json!({"name": name, "location": "ASH", "cidr": "10.9.0.0/24", "locationDefault": true});
    let first = client
        .call("POST", "/networks/v1/private-networks", body("first"))
        .await;
    let second = client
        .call("POST", "/networks/v1/private-networks", body("second"))
        .await;
    assert_eq!((first.status, second.status), (201, 201));
    let defaults: Vec<bool> = client
        .get("/networks/v1/private-networks?location=ASH")
        .await
        .json
        .as_array()
        .unwrap()
        .iter()
        .map(|network| network["locationDefault"].as_bool().unwrap())
        .collect();
    assert_eq!(defaults.iter().filter(|default| **default).count(), 1);
    assert_eq!(
        client.get("/networks/v1/private-networks?location=PHX").await.json,
        json!([])
    );
    let path = format!("/networks/v1/private-networks/{}", first.json["id"].as_str().unwrap());
    let renamed = client
        .call("PUT", &path, json!({"name": "third", "locationDefault": false}))
        .await;
    assert_eq!(renamed.json["name"], "third");
    assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 204);
}
