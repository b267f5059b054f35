//! Services with IPv6 addresses, which load balancers of Equinix Metal have none of.

use cloud_provider::Cloud as _;
use equinix_metal_sim::Settings;
use kube_kit::Fence;
use serde_json::json;

use crate::cluster::{SOON, context, cut, reserved, told, without_machines};

#[tokio::test(start_paused = true)]
async fn of_both_families_ipv4_is_served_and_the_other_told() {
    let world = without_machines(Settings::default(), "kube-vip://");
    let context = context(&world, &Fence::open());
    let cloud = world.cloud();
    cloud.initialize(&context).await.unwrap();
    world.add_service("default", "web", &json!({}));
    // The simulated cluster has one family, so the other is put where it would be read.
    let mut service = cut(&world, "web");
    service.ip_families = vec!["IPv6".to_owned(), "IPv4".to_owned()];
    let balancer = cloud.load_balancers().unwrap().ensure("kubernetes", &service, &[]);
    let ingress = balancer.await.unwrap().ingress;
    assert_eq!(ingress[0].ip, reserved(&world)[0].0);
    world
        .until("it is told", SOON, |world| told(world, "IPv6NotSupported"))
        .await;
    context.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn of_ipv6_alone_nothing_is_paid_for() {
    for setting in ["kube-vip://", "emlb:///da"] {
        let world = without_machines(Settings::default(), setting);
        let context = context(&world, &Fence::open());
        let cloud = world.cloud();
        cloud.initialize(&context).await.unwrap();
        world.add_service("default", "web", &json!({}));
        let mut service = cut(&world, "web");
        service.ip_families = vec!["IPv6".to_owned()];
        let balancers = cloud.load_balancers().unwrap();
        let error = balancers.ensure("kubernetes", &service, &[]).await.unwrap_err();
        let text = "the service has IPv6 alone: add IPv4 to spec.ipFamilies";
        assert!(kit::chain(&error).contains(text), "{setting}: {}", kit::chain(&error));
        assert_eq!(error.class(), kit::Class::Invalid);
        assert!(reserved(&world).is_empty() && world.sim.load_balancers().is_empty());
        balancers.delete("kubernetes", &service).await.unwrap();
        context.stop.cancel();
    }
}
