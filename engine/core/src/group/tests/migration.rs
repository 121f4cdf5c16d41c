//! Groups that change their protocol, and members of both in one.

use bytes::Bytes;

use super::consumer::Consumer;
use super::*;
use crate::group::embedded::{Assignment, Named};
use crate::group::name::Epoch;
use crate::group::pattern::Pattern;
use crate::group::request::{GroupState, GroupType};
use crate::group::settings::Migration;

fn named(indexes: &[i32]) -> Named {
    [(Arc::from("t"), indexes.iter().copied().collect())].into()
}

fn part(indexes: &[i32]) -> Bytes {
    Assignment::write(&named(indexes), 0)
}

fn given(synced: &Synced) -> Vec<i32> {
    let assignment = Assignment::read(&synced.assignment).expect("an assignment");
    assignment.partitions.values().flatten().copied().collect()
}

impl World {
    /// A stable classic group of one member that has all three partitions of a topic.
    fn classic(&mut self, member: &mut super::Member) -> Joined {
        self.topics.create("t", 3);
        let asker = self.enter(member);
        self.pass(3 * DELAY_MS);
        let joined = self.joined(asker).expect("joined");
        let assignments = vec![(joined.member.clone(), part(&[0, 1, 2]))];
        self.sync_with(&joined, assignments).expect("synced");
        joined
    }

    fn sync_with(
        &mut self,
        joined: &Joined,
        assignments: Vec<(MemberId, Bytes)>,
    ) -> Result<Synced, GroupError> {
        let asker = self.sync_bytes(joined, assignments);
        self.synced(asker)
    }

    fn rejoins(&mut self, member: &super::Member) -> Joined {
        let asker = self.join(member);
        self.joined(asker).expect("joined")
    }

    fn kind(&mut self) -> (GroupType, GroupState) {
        match self.answer(Request::List) {
            Reply::List(groups) => (groups[0].kind, groups[0].state),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_classic_group_takes_a_member_of_the_new_protocol_and_becomes_classic_again() {
    let mut world = World::prompt();
    let mut c = super::Member::new("c");
    let joined = world.classic(&mut c);
    world
        .commit(CommitRequest {
            member: joined.member.clone(),
            generation: joined.generation,
            ..commit("t", 0, 7)
        })
        .expect("committed");
    let mut d = Consumer::new("d");
    let told = world.enters(&mut d, &["t"]);
    assert_eq!((told.epoch, d.has.count()), (Epoch(2), 0));
    assert_eq!(world.kind(), (GroupType::Consumer, GroupState::Reconciling));
    assert_eq!(world.committed("t", 0), Some(7));

    // The classic member is told to join again, and has its share at once.
    let beat = world.heartbeat(&joined.member, joined.generation);
    assert_eq!(beat, Err(GroupError::RebalanceInProgress));
    let again = world.rejoins(&c);
    assert_eq!((again.generation, again.leader.as_str()), (Generation(2), ""));
    assert!(again.members.is_empty());
    let synced = world.sync_with(&again, Vec::new()).expect("synced");
    world.stays(&mut d);
    assert_eq!(given(&synced).len() + d.has.count(), 3);
    assert_eq!(world.heartbeat(&again.member, again.generation), Ok(()));
    assert_eq!(world.heartbeat(&again.member, Generation(1)), Err(GroupError::IllegalGeneration));
    let described = world.described().expect("a group");
    assert_eq!(described.members.iter().filter(|member| member.is_classic).count(), 1);
    world.restart();
    assert_eq!(world.described(), Some(described));

    assert_eq!(world.parts(&d, Epoch::LEFT), Ok(Epoch::LEFT));
    assert_eq!(world.kind(), (GroupType::Classic, GroupState::PreparingRebalance));
    let beat = world.heartbeat(&again.member, again.generation);
    assert_eq!(beat, Err(GroupError::RebalanceInProgress));
    let last = world.rejoins(&c);
    assert_eq!((last.generation, &last.leader), (Generation(3), &last.member));
    assert_eq!(world.committed("t", 0), Some(7));
    world.restart();
    assert_eq!(world.kind(), (GroupType::Classic, GroupState::Stable));
}

#[test]
fn a_cooperative_member_keeps_what_it_need_not_give_up() {
    let mut world = World::prompt();
    let mut c = super::Member::new("c");
    world.classic(&mut c);
    let mut d = Consumer::new("d");
    world.enters(&mut d, &["t"]);
    let mut owned = vec![0, 1, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
    owned.extend([0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 3]);
    owned.extend([0, 1, 2].into_iter().flat_map(i32::to_be_bytes));
    c.join.protocols = vec![Protocol { name: "range".into(), metadata: owned.into() }];
    let told = world.rejoins(&c);
    assert_eq!(told.generation, Generation(1), "it has not given up anything yet");
    let synced = world.sync_with(&told, Vec::new()).expect("synced");
    let keeps = given(&synced);
    assert_eq!(keeps.len(), 2);
    assert_eq!(
        world.heartbeat(&told.member, told.generation),
        Err(GroupError::RebalanceInProgress)
    );
    let mut left = vec![0, 1, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff];
    left.extend([0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2]);
    left.extend(keeps.iter().flat_map(|index| index.to_be_bytes()));
    c.join.protocols = vec![Protocol { name: "range".into(), metadata: left.into() }];
    let told = world.rejoins(&c);
    assert_eq!(told.generation, Generation(2));
    let synced = world.sync_with(&told, Vec::new()).expect("synced");
    assert_eq!(given(&synced), keeps);
    world.stays(&mut d);
    assert_eq!(d.has.count(), 1);
    assert_eq!(world.kind(), (GroupType::Consumer, GroupState::Stable));
}

#[test]
fn a_classic_member_that_is_silent_in_any_way_is_gone() {
    // Does not join again; joins and does not sync; says nothing.
    for silence in 0..3 {
        let mut world = World::prompt();
        let mut c = super::Member::new("c");
        let joined = world.classic(&mut c);
        let mut d = Consumer::new("d");
        world.enters(&mut d, &["t"]);
        let mut generation = joined.generation;
        if silence == 1 {
            generation = world.rejoins(&c).generation;
        }
        let mut told = Ok(());
        for _ in 0..40 {
            if silence < 2 {
                told = world.heartbeat(&joined.member, generation);
            }
            world.stays(&mut d);
            world.pass(2_000);
        }
        if silence < 2 {
            assert_eq!(told, Err(GroupError::UnknownMember), "{silence}");
        }
        assert_eq!(d.has.count(), 3, "{silence}");
    }
}

#[test]
fn groups_without_members_change_as_they_are_needed() {
    let mut world = World::prompt();
    world.settings.consumer.migration = Migration::Disabled;
    world.restart();
    world.topics.create("t", 1);
    world.commit(commit("t", 0, 5)).expect("committed");
    assert_eq!(world.kind(), (GroupType::Classic, GroupState::Empty));
    let mut d = Consumer::new("d");
    world.enters(&mut d, &["t"]);
    assert_eq!(world.kind(), (GroupType::Consumer, GroupState::Stable));
    let refused = world.join(&super::Member::new("c"));
    let refused = world.joined(refused).expect_err("the policy");
    assert_eq!(refused.error, GroupError::InconsistentProtocol);
    world.restart();
    assert_eq!(world.committed("t", 0), Some(5));
    world.parts(&d, Epoch::LEFT).expect("gone");
    let mut c = super::Member::new("c");
    let asker = world.enter(&mut c);
    world.pass(3 * DELAY_MS);
    world.joined(asker).expect("joined");
    assert_eq!(world.committed("t", 0), Some(5));
    assert_eq!(world.kind().0, GroupType::Classic);
    let refused = world.beat(d.joining(&["t"])).expect_err("the policy");
    assert_eq!(refused.error, GroupError::NotFound);
    assert!(refused.why.expect("a reason").contains("group.consumer.migration.policy"));
}

#[test]
fn whoever_waits_in_a_classic_group_that_changes_is_told() {
    let mut world = World::prompt();
    let mut c = super::Member::new("c");
    world.classic(&mut c);
    let mut e = super::Member::new("e");
    let waiting = world.enter(&mut e);
    assert_eq!(world.told(waiting), None);
    let mut d = Consumer::new("d");
    world.enters(&mut d, &["t"]);
    let told = world.joined(waiting).expect_err("the group has changed");
    assert_eq!(told.error, GroupError::RebalanceInProgress);
    assert_eq!(world.rejoins(&e).generation.0, world.described().expect("it").epoch.0);
}

#[test]
fn a_change_that_cannot_be_written_is_undone() {
    let mut world = World::prompt();
    let mut c = super::Member::new("c");
    let joined = world.classic(&mut c);
    world.quick = false;
    let beat = Consumer::new("d").joining(&["t"]);
    let asker = world.ask(Request::ConsumerHeartbeat(Box::new(beat)));
    world.fail(GroupError::CoordinatorNotAvailable);
    assert!(matches!(world.told(asker), Some(Reply::ConsumerHeartbeat(Err(_)))));
    world.quick = true;
    assert_eq!(world.kind().0, GroupType::Classic);
    assert_eq!(world.heartbeat(&joined.member, joined.generation), Ok(()));
}

#[test]
fn a_refused_member_does_not_disturb_a_classic_group() {
    let mut world = World::prompt();
    let mut c = super::Member::new("c");
    let joined = world.classic(&mut c);
    let records = world.log.len();
    let mut beat = Consumer::new("d").joining(&["t"]);
    beat.regex = Some(Pattern::new("["));
    let refused = world.beat(beat).expect_err("no pattern");
    assert_eq!(refused.error, GroupError::InvalidRegex);
    assert_eq!(world.kind(), (GroupType::Classic, GroupState::Stable));
    assert_eq!(world.heartbeat(&joined.member, joined.generation), Ok(()));
    assert_eq!(world.log.len(), records);
    // Its time was not given to it again.
    world.pass(SESSION_MS as u64 - 1);
    let mut beat = Consumer::new("d").joining(&["t"]);
    beat.regex = Some(Pattern::new("["));
    world.beat(beat).expect_err("no pattern");
    world.pass(1);
    assert_eq!(world.kind().1, GroupState::Empty);
}

#[test]
fn what_a_leader_gave_twice_or_invented_is_not_taken_over() {
    for (given, taken) in [(vec![part(&[0, 7, -1])], true), (vec![part(&[0]), part(&[0])], false)] {
        let mut world = World::prompt();
        world.topics.create("t", 3);
        let mut members: Vec<super::Member> =
            (0..given.len()).map(|n| super::Member::new(&format!("c{n}"))).collect();
        let askers: Vec<Asker> = members.iter_mut().map(|member| world.enter(member)).collect();
        world.pass(3 * DELAY_MS);
        let joined: Vec<Joined> =
            askers.into_iter().map(|asker| world.joined(asker).expect("joined")).collect();
        let ids = joined.iter().map(|one| one.member.clone());
        let assignments: Vec<_> = ids.zip(given).collect();
        let leader = joined.iter().find(|one| one.member == one.leader).expect("one leads");
        world.sync_with(leader, assignments).expect("synced");
        let told = world.beat(Consumer::new("d").joining(&["t"]));
        assert_eq!(told.is_ok(), taken, "{told:?}");
        if taken {
            let described = world.described().expect("a group");
            let classic = described.members.iter().find(|member| member.is_classic).expect("it");
            assert_eq!(classic.assignment.count(), 1);
        }
    }
}

#[test]
fn static_members_change_their_protocol_in_place() {
    let mut world = World::prompt();
    world.topics.create("t", 2);
    let mut d = Consumer::named("d", "i");
    world.enters(&mut d, &["t"]);
    let asker = world.join(&super::Member::named("c", "i"));
    let joined = world.joined(asker).expect("joined");
    assert_eq!(world.kind(), (GroupType::Classic, GroupState::Stable));
    let synced = world.sync_with(&joined, Vec::new()).expect("synced");
    assert_eq!(given(&synced), [0, 1]);
    let mut again = Consumer::named("d2", "i");
    world.enters(&mut again, &["t"]);
    assert_eq!((again.has.count(), world.kind().0), (2, GroupType::Consumer));
}
