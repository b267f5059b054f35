//! Whose certificate an API server shows, with real handshakes on loopback.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_http::{Roots, Transport, TransportOptions};
use kit::Clock;
use kontainer_engine::{Call, ClusterInfo, Driver as _, Phase};
use rackspace_spot::SpotDriver;
use rackspace_spot_sim::{API_HOST, KubeconfigShape, LOGIN_HOST, Settings, SpotSim};
use tokio_util::sync::CancellationToken;

use crate::harness::acme;

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

/// A cluster whose API server is on a socket, created and checked on a machine that trusts the sim's public authority.
async fn checked(settings: Settings) -> (SpotSim, Result<ClusterInfo, String>) {
    // A minute takes a tenth of a second.
    let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap(), 600.0);
    let sim = SpotSim::seeded(clock.clone(), settings, 1);
    sim.set_market("*", "0.005");
    sim.host_clusters_on_loopback(CancellationToken::new());
    let public = sim.public_ca_pem().to_owned();
    let machine = public.clone();
    let clusters = Arc::new(move |roots: &Roots| {
        let roots = match roots {
            Roots::System => Roots::Pem(machine.clone().into_bytes()),
            other => other.clone(),
        };
        Transport::network(&TransportOptions {
            roots,
            ..TransportOptions::default()
        })
    });
    let mut settings = rackspace_spot::Settings::new(Transport::from_service(sim.network()), clusters, clock);
    settings.api_url = format!("https://{API_HOST}");
    settings.oauth_url = format!("https://{LOGIN_HOST}");
    settings.limits.kubeconfig = Duration::from_secs(20);
    // The one that counts is neither the first nor the last.
    let others: Vec<Vec<u8>> = (0..4)
        .map(|seed| der(kube_sim::KubeSim::builder().seed(100 + seed).build().ca_pem()))
        .collect();
    settings.public_roots = Arc::new(move || {
        let mut roots = others.clone();
        roots.insert(2, der(&public));
        roots
    });
    let driver = SpotDriver::new(settings);
    let options = driver.options().parse(&acme().0, Phase::Create).unwrap();
    let call = Call::detached();
    let info = driver.create(&call, &options, None).await.unwrap();
    let info = driver.post_check(&call, info).await.map_err(|error| error.text());
    (sim, info)
}

fn ca(info: &ClusterInfo) -> Vec<u8> {
    der(&String::from_utf8(STANDARD.decode(&info.root_ca_certificate).unwrap()).unwrap())
}

#[tokio::test]
async fn an_endpoint_with_the_clusters_own_certificate_is_trusted_by_the_clusters_ca() {
    for kubeconfig in [KubeconfigShape::Normal, KubeconfigShape::WithCa] {
        let (sim, info) = checked(Settings {
            kubeconfig,
            ..Settings::default()
        })
        .await;
        assert_eq!(ca(&info.unwrap()), der(sim.kube("c-w467n").unwrap().ca_pem()));
    }
}

#[tokio::test]
async fn an_endpoint_with_a_public_certificate_is_trusted_by_that_authority_alone() {
    let (sim, info) = checked(Settings {
        public_certificates: true,
        ..Settings::default()
    })
    .await;
    assert_eq!(ca(&info.unwrap()), der(sim.public_ca_pem()));
}

#[tokio::test]
async fn the_ca_that_a_kubeconfig_names_is_the_only_one_that_counts() {
    let (_sim, info) = checked(Settings {
        public_certificates: true,
        kubeconfig: KubeconfigShape::WithCa,
        ..Settings::default()
    })
    .await;
    info.unwrap_err();
}
