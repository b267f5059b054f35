use proptest::prelude::*;
use serde_json::{Value, json};

use super::Client;
use crate::Settings;

/// All pages of a list, one after the other: the ids on each.
async fn walk(client: &Client, list: &str, member: &str, per_page: Option<usize>) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let size = per_page.map(|size| format!("&per_page={size}")).unwrap_or_default();
        let path = format!("{list}?page={}{size}", pages.len() + 1);
        let answer = client.get_own(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let entries = answer.json[member].as_array().unwrap();
        pages.push(
            entries
                .iter()
                .filter_map(|it| it["id"].as_str())
                .map(str::to_owned)
                .collect(),
        );
        let meta = &answer.json["meta"];
        assert_eq!(meta["current_page"], pages.len());
        assert_eq!(meta["next"].is_null(), meta["last_page"] == meta["current_page"]);
        assert_eq!(meta["previous"].is_null(), pages.len() == 1);
        if meta["next"].is_null() {
            return pages;
        }
        // What the page says comes next is what comes next.
        let next = meta["next"]["href"].as_str().unwrap();
        assert!(
            next.starts_with("/metal/v1/projects/") && next.contains(&format!("page={}", pages.len() + 1)),
            "{next}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_page_size_loses_or_doubles_a_device_or_an_address(
        count in 0_usize..60,
        per_page in proptest::option::of(1_usize..40),
        limit in proptest::option::of(1_usize..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let client = Client::new(Settings { page_limit: limit, ..Settings::default() });
            let mut devices: Vec<String> = (0..count).map(|n| client.sim.add_device(&format!("n{n}"))).collect();
            for _ in 0..count {
                client.sim.reserve(&[]).unwrap();
            }
            let size = per_page.unwrap_or(10).min(limit.unwrap_or(usize::MAX));
            let pages = walk(&client, "devices", "devices", per_page).await;
            prop_assert_eq!(pages.len(), count.div_ceil(size).max(1));
            prop_assert!(pages.iter().all(|page| page.len() <= size));
            let mut seen = pages.concat();
            seen.sort();
            devices.sort();
            prop_assert_eq!(seen, devices);

            let mut seen = walk(&client, "ips", "ip_addresses", per_page).await.concat();
            let mut all: Vec<String> = client.sim.reservations().iter().filter_map(|it| it["id"].as_str()).map(str::to_owned).collect();
            seen.sort();
            all.sort();
            prop_assert_eq!(seen, all);
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_has_ten_devices_or_two_hundred_and_fifty_addresses_unless_more_are_asked_for() {
    let client = Client::new(Settings::default());
    for n in 0..12 {
        client.sim.add_device(&format!("n{n}"));
    }
    for _ in 0..255 {
        client.sim.reserve(&[]).unwrap();
    }
    for (path, member, expected) in [
        ("devices", "/devices", 10),
        ("devices?per_page=1000", "/devices", 12),
        ("devices?page=2", "/devices", 2),
        ("devices?page=99", "/devices", 0),
        ("ips", "/ip_addresses", 250),
        ("ips?per_page=1000&types=public_ipv4", "/ip_addresses", 255),
    ] {
        assert_eq!(client.get_own(path).await.len_at(member), expected, "{path}");
    }
    for query in [
        "page=0",
        "page=-1",
        "page=x",
        "per_page=0",
        "per_page=1001",
        "page=100001",
    ] {
        let answer = client.get_own(&format!("devices?{query}")).await;
        assert_eq!(answer.status, 422, "{query}");
        assert_eq!(answer.len_at("/errors"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn lists_of_what_is_there_to_choose_are_whole() {
    let client = Client::new(Settings::default());
    for (path, member, word) in [
        ("locations/metros", "metros", "da"),
        ("facilities", "facilities", "da11"),
        ("plans", "plans", "c3.small.x86"),
    ] {
        let list = client.get(path).await.json[member].clone();
        let has = |it: &Value| it["code"] == word || it["slug"] == word;
        assert!(list.as_array().unwrap().iter().any(has), "{path}: {list}");
    }
    assert_eq!(client.get("projects").await.len_at("/projects"), 2);
    assert_eq!(client.get_own("").await.status, 404);
    assert!(client.get("user").await.json["id"].is_string());
    assert_eq!(client.get("tea").await.json, json!({"errors": ["Not found"]}));
    assert_eq!(client.call("PUT", "user", Value::Null).await.status, 405);
}
