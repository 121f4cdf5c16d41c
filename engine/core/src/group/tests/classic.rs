//! Rebalances: who joins, who waits, who is told what.

use super::*;
use crate::group::request::GroupState;

#[test]
fn a_member_is_given_an_id_and_joins_when_the_first_wait_is_over() {
    let mut world = World::new();
    let mut member = Member::new("client");
    let asker = world.join(&member);
    let refused = world.joined(asker).expect_err("it has no id");
    assert_eq!(refused.error, GroupError::MemberIdRequired);
    assert!(refused.member.as_str().starts_with("client-"), "{}", refused.member);
    assert_eq!(refused.member.as_str().len(), "client-".len() + 36);
    member.join.member = refused.member.clone();
    let asker = world.join(&member);
    world.pass(DELAY_MS - 1);
    assert_eq!(world.told(asker), None);
    world.pass(1);
    let joined = world.joined(asker).expect("joined");
    assert_eq!((joined.generation, &joined.leader), (Generation(1), &refused.member));
    assert_eq!(joined.members.len(), 1);
    let sync = world.sync(&joined, &[(&joined.member, "part")]);
    assert_eq!(world.synced(sync).expect("synced").assignment, &b"part"[..]);
    assert_eq!(world.heartbeat(&joined.member, Generation(1)), Ok(()));
}

#[test]
fn older_clients_join_without_an_id() {
    let mut world = World::new();
    let member = Member::new("old").with(|join| join.knows.member_id_required = false);
    let asker = world.join(&member);
    world.pass(DELAY_MS);
    assert_eq!(world.joined(asker).expect("joined").generation, Generation(1));
}

#[test]
fn each_newcomer_prolongs_the_first_wait_up_to_the_rebalance_timeout() {
    for (rebalance_ms, comes_every, members, expected_ms) in [
        (60_000, 2_000, 1, 3_000),
        (60_000, 2_000, 2, 6_000),
        (60_000, 2_000, 3, 9_000),
        (7_000, 500, 14, 7_000),
        (1_000, 2_000, 2, 3_000),
    ] {
        let mut world = World::new();
        let mut askers = Vec::new();
        let mut passed = 0;
        for nth in 0..members {
            let client = format!("c{nth}");
            let mut member = Member::new(&client).with(|join| join.rebalance_ms = rebalance_ms);
            if passed < expected_ms {
                askers.push(world.enter(&mut member));
                world.pass(comes_every);
                passed += comes_every;
            }
        }
        while world.replies.is_empty() && passed < 100_000 {
            world.pass(500);
            passed += 500;
        }
        let case = (rebalance_ms, members);
        assert!(passed >= expected_ms && passed < expected_ms + comes_every, "{case:?}: {passed}");
    }
}

#[test]
fn followers_wait_for_the_leader_and_get_their_parts() {
    let mut world = World::new();
    let (mut a, mut b) = (Member::new("a"), Member::new("b"));
    let askers = [world.enter(&mut a), world.enter(&mut b)];
    world.pass(2 * DELAY_MS);
    let mut joined = askers.map(|asker| world.joined(asker).expect("joined"));
    joined.sort_by_key(|joined| joined.member != joined.leader);
    let [leader, follower] = joined;
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
    assert_eq!(world.describe().expect("a group").state, GroupState::CompletingRebalance);
    let waits = world.sync(&follower, &[]);
    assert_eq!(world.told(waits), None);
    let parts = [(&leader.member, "one"), (&follower.member, "two")];
    let leads = world.sync(&leader, &parts);
    assert_eq!(world.synced(leads).expect("synced").assignment, &b"one"[..]);
    assert_eq!(world.synced(waits).expect("synced").assignment, &b"two"[..]);
    let late = world.sync(&follower, &[]);
    assert_eq!(world.synced(late).expect("synced").assignment, &b"two"[..]);
    assert_eq!(world.describe().expect("a group").state, GroupState::Stable);
}

#[test]
fn a_stable_group_rebalances_for_its_leader_and_for_what_changes() {
    let mut world = World::new();
    let mut members = [Member::new("a"), Member::new("b")];
    let joined = world.stable(&mut members);
    let by_id = |id: &MemberId| {
        members.iter().find(|member| member.join.member == *id).cloned().expect("a member")
    };
    let (leader, follower) = (by_id(&joined[0].member), by_id(&joined[1].member));

    let asker = world.join(&follower);
    let same = world.joined(asker).expect("joined");
    assert_eq!((same.generation, same.members.len()), (Generation(1), 0));

    let changed = follower.with(|join| join.protocols = vec![protocol("range", &["t", "u"])]);
    let waits = world.join(&changed);
    assert_eq!(world.told(waits), None);
    let beat = world.heartbeat(&leader.join.member, Generation(1));
    assert_eq!(beat, Err(GroupError::RebalanceInProgress));
    let joins = world.join(&leader);
    assert_eq!(world.joined(joins).expect("joined").generation, Generation(2));
    assert_eq!(world.joined(waits).expect("joined").generation, Generation(2));
}

#[test]
fn members_that_do_not_join_again_are_gone_after_the_rebalance_timeout() {
    let mut world = World::new();
    let mut members = [Member::new("a"), Member::new("b")];
    let joined = world.stable(&mut members);
    let leader = &joined[0].member;
    let asker = world.join(members.iter().find(|m| m.join.member == *leader).expect("it"));
    for _ in 0..REBALANCE_MS / 5_000 {
        world.pass(5_000);
        let _ = world.heartbeat(&joined[1].member, Generation(1));
    }
    let alone = world.joined(asker).expect("joined");
    assert_eq!((alone.generation, alone.members.len()), (Generation(2), 1));
    let gone = world.heartbeat(&joined[1].member, Generation(1));
    assert_eq!(gone, Err(GroupError::UnknownMember));
}

#[test]
fn silence_ends_a_membership() {
    let mut world = World::new();
    let mut members = [Member::new("a"), Member::new("b")];
    let joined = world.stable(&mut members);
    for one in &joined {
        assert_eq!(world.heartbeat(&one.member, Generation(1)), Ok(()));
    }
    world.pass(SESSION_MS as u64 - 1);
    assert_eq!(world.heartbeat(&joined[0].member, Generation(1)), Ok(()));
    world.pass(1);
    let beat = world.heartbeat(&joined[0].member, Generation(1));
    assert_eq!(beat, Err(GroupError::RebalanceInProgress), "the other one was silent");
    assert_eq!(world.describe().expect("a group").members.len(), 1);
}

#[test]
fn those_who_never_fetch_their_part_are_gone_even_from_a_stable_group() {
    let mut world = World::new();
    let mut members = [Member::new("a"), Member::new("b")];
    let askers = members.each_mut().map(|member| world.enter(member));
    world.pass(2 * DELAY_MS);
    let joined = askers.map(|asker| world.joined(asker).expect("joined"));
    let leader = joined.iter().find(|one| one.member == one.leader).expect("one leads");
    let sync = world.sync(leader, &[]);
    world.synced(sync).expect("synced");
    for _ in 0..REBALANCE_MS / 5_000 {
        world.pass(5_000);
        for one in &joined {
            let _ = world.heartbeat(&one.member, Generation(1));
        }
    }
    assert_eq!(world.describe().expect("a group").members.len(), 1);
}

#[test]
fn a_group_that_all_leave_is_empty_and_has_used_a_generation() {
    let mut world = World::new();
    let mut members = [Member::new("a")];
    let joined = world.stable(&mut members);
    let left = world.leave(&[(joined[0].member.as_str(), None)]);
    assert_eq!(left, Ok(vec![Ok(())]));
    assert_eq!(world.describe().expect("a group").state, GroupState::Empty);
    let mut next = Member::new("b");
    let asker = world.enter(&mut next);
    world.pass(DELAY_MS);
    assert_eq!(world.joined(asker).expect("joined").generation, Generation(3));
}

#[test]
fn an_id_that_was_given_out_is_waited_for() {
    let mut world = World::new();
    let mut members = [Member::new("a")];
    let joined = world.stable(&mut members);
    let asker = world.join(&Member::new("b"));
    let given = world.joined(asker).expect_err("an id").member;
    let rejoin = world.join(&members[0]);
    assert_eq!(world.told(rejoin), None, "the other one may come");
    assert_eq!(world.leave(&[(given.as_str(), None)]), Ok(vec![Ok(())]));
    assert_eq!(world.joined(rejoin).expect("joined").generation, Generation(2));
    assert_eq!(joined.len(), 1);
}

#[test]
fn joins_are_refused_with_kafkas_reasons() {
    let stranger = || Member::new("c").with(|join| join.member = "made-up".into());
    for (what, member, expected) in [
        (
            "no group",
            Member::new("c").with(|join| join.group = "".into()),
            GroupError::InvalidGroupId,
        ),
        (
            "short",
            Member::new("c").with(|j| j.session_ms = 5_999),
            GroupError::InvalidSessionTimeout,
        ),
        (
            "long",
            Member::new("c").with(|j| j.session_ms = 1_800_001),
            GroupError::InvalidSessionTimeout,
        ),
        ("stranger", stranger(), GroupError::UnknownMember),
        (
            "kind",
            Member::new("c").with(|j| j.protocol_type = "connect".into()),
            GroupError::InconsistentProtocol,
        ),
        (
            "nothing",
            Member::new("c").with(|j| j.protocols.clear()),
            GroupError::InconsistentProtocol,
        ),
        (
            "other",
            Member::new("c").with(|j| j.protocols = vec![protocol("sticky", &["t"])]),
            GroupError::InconsistentProtocol,
        ),
        ("too many", Member::named("c", "i"), GroupError::MaxSizeReached),
    ] {
        let max_size = if what == "too many" { 1 } else { 2 };
        let mut world = World::with(GroupSettings { max_size, ..GroupSettings::default() });
        world.stable(&mut [Member::new("a")]);
        let asker = world.join(&member);
        let refused = world.joined(asker).expect_err(what);
        assert_eq!(refused.error, expected, "{what}");
    }
}

#[test]
fn protocols_must_be_shared_and_the_most_liked_one_is_chosen() {
    let offering = |client: &str, names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| protocol(name, &["t"])).collect();
        Member::new(client).with(|join| join.protocols = names)
    };
    for (offers, chosen) in [
        (&[&["range"][..], &["range"]][..], Some("range")),
        (&[&["range", "sticky"], &["sticky", "range"], &["sticky", "range"]], Some("sticky")),
        (&[&["range", "sticky"], &["sticky"]], Some("sticky")),
        (&[&["range"], &["sticky"]], None),
    ] {
        let mut world = World::new();
        let mut askers = Vec::new();
        let mut refused = false;
        for (nth, names) in offers.iter().enumerate() {
            let mut member = offering(&format!("c{nth}"), names);
            let first = world.join(&member);
            match world.joined(first).expect_err("no id yet") {
                JoinRefused { error: GroupError::MemberIdRequired, member: id } => {
                    member.join.member = id;
                    askers.push(world.join(&member));
                }
                JoinRefused { error, .. } => {
                    assert_eq!(error, GroupError::InconsistentProtocol);
                    refused = true;
                }
            }
        }
        world.pass(5 * DELAY_MS);
        let joined = world.joined(askers[0]).expect("joined");
        match chosen {
            Some(chosen) => assert_eq!(joined.protocol.as_deref(), Some(chosen), "{offers:?}"),
            None => assert!(refused, "{offers:?}"),
        }
    }
}

#[test]
fn syncs_and_heartbeats_are_refused_with_kafkas_reasons() {
    let mut world = World::new();
    let joined = world.stable(&mut [Member::new("a")]).remove(0);
    let with = |change: fn(&mut Joined)| {
        let mut changed = joined.clone();
        change(&mut changed);
        changed
    };
    for (asked, error) in [
        (with(|j| j.member = "x".into()), GroupError::UnknownMember),
        (with(|j| j.generation = Generation(7)), GroupError::IllegalGeneration),
        (with(|j| j.protocol_type = Some("connect".into())), GroupError::InconsistentProtocol),
        (with(|j| j.protocol = Some("sticky".into())), GroupError::InconsistentProtocol),
    ] {
        let sync = world.sync(&asked, &[]);
        assert_eq!(world.synced(sync), Err(error), "{asked:?}");
    }
    let beat = world.heartbeat(&joined.member, Generation(0));
    assert_eq!(beat, Err(GroupError::IllegalGeneration));
    assert_eq!(world.heartbeat(&"x".into(), Generation(1)), Err(GroupError::UnknownMember));
}

#[test]
fn what_the_leader_decides_counts_once_it_is_durable() {
    let mut world = World::new();
    let mut member = Member::new("a");
    let asker = world.enter(&mut member);
    world.pass(DELAY_MS);
    let joined = world.joined(asker).expect("joined");
    world.quick = false;
    let sync = world.sync(&joined, &[(&joined.member, "part")]);
    assert_eq!(world.told(sync), None);
    world.fail(GroupError::CoordinatorNotAvailable);
    assert_eq!(world.synced(sync), Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(world.describe().expect("a group").state, GroupState::PreparingRebalance);

    world.quick = true;
    let asker = world.join(&member);
    let joined = world.joined(asker).expect("joined");
    world.quick = false;
    let sync = world.sync(&joined, &[(&joined.member, "part")]);
    world.write();
    assert_eq!(world.synced(sync).expect("synced").assignment, &b"part"[..]);
}

#[test]
fn a_classic_group_says_why_it_has_rebalanced() {
    let mut world = World::new();
    let mut members = [Member::new("a"), Member::new("b")];
    let joined = world.stable(&mut members);
    assert_eq!(world.leave(&[(joined[1].member.as_str(), None)]), Ok(vec![Ok(())]));
    world.pass(2 * SESSION_MS as u64);
    let history = world.history();
    let told: Vec<_> =
        history.iter().map(|one| (one.cause.to_string(), one.more, one.number)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].0.contains("joined") && told[0].2 == Some(1), "{told:?}");
    assert!(told[1].0.contains("left") && told[1].2 == Some(2), "{told:?}");
}
