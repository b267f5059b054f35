use cloud_provider::announcers::kube_vip;
use cloud_provider::data::Ingress;

use super::*;
use crate::client::{Member, NetworkBlock};
use crate::load_balancers::ANNOTATION_ASSIGNED;

mod shared;

fn service(name: &str, ip: &str, mark: &str) -> Service {
    let mut service = Service {
        namespace: "default".to_owned(),
        name: name.to_owned(),
        kind: "LoadBalancer".to_owned(),
        load_balancer_ip: ip.to_owned(),
        ..Service::default()
    };
    if !mark.is_empty() {
        service
            .annotations
            .insert(ANNOTATION_ASSIGNED.to_owned(), mark.to_owned());
    }
    service
}

fn plain() -> Service {
    service("web", "", "")
}

fn block(id: &str, cidr: &str, status: BlockStatus, owner: &Service) -> IpBlock {
    let assigned = (status == BlockStatus::Assigned).then(|| "net".to_owned());
    IpBlock {
        id: id.to_owned(),
        cidr: cidr.to_owned(),
        assigned_resource_type: assigned.is_some().then(|| "public network".to_owned()),
        assigned_resource_id: assigned,
        status,
        tags: [tags::cluster("uid"), tags::service(owner)].concat(),
        created_on: format!("2026-01-01T00:00:0{}Z", id.len()),
        ..IpBlock::default()
    }
}

fn mine(status: BlockStatus) -> IpBlock {
    block("b", "203.0.113.8/29", status, &plain())
}

fn shared(id: &str, cidr: &str, status: BlockStatus) -> IpBlock {
    IpBlock {
        tags: [tags::cluster("uid"), tags::shared()].concat(),
        ..block(id, cidr, status, &plain())
    }
}

/// What can be seen, owned.
struct World {
    service: Service,
    blocks: Vec<IpBlock>,
    strangers: Vec<IpBlock>,
    members: Vec<String>,
    more: Vec<NetworkBlock>,
    taken: Vec<&'static str>,
    share: bool,
    ahead: usize,
    buying: usize,
}

impl Default for World {
    fn default() -> Self {
        Self {
            service: plain(),
            blocks: Vec::new(),
            strangers: Vec::new(),
            members: Vec::new(),
            more: Vec::new(),
            taken: Vec::new(),
            share: false,
            ahead: 0,
            buying: 0,
        }
    }
}

/// A choice in short.
#[derive(Debug, PartialEq)]
enum Short {
    Use(String, Write),
    Stay(String),
    Restore(String, Vec<String>),
    Assign(String),
    Withdraw(String),
    Wait(String),
    Queue,
    Buy,
}

fn written(address: &str) -> Short {
    Short::Use(address.to_owned(), Write::Address)
}

impl World {
    fn choose(&self) -> Result<(Short, Vec<String>), String> {
        let all = self.blocks.iter().chain(&self.strangers);
        let on_network = all.filter(|block| is_on(block, "net"));
        let listed = on_network.map(|block| NetworkBlock {
            id: block.id.clone(),
            cidr: block.cidr.clone(),
        });
        let network = PublicNetwork {
            id: "net".to_owned(),
            memberships: vec![Member {
                resource_id: "server".to_owned(),
                ips: self.members.clone(),
                ..Member::default()
            }],
            ip_blocks: listed.chain(self.more.iter().cloned()).collect(),
            ..PublicNetwork::default()
        };
        let names = kube_vip::names(ANNOTATION_ASSIGNED);
        let taken = self.taken.iter().map(|text| text.parse().unwrap()).collect();
        let choice = choose(&Seen {
            service: &self.service,
            names: &names,
            network: &network,
            cluster: "uid",
            blocks: &self.blocks,
            strangers: &self.strangers,
            taken: &taken,
            share: self.share,
            ahead: self.ahead,
            buying: self.buying,
            block_room: 13,
        });
        let choice = choice.map_err(|error| error.to_string())?;
        let step = match choice.step {
            Step::Use { address, write } => Short::Use(address.to_string(), write),
            Step::Stay { address, .. } => Short::Stay(address.to_string()),
            Step::Restore { block, tags } => {
                let names = tags.into_iter().map(|tag| tag.name).collect();
                Short::Restore(block.id.clone(), names)
            }
            Step::Assign(block) => Short::Assign(block.id.clone()),
            Step::Withdraw(block) => Short::Withdraw(block.id.clone()),
            Step::Wait(block) => Short::Wait(block.id.clone()),
            Step::Queue => Short::Queue,
            Step::Buy => Short::Buy,
        };
        Ok((step, choice.spares.iter().map(|block| block.id.clone()).collect()))
    }

    fn step(&self) -> Result<Short, String> {
        self.choose().map(|(step, _)| step)
    }
}

fn with(blocks: &[IpBlock]) -> World {
    World {
        blocks: blocks.to_vec(),
        ..World::default()
    }
}

#[test]
fn each_status_of_its_block_leads_to_one_step() {
    let on = |text: &str| text.to_owned();
    for (status, expected) in [
        (BlockStatus::Unassigned, Short::Assign(on("b"))),
        (BlockStatus::Assigned, written("203.0.113.10")),
        (BlockStatus::Creating, Short::Wait(on("b"))),
        (BlockStatus::Assigning, Short::Wait(on("b"))),
        (BlockStatus::Unassigning, Short::Wait(on("b"))),
        (BlockStatus::ErrorAssigning, Short::Withdraw(on("b"))),
        (BlockStatus::ErrorUnassigning, Short::Withdraw(on("b"))),
        (BlockStatus::Other(on("subnetted")), Short::Wait(on("b"))),
        (BlockStatus::Unknown, Short::Wait(on("b"))),
    ] {
        assert_eq!(with(&[mine(status.clone())]).step(), Ok(expected), "{status}");
    }
    assert_eq!(World::default().step(), Ok(Short::Buy));
}

#[test]
fn the_blocks_of_others_and_those_being_released_do_not_count() {
    let other = block("x", "203.0.113.0/29", BlockStatus::Assigned, &service("other", "", ""));
    let mut namesake = plain();
    namesake.namespace = "elsewhere".to_owned();
    let namesake = block("y", "203.0.113.16/29", BlockStatus::Assigned, &namesake);
    let mut marked = mine(BlockStatus::Assigned);
    marked.tags = tags::marked(&marked);
    assert_eq!(with(&[other, namesake, marked]).choose(), Ok((Short::Buy, Vec::new())));
}

#[test]
fn the_service_keeps_its_address_and_gets_a_free_one_otherwise() {
    let assigned = || mine(BlockStatus::Assigned);
    let told = Service {
        ingress: vec![Ingress::ip("203.0.113.12")],
        ..plain()
    };
    for (what, service, expected) in [
        (
            "written by us",
            service("web", "203.0.113.11", "203.0.113.11"),
            written("203.0.113.11"),
        ),
        (
            "written by the original",
            service("web", "203.0.113.10", ""),
            Short::Use("203.0.113.10".to_owned(), Write::Mark),
        ),
        ("somebody cleared the spec", told, written("203.0.113.12")),
        (
            "not for services",
            service("web", "203.0.113.9", "203.0.113.9"),
            written("203.0.113.10"),
        ),
        (
            "of a block that is gone",
            service("web", "192.0.2.1", "192.0.2.1"),
            written("203.0.113.10"),
        ),
    ] {
        let world = World {
            service,
            ..with(&[assigned()])
        };
        assert_eq!(world.step(), Ok(expected), "{what}");
    }
    let crowded = World {
        members: vec!["203.0.113.10".to_owned(), "203.0.113.12 - 203.0.113.13".to_owned()],
        taken: vec!["203.0.113.11"],
        ..with(&[assigned()])
    };
    assert_eq!(crowded.step(), Ok(written("203.0.113.14")));
    let full = World {
        members: vec!["203.0.113.10 - 203.0.113.14".to_owned()],
        ..with(&[assigned()])
    };
    let text = "all addresses of block 203.0.113.8/29 are in use by others";
    assert_eq!(full.step(), Err(text.to_owned()));
}

#[test]
fn of_several_blocks_the_one_in_use_is_kept_else_the_one_that_is_there_else_the_oldest() {
    let old = block("a", "203.0.113.0/29", BlockStatus::Unassigned, &plain());
    let ready = block("bb", "203.0.113.8/29", BlockStatus::Assigned, &plain());
    let new = block("ccc", "203.0.113.16/29", BlockStatus::Assigned, &plain());
    let all = [new.clone(), ready, old.clone()];
    let spares = |ids: [&str; 2]| ids.map(str::to_owned).to_vec();
    assert_eq!(with(&all).choose(), Ok((written("203.0.113.10"), spares(["ccc", "a"]))));
    let in_use = World {
        service: service("web", "203.0.113.18", "203.0.113.18"),
        ..with(&all)
    };
    assert_eq!(in_use.choose(), Ok((written("203.0.113.18"), spares(["bb", "a"]))));
    let moving = IpBlock {
        status: BlockStatus::Assigning,
        ..new
    };
    assert_eq!(
        with(&[moving, old]).choose(),
        Ok((Short::Assign("a".to_owned()), vec!["ccc".to_owned()]))
    );
}

#[test]
fn every_check_of_an_assignment_has_the_originals_text() {
    let change = |change: &dyn Fn(&mut IpBlock)| {
        let mut block = mine(BlockStatus::Assigned);
        change(&mut block);
        with(&[block]).step().unwrap_err()
    };
    let text = |text: &str| Some(text.to_owned());
    for (told, expected) in [
        (
            change(&|block| block.cidr = "x".to_owned()),
            "invalid CIDR in block x: invalid CIDR address: x",
        ),
        (
            change(&|block| block.assigned_resource_type = None),
            "block 203.0.113.8/29 has no assigned resource type",
        ),
        (
            change(&|block| block.assigned_resource_type = text("server")),
            "block 203.0.113.8/29 is assigned to server and not to a public network",
        ),
        (
            change(&|block| block.assigned_resource_id = text("")),
            "block 203.0.113.8/29 has an assigned resource type public network but not ID",
        ),
        (
            change(&|block| block.assigned_resource_id = text("other")),
            "block 203.0.113.8/29 is assigned to network other instead of expected net",
        ),
    ] {
        assert_eq!(told, expected);
    }
    let mut shouting = mine(BlockStatus::Assigned);
    shouting.assigned_resource_type = text("PUBLIC_NETWORK");
    assert_eq!(with(&[shouting]).step(), Ok(written("203.0.113.10")));
}

#[test]
fn an_address_that_is_asked_for_must_be_reachable_and_nobody_elses() {
    let other = block("x", "203.0.113.0/29", BlockStatus::Assigned, &service("other", "", ""));
    let brought = NetworkBlock {
        id: "byo".to_owned(),
        cidr: "198.51.100.0/28".to_owned(),
    };
    let mut ending = shared("e", "192.0.2.0/29", BlockStatus::Assigned);
    ending.tags = tags::marked(&ending);
    let asking = |ip: &str| World {
        service: service("web", ip, ""),
        more: vec![brought.clone()],
        taken: vec!["198.51.100.5"],
        members: vec!["198.51.100.6".to_owned()],
        ..with(&[other.clone(), ending.clone()])
    };
    let asked = |ip: &str| Ok(Short::Use(ip.to_owned(), Write::Nothing));
    assert_eq!(asking("198.51.100.4").step(), asked("198.51.100.4"));
    for (ip, why) in [
        ("10.0.0.1", "public network net has no IP block with it"),
        ("198.51.100.1", "it is not for services in block 198.51.100.0/28"),
        ("198.51.100.5", "another service has it"),
        ("198.51.100.6", "a member of public network net has it"),
        (
            "203.0.113.2",
            "its block 203.0.113.0/29 is that of service default/other",
        ),
        ("192.0.2.2", "its block 192.0.2.0/29 is being released"),
    ] {
        let expected = format!("the address {ip} was asked for, but {why}: correct or remove spec.loadBalancerIP");
        assert_eq!(asking(ip).step(), Err(expected));
    }
    assert!(
        asking("nonsense")
            .step()
            .unwrap_err()
            .starts_with("invalid service IP nonsense: ")
    );
    // Asked for after it had one of its own: that one is not needed any more.
    let mut world = asking("198.51.100.4");
    world.blocks.push(mine(BlockStatus::Assigned));
    assert_eq!(
        world.choose(),
        Ok((
            Short::Use("198.51.100.4".to_owned(), Write::Nothing),
            vec!["b".to_owned()]
        ))
    );
}

#[test]
fn an_address_that_is_asked_for_in_its_own_block_is_checked_as_well() {
    let asking = |ip: &str| World {
        service: service("web", ip, "203.0.113.10"),
        taken: vec!["203.0.113.12"],
        members: vec!["203.0.113.13".to_owned()],
        ..with(&[mine(BlockStatus::Assigned)])
    };
    assert_eq!(
        asking("203.0.113.11").step(),
        Ok(Short::Use("203.0.113.11".to_owned(), Write::Mark))
    );
    for (ip, why) in [
        ("203.0.113.9", "it is not for services in block 203.0.113.8/29"),
        ("203.0.113.15", "it is not for services in block 203.0.113.8/29"),
        ("203.0.113.12", "another service has it"),
        ("203.0.113.13", "a member of the public network has it"),
    ] {
        let expected = format!("the address {ip} was asked for, but {why}: correct or remove spec.loadBalancerIP");
        assert_eq!(asking(ip).step(), Err(expected));
    }
}

#[test]
fn a_service_for_ipv6_only_is_told_that_there_is_none() {
    let mut world = World::default();
    world.service.ip_families = vec!["IPv6".to_owned()];
    assert!(world.step().is_err());
    world.service.ip_families.push("IPv4".to_owned());
    assert_eq!(world.step(), Ok(Short::Buy));
}

/// The setting was changed, or somebody moved the block: whoever uses the address keeps it.
#[test]
fn an_address_in_use_stays_on_the_network_that_it_is_on() {
    let mut elsewhere = mine(BlockStatus::Assigned);
    elsewhere.assigned_resource_id = Some("other".to_owned());
    let served = |block: &IpBlock| World {
        service: service("web", "203.0.113.10", "203.0.113.10"),
        ..with(std::slice::from_ref(block))
    };
    assert_eq!(served(&elsewhere).step(), Ok(Short::Stay("203.0.113.10".to_owned())));
    // Not used yet: nobody would be cut off, and nobody could reach it.
    assert!(with(std::slice::from_ref(&elsewhere)).step().is_err());
    elsewhere.assigned_resource_type = Some("server".to_owned());
    assert!(served(&elsewhere).step().is_err());
}

#[test]
fn a_block_that_lost_its_tags_gets_them_back_unless_it_is_somebody_elses() {
    let served = || World {
        service: service("web", "203.0.113.10", "203.0.113.10"),
        ..World::default()
    };
    let tagged = |tags: Vec<TagValue>| IpBlock {
        tags,
        ..mine(BlockStatus::Assigned)
    };
    let restored = |names: &[&str]| {
        Ok(Short::Restore(
            "b".to_owned(),
            names.iter().map(|name| (*name).to_owned()).collect(),
        ))
    };
    let own = ["usage", "cluster", "serviceNamespace", "serviceName"];
    let mut world = served();
    world.strangers = vec![tagged(vec![TagValue::new("team", "x")])];
    assert_eq!(world.step(), restored(&[&["team"][..], &own].concat()));
    world.taken = vec!["203.0.113.11"];
    assert_eq!(world.step(), restored(&["team", "usage", "cluster", "sharedBlock"]));
    let mut world = served();
    world.blocks = vec![tagged(tags::cluster("uid"))];
    assert_eq!(world.step(), restored(&own));
    for somebodys in [
        tags::cluster("another"),
        [tags::cluster("uid"), tags::service(&service("other", "", ""))].concat(),
        vec![TagValue::new("delete", "true")],
    ] {
        let mut world = served();
        world.strangers = vec![tagged(somebodys)];
        assert_eq!(world.step(), Ok(Short::Buy));
    }
    // Nobody gave it this address: somebody wrote it into the manifest.
    let mut world = served();
    world.service = service("web", "", "");
    world.strangers = vec![tagged(Vec::new())];
    assert_eq!(world.step(), Ok(Short::Buy));
}

#[test]
fn an_address_in_a_block_of_another_cluster_is_refused() {
    let stranger = |uid: &str| IpBlock {
        tags: tags::cluster(uid),
        ..block("x", "203.0.113.0/29", BlockStatus::Assigned, &service("other", "", ""))
    };
    let asking = |stranger: IpBlock| World {
        service: service("web", "203.0.113.3", ""),
        strangers: vec![stranger],
        ..World::default()
    };
    let error = asking(stranger("another")).step().unwrap_err();
    assert!(
        error.contains("its block 203.0.113.0/29 is that of cluster another"),
        "{error}"
    );
    let brought = IpBlock {
        tags: vec![TagValue::new("team", "x")],
        ..stranger("another")
    };
    let expected = Short::Use("203.0.113.3".to_owned(), Write::Nothing);
    assert_eq!(asking(brought).step(), Ok(expected));
}

#[test]
fn an_annotation_of_the_user_is_his_wish_and_is_never_overwritten() {
    let annotated = |address: &str, mark: &str| {
        let mut service = service("web", mark, mark);
        service
            .annotations
            .insert(kube_vip::ANNOTATION_ADDRESSES.to_owned(), address.to_owned());
        World {
            service,
            ..with(&[mine(BlockStatus::Assigned)])
        }
    };
    assert_eq!(annotated("203.0.113.12", "").step(), Ok(written("203.0.113.12")));
    assert_eq!(
        annotated("203.0.113.12", "203.0.113.10").step(),
        Ok(written("203.0.113.12"))
    );
    for (address, why) in [
        ("203.0.113.15", "it is not for services in block 203.0.113.8/29"),
        ("192.0.2.1", "public network net has no IP block with it"),
    ] {
        let error = annotated(address, "").step().unwrap_err();
        assert!(
            error.contains(why) && error.ends_with("remove the annotation kube-vip.io/loadbalancerIPs"),
            "{error}"
        );
    }
}
