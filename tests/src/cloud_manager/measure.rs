//! What a manager is measured by.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Bound, CloudFront, Cluster, Figures, Machine, Manager, Subject, within};

/// Longer than this nothing is waited for.
const PATIENCE: Duration = Duration::from_mins(3);
/// How often that is done whose time, or number of looks, is compared with another one's. The least of each counts: whatever
/// else the machine does can only add.
const TRIES: usize = 3;
const MB: f64 = 1e6;

/// A cluster and a cloud for one subject.
pub struct World<'a> {
    /// The subject.
    pub subject: &'a Subject,
    /// The cluster.
    pub cluster: Cluster,
    /// The cloud.
    pub cloud: CloudFront,
    /// What the cloud has.
    pub machines: Vec<Machine>,
}

impl<'a> World<'a> {
    /// A world with so many nodes.
    pub async fn new(subject: &'a Subject, nodes: usize, initialised: bool) -> Self {
        let machines = subject.machines(nodes);
        let cluster = Cluster::start().await;
        (subject.cluster)(&cluster.sim);
        cluster.add_nodes(subject, &machines, initialised);
        let cloud = CloudFront::serve((subject.cloud)(&machines)).await;
        Self {
            subject,
            cluster,
            cloud,
            machines,
        }
    }

    /// Starts a manager.
    pub fn start(&self, user: &str, flags: &[&str]) -> Manager {
        Manager::start(self.subject, &self.cluster, &self.cloud, user, flags)
    }

    /// Waits until no node is tainted any more.
    pub async fn initialised(&self, manager: &Manager) -> Duration {
        let mut waiting: Vec<&Machine> = self.machines.iter().collect();
        let done = within(PATIENCE, || {
            while let Some(machine) = waiting.last() {
                let node = self.cluster.sim.peek("nodes", None, &machine.name)?;
                let mut taints = node["spec"]["taints"].as_array().into_iter().flatten();
                if taints.any(|taint| taint["key"] == "node.cloudprovider.kubernetes.io/uninitialized") {
                    return None;
                }
                waiting.pop();
            }
            Some(manager.age())
        });
        done.await
            .unwrap_or_else(|| panic!("{} nodes are left:\n{}", waiting.len(), manager.log()))
    }

    /// Waits until every Service has its address.
    pub async fn served(&self, manager: &Manager, count: usize) -> Duration {
        let mut waiting: Vec<usize> = (0..count).collect();
        let done = within(PATIENCE, || {
            while let Some(n) = waiting.last() {
                let service = self
                    .cluster
                    .sim
                    .peek("services", Some("default"), &format!("service-{n}"))?;
                service["status"]["loadBalancer"]["ingress"].get(0)?;
                waiting.pop();
            }
            Some(manager.age())
        });
        done.await
            .unwrap_or_else(|| panic!("{} Services are left:\n{}", waiting.len(), manager.log()))
    }
}

fn pages(nodes: usize) -> f64 {
    nodes.div_ceil(1000) as f64
}

/// New nodes, a manager, and how many seconds it took it to initialise them.
async fn new_nodes(subject: &Subject, count: usize) -> (World<'_>, Manager, f64) {
    let world = World::new(subject, count, false).await;
    let manager = world.start("manager", &[]);
    let took = world.initialised(&manager).await.as_secs_f64();
    (world, manager, took)
}

/// New nodes: time, requests, processor time, memory, events, order of writes; then nodes that are not ready, and the
/// end. Gives the resident memory.
pub async fn nodes(subject: &Subject, count: usize, figures: &mut Figures) -> f64 {
    let (mut writes, mut one, mut took) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
    let mut last = None;
    for _ in 0..TRIES {
        drop(last.take());
        let alone = Cluster::start().await;
        let machines = subject.machines(count);
        alone.add_nodes(subject, &machines, false);
        writes = writes.min(alone.two_writes_each(&machines).await.as_secs_f64());
        drop(alone);

        // What any number of nodes costs: a process that starts, wins the election, lists the cluster, asks the cloud.
        one = one.min(new_nodes(subject, 1).await.2);
        let (world, manager, seconds) = new_nodes(subject, count).await;
        took = took.min(seconds);
        last = Some((world, manager));
    }
    let (world, mut manager) = last.expect("it was tried");
    let asked = world.cloud.count() as f64;
    let processor = manager.processor();
    let go = match count {
        500 => "74 s (6.5 s)",
        1000 => "149 s (10.4 s)",
        _ => "",
    };
    let further_pages = (pages(count) - 1.0) * super::front::DELAY.as_secs_f64();
    let most = Bound::AtMost(1.5 * writes + one + further_pages);
    figures.add(
        "two writes per node, API server alone",
        count,
        (writes, "s"),
        "",
        Bound::None,
    );
    figures.add("one node initialised", 1, (one, "s"), "", Bound::AtMost(0.5));
    figures.add("all nodes initialised", count, (took, "s"), go, most);
    let most = Bound::AtMost(pages(count) + 3.0);
    figures.add(
        "provider requests for that",
        count,
        (asked, ""),
        &(count + 1).to_string(),
        most,
    );
    let synced = within(PATIENCE / 6, || {
        let events = world.cluster.sim.list("events");
        let synced: HashSet<_> = events
            .iter()
            .filter(|event| event["reason"] == "Synced")
            .filter_map(|event| event["involvedObject"]["name"].as_str())
            .collect();
        (synced.len() >= count).then_some(count)
    });
    let synced = synced.await.unwrap_or_default() as f64;
    figures.add(
        "Synced events written",
        count,
        (synced, ""),
        "",
        Bound::Exactly(count as f64),
    );
    if count <= 1000 {
        let late = late_addresses(&world) as f64;
        figures.add(
            "nodes untainted before their addresses",
            count,
            (late, ""),
            "all",
            Bound::Exactly(0.0),
        );
    }
    let each = processor.as_secs_f64() * 1e3 / count as f64;
    // Starting costs the same at any size, and there is no Go figure for that.
    let most = if count >= 500 { Bound::AtMost(0.94) } else { Bound::None };
    figures.add("processor time per node", count, (each, "ms"), "9.4 ms", most);

    tokio::time::sleep(Duration::from_secs(3)).await;
    let resident = manager.resident();
    let (go, most) = match count {
        100 => ("67 MB", Bound::AtMost(67.0 / 5.0)),
        500 => ("79 MB", Bound::AtMost(79.0 / 5.0)),
        1000 => ("92 MB", Bound::AtMost(92.0 / 5.0)),
        _ => ("", Bound::None),
    };
    figures.add("resident memory of the leader", count, (resident / MB, "MB"), go, most);
    if count == 1000 {
        not_ready(&world, figures).await;
    }

    manager.signal(Signal::TERM);
    let (code, took) = manager.ended(Duration::from_secs(30)).await.expect("it ends");
    figures.add(
        "exit code after SIGTERM",
        count,
        (f64::from(code.unwrap_or(-1)), ""),
        "killed",
        Bound::Exactly(0.0),
    );
    figures.add(
        "SIGTERM to exit",
        count,
        (took.as_secs_f64(), "s"),
        "",
        Bound::AtMost(2.0),
    );
    let held = f64::from(u8::from(!world.cluster.leader().is_empty()));
    figures.add("leases left held", count, (held, ""), "1", Bound::Exactly(0.0));
    resident
}

/// How many nodes lost their taint before they had their addresses.
fn late_addresses(world: &World<'_>) -> usize {
    let mut addressed = HashSet::new();
    let mut late = 0;
    for request in world.cluster.sim.requests() {
        let Some(path) = request.path.strip_prefix("/api/v1/nodes/") else {
            continue;
        };
        if request.status != 200 || !matches!(request.method.as_str(), "PATCH" | "PUT") {
            continue;
        }
        match path.strip_suffix("/status") {
            Some(name) => drop(addressed.insert(name.to_owned())),
            None => late += usize::from(!addressed.contains(path)),
        }
    }
    late
}

/// A tenth of the nodes is not ready: the cloud is asked with one list a sweep, every five seconds at most.
async fn not_ready(world: &World<'_>, figures: &mut Figures) {
    let count = world.machines.len();
    for machine in world.machines.iter().step_by(10) {
        world.cluster.set_ready(&machine.name, false);
    }
    let before = world.cloud.count();
    let window = Duration::from_secs(20);
    tokio::time::sleep(window).await;
    let asked = (world.cloud.count() - before) as f64;
    let sweeps = (window.as_secs() / 5 + 1) as f64;
    let most = Bound::AtMost(sweeps * pages(count));
    figures.add(
        "provider requests in 20 s, 10% not ready",
        count,
        (asked, ""),
        "395",
        most,
    );
}

/// An hour in which nothing changes, a hundred and fifty times as fast.
pub async fn steady(subject: &Subject, count: usize, figures: &mut Figures) {
    let world = World::new(subject, count, true).await;
    let manager = world.start("manager", &["--node-status-update-frequency=2s"]);
    let first = within(PATIENCE, || (world.cloud.count() > 0).then_some(()));
    first
        .await
        .unwrap_or_else(|| panic!("the cloud is not asked:\n{}", manager.log()));
    // Its first pass tells each node what the cloud says of it.
    let mut seen = 0;
    while seen < world.cluster.sim.revision() {
        seen = world.cluster.sim.revision();
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    let (before, revision) = (world.cloud.count(), world.cluster.sim.revision());
    tokio::time::sleep(Duration::from_secs(24)).await;
    let asked = (world.cloud.count() - before) as f64;
    let go = if count == 1000 { "11159" } else { "" };
    let most = Bound::AtMost(12.0 * pages(count) + 12.0);
    figures.add("provider requests in a steady hour", count, (asked, ""), go, most);
    // The lease is renewed twelve times meanwhile; nothing else is written.
    let written = (world.cluster.sim.revision() - revision) as f64;
    figures.add(
        "writes in twelve passes, election included",
        count,
        (written, ""),
        "",
        Bound::AtMost(13.0),
    );
}

/// What new Services cost.
pub struct Served {
    /// How long all of them took, from the start of the manager.
    pub took: Duration,
    /// How many requests to the cloud the first one took, which brings up what all of them need.
    pub first: usize,
    /// How many all others took.
    pub others: usize,
    /// The cloud.
    pub cloud: CloudFront,
}

/// One new Service, and when it has its address the others.
pub async fn services(subject: &Subject, nodes: usize, count: usize, throttle: usize) -> Served {
    let world = World::new(subject, nodes, true).await;
    world.cluster.add_services(subject, 0..1);
    world.cloud.throttle(throttle);
    let manager = world.start("manager", &[]);
    world.served(&manager, 1).await;
    let first = world.cloud.count();
    world.cluster.add_services(subject, 1..count);
    let took = world.served(&manager, count).await;
    Served {
        took,
        first,
        others: world.cloud.count() - first,
        cloud: world.cloud.clone(),
    }
}

/// A hundred Services, as often as it takes to know how few requests that needs.
async fn hundred_services(subject: &Subject, nodes: usize) -> Served {
    let mut fewest = services(subject, nodes, 100, 0).await;
    for _ in 1..TRIES {
        let served = services(subject, nodes, 100, 0).await;
        if served.others < fewest.others {
            fewest = served;
        }
    }
    fewest
}

/// The Service lines of the table.
pub async fn all_services(subject: &Subject, figures: &mut Figures) {
    let (few, many) = (
        hundred_services(subject, 100).await,
        hundred_services(subject, 500).await,
    );
    let clean = many.took.as_secs_f64();
    figures.add(
        "100 Services get their addresses",
        500,
        (clean, "s"),
        "36 min",
        Bound::AtMost(60.0),
    );
    for (nodes, served) in [(100, &few), (500, &many)] {
        let each = 2 * nodes + 3;
        figures.add(
            "provider requests for the first of them",
            nodes,
            (served.first as f64, ""),
            &each.to_string(),
            // What is made at each node, and looked up once.
            Bound::AtMost(each as f64 + 7.0),
        );
        figures.add(
            "provider requests for the others",
            nodes,
            (served.others as f64, ""),
            &(99 * each).to_string(),
            // Who waits for something looks now and then, so that time counts a little.
            Bound::AtMost(1.05 * few.others as f64 + 2.0),
        );
    }
    // Many, so that the last ones, who can do nothing but wait, do not count for much.
    let clean = services(subject, 500, 500, 0).await.took.as_secs_f64();
    let slow = services(subject, 500, 500, 5).await;
    let throttled = slow.cloud.throttled();
    let most = Bound::AtMost(1.5 * clean);
    figures.add("500 Services get their addresses", 500, (clean, "s"), "", Bound::None);
    figures.add(
        "the same, 20% of answers are 429",
        500,
        (slow.took.as_secs_f64(), "s"),
        "",
        most,
    );
    figures.add(
        "answers that were 429",
        500,
        (throttled.count as f64, ""),
        "",
        Bound::None,
    );
    figures.add(
        "the longest that one URL was closed",
        500,
        (throttled.closed.as_secs_f64(), "s"),
        "",
        Bound::None,
    );
    figures.add(
        "asked again too early",
        500,
        (throttled.too_early.len() as f64, ""),
        "",
        Bound::Exactly(0.0),
    );
    let lots = services(subject, 500, 2000, 0).await;
    figures.add(
        "2000 Services get their addresses",
        500,
        (lots.took.as_secs_f64(), "s"),
        "",
        Bound::None,
    );
}

/// New nodes while the cloud throttles.
pub async fn throttled_nodes(subject: &Subject, count: usize, figures: &mut Figures) {
    let mut took = [f64::INFINITY; 2];
    let mut early = 0;
    for _ in 0..TRIES {
        for (took, throttle) in took.iter_mut().zip([0, 5]) {
            let world = World::new(subject, count, false).await;
            world.cloud.throttle(throttle);
            let manager = world.start("manager", &[]);
            *took = took.min(world.initialised(&manager).await.as_secs_f64());
            early += world.cloud.throttled().too_early.len();
        }
    }
    let most = Bound::AtMost(1.5 * took[0]);
    figures.add(
        "all nodes initialised, 20% of answers are 429",
        count,
        (took[1], "s"),
        "",
        most,
    );
    figures.add(
        "asked again too early",
        count,
        (early as f64, ""),
        "",
        Bound::Exactly(0.0),
    );
}

/// A leader ends, and another one takes over.
pub async fn hand_over(subject: &Subject, figures: &mut Figures) {
    let world = World::new(subject, 10, false).await;
    let mut first = world.start("first", &[]);
    world.initialised(&first).await;
    let was = world.cluster.leader();
    let second = world.start("second", &[]);
    let seen = within(PATIENCE, || {
        let requests = world.cluster.sim.requests();
        let mut lease = requests.iter().filter(|request| request.user == "second");
        lease
            .any(|request| request.path.ends_with("/leases/cloud-controller-manager"))
            .then_some(())
    });
    seen.await
        .unwrap_or_else(|| panic!("no second candidate:\n{}", second.log()));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let began = Instant::now();
    first.signal(Signal::TERM);
    let leads = within(PATIENCE / 6, || {
        let leader = world.cluster.leader();
        (!leader.is_empty() && leader != was).then(|| began.elapsed())
    });
    let took = leads
        .await
        .unwrap_or_else(|| panic!("nobody took over:\n{}", second.log()));
    let _ = first.ended(Duration::from_secs(10)).await;
    figures.add(
        "SIGTERM to the next leader",
        10,
        (took.as_secs_f64(), "s"),
        "17.4 s",
        Bound::AtMost(2.0),
    );
}
