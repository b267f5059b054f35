use serde_json::{Value, json};

use super::{Client, start};
use crate::{API_KEY, Foreign, Gone, OTHER_API_KEY, OTHER_PROJECT_ID, PROJECT_ID, READ_ONLY_KEY, Settings};

#[tokio::test(start_paused = true)]
async fn a_device_is_queued_then_provisioned_with_addresses_then_active() {
    let client = Client::new(Settings::default());
    let id = client.order(json!({"hostname": "n1"})).await;
    let path = format!("devices/{id}");
    for (wait, state, addresses) in [
        (0.0, "queued", 0),
        (1.9, "queued", 0),
        (0.2, "provisioning", 3),
        (7.8, "provisioning", 3),
        (0.2, "active", 3),
        (86_400.0, "active", 3),
    ] {
        client.wait(wait).await;
        let seen = client.get(&path).await;
        assert_eq!(
            (seen.text_at("/state").as_str(), seen.len_at("/ip_addresses")),
            (state, addresses)
        );
    }
    let seen = client.get(&path).await.json;
    assert_eq!(seen["hostname"], "n1");
    assert_eq!(seen["plan"]["slug"], "c3.small.x86");
    assert_eq!(seen["metro"]["code"], "da");
    assert_eq!(seen["facility"]["code"], "da11");
    assert_eq!(
        seen["project"],
        json!({"href": format!("/metal/v1/projects/{PROJECT_ID}")})
    );
    assert_eq!(seen["provisioning_percentage"], 100.0);
    let shapes: Vec<(Value, Value)> = seen["ip_addresses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["address_family"].clone(), it["public"].clone()))
        .collect();
    assert_eq!(
        shapes,
        [
            (json!(4), json!(true)),
            (json!(6), json!(true)),
            (json!(4), json!(false))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn provisioning_gets_further_all_the_time() {
    let client = Client::new(Settings {
        provisioning_factor: 10.0,
        ..Settings::default()
    });
    let id = client.order(json!({})).await;
    let mut last = -1.0;
    for _ in 0..9 {
        let seen = client.get(&format!("devices/{id}")).await.json["provisioning_percentage"]
            .as_f64()
            .unwrap();
        assert!(seen >= last && seen < 100.0, "{last} then {seen}");
        last = seen;
        client.wait(10.0).await;
    }
    assert!(last > 50.0, "{last}");
}

#[tokio::test(start_paused = true)]
async fn the_parent_block_is_spelled_out_only_when_it_is_asked_for() {
    let client = Client::new(Settings::default());
    let id = client.sim.add_device("n1");
    let plain = client.get(&format!("devices/{id}")).await.json;
    let private = plain["ip_addresses"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["public"] == false)
        .unwrap();
    assert_eq!(
        private["parent_block"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["href"]
    );
    // As the Go client writes the comma.
    let path = format!("devices/{id}?include=ip_addresses.parent_block%2Cparent_block");
    let full = client.get(&path).await.json;
    let private = full["ip_addresses"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["public"] == false)
        .unwrap();
    assert_eq!(private["parent_block"]["cidr"], 25);
    assert_eq!(private["cidr"], 31);
    let listed = client.get_own("devices?exclude=plan,ip_addresses").await.json;
    assert_eq!(listed["devices"][0]["plan"].as_object().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn orders_that_cannot_be_filled_name_everything_that_is_wrong() {
    let client = Client::new(Settings::default());
    let good = json!({"metro": "da", "plan": "c3.small.x86", "operating_system": "x"});
    for (change, expected) in [
        (json!({"plan": null}), "plan can't be blank"),
        (json!({"plan": "c99"}), "c99 is not a valid plan"),
        (json!({"operating_system": null}), "operating_system can't be blank"),
        (json!({"metro": null}), "one of metro and facility must be given"),
        (json!({"metro": "xx"}), "xx is not a valid metro"),
        (json!({"facility": ["da11"]}), "metro and facility cannot both be given"),
        (
            json!({"metro": null, "facility": "nowhere"}),
            "nowhere is not a valid facility",
        ),
        (json!({"hostname": "a b"}), "\"a b\" is not a valid hostname"),
        (json!({"ip_addresses": []}), "ip_addresses must not be empty"),
        (
            json!({"ip_addresses": [{"address_family": 5}]}),
            "address_family must be 4 or 6",
        ),
    ] {
        let mut wanted = good.clone();
        wanted
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let answer = client.post_own("devices", wanted).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_eq!(answer.json, json!({"errors": [expected]}));
    }
    let answer = client.post_own("devices", json!({})).await;
    assert_eq!(answer.len_at("/errors"), 3, "{}", answer.text);
    let answer = client.post_own("devices", json!({"plan": 5})).await;
    assert_eq!(answer.status, 422);
    assert_eq!(client.get_own("devices").await.len_at("/devices"), 0);
}

#[tokio::test(start_paused = true)]
async fn actions_pass_through_the_states_between_and_are_refused_in_the_wrong_ones() {
    let client = Client::new(Settings::default());
    let id = client.sim.add_device("n1");
    let act = async |action: &str| {
        client
            .post(&format!("devices/{id}/actions"), json!({"type": action}))
            .await
            .status
    };
    let state = async || client.get(&format!("devices/{id}")).await.text_at("/state");
    for (action, status, steps) in [
        ("power_on", 422, &[(0.0, "active")][..]),
        ("power_off", 202, &[(0.0, "powering_off"), (3.1, "inactive")]),
        ("power_off", 422, &[(0.0, "inactive")]),
        ("reboot", 422, &[(0.0, "inactive")]),
        ("power_on", 202, &[(0.0, "powering_on"), (3.1, "active")]),
        (
            "reboot",
            202,
            &[(0.0, "powering_off"), (3.1, "powering_on"), (3.1, "active")],
        ),
        ("reinstall", 202, &[(0.0, "reinstalling"), (10.1, "active")]),
        ("dance", 422, &[(0.0, "active")]),
    ] {
        assert_eq!(act(action).await, status, "{action}");
        for (wait, expected) in steps {
            client.wait(*wait).await;
            assert_eq!(state().await, *expected, "after {action}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_device_can_be_seen_a_while_and_lets_its_addresses_go_at_once() {
    let client = Client::new(Settings::default());
    let id = client.sim.add_device("n1");
    let (_, address) = client.sim.reserve(&[]).unwrap();
    client.sim.assign(&id, &address).unwrap();
    let path = format!("devices/{id}");

    client.call("PUT", &path, json!({"locked": true})).await;
    assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 422);
    client.call("PUT", &path, json!({"locked": false})).await;
    assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(client.sim.assignments(), Vec::<Value>::new());
    assert_eq!(client.get(&path).await.text_at("/state"), "deprovisioning");
    assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 422);
    client.wait(5.1).await;
    assert_eq!(client.get(&path).await.status, 404);
    assert_eq!(client.get_own("devices").await.len_at("/devices"), 0);
    assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_fails_is_taken_away_and_forbidden_or_not_found() {
    for (gone, status) in [(Gone::Forbidden, 403), (Gone::NotFound, 404)] {
        let client = Client::new(Settings {
            failing: 1,
            gone,
            ..Settings::default()
        });
        let (bad, good) = (client.order(json!({})).await, client.order(json!({})).await);
        client.wait(10.1).await;
        assert_eq!(client.get(&format!("devices/{bad}")).await.text_at("/state"), "failed");
        client.wait(5.1).await;
        assert_eq!(client.get(&format!("devices/{bad}")).await.status, status);
        assert_eq!(client.get(&format!("devices/{good}")).await.text_at("/state"), "active");
        assert_eq!(client.get_own("devices").await.len_at("/devices"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn filters_choose_devices() {
    let client = Client::new(Settings::default());
    client
        .sim
        .replace(json!({"devices": [
            {"hostname": "web-1", "tags": ["k8s", "blue"], "description": "front"},
            {"hostname": "web-10", "metro": "ny"},
            {"hostname": "db-1", "facility": "da6", "plan": "m3.large.x86", "termination_time": "2027-01-01T00:00:00Z"},
        ]}))
        .unwrap();
    let mac = client.sim.device("db-1").unwrap()["network_ports"][0]["data"]["mac"]
        .as_str()
        .unwrap()
        .to_owned();
    let private = client.sim.device("web-1").unwrap()["ip_addresses"][2]["address"]
        .as_str()
        .unwrap()
        .to_owned();
    for (query, expected) in [
        ("", "web-1 web-10 db-1"),
        ("hostname=web-1", "web-1 web-10"),
        ("hostname=eb", "web-1 web-10"),
        ("metro=ny", "web-10"),
        ("facility=da6", "db-1"),
        ("tag=blue", "web-1"),
        ("tag=blu", ""),
        ("type=m3.large.x86", "db-1"),
        ("has_termination_time=true", "db-1"),
        ("has_termination_time=false&metro=da", "web-1"),
        ("reserved=true", ""),
        ("search=front", "web-1"),
        (&format!("search={private}"), "web-1"),
        (&format!("mac_address={mac}"), "db-1"),
    ] {
        let answer = client.get_own(&format!("devices?{query}")).await;
        let found: Vec<&str> = answer.json["devices"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it["hostname"].as_str())
            .collect();
        assert_eq!(found.join(" "), expected, "{query}");
        assert_eq!(answer.json["meta"]["total"], found.len());
    }
}

#[tokio::test(start_paused = true)]
async fn keys_open_what_they_are_for() {
    let sim = start(Settings::default());
    let (own, other) = (sim.add_device("n1"), sim.add_device_in(OTHER_PROJECT_ID, "ny", "m1"));
    let own_path = format!("devices/{own}");
    let other_path = format!("devices/{other}");
    let own_project = format!("projects/{PROJECT_ID}/devices");
    for (key, method, path, status) in [
        ("", "GET", &own_path, 401),
        ("nonsense", "GET", &own_path, 401),
        (API_KEY, "GET", &own_path, 200),
        (API_KEY, "GET", &other_path, 200),
        (READ_ONLY_KEY, "GET", &own_path, 200),
        (READ_ONLY_KEY, "DELETE", &own_path, 403),
        (READ_ONLY_KEY, "GET", &other_path, 403),
        (OTHER_API_KEY, "GET", &own_path, 403),
        (OTHER_API_KEY, "GET", &own_project, 404),
        (OTHER_API_KEY, "DELETE", &own_path, 403),
    ] {
        let answer = Client::of(sim.clone(), key).call(method, path, Value::Null).await;
        assert_eq!(answer.status, status, "{key} {method} {path}: {}", answer.text);
    }
    sim.set(|settings| settings.foreign = Foreign::NotFound);
    assert_eq!(Client::of(sim.clone(), OTHER_API_KEY).get(&own_path).await.status, 404);

    let mut state = sim.state();
    state["keys"] = json!({});
    sim.replace(state).unwrap();
    assert_eq!(Client::of(sim, "").get(&own_path).await.status, 200);
}
