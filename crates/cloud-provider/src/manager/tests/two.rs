//! Two managers at a time, each with a network and a clock of its own.

use cloud_sim::{Cut, Network};

use super::*;

/// One of the two.
struct One {
    network: Network,
    clock: Clock,
    ran: Ran,
}

impl One {
    fn start(world: &World, name: &'static str) -> Self {
        world.sim.add_token(name, name, &["system:masters"], None);
        let network = Network::new();
        network.host("kubernetes", world.sim.router());
        let clock = Clock::simulated(world.clock.now(), 1.0);
        let mut options = options(&[]);
        options.election.as_mut().unwrap().identity = name.to_owned();
        let wire = network.clone();
        let clients = Clients::new(move |purpose| {
            let client = crate::testing::client(&wire, name, &purpose.fence);
            Box::pin(async move { Ok(client) })
        });
        let cloud = Arc::new(world.cloud.clone());
        let process = Process::new("test", "v0", options, cloud, clients, clock.clone());
        let ran = Ran::start(process);
        Self { network, clock, ran }
    }

    fn leads(&self) -> bool {
        let line = "leader_election_master_status{name=\"cloud-controller-manager\"} 1";
        self.ran.metrics.render().contains(line)
    }
}

/// What this user wrote after the request with this number.
fn writes(world: &World, user: &str, after: u64) -> Vec<String> {
    let requests = world.sim.requests().into_iter();
    requests
        .filter(|request| request.user == user && request.n > after && request.method != "GET")
        .map(|request| format!("{} {} {}", request.n, request.method, request.path))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_reach_the_api_server_is_replaced_and_writes_nothing_after_that() {
    let world = World::new();
    let first = One::start(&world, "first");
    seconds(5).await;
    let second = One::start(&world, "second");
    for n in 1..=3 {
        add_node(&world, n);
    }
    seconds(10).await;
    assert!(first.leads() && !second.leads());
    // Cut off while it is at work, with more to do.
    for n in 4..=30 {
        add_node(&world, n);
    }
    first.network.cut(Cut::Before(first.network.sent() + 1));
    let mut taken = None;
    for _ in 0..60 {
        seconds(1).await;
        assert!(!(first.leads() && second.leads()), "never both");
        if second.leads() {
            taken = taken.or(world.sim.requests().last().map(|request| request.n));
        }
    }
    let taken = taken.expect("the second one took over");
    assert!(
        (1..=30).all(|n| world.taints(&format!("n{n}")).is_empty()),
        "and did the work"
    );
    first.network.heal();
    minutes(30).await;
    assert!(matches!(first.ran.ended.await.unwrap(), Err(ProcessError::Lost)));
    assert_eq!(writes(&world, "first", taken), Vec::<String>::new());
    assert!(second.leads());
}

#[tokio::test(start_paused = true)]
async fn clocks_that_jump_cost_nobody_the_lease() {
    let world = World::new();
    let (first, hour) = (One::start(&world, "first"), Duration::from_hours(1));
    seconds(5).await;
    let second = One::start(&world, "second");
    let start = world.clock.now();
    let before = start - jiff::SignedDuration::from_hours(1);
    for n in 1..=20 {
        match n % 4 {
            0 => first.clock.advance(hour),
            1 => second.clock.advance(3 * hour),
            2 => first.clock.set(before),
            _ => second.clock.set(before),
        }
        add_node(&world, n);
        for _ in 0..20 {
            seconds(1).await;
            assert!(first.leads() && !second.leads(), "jump {n}");
        }
        assert!(world.taints(&format!("n{n}")).is_empty(), "work goes on after jump {n}");
    }
    assert_eq!(lease(&world)["leaseTransitions"], 0);
    assert_eq!(lease(&world)["holderIdentity"], "first");
    // However wrong the times in it are, the lease is free the moment it is given back.
    first.ran.stop.cancel();
    first.ran.ended.await.unwrap().unwrap();
    seconds(3).await;
    assert!(second.leads());
}
