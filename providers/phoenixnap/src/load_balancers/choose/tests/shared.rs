//! Services that share blocks.

use super::*;

#[test]
fn a_shared_block_that_is_of_no_use_keeps_nobody_waiting() {
    let sharing = |block: IpBlock| World {
        share: true,
        ..with(&[block])
    };
    let mut elsewhere = shared("a", "203.0.113.0/29", BlockStatus::Assigned);
    elsewhere.assigned_resource_id = Some("other".to_owned());
    assert_eq!(sharing(elsewhere).step(), Ok(Short::Buy));
    for status in [
        BlockStatus::Unassigning,
        BlockStatus::Other("subnetted".to_owned()),
        BlockStatus::Unknown,
    ] {
        assert_eq!(sharing(shared("a", "203.0.113.0/29", status)).step(), Ok(Short::Buy));
    }
    let failed = shared("a", "203.0.113.0/29", BlockStatus::ErrorAssigning);
    assert_eq!(sharing(failed).step(), Ok(Short::Withdraw("a".to_owned())));
}

#[test]
fn shared_blocks_are_filled_before_another_is_bought() {
    let first = shared("a", "203.0.113.0/30", BlockStatus::Assigned);
    let second = shared("bb", "203.0.113.8/29", BlockStatus::Assigned);
    let coming = shared("ccc", "203.0.113.16/29", BlockStatus::Assigning);
    let sharing = |taken: &[&'static str], blocks: &[IpBlock]| World {
        share: true,
        taken: taken.to_vec(),
        ..with(blocks)
    };
    let all = [second.clone(), first.clone(), coming.clone()];
    assert_eq!(sharing(&[], &all).step(), Ok(written("203.0.113.2")));
    assert_eq!(sharing(&["203.0.113.2"], &all).step(), Ok(written("203.0.113.10")));
    let wait = Ok(Short::Wait("ccc".to_owned()));
    assert_eq!(sharing(&["203.0.113.2"], &[first.clone(), coming]).step(), wait);
    assert_eq!(sharing(&["203.0.113.2"], &[first]).step(), Ok(Short::Buy));
    // Who has an address of one keeps it, also when blocks are not shared any more.
    let kept = World {
        service: service("web", "203.0.113.12", "203.0.113.12"),
        ..with(&[second])
    };
    assert_eq!(kept.step(), Ok(written("203.0.113.12")));
    // And whoever has a block of his own keeps that.
    let mut own = sharing(&[], &all);
    own.blocks
        .push(block("own", "198.51.100.0/29", BlockStatus::Assigned, &plain()));
    assert_eq!(own.step(), Ok(written("198.51.100.2")));
}

#[test]
fn a_block_is_bought_beside_those_that_come_for_others() {
    let five = |id: &str, status| shared(id, "203.0.113.0/29", status);
    let waiting = |ahead: usize, blocks: &[IpBlock]| World {
        share: true,
        ahead,
        ..with(blocks)
    };
    let wait = |id: &str| Ok(Short::Wait(id.to_owned()));
    for status in [BlockStatus::Creating, BlockStatus::Assigning] {
        let one = [five("a", status.clone())];
        assert_eq!(waiting(4, &one).step(), wait("a"));
        assert_eq!(waiting(5, &one).step(), Ok(Short::Buy));
        let two = [five("a", status.clone()), shared("b", "203.0.113.8/30", status)];
        assert_eq!(waiting(5, &two).step(), wait("a"));
        assert_eq!(waiting(6, &two).step(), Ok(Short::Buy));
    }
    // An address of it that somebody has is no room.
    let mut taken = waiting(4, &[five("a", BlockStatus::Assigning)]);
    taken.taken.push("203.0.113.2");
    assert_eq!(taken.step(), Ok(Short::Buy));
    // What has to be moved comes first, whoever it is for.
    let both = [five("a", BlockStatus::Assigning), five("b", BlockStatus::Unassigned)];
    assert_eq!(waiting(99, &both).step(), Ok(Short::Assign("b".to_owned())));
    // A block that does not say what it has may be enough.
    assert_eq!(waiting(99, &[shared("a", "", BlockStatus::Creating)]).step(), wait("a"));
    // A full network takes no more: what comes is waited for, and nothing bought.
    let mut full = waiting(99, &[five("a", BlockStatus::Assigning)]);
    full.more = nine();
    assert_eq!(full.step(), wait("a"));
}

/// Blocks of a network that takes one more.
fn nine() -> Vec<NetworkBlock> {
    let cidr = |n| format!("198.51.100.{}/29", n * 8);
    let block = |n| NetworkBlock {
        id: format!("m{n}"),
        cidr: cidr(n),
    };
    (0..9).map(block).collect()
}

#[test]
fn what_others_are_buying_is_waited_for_like_what_comes() {
    let waiting = |ahead, buying| World {
        share: true,
        ahead,
        buying,
        ..World::default()
    };
    assert_eq!(waiting(12, 1).step(), Ok(Short::Queue), "a block has thirteen");
    assert_eq!(waiting(13, 1).step(), Ok(Short::Buy));
    assert_eq!(waiting(25, 2).step(), Ok(Short::Queue));
    let mut beside = waiting(17, 1);
    beside.blocks.push(shared("a", "203.0.113.0/29", BlockStatus::Creating));
    assert_eq!(
        beside.step(),
        Ok(Short::Wait("a".to_owned())),
        "five of one and thirteen of the other"
    );
    beside.ahead = 18;
    assert_eq!(beside.step(), Ok(Short::Buy));
    let mut full = waiting(99, 1);
    full.more = nine();
    assert_eq!(full.step(), Ok(Short::Queue));
    full.share = false;
    assert_eq!(full.step(), Ok(Short::Buy), "nobody shares what others buy");
}
