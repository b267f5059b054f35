use super::*;
use crate::config::ClusterConfig;

fn config(text: &str) -> K3d {
    ClusterConfig::from_yaml(text).unwrap().k3d.unwrap()
}

fn line(text: &str) -> String {
    create("dev", &config(text), 6550, false, Duration::from_mins(5)).join(" ")
}

#[test]
fn volumes_ports_and_arguments_get_their_node_filters() {
    let text = "k3d:\n  agents: 1\n  ports: [{port: '8080:80'}, {port: '9000:9000', nodeFilters: ['server:0']}]\n  volumes: [{volume: '/a@b:/c'}, {volume: '/d:/e', nodeFilters: ['agent:0', 'agent:1']}]\n  k3sArgs: [{arg: '--disable=traefik'}, {arg: '--x', nodeFilters: ['server:0']}]\n";
    let line = line(text);
    for part in [
        "--port 8080:80@loadbalancer",
        "--port 9000:9000@server:0",
        "--volume /a\\@b:/c@all",
        "--volume /d:/e@agent:0;agent:1",
        "--k3s-arg --disable=traefik@server:*",
        "--k3s-arg --x@server:0",
    ] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
}

#[test]
fn a_single_node_needs_no_filters() {
    let line = line("k3d: {noLoadBalancer: true, volumes: [{volume: '/a:/b'}], k3sArgs: [{arg: '--x'}]}");
    assert!(line.contains("--volume /a:/b --k3s-arg --x --timeout"), "{line}");
}

#[test]
fn a_release_is_an_image_and_back() {
    assert!(line("k3d: {kubernetesVersion: v1.35.5+k3s1}").contains("--image rancher/k3s:v1.35.5-k3s1"));
    assert_eq!(version_of_image("rancher/k3s:v1.35.5-k3s1").unwrap(), "v1.35.5+k3s1");
    assert_eq!(
        version_of_image("rancher/k3s:v1.35.5-rc1-k3s1@sha256:ab").unwrap(),
        "v1.35.5-rc1+k3s1"
    );
    assert_eq!(version_of_image("mine:latest"), None);
}

#[test]
fn an_engine_elsewhere_chooses_the_address_itself() {
    let args = create("dev", &K3d::default(), 6550, true, Duration::from_mins(5)).join(" ");
    assert!(args.contains("--api-port 6550 "), "{args}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for text in [
        "k3d: {servers: 0}",
        "k3d: {image: a, kubernetesVersion: v1.30.0+k3s1}",
        "k3d: {kubernetesVersion: 1.30.0}",
        "k3d: {timeout: soon}",
    ] {
        assert!(wants(&config(text)).is_err(), "{text}");
    }
}

#[test]
fn ports_are_compared_by_their_numbers() {
    assert_eq!(host_and_inside("127.0.0.1:8080:80/tcp").as_deref(), Some("8080:80"));
    assert_eq!(host_and_inside("8080:80").as_deref(), Some("8080:80"));
    assert_eq!(host_and_inside("80"), None);
    assert_eq!(host_and_inside("8000-8010:80"), None);
}
