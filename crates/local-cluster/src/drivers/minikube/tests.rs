use super::*;
use report::{last_error, seen};

fn status(code: i32, stdout: &str) -> Output {
    Output {
        tool: "minikube",
        verb: "status".into(),
        code: Some(code),
        stdout: stdout.into(),
        stderr: String::new(),
        cut: false,
    }
}

fn phase(code: i32, stdout: &str) -> Phase {
    match seen(&status(code, stdout)).unwrap() {
        Seen::Absent => Phase::Absent,
        Seen::Nodes { phase, .. } => phase,
    }
}

fn node(host: &str, api: &str, kubeconfig: &str) -> String {
    format!(
        r#"{{"Name":"dev","Host":"{host}","Kubelet":"{api}","APIServer":"{api}","Kubeconfig":"{kubeconfig}","Worker":false,"New":1}}"#
    )
}

#[test]
fn the_exit_code_of_status_is_no_failure() {
    assert_eq!(phase(7, &node("Stopped", "Stopped", "Stopped")), Phase::Stopped);
    assert_eq!(
        phase(2, &node("Running", "Paused", "Configured")),
        Phase::Incomplete(PAUSED_TEXT.into())
    );
    assert_eq!(phase(4, &node("Running", "Running", "Misconfigured")), Phase::Running);
    assert_eq!(phase(85, "Profile \"dev\" not found."), Phase::Absent);
    assert!(
        matches!(phase(1, &node("InsufficientStorage", "Running", "Configured")), Phase::NotReady(why) if why.contains("full"))
    );
    let garbage = seen(&status(1, "panic: oh no")).unwrap_err();
    assert_eq!(garbage.fault(), Some(Fault::BadOutput));
    assert!(seen(&status(1, "{\"Name\":\"dev\"}")).is_err());
}

const PAUSED_TEXT: &str = "paused";

#[test]
fn one_node_is_an_object_and_several_are_an_array() {
    let one = node("Running", "Running", "Configured");
    assert_eq!(phase(0, &one), Phase::Running);
    let worker = one
        .replace("\"APIServer\":\"Running\"", "\"APIServer\":\"Irrelevant\"")
        .replace("dev", "dev-m02");
    let Seen::Nodes { phase, names } = seen(&status(0, &format!("[{one},{worker}]"))).unwrap() else {
        panic!()
    };
    assert_eq!(
        (phase, names),
        (Phase::Running, vec!["dev".to_owned(), "dev-m02".to_owned()])
    );
}

#[test]
fn the_last_error_event_says_what_failed() {
    let text = concat!(
        "* plain line\n",
        r#"{"type":"io.k8s.sigs.minikube.step","data":{"name":"x","message":"y","currentstep":"1"}}"#,
        "\n",
        r#"{"type":"io.k8s.sigs.minikube.new-thing","data":{}}"#,
        "\n",
        r#"{"type":"io.k8s.sigs.minikube.error","data":{"name":"RSRC_INSUFFICIENT_MEM","message":"too little","exitcode":"23"}}"#,
        "\n"
    );
    assert_eq!(last_error(text), Some((Fault::OutOfResources, "too little".to_owned())));
    assert_eq!(last_error("nothing"), None);
}

#[test]
fn versions_go_up_only() {
    let driver = |have: &str, want: &str| {
        let host = Arc::new(Host::new(std::collections::BTreeMap::new(), crate::Os::Linux));
        let minikube = Minikube::new(&host, "dev").unwrap();
        minikube.applies("kubernetesVersion", &Setting::plain(have), &Setting::plain(want))
    };
    assert_eq!(driver("v1.34.0", "v1.35.0"), Applies::Restart);
    assert_eq!(driver("v1.9.0", "v1.35.0"), Applies::Restart);
    assert_eq!(driver("v1.35.0", "v1.34.9"), Applies::Recreate);
}

#[test]
fn a_machine_that_is_gone_is_told_from_one_that_could_not_be_asked() {
    let gone = node("Nonexistent", "Nonexistent", "Nonexistent");
    let said = |stderr: &str| {
        let mut output = status(7, &gone);
        stderr.clone_into(&mut output.stderr);
        seen(&output)
    };
    let error =
        "E1121 1 status.go:260] status error: host: state: unknown state \"dev\": docker container inspect dev: ";
    for stderr in [String::new(), format!("{error}Error: No such container: dev")] {
        assert!(
            matches!(
                said(&stderr).unwrap(),
                Seen::Nodes {
                    phase: Phase::Stopped,
                    ..
                }
            ),
            "{stderr}"
        );
    }
    for (why, fault) in [
        ("Cannot connect to the Docker daemon at unix:///x", Fault::DaemonDown),
        ("permission denied while trying to connect", Fault::PermissionDenied),
        ("something else", Fault::Unknown),
    ] {
        assert_eq!(
            said(&format!("{error}{why}")).unwrap_err().fault(),
            Some(fault),
            "{why}"
        );
    }
    let half = format!("[{},{gone}]", node("Running", "Running", "Configured"));
    let mut output = status(7, &half);
    output.stderr = format!("{error}context deadline exceeded");
    assert_eq!(
        seen(&output).unwrap_err().fault(),
        Some(Fault::Timeout),
        "half an answer is none"
    );
}
