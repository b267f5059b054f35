use std::time::Duration;

use cloud_sim::NetworkError;

use super::*;
use crate::settings::KubeconfigShape;

impl Client {
    /// A cloudspace `c` with two nodes, up and booted.
    async fn with_cluster(settings: Settings) -> Self {
        let client = Self::new(settings).await;
        assert_eq!(client.create_cloudspace("c").await.status, 201);
        assert_eq!(client.create_pool(POOL, "c", 2).await.status, 201);
        client.wait(130).await;
        client
    }

    async fn kubeconfig(&self) -> Answer {
        let wanted = json!({"organization_name": "acme", "cloudspace_name": "c", "refresh_token": ACME_TOKEN});
        let url = "https://spot.sim/apis/auth.ngpc.rxt.io/v1/generate-kubeconfig";
        self.send("POST", url, "application/json", wanted.to_string()).await
    }

    async fn endpoint(&self) -> String {
        self.get("cloudspaces/c").await.json["status"]["APIServerEndpoint"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A call of the cloudspace's API server.
    async fn kube(&self, method: &str, path: &str, body: Value) -> Answer {
        let url = format!("https://{}{path}", self.endpoint().await);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(method, &url, "application/json", body).await
    }

    /// Name, readiness and kubelet version of each node.
    async fn nodes(&self) -> Vec<(bool, String)> {
        let list = self.kube("GET", "/api/v1/nodes", Value::Null).await.json;
        let facts = |node: &Value| {
            let ready = node["status"]["conditions"][0]["status"] == "True";
            (
                ready,
                node["status"]["nodeInfo"]["kubeletVersion"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            )
        };
        list["items"].as_array().unwrap().iter().map(facts).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn the_kubeconfig_leads_into_the_cluster_until_its_token_is_over() {
    let settings = Settings {
        id_token_ttl: Duration::from_mins(10),
        ..Settings::default()
    };
    let mut client = Client::with_cluster(settings).await;
    let answer = client.kubeconfig().await;
    assert_eq!((answer.status, &answer.json["status_code"]), (200, &json!(200)));
    let text = answer.json["data"]["kubeconfig"].as_str().unwrap().to_owned();
    assert!(
        text.contains(&format!("server: https://{}/\n", client.endpoint().await)),
        "{text}"
    );
    assert!(
        text.contains("insecure-skip-tls-verify: true") && text.contains("current-context: \"acme-c\""),
        "{text}"
    );
    let token = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("token: "))
        .unwrap()
        .to_owned();
    let url = format!(
        "https://{}/api/v1/namespaces/kube-system/serviceaccounts",
        client.endpoint().await
    );
    client.token = token;
    assert_eq!(client.send("GET", &url, "", String::new()).await.status, 200);
    client.wait(601).await;
    assert_eq!(client.send("GET", &url, "", String::new()).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn nodes_come_with_their_machines_and_go_with_them() {
    let client = Client::with_cluster(Settings::default()).await;
    let node = client.kube("GET", "/api/v1/nodes", Value::Null).await.json["items"][0].clone();
    let labels = &node["metadata"]["labels"];
    assert_eq!(labels["node.kubernetes.io/instance-type"], "gp.vs1.medium.iad");
    assert_eq!(
        (&labels["topology.kubernetes.io/region"], &labels["team"]),
        (&json!("IAD"), &json!("a"))
    );
    assert!(
        node["spec"]["providerID"]
            .as_str()
            .unwrap()
            .starts_with("openstack:///")
    );
    assert_eq!(node["status"]["capacity"]["memory"], "3840Mi");
    assert_eq!(
        client.nodes().await,
        [(true, "v1.32.9".into()), (true, "v1.32.9".into())]
    );

    client
        .call(
            "PATCH",
            &format!("spotnodepools/{POOL}"),
            json!({"spec": {"desired": 3}}),
        )
        .await;
    client.wait(30).await;
    let ready = client.nodes().await.iter().filter(|(ready, _)| *ready).count();
    assert_eq!((client.nodes().await.len(), ready), (3, 2), "the new one is booting");
    client.wait(30).await;
    assert!(client.nodes().await.iter().all(|(ready, _)| *ready));

    client
        .call("DELETE", &format!("spotnodepools/{POOL}"), Value::Null)
        .await;
    client.wait(5).await;
    assert_eq!(client.nodes().await, []);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_reaches_the_api_server_and_the_kubelets() {
    let client = Client::with_cluster(Settings::default()).await;
    assert_eq!(
        client.kube("GET", "/version", Value::Null).await.json["gitVersion"],
        "v1.32.9"
    );
    client
        .call(
            "PATCH",
            "cloudspaces/c",
            json!({"spec": {"kubernetesVersion": "1.33.0"}}),
        )
        .await;
    client.wait(120).await;
    let version = client.kube("GET", "/version", Value::Null).await.json;
    assert_eq!(
        (&version["gitVersion"], &version["minor"]),
        (&json!("v1.33.0"), &json!("33"))
    );
    assert_eq!(
        client.nodes().await,
        [(true, "v1.33.0".into()), (true, "v1.33.0".into())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_accounts_token_comes_when_it_is_told_to() {
    for (delay, waited, filled) in [(Some(29), 30, true), (Some(31), 30, false), (None, 3600, false)] {
        let settings = Settings {
            sa_token_delay: delay.map(Duration::from_secs),
            ..Settings::default()
        };
        let client = Client::with_cluster(settings).await;
        let base = "/api/v1/namespaces/kube-system";
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "rancher"}});
        assert_eq!(
            client
                .kube("POST", &format!("{base}/serviceaccounts"), account)
                .await
                .status,
            201
        );
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "rancher-token", "annotations": {"kubernetes.io/service-account.name": "rancher"}},
        });
        assert_eq!(
            client.kube("POST", &format!("{base}/secrets"), secret).await.status,
            201
        );
        client.wait(waited).await;
        let secret = client
            .kube("GET", &format!("{base}/secrets/rancher-token"), Value::Null)
            .await
            .json;
        assert_eq!(secret.pointer("/data/token").is_some(), filled, "{delay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_kubeconfig_can_be_early_or_wrong_in_many_ways() {
    let client = Client::new(Settings::default()).await;
    assert_eq!(client.kubeconfig().await.status, 404, "no such cloudspace");
    client.create_cloudspace("c").await;
    assert_eq!(client.kubeconfig().await.status, 400, "no API server yet");
    client.sim.set(|settings| settings.kubeconfig_early_code = 404);
    assert_eq!(client.kubeconfig().await.status, 404);
    client.wait(100).await;
    let mut texts = Vec::new();
    for shape in [
        KubeconfigShape::Empty,
        KubeconfigShape::WithCa,
        KubeconfigShape::NoCurrentContext,
        KubeconfigShape::DanglingContext,
        KubeconfigShape::DanglingCluster,
    ] {
        client.sim.set(|settings| settings.kubeconfig = shape);
        let answer = client.kubeconfig().await;
        assert_eq!(answer.status, 200);
        texts.push(answer.json["data"]["kubeconfig"].as_str().unwrap().to_owned());
    }
    assert_eq!(texts[0], "");
    assert!(texts[1].contains("certificate-authority-data: ") && !texts[1].contains("insecure"));
    assert!(!texts[2].contains("current-context"));
    assert!(texts[3].contains("current-context: no-such-context\n"));
    assert!(texts[4].contains("cluster: \"no-such-cluster\""));

    let url = "https://spot.sim/apis/auth.ngpc.rxt.io/v1/generate-kubeconfig";
    let ask = async |body: Value| client.send("POST", url, "application/json", body.to_string()).await;
    let missing = ask(json!({"organization_name": "acme", "cloudspace_name": "c"})).await;
    let told = json!({"error": "bad_request", "error_description": "Missing or invalid refresh_token."});
    assert_eq!((missing.status, missing.json), (400, told));
    let other = json!({"organization_name": "frederick.", "cloudspace_name": "c", "refresh_token": ACME_TOKEN});
    assert_eq!(ask(other).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_is_there_from_its_start_to_the_cloudspaces_end() {
    let client = Client::new(Settings::default()).await;
    client.create_cloudspace("c").await;
    assert!(client.sim.kube("c").is_none());
    client.wait(90).await;
    assert!(client.sim.kube("c").is_some());
    assert!(client.sim.kube(&format!("{ACME_NAMESPACE}/c")).is_some());
    let url = format!("https://{}/version", client.endpoint().await);
    client.call("DELETE", "cloudspaces/c", Value::Null).await;
    client.wait(60).await;
    assert!(client.sim.kube("c").is_none());
    let gone = client
        .sim
        .network()
        .send(Request::get(url).body(Body::empty()).unwrap())
        .await;
    assert!(matches!(gone, Err(NetworkError::UnknownHost(_))));
}
