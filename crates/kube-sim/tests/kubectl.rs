//! What kubectl and other clients in Go send: built-in kinds as protobuf, the rest as JSON.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use http_body_util::BodyExt;
use kit::Clock;
use kube_sim::{Controllers, KubeSim};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// What kubectl asks for; JSON is the part that it gets.
const ACCEPT: &str = "application/vnd.kubernetes.protobuf,application/json";

fn sim() -> KubeSim {
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    KubeSim::builder().clock(Clock::simulated(start, 1.0)).seed(1).build()
}

async fn send(sim: &KubeSim, method: Method, path: &str, media: &str, body: Vec<u8>) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Authorization", format!("Bearer {}", sim.admin_token()))
        .header("Content-Type", media)
        .header("Accept", ACCEPT)
        .body(Body::from(body))
        .unwrap();
    let response = sim.router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()["Content-Type"], "application/json");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_kubectl_sends_as_protobuf_is_answered_like_the_same_object_in_json() {
    let recorded = include_str!("kubectl/recorded.txt");
    let lines: Vec<&str> = recorded
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(lines.len(), 15 * 3, "every recording is there");
    let (one, other) = (sim(), sim());
    for record in lines.chunks(3) {
        let path = record[0].strip_prefix("POST ").unwrap();
        let protobuf = send(&one, Method::POST, path, PROTOBUF, STANDARD.decode(record[1]).unwrap()).await;
        let json = send(&other, Method::POST, path, "application/json", record[2].into()).await;
        assert_eq!(protobuf.0, 201, "{path}: {}", protobuf.1);
        assert_eq!(protobuf, json, "{path}");
    }
    let door = one.get("services", Some("team"), "door").unwrap();
    assert_eq!(door["spec"]["ports"][0]["nodePort"], 30080);
    assert_eq!(
        one.get("secrets", Some("team"), "login").unwrap()["data"]["user"],
        "YWRtaW4="
    );
}

/// A field of bytes, text or a message, all of them short.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
}

fn enveloped(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let head = [field(1, api_version), field(2, kind)].concat();
    [b"k8s\0".to_vec(), field(1, head), field(2, raw)].concat()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_what_it_should_be_is_a_bad_request() {
    let sim = sim();
    let named = field(1, field(1, "a"));
    let unrecognized = "the object provided is unrecognized (must be of type ConfigMap):";
    let handled = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap:";
    for (body, message) in [
        (vec![], format!("{unrecognized} empty data (<empty>)")),
        (b"k8s\0".to_vec(), format!("{unrecognized} empty body (6b387300)")),
        (
            [&b"k8s\0\x0a\x7f"[..], &[0; 30]].concat(),
            format!("{unrecognized} unexpected EOF (6b3873000a7f{} ...)", "00".repeat(24)),
        ),
        (
            b"{}".to_vec(),
            format!(
                "{unrecognized} provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] ({{}})"
            ),
        ),
        (
            enveloped("v1", "ConfigMap", &[0x0a, 0x05]),
            format!("{handled} unexpected EOF"),
        ),
        (
            enveloped("v1", "ConfigMap", &[0x08, 0x01]),
            format!("{handled} proto: wrong wireType = 0 for field Metadata"),
        ),
        (
            enveloped("v1", "Secret", &named),
            "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown \
             conversion"
                .to_owned(),
        ),
    ] {
        let (code, status) = send(&sim, Method::POST, "/api/v1/namespaces/default/configmaps", PROTOBUF, body).await;
        assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")), "{status}");
        assert_eq!(status["message"], json!(message));
    }
    // The envelope need not say what the path says already.
    let body = enveloped("", "", &named);
    let (code, object) = send(
        &sim,
        Method::POST,
        "/api/v1/namespaces/default/configmaps",
        PROTOBUF,
        body,
    )
    .await;
    assert_eq!((code, &object["kind"]), (201, &json!("ConfigMap")));
}

#[tokio::test(start_paused = true)]
async fn a_delete_may_bring_its_options_as_protobuf() {
    let sim = sim();
    sim.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}))
        .unwrap();
    let path = "/api/v1/namespaces/default/configmaps/a";
    let other = enveloped("v1", "DeleteOptions", &field(2, field(1, "another-uid")));
    let (code, status) = send(&sim, Method::DELETE, path, PROTOBUF, other).await;
    assert_eq!(code, 409, "{status}");
    let dry = enveloped("v1", "DeleteOptions", &field(5, "All"));
    assert_eq!(send(&sim, Method::DELETE, path, PROTOBUF, dry).await.0, 200);
    assert!(sim.get("configmaps", Some("default"), "a").is_some());
    let broken = enveloped("v1", "DeleteOptions", &[0x0a, 0]);
    let (code, status) = send(&sim, Method::DELETE, path, PROTOBUF, broken).await;
    assert_eq!(
        (code, &status["message"]),
        (400, &json!("proto: wrong wireType = 2 for field GracePeriodSeconds"))
    );
    let plain = enveloped("v1", "DeleteOptions", &field(4, "Background"));
    assert_eq!(send(&sim, Method::DELETE, path, PROTOBUF, plain).await.0, 200);
    assert!(sim.get("configmaps", Some("default"), "a").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_custom_resource_cannot_be_protobuf() {
    let sim = sim();
    sim.create(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "boats.example.com"},
        "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"plural": "boats", "kind": "Boat"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    }))
    .unwrap();
    let body = enveloped("example.com/v1", "Boat", &field(1, field(1, "a")));
    let (code, status) = send(&sim, Method::POST, "/apis/example.com/v1/boats", PROTOBUF, body).await;
    let message = "Boat in version \"v1\" cannot be handled as a Boat: object *unstructured.Unstructured does not implement the \
        protobuf marshalling interface and cannot be encoded to a protobuf message";
    assert_eq!((code, &status["message"]), (400, &json!(message)));
}

/// kubectl with a home of its own.
struct Kubectl {
    home: PathBuf,
}

impl Kubectl {
    /// Nothing where there is no kubectl.
    async fn find() -> Option<Self> {
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kubectl-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        let kubectl = Self { home };
        let version = kubectl.command(&["version", "--client"]).output().await.ok()?;
        version.status.success().then_some(kubectl)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(args)
            .env("HOME", &self.home)
            .env("KUBECONFIG", self.home.join("config"))
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .kill_on_drop(true);
        command
    }

    async fn output(&self, args: &[&str]) -> Output {
        let output = self.command(args).output();
        let output = tokio::time::timeout(Duration::from_mins(1), output).await;
        output.unwrap_or_else(|_| panic!("kubectl {args:?} hangs")).unwrap()
    }

    /// What a command that must succeed prints.
    async fn run(&self, args: &str) -> String {
        let args: Vec<&str> = args.split(' ').collect();
        let output = self.output(&args).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {args:?}: {told}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

impl Drop for Kubectl {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// Commands in their order, and what they print.
const COMMANDS: &[(&str, &str)] = &[
    ("create namespace team", "namespace/team created"),
    ("get namespace team -o jsonpath={.status.phase}", "Active"),
    ("label namespace team tier=gold", "namespace/team labeled"),
    ("annotate namespace team note=kept", "namespace/team annotated"),
    (
        "get namespace team -o jsonpath={.metadata.labels.tier}/{.metadata.annotations.note}",
        "gold/kept",
    ),
    ("create serviceaccount bot -n team", "serviceaccount/bot created"),
    ("get serviceaccount bot -n team -o name", "serviceaccount/bot"),
    (
        "create secret generic login -n team --from-literal=user=admin",
        "secret/login created",
    ),
    (
        "get secret login -n team -o jsonpath={.data.user},{.type}",
        "YWRtaW4=,Opaque",
    ),
    (
        "create configmap settings -n team --from-literal=mode=fast",
        "configmap/settings created",
    ),
    ("get configmap settings -n team -o jsonpath={.data.mode}", "fast"),
    (
        "create clusterrole reader --verb=get,list --resource=pods,nodes",
        "clusterrole.rbac.authorization.k8s.io/reader created",
    ),
    (
        "get clusterrole reader -o jsonpath={.rules[0].verbs}",
        r#"["get","list"]"#,
    ),
    (
        "create clusterrolebinding readers --clusterrole=reader --serviceaccount=team:bot",
        "clusterrolebinding.rbac.authorization.k8s.io/readers created",
    ),
    (
        "get clusterrolebinding readers -o jsonpath={.subjects[0].namespace}",
        "team",
    ),
    (
        "create role editor -n team --verb=update --resource=configmaps --resource-name=settings",
        "role.rbac.authorization.k8s.io/editor created",
    ),
    (
        "get role editor -n team -o jsonpath={.rules[0].resourceNames[0]}",
        "settings",
    ),
    (
        "create rolebinding editors -n team --role=editor --serviceaccount=team:bot",
        "rolebinding.rbac.authorization.k8s.io/editors created",
    ),
    ("get rolebinding editors -n team -o jsonpath={.roleRef.name}", "editor"),
    (
        "create service clusterip web -n team --tcp=80:http",
        "service/web created",
    ),
    (
        "create service nodeport door -n team --tcp=80:8080 --node-port=30080",
        "service/door created",
    ),
    (
        "get services -n team -o jsonpath={range.items[*]}{.spec.type}:{.spec.ports[0].targetPort}:{.spec.ports[0].nodePort};{end}",
        "NodePort:8080:30080;ClusterIP:http:;",
    ),
    ("auth can-i delete nodes", "yes"),
    ("cordon n1", "node/n1 cordoned"),
    ("get node n1 -o jsonpath={.spec.unschedulable}", "true"),
    ("uncordon n1", "node/n1 uncordoned"),
    ("get node n1 -o jsonpath={.spec.unschedulable}", ""),
    ("taint node n1 role=edge:NoExecute", "node/n1 tainted"),
    ("get node n1 -o jsonpath={.spec.taints[?(@.key=='role')].value}", "edge"),
    ("taint node n1 role-", "node/n1 untainted"),
];

/// What goes after all that, and what is said of it.
const DELETES: &[(&str, &str)] = &[
    (
        "delete service web door -n team",
        "service \"web\" deleted\nservice \"door\" deleted",
    ),
    ("delete secret login -n team", "secret \"login\" deleted"),
    ("delete configmap settings -n team", "configmap \"settings\" deleted"),
    (
        "delete rolebinding editors -n team",
        "rolebinding.rbac.authorization.k8s.io \"editors\" deleted",
    ),
    (
        "delete role editor -n team",
        "role.rbac.authorization.k8s.io \"editor\" deleted",
    ),
    (
        "delete clusterrolebinding readers",
        "clusterrolebinding.rbac.authorization.k8s.io \"readers\" deleted",
    ),
    (
        "delete clusterrole reader",
        "clusterrole.rbac.authorization.k8s.io \"reader\" deleted",
    ),
    ("delete serviceaccount bot -n team", "serviceaccount \"bot\" deleted"),
    ("delete namespace team", "namespace \"team\" deleted"),
    ("get namespace team --ignore-not-found", ""),
];

/// On the wall clock: kubectl is another process.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_creates_looks_at_changes_and_deletes_things() {
    let Some(kubectl) = Kubectl::find().await else {
        eprintln!("there is no kubectl on PATH: only its recorded requests have been tested");
        return;
    };
    let sim = KubeSim::builder().controllers(Controllers::all()).build();
    sim.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}))
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::fs::write(kubectl.home.join("config"), sim.kubeconfig(&url)).unwrap();
    let cancel = CancellationToken::new();
    let serving = tokio::spawn(kube_sim::serve::tls(sim.clone(), listener, cancel.clone()));

    for (args, printed) in COMMANDS {
        assert_eq!(kubectl.run(args).await, *printed, "kubectl {args}");
    }
    let token = kubectl.run("create token bot -n team --duration=20m").await;
    let bot = ["--token", &token];
    let can = async |question: [&str; 2]| {
        let asked = kubectl
            .output(&[&["auth", "can-i"], &question[..], &bot].concat())
            .await;
        String::from_utf8(asked.stdout).unwrap().trim_end().to_owned()
    };
    assert_eq!(can(["list", "pods"]).await, "yes");
    assert_eq!(can(["delete", "pods"]).await, "no");
    for (args, printed) in DELETES {
        assert_eq!(kubectl.run(args).await, *printed, "kubectl {args}");
    }
    let creates = sim.requests().into_iter().filter(|request| request.method == "POST");
    assert!(creates.clone().count() >= 13 && creates.clone().all(|request| request.status == 201));
    cancel.cancel();
    serving.await.unwrap().unwrap();
}
