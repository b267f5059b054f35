use super::*;

fn output(stderr: &str, stdout: &str) -> Output {
    Output {
        tool: "k3d",
        verb: "cluster list".into(),
        code: Some(1),
        stdout: stdout.into(),
        stderr: stderr.into(),
        cut: false,
    }
}

#[test]
fn failures_get_their_class_from_what_was_printed() {
    for (text, fault) in [
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.",
            Fault::DaemonDown,
        ),
        ("FATA[0000] No nodes found for given cluster", Fault::NotFound),
        (
            "ERRO Failed to get nodes for cluster 'x': boom\nFATA No nodes found for given cluster",
            Fault::DaemonDown,
        ),
        ("Error: unknown flag: --vm-type", Fault::BackendTooOld),
        (
            "Bind for 127.0.0.1:6550 failed: port is already allocated",
            Fault::PortInUse,
        ),
        (
            "ERROR: failed to lock config file: open /x/config.lock: file exists",
            Fault::KubeconfigLocked,
        ),
        (
            "ERROR: node(s) already exist for a cluster with the name \"x\"",
            Fault::AlreadyExists,
        ),
        ("failed to parse IP '' for container '/k3d-x-server-0'", Fault::Broken),
        ("write /x: no space left on device", Fault::OutOfResources),
        ("something else", Fault::Unknown),
    ] {
        assert_eq!(classify(&output(text, "")), fault, "{text}");
    }
}

#[test]
fn the_message_is_the_line_that_says_why() {
    assert_eq!(
        last_words("warning\nERROR: it broke\nhint: look there", "x"),
        "ERROR: it broke"
    );
    assert_eq!(
        last_words("time=\"2026\" level=fatal msg=\"no \\\"such\\\" thing\"", ""),
        "no \"such\" thing"
    );
    assert_eq!(last_words("FATA[0001] gone", ""), "gone");
    assert_eq!(last_words("", "only here"), "only here");
    assert!(last_words(&"x".repeat(5_000), "").chars().count() < 700);
}

#[test]
fn secrets_do_not_get_into_messages() {
    for text in [
        "K3S_TOKEN=s3cret",
        "\"k3d.cluster.token\":\"s3cret\"",
        "\"clusterToken\": \"s3cret\"",
        "k3d cluster create --token s3cret",
        "Authorization: Bearer s3cret",
    ] {
        assert!(!redact(text).contains("s3cret"), "{}", redact(text));
    }
    assert_eq!(redact("no tokens here"), "no tokens here");
}

#[test]
fn json_is_found_behind_log_lines_and_colours() {
    let text = strip_ansi("\u{1b}[36mINFO\u{1b}[0m[0000] hello\n[0001] debug\n[{\"a\":1}]\ntrailing\n");
    assert_eq!(
        json_array::<serde_json::Value>(&text).unwrap(),
        [serde_json::json!({"a": 1})]
    );
    assert!(json_array::<serde_json::Value>("[{\"a\":").is_none());
    assert!(json_array::<serde_json::Value>("").is_none());
}

#[test]
fn command_lines_can_be_pasted() {
    assert_eq!(
        command_line("k3d", &["a", "b c", "", "it's"]),
        "k3d a 'b c' '' 'it'\\''s'"
    );
}

#[test]
fn long_streams_keep_their_end_or_their_beginning() {
    let mut last = Kept::last(10);
    let mut first = Kept::first(10);
    for _ in 0..100 {
        last.add(b"0123456789");
        first.add(b"0123456789");
    }
    last.add(b"end");
    assert!(last.bytes.len() <= 23 && last.bytes.ends_with(b"end"));
    assert!(first.bytes.len() == 10 && first.cut);
}
