use super::*;
use crate::{Kind, Outcome, TagFilter};

#[tokio::test(start_paused = true)]
async fn a_block_is_bought_assigned_unassigned_and_given_back() {
    let client = Client::new(Settings::default()).await;
    let (block, network) = (client.block().await, client.network().await);
    let read = client.get(&format!("/ips/v1/ip-blocks/{block}")).await.json;
    assert_eq!(
        (read["cidr"].as_str(), read["status"].as_str()),
        (Some("203.0.113.0/29"), Some("unassigned"))
    );
    assert_eq!(read["createdOn"], "2026-01-01T00:00:00.000Z");
    assert_eq!(read.get("assignedResourceId"), None, "absent, not null");

    let assigned = client.assign(&network, &block).await;
    assert_eq!(assigned.status, 202);
    assert_eq!(
        assigned.json,
        json!({"id": block, "cidr": "203.0.113.0/29", "usedIpsCount": "0"})
    );
    assert_eq!(client.block_status(&block).await, "assigning");
    assert_eq!(client.assign(&network, &block).await.status, 409);
    assert_eq!(client.unassign(&network, &block).await.status, 409);
    seconds(10).await;
    let read = client.get(&format!("/ips/v1/ip-blocks/{block}")).await.json;
    assert_eq!(read["assignedResourceId"], network.as_str());
    assert_eq!(read["assignedResourceType"], "public network");
    let path = format!("/ips/v1/ip-blocks/{block}");
    assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 409);

    let unassigned = client.unassign(&network, &block).await;
    assert_eq!(unassigned.status, 202);
    assert_eq!(
        unassigned.json,
        "The specified IP block is being removed from the Public Network."
    );
    assert_eq!(client.block_status(&block).await, "unassigning");
    seconds(10).await;
    assert_eq!(client.block_status(&block).await, "unassigned");
    let deleted = client.call("DELETE", &path, Value::Null).await;
    assert_eq!(
        deleted.json,
        json!({"result": "IP Block has been deleted.", "ipBlockId": block})
    );
    assert_eq!(client.get(&path).await.status, 403);
}

#[tokio::test(start_paused = true)]
async fn moves_can_fail_and_can_hang_and_a_failed_one_can_be_tried_again() {
    let settings = Settings {
        assigning: Outcome::Error,
        unassigning: Outcome::Error,
        ..Settings::default()
    };
    let client = Client::new(settings).await;
    let (block, network) = (client.block().await, client.network().await);
    client.assign(&network, &block).await;
    seconds(10).await;
    assert_eq!(client.block_status(&block).await, "error assigning");
    assert_eq!(client.unassign(&network, &block).await.status, 202);
    seconds(10).await;
    assert_eq!(client.block_status(&block).await, "error unassigning");
    client.sim.set(|settings| settings.unassigning = Outcome::Stuck);
    assert_eq!(client.unassign(&network, &block).await.status, 202);
    seconds(200).await;
    assert_eq!(client.block_status(&block).await, "unassigning");
}

#[tokio::test(start_paused = true)]
async fn reading_moves_things_on_where_that_is_wanted() {
    let settings = Settings {
        polls: Some(1),
        ..Settings::default()
    };
    let client = Client::new(settings).await;
    let (block, network) = (client.block().await, client.network().await);
    client.assign(&network, &block).await;
    seconds(200).await;
    assert_eq!(client.block_status(&block).await, "assigning");
    assert_eq!(client.block_status(&block).await, "assigned");
}

#[tokio::test(start_paused = true)]
async fn a_location_runs_out_of_addresses() {
    let mut settings = Settings::default();
    settings
        .pools
        .insert("ASH".to_owned(), vec!["203.0.113.0/28".to_owned()]);
    let client = Client::new(settings).await;
    client.block().await;
    client.block().await;
    let body = json!({"location": "ASH", "cidrBlockSize": "/29"});
    assert_eq!(client.call("POST", "/ips/v1/ip-blocks", body.clone()).await.status, 406);
    client
        .sim
        .set(|settings| settings.pools.get_mut("ASH").unwrap().push("192.0.2.0/24".to_owned()));
    assert_eq!(client.call("POST", "/ips/v1/ip-blocks", body).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_with_reasons() {
    let client = Client::new(Settings::default()).await;
    client.tags(&["a"]).await;
    for body in [
        json!({"location": "ASH", "cidrBlockSize": "29"}),
        json!({"location": "ASH", "cidrBlockSize": "/29", "ipVersion": "V6"}),
        json!({"location": "XXX", "cidrBlockSize": "/29"}),
        json!({"cidrBlockSize": "/29"}),
        json!({"location": "ASH", "cidrBlockSize": "/29", "surprise": 1}),
        json!({"location": "ASH", "cidrBlockSize": "/29", "tags": [{"name": "none"}]}),
        json!({"location": "ASH", "cidrBlockSize": "/29", "tags": [{"name": "a"}, {"name": "a"}]}),
        json!({"location": "ASH", "cidrBlockSize": "/29", "tags": [{"name": "a", "value": "ns.name"}]}),
        json!(["not an object"]),
    ] {
        let made = client.call("POST", "/ips/v1/ip-blocks", body.clone()).await;
        assert_eq!(made.status, 400, "{body}");
        assert!(made.json["validationErrors"][0].is_string(), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_by_tags_in_three_ways() {
    let client = Client::new(Settings::default()).await;
    client.tags(&["a", "b"]).await;
    let (first, second) = (client.block().await, client.block().await);
    let path = format!("/ips/v1/ip-blocks/{first}/tags");
    let tags = json!([{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]);
    let tagged = client.call("PUT", &path, tags).await;
    assert_eq!(tagged.json["tags"][1]["value"], "2");
    let path = format!("/ips/v1/ip-blocks/{second}/tags");
    client.call("PUT", &path, json!([{"name": "a", "value": "1"}])).await;
    let list = "/ips/v1/ip-blocks?tag=a.1&tag=b.2";
    for (filter, expected) in [(TagFilter::All, 1), (TagFilter::Any, 2), (TagFilter::Ignored, 2)] {
        client.sim.set(|settings| settings.tag_filter = filter);
        assert_eq!(
            client.get(list).await.json.as_array().unwrap().len(),
            expected,
            "{filter:?}"
        );
    }
    client.sim.set(|settings| settings.tag_filter = TagFilter::All);
    assert_eq!(client.get("/ips/v1/ip-blocks?tag=a.3").await.json, json!([]));
}

#[tokio::test(start_paused = true)]
async fn tags_have_one_name_once_and_tell_who_bears_them() {
    let client = Client::new(Settings::default()).await;
    client.tags(&["usage"]).await;
    let body = json!({"name": "usage", "isBillingTag": false});
    assert_eq!(client.call("POST", "/tag-manager/v1/tags", body).await.status, 409);
    let block = client.block().await;
    let path = format!("/ips/v1/ip-blocks/{block}/tags");
    client
        .call("PUT", &path, json!([{"name": "usage", "value": "test"}]))
        .await;
    let tag = client.get("/tag-manager/v1/tags?name=usage").await.json[0].clone();
    assert_eq!(tag["values"], json!(["test"]));
    let bearer = json!([{"resourceName": format!("/ips/ip-blocks/{block}"), "value": "test"}]);
    assert_eq!(tag["resourceAssignments"], bearer);
    let path = format!("/tag-manager/v1/tags/{}", tag["id"].as_str().unwrap());
    assert_eq!(client.call("DELETE", &path, Value::Null).await.status, 409);
    client.sim.set(|settings| settings.delete_used_tags = true);
    let deleted = client.call("DELETE", &path, Value::Null).await;
    assert_eq!(deleted.json["result"], "Tag [usage] has been deleted.");
    assert_eq!(
        client.get(&format!("/ips/v1/ip-blocks/{block}")).await.json["tags"],
        json!([])
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_comes_back_as_it_went_and_nonsense_is_refused() {
    let client = Client::new(Settings::default()).await;
    let (block, network) = (client.block().await, client.network().await);
    client.assign(&network, &block).await;
    let state = client.sim.state();
    client.sim.front().reset();
    assert!(client.sim.objects(Kind::Block).is_empty());
    client.sim.replace(state.clone()).unwrap();
    assert_eq!(client.sim.state(), state);
    for (kind, object, told) in [
        (Kind::Block, json!({"cidr": "203.0.113.4/29"}), "is no network"),
        (Kind::Block, json!({"cidr": "203.0.113.0/31"}), "overlaps"),
        (
            Kind::Server,
            json!({"hostname": "a", "tags": [{"name": "b"}]}),
            "there is none",
        ),
        (Kind::Server, json!({"hostname": "a", "adress": 1}), "unknown field"),
    ] {
        let error = client.sim.add(kind, object).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
