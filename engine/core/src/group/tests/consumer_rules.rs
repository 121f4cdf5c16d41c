//! Consumer groups: what members may not do, who may commit, how groups end, why they rebalance.

use super::consumer::{Consumer, SESSION};
use super::*;
use crate::group::name::Epoch;
use crate::group::request::ConsumerHeartbeat;

#[test]
fn what_cannot_be_asked_is_refused_with_reasons() {
    let mut world = World::prompt();
    world.settings.consumer.max_size = 1;
    world.restart();
    let a = Consumer::new("a");
    let join = a.joining(&["t"]);
    let with = |change: &dyn Fn(&mut ConsumerHeartbeat)| {
        let mut beat = join.clone();
        change(&mut beat);
        beat
    };
    let invalid = GroupError::InvalidRequest;
    let table: [(ConsumerHeartbeat, GroupError); 13] = [
        (with(&|b| b.member = "".into()), invalid),
        (with(&|b| b.group = " ".into()), invalid),
        (with(&|b| b.instance = Some("".into())), invalid),
        (with(&|b| b.rack = Some("".into())), invalid),
        (with(&|b| b.rebalance_ms = None), invalid),
        (with(&|b| b.owned = None), invalid),
        (
            with(&|b| b.owned = Some([(crate::id::TopicId([1; 16]), 0)].into_iter().collect())),
            invalid,
        ),
        (with(&|b| b.topics = None), invalid),
        (with(&|b| b.epoch = Epoch(-3)), invalid),
        (with(&|b| b.epoch = Epoch::AWAY), invalid),
        (with(&|b| b.assignor = Some("sticky".into())), GroupError::UnsupportedAssignor),
        (with(&|b| b.epoch = Epoch(1)), GroupError::NotFound),
        (with(&|b| b.epoch = Epoch::LEFT), GroupError::NotFound),
    ];
    for (beat, error) in table {
        let refused = world.beat(beat.clone()).expect_err("refused");
        assert_eq!(refused.error, error, "{beat:?}");
        assert!(refused.why.is_some(), "{beat:?}");
    }
    assert!(world.log.is_empty());
    let nameless = with(&|b| {
        b.member = "".into();
        b.names_itself = false;
    });
    let told = world.beat(nameless).expect("the broker names it");
    assert_eq!(told.member.as_str().len(), 22);
    let refused = world.beat(join.clone()).expect_err("full");
    assert_eq!(refused.error, GroupError::MaxSizeReached);
}

#[test]
fn a_preferred_assignor_is_used_when_most_want_it() {
    let mut world = World::prompt();
    world.topics.create("t", 2);
    world.topics.create("u", 2);
    let mut a = Consumer::new("a");
    let prefer = |c: &Consumer| ConsumerHeartbeat {
        assignor: Some("range".into()),
        ..c.joining(&["t", "u"])
    };
    world.enters(&mut a, &["t", "u"]);
    assert_eq!(world.described().expect("a group").assignor, "uniform");
    let mut b = Consumer::new("b");
    let beat = prefer(&b);
    world.hear(&mut b, beat).expect("joined");
    let described = world.described().expect("a group");
    assert_eq!(described.assignor, "range");
    let of_a: Vec<i32> = described.members[0].target.iter().map(|(_, index)| index).collect();
    assert_eq!(of_a, [0, 0]);
}

/// KIP-1251: an epoch of before is good enough for what the member has had since then.
#[test]
fn commits_are_taken_from_members_that_have_the_partition() {
    let mut world = World::prompt();
    world.shared();
    let id = world.topics.id("t");
    let by = |member: &str, epoch: i32, partition: i32| CommitRequest {
        member: member.into(),
        generation: Generation(epoch),
        offsets: vec![CommitOffset {
            topic_id: Some(id),
            ..commit("t", partition, 5).offsets.remove(0)
        }],
        ..commit("t", partition, 5)
    };
    let stale = Err(GroupError::StaleMemberEpoch);
    for (member, epoch, partition, expected) in [
        ("a", 3, 0, Ok(())),
        ("a", 2, 0, Ok(())),
        ("a", 1, 0, stale),
        ("a", 2, 2, stale),
        ("a", 4, 0, stale),
        ("b", 3, 2, Ok(())),
        ("b", 2, 2, stale),
        ("x", 3, 0, Err(GroupError::UnknownMember)),
        ("", -1, 0, Err(GroupError::UnknownMember)),
    ] {
        let told = world.commit(by(member, epoch, partition)).map(|_| ());
        assert_eq!(told, expected, "{member} {epoch} {partition}");
    }
    let old = CommitRequest { knows_not_found: false, ..by("a", 3, 0) };
    assert_eq!(world.commit(old), Err(GroupError::UnsupportedVersion));
    let fetch = |member: &str, epoch: i32| {
        let member = Some((member.into(), Epoch(epoch)));
        let topics = Some(vec![(Arc::from("t"), vec![0])]);
        Request::Fetch(FetchRequest { group: GROUP.into(), member, stable: true, topics })
    };
    for (member, epoch, expected) in
        [("a", 3, Ok(())), ("a", 2, stale), ("x", 3, Err(GroupError::UnknownMember))]
    {
        let Reply::Fetch(told) = world.answer(fetch(member, epoch)) else { panic!("a fetch") };
        assert_eq!(told.map(|_| ()), expected, "{member} {epoch}");
    }
}

#[test]
fn what_cannot_be_written_never_was() {
    let mut world = World::prompt();
    world.topics.create("t", 2);
    let (mut a, mut b) = (Consumer::new("a"), Consumer::new("b"));
    world.enters(&mut a, &["t"]);
    let before = world.described();
    world.quick = false;
    let beat = b.joining(&["t"]);
    let asker = world.ask(Request::ConsumerHeartbeat(Box::new(beat)));
    let other = world.ask(Request::ConsumerHeartbeat(Box::new(Consumer::new("d").joining(&["t"]))));
    world.fail(GroupError::CoordinatorNotAvailable);
    for asker in [asker, other] {
        let Some(Reply::ConsumerHeartbeat(Err(refused))) = world.told(asker) else {
            panic!("a refusal")
        };
        assert_eq!(refused.error, GroupError::CoordinatorNotAvailable);
    }
    world.quick = true;
    assert_eq!(world.described(), before);
    world.enters(&mut b, &["t"]);
    world.stays(&mut a);
    assert_eq!(a.has.count(), 1);
}

#[test]
fn groups_end_when_nobody_is_in_them() {
    let mut world = World::prompt();
    world.topics.create("t", 1);
    let mut a = Consumer::new("a");
    world.enters(&mut a, &["t"]);
    let delete = || Request::Delete(GROUP.into());
    assert_eq!(world.answer(delete()), Reply::Delete(Err(GroupError::NonEmpty)));
    world.parts(&a, Epoch::LEFT).expect("gone");
    world.commit(commit("t", 0, 3)).expect("committed");
    assert_eq!(world.answer(delete()), Reply::Delete(Ok(())));
    assert!(world.described().is_none());
    world.restart();
    assert!(world.described().is_none());
    assert_eq!(world.committed("t", 0), None);
    assert_eq!(world.answer(delete()), Reply::Delete(Err(GroupError::NotFound)));
}

#[test]
fn a_group_says_why_it_has_rebalanced() {
    let mut world = World::prompt();
    world.topics.create("t", 3);
    let (mut a, mut b) = (Consumer::new("a"), Consumer::new("b"));
    b.beat.client_software = "librdkafka 2.12".into();
    world.enters(&mut a, &["t"]);
    world.pass(1_000);
    world.enters(&mut b, &["t"]);
    world.pass(500);
    assert_eq!(world.history().last().expect("one").number, None, "it goes on");
    world.stays(&mut a);
    world.tells(&mut a);
    world.stays(&mut b);
    world.parts(&b, Epoch::LEFT).expect("gone");
    world.stays(&mut a);
    world.topics.grow("t", 4);
    world.stays(&mut a);
    world.pass(SESSION);
    let told: Vec<_> = world
        .history()
        .iter()
        .map(|one| (one.cause.to_string(), one.number, one.took_ms, one.moved))
        .collect();
    let by = |member: &str, did: &str| {
        let software = if member == "b" { ", librdkafka 2.12" } else { "" };
        format!("member {member} (client c at /127.0.0.1{software}) {did}")
    };
    assert_eq!(
        told,
        [
            (by("a", "joined"), Some(2), 0, 3),
            (by("b", "joined"), Some(3), 500, 1),
            (by("b", "left"), Some(4), 0, 1),
            ("topics have come, gone or grown".to_owned(), Some(5), 0, 1),
            (by("a", "was silent for its session timeout"), Some(6), 0, 0),
        ]
    );
}
