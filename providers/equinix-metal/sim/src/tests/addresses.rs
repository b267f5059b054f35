use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Client;
use crate::{OTHER_PROJECT_ID, PROJECT_ID, Settings};

fn one(more: &Value) -> Value {
    let mut wanted = json!({"type": "public_ipv4", "quantity": 1, "metro": "da", "fail_on_approval_required": true});
    wanted
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    wanted
}

#[tokio::test(start_paused = true)]
async fn reservations_are_checked_before_they_are_made() {
    let client = Client::new(Settings::default());
    for (more, status, expected) in [
        (json!({}), 201, ""),
        (json!({"quantity": 4}), 201, ""),
        (json!({"metro": null, "facility": "ny5"}), 201, ""),
        (json!({"type": "global_ipv4", "metro": null}), 201, ""),
        (json!({"type": "private_ipv4"}), 201, ""),
        (json!({"type": "public_ipv6"}), 201, ""),
        (
            json!({"type": "global_ipv4"}),
            422,
            "a global_ipv4 reservation has neither metro nor facility",
        ),
        (
            json!({"quantity": 3}),
            422,
            "quantity must be a power of two between 1 and 256",
        ),
        (
            json!({"quantity": 0}),
            422,
            "quantity must be a power of two between 1 and 256",
        ),
        (
            json!({"quantity": -1}),
            422,
            "quantity must be a power of two between 1 and 256",
        ),
        (json!({"type": "vrf"}), 422, "vrf is not a valid type"),
        (json!({"type": "tea"}), 422, "tea is not a valid type"),
        (json!({"metro": null}), 422, "one of metro and facility must be given"),
        (
            json!({"facility": "da11"}),
            422,
            "metro and facility cannot both be given",
        ),
        (json!({"metro": "xx"}), 422, "xx is not a valid metro"),
    ] {
        let answer = client.post_own("ips", one(&more)).await;
        assert_eq!(answer.status, status, "{more}: {}", answer.text);
        if status == 422 {
            assert_eq!(answer.json, json!({"errors": [expected]}));
        } else {
            assert_eq!(answer.json["state"], "created", "{}", answer.text);
            assert!(!answer.text_at("/address").is_empty());
        }
    }
    let by_facility = client.get_own("ips").await.json["ip_addresses"][2].clone();
    assert_eq!(by_facility["metro"]["code"], "ny");
    assert_eq!(by_facility["facility"]["code"], "ny5");
}

#[tokio::test(start_paused = true)]
async fn no_two_reservations_share_an_address_and_what_is_released_is_free_again() {
    let client = Client::new(Settings::default());
    let mut seen = BTreeSet::new();
    for quantity in [1_u32, 2, 1, 8, 1, 4, 1] {
        let made = client.post_own("ips", one(&json!({"quantity": quantity}))).await.json;
        assert_eq!(made["cidr"], 32 - quantity.ilog2());
        let first: std::net::Ipv4Addr = made["network"].as_str().unwrap().parse().unwrap();
        for n in 0..quantity {
            assert!(seen.insert(first.to_bits() + n), "{first} + {n} was given twice");
        }
    }
    let (id, address) = client.sim.reserve(&[]).unwrap();
    assert_eq!(
        client.call("DELETE", &format!("ips/{id}"), Value::Null).await.status,
        204
    );
    assert_eq!(
        client.call("DELETE", &format!("ips/{id}"), Value::Null).await.status,
        404
    );
    assert_eq!(client.sim.reserve(&[]).unwrap().1, address);
}

#[tokio::test(start_paused = true)]
async fn tags_are_kept_to_the_letter_and_can_be_changed() {
    let client = Client::new(Settings::default());
    let tags = json!([
        "usage=cloud-provider-equinix-metal-auto",
        "service=l7RnKS8k48oG3Qv3Pxx8FzEMj3X3E5c8JPOIzyLWWdY=",
        "cluster=a"
    ]);
    let made = client
        .post_own("ips", one(&json!({"tags": tags, "details": "hello"})))
        .await;
    assert_eq!((&made.json["tags"], &made.json["details"]), (&tags, &json!("hello")));
    let path = format!("ips/{}", made.text_at("/id"));
    let changed = client.call("PATCH", &path, json!({"tags": ["x"]})).await;
    assert_eq!(changed.status, 200);
    let read = client.get(&path).await.json;
    assert_eq!((&read["tags"], &read["details"]), (&json!(["x"]), &json!("hello")));
}

#[tokio::test(start_paused = true)]
async fn beyond_the_quota_a_reservation_is_refused_or_waits_for_somebody() {
    let client = Client::new(Settings::default());
    let mut state = client.sim.state();
    state["projects"][0]["quota"] = json!(2);
    client.sim.replace(state).unwrap();
    assert_eq!(client.post_own("ips", one(&json!({"quantity": 2}))).await.status, 201);
    assert_eq!(client.post_own("ips", one(&json!({}))).await.status, 422);
    let waits = async || {
        client
            .post_own("ips", one(&json!({"fail_on_approval_required": false})))
            .await
    };
    let (first, second) = (waits().await, waits().await);
    for pending in [&first, &second] {
        assert_eq!((pending.status, pending.text_at("/state").as_str()), (201, "pending"));
        assert!(pending.json["address"].is_null(), "{}", pending.text);
    }
    let (first, second) = (first.text_at("/id"), second.text_at("/id"));
    assert_eq!(
        client
            .control("POST", &format!("ips/{first}/approve"), Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        client
            .control("POST", &format!("ips/{second}/deny"), Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        client
            .control("POST", &format!("ips/{second}/approve"), Value::Null)
            .await
            .status,
        422
    );
    assert_eq!(client.get(&format!("ips/{first}")).await.text_at("/state"), "created");
    assert!(!client.get(&format!("ips/{first}")).await.text_at("/address").is_empty());
    assert_eq!(client.get(&format!("ips/{second}")).await.text_at("/state"), "denied");
    // Private addresses have no quota.
    assert_eq!(
        client
            .post_own("ips", one(&json!({"type": "private_ipv4"})))
            .await
            .status,
        201
    );
}

#[tokio::test(start_paused = true)]
async fn an_address_is_assigned_to_one_device_of_its_project_and_metro() {
    let client = Client::new(Settings::default());
    let (a, b) = (client.sim.add_device("a"), client.sim.add_device("b"));
    let far = client.sim.add_device_in(PROJECT_ID, "ny", "far");
    let foreign = client.sim.add_device_in(OTHER_PROJECT_ID, "da", "foreign");
    let off = client.sim.add_device("off");
    client.sim.set_device_state(&off, "queued").unwrap();
    let (reservation, address) = client.sim.reserve(&["t"]).unwrap();
    let assign = async |device: &str, address: &str| {
        client
            .post(&format!("devices/{device}/ips"), json!({"address": address}))
            .await
    };

    for (device, given, status) in [
        (&far, address.as_str(), 422),
        (&foreign, &address, 422),
        (&off, &address, 422),
        (&a, "1.2.3.4", 422),
        (&a, "tea", 422),
        (&"nobody".to_owned(), &address, 404),
        (&a, &address, 201),
        (&b, &address, 422),
        (&a, &address, 422),
    ] {
        let answer = assign(device, given).await;
        assert_eq!(answer.status, status, "{device} {given}: {}", answer.text);
    }
    let seen = client.get_own("ips?include=assignments&types=public_ipv4").await.json;
    let assignment = seen["ip_addresses"][0]["assignments"][0].clone();
    assert_eq!(assignment["assigned_to"]["href"], format!("/metal/v1/devices/{a}"));
    assert_eq!(assignment["address"], address);
    // Without the include there is only where to look.
    let plain = client.get_own("ips?types=public_ipv4").await.json["ip_addresses"][0]["assignments"][0].clone();
    assert_eq!(plain, json!({"href": assignment["href"]}));
    let device = client.get(&format!("devices/{a}")).await.json;
    let elastic: Vec<&Value> = device["ip_addresses"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["management"] == false)
        .collect();
    assert_eq!(
        (elastic.len(), &elastic[0]["address"], &elastic[0]["public"]),
        (1, &json!(address), &json!(true))
    );

    let path = format!("ips/{}", assignment["id"].as_str().unwrap());
    assert_eq!(
        client
            .call("DELETE", &format!("ips/{reservation}"), Value::Null)
            .await
            .status,
        422
    );
    assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 404);
    assert_eq!(assign(&b, &format!("{address}/32")).await.status, 201);
    client.sim.set(|settings| settings.strict_release = false);
    assert_eq!(
        client
            .call("DELETE", &format!("ips/{reservation}"), Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(client.sim.assignments(), Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn global_addresses_go_anywhere_and_to_several_devices_only_if_told() {
    let client = Client::new(Settings::default());
    let (a, far) = (
        client.sim.add_device("a"),
        client.sim.add_device_in(PROJECT_ID, "ny", "far"),
    );
    let made = client
        .post_own("ips", one(&json!({"type": "global_ipv4", "metro": null})))
        .await;
    let body = json!({"address": made.text_at("/address")});
    assert_eq!(
        client.post(&format!("devices/{far}/ips"), body.clone()).await.status,
        201
    );
    assert_eq!(client.post(&format!("devices/{a}/ips"), body.clone()).await.status, 422);
    client.sim.set(|settings| settings.shared_global = true);
    assert_eq!(client.post(&format!("devices/{a}/ips"), body.clone()).await.status, 201);
    assert_eq!(client.post(&format!("devices/{a}/ips"), body).await.status, 422);
}

#[tokio::test(start_paused = true)]
async fn management_networks_are_in_the_list_and_cannot_be_removed() {
    let client = Client::new(Settings::default());
    client
        .sim
        .replace(json!({
            "devices": [{"hostname": "a"}],
            "reservations": [{"type": "vrf", "network": "192.168.100.0", "cidr": 28}],
        }))
        .unwrap();
    let list = client.get_own("ips").await.json["ip_addresses"]
        .as_array()
        .unwrap()
        .clone();
    let kinds: Vec<&str> = list.iter().filter_map(|it| it["type"].as_str()).collect();
    assert_eq!(kinds, ["vrf", "public_ipv6", "private_ipv4"]);
    assert!(list[0]["vrf"]["href"].is_string());
    assert_eq!(list[2]["management"], true);
    for id in [
        &list[2]["id"],
        &client.sim.device("a").unwrap()["ip_addresses"][0]["id"],
    ] {
        let path = format!("ips/{}", id.as_str().unwrap());
        assert_eq!(client.get(&path).await.status, 200);
        assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 422);
    }
}
