use super::*;
use crate::Kind;

fn body(hostname: &str) -> Value {
    json!({"hostname": hostname, "os": "ubuntu/noble", "type": "s1.c1.small", "location": "ASH"})
}

#[tokio::test(start_paused = true)]
async fn a_server_is_created_switched_reset_and_deleted() {
    let client = Client::new(Settings::default()).await;
    let made = client.call("POST", "/bmc/v1/servers", body("node-1")).await;
    assert_eq!((made.status, made.json["status"].as_str()), (200, Some("creating")));
    assert!(made.json["password"].is_string());
    assert_eq!(made.json["publicIpAddresses"].as_array().unwrap().len(), 1);
    assert_eq!(made.json["privateIpAddresses"], json!(["10.0.0.2"]));
    let id = made.json["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 24);
    let path = format!("/bmc/v1/servers/{id}");
    let status = async || {
        client.get(&path).await.json["status"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let act = async |action: &str| {
        client
            .call("POST", &format!("{path}/actions/{action}"), Value::Null)
            .await
            .status
    };
    assert_eq!(act("power-off").await, 409);
    seconds(120).await;
    assert_eq!(status().await, "powered-on");
    assert!(client.get(&path).await.json.get("password").is_none());
    assert_eq!(act("power-on").await, 409);
    assert_eq!(act("shutdown").await, 200);
    assert_eq!(status().await, "powered-off");
    assert_eq!(act("power-on").await, 200);
    for (action, meanwhile) in [("reboot", "rebooting"), ("reset", "resetting")] {
        assert_eq!(act(action).await, 200);
        assert_eq!(status().await, meanwhile);
        seconds(20).await;
        assert_eq!(status().await, "powered-on");
    }
    assert_eq!(act("fly").await, 404);
    let renamed = client.call("PATCH", &path, json!({"hostname": "node-2"})).await;
    assert_eq!(renamed.json["hostname"], "node-2");
    let deleted = client.call("DELETE", &path, Value::Null).await;
    assert_eq!(deleted.json["serverId"], id.as_str());
    assert_eq!(status().await, "deleting");
    seconds(20).await;
    assert_eq!(client.get(&path).await.status, 403);
    assert!(client.sim.objects(Kind::Block).is_empty(), "its block went with it");
}

#[tokio::test(start_paused = true)]
async fn a_reserved_server_stays_and_its_block_with_it() {
    let client = Client::new(Settings::default()).await;
    let mut reserved = body("node-1");
    reserved["pricingModel"] = json!("ONE_MONTH_RESERVATION");
    let made = client.call("POST", "/bmc/v1/servers", reserved).await;
    let path = format!("/bmc/v1/servers/{}", made.json["id"].as_str().unwrap());
    seconds(120).await;
    let gone = client
        .call(
            "POST",
            &format!("{path}/actions/deprovision"),
            json!({"deleteIpBlocks": false}),
        )
        .await;
    assert_eq!(gone.status, 202);
    assert!(gone.json.is_string());
    seconds(20).await;
    let read = client.get(&path).await.json;
    assert_eq!(
        (read["status"].as_str(), &read["privateIpAddresses"]),
        (Some("reserved"), &json!([]))
    );
    assert_eq!(client.sim.objects(Kind::Block).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn servers_may_have_one_network_only_or_none() {
    let client = Client::new(Settings::default()).await;
    for (kind, public, private) in [("PUBLIC_ONLY", 1, 0), ("PRIVATE_ONLY", 0, 1), ("NONE", 0, 0)] {
        let mut wanted = body("node-1");
        wanted["networkType"] = json!(kind);
        let made = client.call("POST", "/bmc/v1/servers", wanted).await.json;
        let count = |name: &str| made[name].as_array().unwrap().len();
        assert_eq!(
            (count("publicIpAddresses"), count("privateIpAddresses")),
            (public, private),
            "{kind}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn several_servers_may_have_one_name_and_lists_are_filtered() {
    let client = Client::new(Settings::default()).await;
    client.tags(&["role"]).await;
    for role in ["a", "b"] {
        let mut wanted = body("same");
        wanted["tags"] = json!([{"name": "role", "value": role}]);
        assert_eq!(client.call("POST", "/bmc/v1/servers", wanted).await.status, 200);
    }
    assert_eq!(client.get("/bmc/v1/servers").await.json.as_array().unwrap().len(), 2);
    assert_eq!(
        client
            .get("/bmc/v1/servers?tag=role.b")
            .await
            .json
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn the_stock_ends() {
    let settings = Settings {
        stock: 1,
        ..Settings::default()
    };
    let client = Client::new(settings).await;
    assert_eq!(client.get("/bmc/v1/quotas").await.json[0]["status"], "WITHIN_LIMIT");
    assert_eq!(client.call("POST", "/bmc/v1/servers", body("a")).await.status, 200);
    assert_eq!(client.call("POST", "/bmc/v1/servers", body("b")).await.status, 406);
    let stock = client
        .get("/billing/v1/product-availability?productCode=s1.c1.small&location=ASH")
        .await
        .json;
    assert_eq!(stock[0]["locationAvailabilityDetails"][0]["availableQuantity"], 0);
    assert_eq!(
        client
            .get("/billing/v1/products?productCategory=SERVER")
            .await
            .json
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert_eq!(
        client
            .get("/location-api/v1/locations")
            .await
            .json
            .as_array()
            .unwrap()
            .len(),
        7
    );
}

#[tokio::test(start_paused = true)]
async fn names_that_no_server_may_have_are_refused() {
    let client = Client::new(Settings::default()).await;
    for hostname in ["", "a b", "123", "a_b", &"a".repeat(101)] {
        assert_eq!(
            client.call("POST", "/bmc/v1/servers", body(hostname)).await.status,
            400,
            "{hostname}"
        );
    }
}
