//! Static members (KIP-345).

use super::*;
use crate::group::request::GroupState;

/// A stable group of one static member.
fn stable(world: &mut World, member: &mut Member) -> Joined {
    let asker = world.join(member);
    world.pass(DELAY_MS);
    let joined = world.joined(asker).expect("joined");
    member.join.member = joined.member.clone();
    let sync = world.sync(&joined, &[(&joined.member, "part")]);
    world.synced(sync).expect("synced");
    joined
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    for (skip, topics) in [(true, &["t"][..]), (false, &["t"]), (true, &["t", "u"])] {
        let mut world = World::new();
        let mut member = Member::named("c", "i");
        member.join.knows.skip_assignment = skip;
        let before = stable(&mut world, &mut member);
        assert!(before.member.as_str().starts_with("i-"), "{}", before.member);
        let again = member.clone().with(|join| {
            join.member = MemberId::default();
            join.protocols = vec![protocol("range", topics)];
        });
        let asker = world.join(&again);
        let after = world.joined(asker).expect("joined");
        assert_ne!(after.member, before.member);
        assert_eq!(after.generation, before.generation);
        assert_eq!(after.skip_assignment, skip);
        assert_eq!(after.leader, if skip { after.member.clone() } else { before.member.clone() });
        assert_eq!(after.members.len(), usize::from(skip));
        let sync = world.sync(&after, &[]);
        assert_eq!(world.synced(sync).expect("synced").assignment, &b"part"[..]);
        let old = world.heartbeat(&before.member, before.generation);
        assert_eq!(old, Err(GroupError::UnknownMember), "nobody has that id any more");
        assert_eq!(world.describe().expect("a group").state, GroupState::Stable);
    }
}

#[test]
fn whoever_comes_under_an_old_id_is_fenced() {
    let mut world = World::new();
    let mut member = Member::named("c", "i");
    let before = stable(&mut world, &mut member);
    let again = member.clone().with(|join| join.member = MemberId::default());
    let asker = world.join(&again);
    world.joined(asker).expect("joined");
    let asker = world.join(&member);
    assert_eq!(world.joined(asker).expect_err("fenced").error, GroupError::FencedInstance);
    let left = world.leave(&[(before.member.as_str(), Some("i"))]);
    assert_eq!(left, Ok(vec![Err(GroupError::FencedInstance)]));
    assert_eq!(
        world.leave(&[("", Some("i")), ("", Some("x"))]),
        Ok(vec![Ok(()), Err(GroupError::UnknownMember)])
    );
    assert_eq!(world.describe().expect("a group").members.len(), 0);
}

#[test]
fn a_second_process_of_the_same_name_takes_over_a_join_that_waits() {
    let mut world = World::new();
    let member = Member::named("c", "i");
    let (first, second) = (world.join(&member), world.join(&member));
    assert_eq!(world.joined(first).expect_err("fenced").error, GroupError::FencedInstance);
    world.pass(2 * DELAY_MS);
    assert_eq!(world.joined(second).expect("joined").generation, Generation(1));
}

#[test]
fn a_return_that_cannot_be_written_is_undone() {
    let mut world = World::new();
    let mut member = Member::named("c", "i");
    let before = stable(&mut world, &mut member);
    world.quick = false;
    let again = member.clone().with(|join| join.member = MemberId::default());
    let asker = world.join(&again);
    world.fail(GroupError::NotCoordinator);
    let refused = world.joined(asker).expect_err("not written");
    assert_eq!((refused.error, refused.member.as_str()), (GroupError::NotCoordinator, ""));
    assert_eq!(world.heartbeat(&before.member, before.generation), Ok(()));
}

#[test]
fn a_change_of_protocol_is_a_rebalance_for_all() {
    let mut world = World::new();
    let both = || vec![protocol("range", &["t"]), protocol("sticky", &["t"])];
    let mut member = Member::named("c", "i").with(|join| join.protocols = both());
    stable(&mut world, &mut member);
    let again = member.clone().with(|join| {
        join.member = MemberId::default();
        join.protocols = vec![protocol("sticky", &["t"])];
    });
    let asker = world.join(&again);
    let after = world.joined(asker).expect("joined");
    assert_eq!((after.generation, after.protocol.as_deref()), (Generation(2), Some("sticky")));
}

#[test]
fn silent_static_members_that_asked_for_no_time_hold_up_nobody() {
    let mut world = World::new();
    let mut member = Member::named("c", "i");
    stable(&mut world, &mut member);
    let again = member.clone().with(|join| {
        join.member = MemberId::default();
        join.rebalance_ms = 0;
    });
    let asker = world.join(&again);
    world.joined(asker).expect("joined");
    let asker = world.join(&Member::new("d"));
    let given = world.joined(asker).expect_err("an id").member;
    assert_eq!(world.leave(&[(given.as_str(), None)]), Ok(vec![Ok(())]));
    assert_eq!(world.describe().expect("a group").state, GroupState::PreparingRebalance);
    // Time goes on, and the session ends.
    world.pass(2 * SESSION_MS as u64);
    assert_eq!(world.describe().expect("a group").state, GroupState::Empty);
}

#[test]
fn ids_are_no_longer_than_what_can_be_read_back() {
    let mut world = World::new();
    let mut member = Member::named("c", &"\u{e9}".repeat(16_383));
    let joined = stable(&mut world, &mut member);
    assert!(joined.member.as_str().len() <= 32_767);
    world.restart();
    assert_eq!(world.heartbeat(&joined.member, joined.generation), Ok(()));
}
