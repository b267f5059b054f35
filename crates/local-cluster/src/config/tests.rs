use super::*;
use crate::error::Kind as ErrorKind;

#[test]
fn both_sections_make_a_configuration_portable() {
    let text = "driver: auto\ncolima:\n  memory: 10GiB\n  cores: 4\nk3d:\n  agents: 2\n  servers: 1\n  image: rancher/k3s:v1\n";
    let config = ClusterConfig::from_yaml(text).unwrap();
    assert_eq!(config.driver, "auto");
    assert_eq!(config.colima.unwrap().memory.unwrap().mib(), 10240);
    assert_eq!(config.k3d.unwrap().agents, Some(2));
}

#[test]
fn the_sections_may_stand_below_a_cluster_key() {
    let config = ClusterConfig::from_yaml("repositories: []\ncluster:\n  driver: k3d\n  k3d: {agents: 1}\n").unwrap();
    assert_eq!(config.k3d.unwrap().agents, Some(1));
}

#[test]
fn an_empty_file_is_an_empty_configuration() {
    for text in ["", "\n", "# nothing\n", "cluster:\n"] {
        assert_eq!(
            ClusterConfig::from_yaml(text).unwrap(),
            ClusterConfig::default(),
            "{text:?}"
        );
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, part) in [
        ("k3d:\n  agent: 2\n", "agent"),
        ("k3d:\n  agents: -1\n", "line 2"),
        ("k3d:\n  agents: many\n", "line 2"),
        ("k3d:\n  agents: many\n", "\"many\" is no number of something"),
        ("k3d:\n  agents: 4294967296\n", "line 2"),
        (
            "sim:\n  apiPort: 70000\n",
            "70000 is no port: ports are numbers from 1 to 65535",
        ),
        ("sim:\n  apiPort: 6443.5\n", "line 2"),
        ("colima:\n  memory: 0\n", "10GiB"),
        ("colima:\n  memory: -4\n", "10GiB"),
        ("- a\n", "not a mapping"),
        ("k3d: [\n", ""),
        ("driver: 'x\n", ""),
    ] {
        let error = ClusterConfig::from_yaml(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text:?}");
        assert!(error.to_string().contains(part), "{text:?}: {error}");
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert!(
        ClusterConfig::from_file(&path)
            .unwrap_err()
            .to_string()
            .contains("not UTF-8")
    );
    std::fs::write(&path, vec![b'#'; 2 * 1024 * 1024]).unwrap();
    assert!(
        ClusterConfig::from_file(&path)
            .unwrap_err()
            .to_string()
            .contains("larger than 1 MiB")
    );
    assert_eq!(
        ClusterConfig::from_file(&dir.path().join("none")).unwrap_err().kind(),
        ErrorKind::Files
    );
}

#[test]
fn a_file_without_an_end_is_not_read_to_it() {
    let error = ClusterConfig::from_file(std::path::Path::new("/dev/zero")).unwrap_err();
    assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
}

#[test]
fn a_field_that_is_empty_is_left_out() {
    let config = ClusterConfig::from_yaml("k3d: {agents: , apiPort: ~, servers: 3}").unwrap();
    let k3d = config.k3d.unwrap();
    assert_eq!((k3d.agents, k3d.api_port, k3d.servers), (None, None, Some(3)));
}
