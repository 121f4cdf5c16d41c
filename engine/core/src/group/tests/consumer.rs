//! Consumer groups (KIP-848): what members are told, step by step.

use std::collections::BTreeSet;

use super::*;
use crate::group::name::Epoch;
use crate::group::partitions::Partitions;
use crate::group::pattern::Pattern;
use crate::group::request::{
    ConsumerDescription, ConsumerHeartbeat, ConsumerStanding, GroupState, Refused,
};

pub(super) const SESSION: u64 = 45_000;

/// A client of the new protocol.
#[derive(Clone)]
pub(super) struct Consumer {
    pub(super) beat: ConsumerHeartbeat,
    pub(super) epoch: Epoch,
    pub(super) has: Partitions,
}

impl Consumer {
    pub(super) fn new(id: &str) -> Consumer {
        Consumer {
            beat: ConsumerHeartbeat {
                group: GROUP.into(),
                member: id.into(),
                epoch: Epoch(0),
                instance: None,
                rack: None,
                rebalance_ms: None,
                topics: None,
                regex: None,
                assignor: None,
                owned: None,
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                client_software: "".into(),
                fresh: [7; 16],
                names_itself: true,
            },
            epoch: Epoch(0),
            has: Partitions::default(),
        }
    }

    pub(super) fn named(id: &str, instance: &str) -> Consumer {
        let mut consumer = Consumer::new(id);
        consumer.beat.instance = Some(instance.into());
        consumer
    }

    /// What it says when it joins.
    pub(super) fn joining(&self, topics: &[&str]) -> ConsumerHeartbeat {
        ConsumerHeartbeat {
            rebalance_ms: Some(REBALANCE_MS),
            topics: Some(names(topics)),
            owned: Some(Partitions::default()),
            ..self.beat.clone()
        }
    }
}

pub(super) fn names(topics: &[&str]) -> BTreeSet<Arc<str>> {
    topics.iter().map(|topic| Arc::from(*topic)).collect()
}

impl World {
    /// One without a wait between two assignments.
    pub(super) fn prompt() -> World {
        let mut settings = GroupSettings::default();
        settings.consumer.times.assignment_interval_ms = 0;
        World::with(settings)
    }

    pub(super) fn beat(&mut self, beat: ConsumerHeartbeat) -> Result<ConsumerStanding, Refused> {
        beat.check(&self.settings.consumer)?;
        match self.answer(Request::ConsumerHeartbeat(Box::new(beat))) {
            Reply::ConsumerHeartbeat(result) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn hear(
        &mut self,
        consumer: &mut Consumer,
        beat: ConsumerHeartbeat,
    ) -> Result<ConsumerStanding, GroupError> {
        let standing = self.beat(beat).map_err(|refused| refused.error)?;
        consumer.beat.member = standing.member.clone();
        consumer.epoch = standing.epoch;
        if let Some(assignment) = &standing.assignment {
            consumer.has = assignment.clone();
        }
        Ok(standing)
    }

    pub(super) fn enters(&mut self, consumer: &mut Consumer, topics: &[&str]) -> ConsumerStanding {
        let beat = consumer.joining(topics);
        self.hear(consumer, beat).expect("joined")
    }

    /// A heartbeat with nothing new.
    pub(super) fn stays(&mut self, consumer: &mut Consumer) -> ConsumerStanding {
        let beat = ConsumerHeartbeat { epoch: consumer.epoch, ..consumer.beat.clone() };
        self.hear(consumer, beat).expect("it is a member")
    }

    /// A heartbeat that says what the member has.
    pub(super) fn tells(&mut self, consumer: &mut Consumer) -> ConsumerStanding {
        let owned = Some(consumer.has.clone());
        let beat = ConsumerHeartbeat { epoch: consumer.epoch, owned, ..consumer.beat.clone() };
        self.hear(consumer, beat).expect("it is a member")
    }

    pub(super) fn parts(&mut self, consumer: &Consumer, epoch: Epoch) -> Result<Epoch, GroupError> {
        let beat = ConsumerHeartbeat { epoch, ..consumer.beat.clone() };
        self.beat(beat).map(|standing| standing.epoch).map_err(|refused| refused.error)
    }

    /// Two members at rest that share a topic of three partitions: `a` has two, `b` one, in epoch
    /// 3.
    pub(super) fn shared(&mut self) -> (Consumer, Consumer) {
        self.topics.create("t", 3);
        let (mut a, mut b) = (Consumer::new("a"), Consumer::new("b"));
        self.enters(&mut a, &["t"]);
        self.enters(&mut b, &["t"]);
        self.stays(&mut a);
        self.tells(&mut a);
        self.stays(&mut b);
        (a, b)
    }

    pub(super) fn described(&mut self) -> Option<ConsumerDescription> {
        match self.answer(Request::DescribeConsumer(GROUP.into())) {
            Reply::DescribeConsumer(result) => result.ok().map(|described| *described),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn state(&mut self) -> GroupState {
        self.described().expect("a group").state
    }
}

fn indexes(partitions: &Partitions) -> Vec<i32> {
    partitions.iter().map(|(_, index)| index).collect()
}

/// The first trace of the specification: two members, the second waits for the first.
#[test]
fn a_second_member_gets_its_part_when_the_first_has_given_it_up() {
    let mut world = World::prompt();
    world.topics.create("t", 3);
    let (mut a, mut b) = (Consumer::new("a"), Consumer::new("b"));
    let first = world.enters(&mut a, &["t"]);
    assert_eq!((first.epoch, indexes(&a.has)), (Epoch(2), vec![0, 1, 2]));
    assert_eq!(first.interval_ms, 5_000);
    let second = world.enters(&mut b, &["t"]);
    assert_eq!((second.epoch, second.assignment), (Epoch(3), Some(Partitions::default())));
    assert_eq!(world.state(), GroupState::Reconciling);
    let told = world.stays(&mut a);
    assert_eq!((told.epoch, indexes(&a.has)), (Epoch(2), vec![0, 1]));
    assert_eq!(world.stays(&mut b).assignment, None);
    assert_eq!(world.stays(&mut a).epoch, Epoch(2), "it has not said that it gave up anything");
    let told = world.tells(&mut a);
    assert_eq!((told.epoch, told.assignment), (Epoch(3), None));
    world.stays(&mut b);
    assert_eq!((b.epoch, indexes(&b.has)), (Epoch(3), vec![2]));
    assert_eq!(world.state(), GroupState::Stable);
    let records = world.log.len();
    world.stays(&mut a);
    world.stays(&mut b);
    assert_eq!(world.log.len(), records, "who stays writes nothing");
}

#[test]
fn what_is_left_behind_goes_to_those_who_stay() {
    let mut world = World::prompt();
    let (mut a, b) = world.shared();
    assert_eq!(world.parts(&b, Epoch::LEFT), Ok(Epoch::LEFT));
    assert_eq!(world.state(), GroupState::Assigning);
    world.stays(&mut a);
    assert_eq!((a.epoch, indexes(&a.has)), (Epoch(4), vec![0, 1, 2]));
    assert_eq!(world.parts(&a, Epoch::LEFT), Ok(Epoch::LEFT));
    let described = world.described().expect("a group");
    assert_eq!((described.state, described.epoch), (GroupState::Empty, Epoch(5)));
    assert_eq!(described.assignment_epoch, Epoch(5));
}

#[test]
fn assignments_follow_each_other_no_faster_than_set() {
    let mut world = World::new();
    world.topics.create("t", 3);
    let (mut a, mut b) = (Consumer::new("a"), Consumer::new("b"));
    world.enters(&mut a, &["t"]);
    world.pass(200);
    let told = world.enters(&mut b, &["t"]);
    assert_eq!((told.epoch, told.assignment), (Epoch(2), Some(Partitions::default())));
    world.pass(500);
    assert_eq!(world.stays(&mut a).assignment, None);
    assert_eq!(world.state(), GroupState::Assigning);
    world.pass(500);
    assert_eq!(world.stays(&mut b).epoch, Epoch(3));
    world.stays(&mut a);
    assert_eq!(indexes(&a.has), [0, 1]);
}

#[test]
fn silence_ends_a_membership_and_slow_revocation_too() {
    let mut world = World::prompt();
    world.topics.create("t", 2);
    let (mut a, mut b) = (Consumer::new("a"), Consumer::new("b"));
    world.enters(&mut a, &["t"]);
    world.pass(SESSION - 1);
    world.stays(&mut a);
    world.enters(&mut b, &["t"]);
    // `a` is to give up one, is heard of all the time, and does not.
    for _ in 0..6 {
        world.stays(&mut a);
        world.stays(&mut b);
        world.pass(u64::from(REBALANCE_MS.unsigned_abs()) / 6);
    }
    let beat = ConsumerHeartbeat { epoch: a.epoch, ..a.beat.clone() };
    assert_eq!(world.hear(&mut a, beat), Err(GroupError::UnknownMember));
    world.stays(&mut b);
    assert_eq!(indexes(&b.has), [0, 1]);
    world.pass(SESSION);
    assert_eq!(world.state(), GroupState::Empty);
}

#[test]
fn topics_that_come_grow_and_go_are_noticed_by_whoever_is_heard_of() {
    let mut world = World::prompt();
    let mut a = Consumer::new("a");
    let told = world.enters(&mut a, &["t", "u"]);
    assert_eq!((told.assignment, world.state()), (Some(Partitions::default()), GroupState::Stable));
    world.topics.create("t", 1);
    world.stays(&mut a);
    assert_eq!(indexes(&a.has), [0]);
    world.topics.grow("t", 3);
    world.stays(&mut a);
    assert_eq!(indexes(&a.has), [0, 1, 2]);
    let epoch = a.epoch;
    world.topics.create("other", 5);
    world.stays(&mut a);
    assert_eq!(a.epoch, epoch, "a topic that nobody reads is none of the group's");
    world.topics.delete("t");
    let told = world.stays(&mut a);
    assert_eq!((told.epoch, told.assignment), (epoch, Some(Partitions::default())));
    world.tells(&mut a);
    assert!(a.epoch > epoch);
    world.topics.create("t", 2);
    world.stays(&mut a);
    assert_eq!(indexes(&a.has), [0, 1]);
}

#[test]
fn patterns_match_topics_also_later_ones() {
    let mut world = World::prompt();
    for name in ["t1", "t2", "x"] {
        world.topics.create(name, 1);
    }
    let mut a = Consumer::new("a");
    let with = |a: &Consumer, regex: &str| ConsumerHeartbeat {
        regex: Some(Pattern::new(regex)),
        ..a.joining(&[])
    };
    let refused = world.beat(with(&a, "t[")).expect_err("no pattern");
    assert_eq!(refused.error, GroupError::InvalidRegex);
    assert!(world.described().is_none(), "nothing is left of what was refused");
    let beat = with(&a, "t.*");
    world.hear(&mut a, beat).expect("joined");
    assert_eq!(a.has.count(), 0, "it is looked up apart from the answer");
    world.stays(&mut a);
    assert_eq!(a.has.count(), 2);
    world.topics.create("t3", 1);
    world.stays(&mut a);
    world.stays(&mut a);
    assert_eq!(a.has.count(), 2, "not at every heartbeat");
    world.pass(1_000);
    world.stays(&mut a);
    world.stays(&mut a);
    assert_eq!(a.has.count(), 3);
    world.restart();
    world.stays(&mut a);
    assert_eq!(a.has.count(), 3);
    // Both, then the names alone.
    let topics = Some(names(&["x"]));
    let beat = ConsumerHeartbeat { epoch: a.epoch, topics, ..a.beat.clone() };
    world.hear(&mut a, beat).expect("it is a member");
    assert_eq!(a.has.count(), 4);
    let owned = Some(a.has.clone());
    let regex = Some(Pattern::new(""));
    let beat = ConsumerHeartbeat { epoch: a.epoch, regex, owned, ..a.beat.clone() };
    world.hear(&mut a, beat).expect("it is a member");
    assert_eq!(a.has.topics().map(|(topic, _)| topic).collect::<Vec<_>>(), [world.topics.id("x")]);
}

#[test]
fn a_static_member_that_comes_back_has_what_it_had() {
    let mut world = World::prompt();
    world.topics.create("t", 4);
    let (mut a, mut b) = (Consumer::named("a", "i"), Consumer::new("b"));
    world.enters(&mut a, &["t"]);
    world.enters(&mut b, &["t"]);
    world.stays(&mut a);
    world.tells(&mut a);
    world.stays(&mut b);
    let epoch = a.epoch;

    let mut again = Consumer::named("a2", "i");
    let refused = world.beat(again.joining(&["t"])).expect_err("it is still there");
    assert_eq!(refused.error, GroupError::UnreleasedInstance);
    assert_eq!(world.parts(&a, Epoch::AWAY), Ok(Epoch::AWAY));
    assert_eq!(world.described().expect("a group").members[0].epoch, Epoch::AWAY);
    world.stays(&mut b);
    assert_eq!(b.has.count(), 2, "it is kept for who comes back");
    world.restart();
    world.enters(&mut again, &["t"]);
    assert_eq!((again.epoch, &again.has), (epoch, &a.has));
    let old = ConsumerHeartbeat { epoch, ..a.beat.clone() };
    assert_eq!(world.beat(old.clone()).expect_err("fenced").error, GroupError::FencedInstance);
    let nameless = ConsumerHeartbeat { instance: None, ..old };
    assert_eq!(world.beat(nameless).expect_err("unknown").error, GroupError::UnknownMember);
    assert_eq!(world.parts(&a, Epoch::LEFT), Err(GroupError::FencedInstance));
    // Whoever stays away is gone.
    assert_eq!(world.parts(&again, Epoch::AWAY), Ok(Epoch::AWAY));
    world.pass(SESSION / 2);
    world.stays(&mut b);
    world.pass(SESSION / 2);
    world.stays(&mut b);
    world.stays(&mut b);
    assert_eq!(b.has.count(), 4);
}

#[test]
fn members_are_fenced_by_their_epochs() {
    let mut world = World::prompt();
    world.topics.create("t", 2);
    let (mut a, mut b) = (Consumer::new("a"), Consumer::new("b"));
    world.enters(&mut a, &["t"]);
    world.enters(&mut b, &["t"]);
    world.stays(&mut a);
    let before = a.clone();
    world.tells(&mut a);
    let at = |a: &Consumer, epoch: i32, owned: Option<Partitions>| ConsumerHeartbeat {
        epoch: Epoch(epoch),
        owned,
        ..a.beat.clone()
    };
    // The answer was lost: the member says once more what it said.
    let again = world.beat(at(&a, before.epoch.0, Some(before.has.clone()))).expect("as before");
    assert_eq!(again.epoch, a.epoch);
    let all = (0..2).map(|index| (world.topics.id("t"), index)).collect();
    for (epoch, owned) in
        [(before.epoch.0, None), (before.epoch.0, Some(all)), (9, None), (1, None)]
    {
        let refused = world.beat(at(&a, epoch, owned)).expect_err("another epoch");
        assert_eq!(refused.error, GroupError::FencedMemberEpoch, "{epoch}");
    }
    let records = world.log.len();
    let beat = a.joining(&["t"]);
    let told = world.hear(&mut a, beat).expect("joins again");
    assert_eq!((told.epoch, told.assignment), (before.epoch.next(), Some(before.has)));
    assert_eq!(world.log.len(), records, "nothing has changed");
}
