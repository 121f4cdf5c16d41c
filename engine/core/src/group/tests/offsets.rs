//! Commits, and how they end.

use super::*;
use crate::group::request::{DeleteOffsetsRequest, GroupState};

const HOUR: u64 = 3_600_000;

fn by(joined: &Joined, request: CommitRequest) -> CommitRequest {
    let (member, generation) = (joined.member.clone(), joined.generation);
    CommitRequest { member, generation, ..request }
}

#[test]
fn offsets_are_kept_for_groups_that_nobody_joined() {
    let mut world = World::new();
    assert_eq!(world.committed("t", 0), None);
    assert_eq!(world.commit(commit("t", 0, 5)), Ok(vec![Ok(())]));
    assert_eq!(world.commit(commit("t", 0, 3)), Ok(vec![Ok(())]));
    assert_eq!((world.committed("t", 0), world.committed("t", 1)), (Some(3), None));
    let described = world.describe().expect("a group");
    assert_eq!((described.state, &*described.protocol_type), (GroupState::Empty, ""));
}

#[test]
fn only_members_of_the_present_rebalance_commit() {
    let mut world = World::new();
    let joined = world.stable(&mut [Member::new("a")]).remove(0);
    let request = || commit("t", 0, 1);
    let of = |generation| CommitRequest { generation, ..by(&joined, request()) };
    let stranger = CommitRequest { member: "x".into(), ..by(&joined, request()) };
    for (request, expected) in [
        (by(&joined, request()), Ok(vec![Ok(())])),
        (of(Generation(0)), Err(GroupError::IllegalGeneration)),
        (of(Generation(-1)), Err(GroupError::IllegalGeneration)),
        (stranger, Err(GroupError::UnknownMember)),
        (request(), Err(GroupError::UnknownMember)),
    ] {
        assert_eq!(world.commit(request.clone()), expected, "{request:?}");
    }
}

#[test]
fn a_missing_group_is_told_as_each_version_knows_it() {
    for (knows_not_found, error) in
        [(true, GroupError::NotFound), (false, GroupError::IllegalGeneration)]
    {
        let generation = Generation(1);
        let request = CommitRequest { knows_not_found, generation, ..commit("t", 0, 1) };
        assert_eq!(World::new().commit(request), Err(error));
    }
}

#[test]
fn commits_go_on_while_members_join_but_not_while_they_wait_for_the_leader() {
    let mut world = World::new();
    let mut members = [Member::new("a"), Member::new("b")];
    let joined = world.stable(&mut members);
    let leader = members.iter().find(|m| m.join.member == joined[0].member).expect("it").clone();
    let first = world.join(&leader);
    assert_eq!(world.commit(by(&joined[1], commit("t", 0, 1))), Ok(vec![Ok(())]));
    let other = members.iter().find(|m| m.join.member == joined[1].member).expect("it").clone();
    world.join(&other);
    let next = world.joined(first).expect("joined");
    let refused = world.commit(by(&next, commit("t", 0, 1)));
    assert_eq!(refused, Err(GroupError::RebalanceInProgress));
}

#[test]
fn words_are_measured_as_java_does_and_only_long_ones_are_refused() {
    let mut world = World::new();
    let mut request = commit("t", 0, 1);
    let part = request.offsets[0].clone();
    let with = |partition, metadata: String| CommitOffset {
        partition,
        metadata: metadata.into(),
        ..part.clone()
    };
    // Two code units each.
    request.offsets = vec![
        with(0, "x".repeat(4096)),
        with(1, "x".repeat(4097)),
        with(2, "\u{1f980}".repeat(2049)),
    ];
    let too_long = Err(GroupError::MetadataTooLarge);
    assert_eq!(world.commit(request), Ok(vec![Ok(()), too_long, too_long]));
    assert_eq!([0, 1, 2].map(|p| world.committed("t", p)), [Some(1), None, None]);
}

#[test]
fn a_commit_is_answered_and_seen_when_it_is_durable() {
    let mut world = World::new();
    world.quick = false;
    let first = world.ask(Request::Commit(commit("t", 0, 1)));
    let second = world.ask(Request::Commit(commit("t", 0, 2)));
    assert_eq!((world.told(first), world.committed("t", 0)), (None, None));
    world.write();
    assert_eq!(world.told(first), Some(Reply::Commit(Ok(vec![Ok(())]))));
    assert_eq!((world.told(second), world.committed("t", 0)), (None, Some(1)));
    world.fail(GroupError::CoordinatorNotAvailable);
    let failed = Some(Reply::Commit(Err(GroupError::CoordinatorNotAvailable)));
    assert_eq!((world.told(second), world.committed("t", 0)), (failed, Some(1)));
}

#[test]
fn groups_without_members_can_be_deleted_with_what_is_on_its_way() {
    let mut world = World::new();
    assert_eq!(
        world.answer(Request::Delete(GROUP.into())),
        Reply::Delete(Err(GroupError::NotFound))
    );
    let joined = world.stable(&mut [Member::new("a")]).remove(0);
    let delete = || Request::Delete(GROUP.into());
    assert_eq!(world.answer(delete()), Reply::Delete(Err(GroupError::NonEmpty)));
    world.commit(by(&joined, commit("t", 0, 1))).expect("committed").remove(0).expect("committed");
    world.leave(&[(joined.member.as_str(), None)]).expect("left").remove(0).expect("left");
    world.quick = false;
    world.ask(Request::Commit(commit("t", 1, 1)));
    let deleted = world.ask(delete());
    world.write();
    world.write();
    assert_eq!(world.told(deleted), Some(Reply::Delete(Ok(()))));
    assert_eq!(world.describe(), None);
    world.quick = true;
    world.restart();
    assert_eq!((world.describe(), world.committed("t", 1)), (None, None));
}

#[test]
fn a_deletion_that_fails_leaves_the_group() {
    let mut world = World::new();
    world.commit(commit("t", 0, 1)).expect("committed").remove(0).expect("committed");
    world.quick = false;
    let asker = world.ask(Request::Delete(GROUP.into()));
    world.fail(GroupError::NotCoordinator);
    assert_eq!(world.told(asker), Some(Reply::Delete(Err(GroupError::NotCoordinator))));
    assert_eq!(world.committed("t", 0), Some(1));
}

#[test]
fn offsets_of_topics_that_are_read_cannot_be_deleted() {
    let mut world = World::new();
    let joined = world.stable(&mut [Member::new("a")]).remove(0);
    for topic in ["t", "u"] {
        world.commit(by(&joined, commit(topic, 0, 1))).expect("committed").remove(0).expect("it");
    }
    let topics = ["t", "u", "v"].map(|topic| (Arc::from(topic), vec![0]));
    let request = DeleteOffsetsRequest { group: GROUP.into(), topics: topics.to_vec() };
    let reply = world.answer(Request::DeleteOffsets(request.clone()));
    let subscribed = Err(GroupError::SubscribedToTopic);
    assert_eq!(reply, Reply::DeleteOffsets(Ok(vec![subscribed, Ok(()), Ok(())])));
    assert_eq!(["t", "u"].map(|topic| world.committed(topic, 0)), [Some(1), None]);
    let unknown = DeleteOffsetsRequest { group: "x".into(), ..request };
    let reply = world.answer(Request::DeleteOffsets(unknown));
    assert_eq!(reply, Reply::DeleteOffsets(Err(GroupError::NotFound)));
}

#[test]
fn offsets_end_when_nobody_has_needed_them_for_long() {
    let settings = || GroupSettings { retention_ms: 24 * HOUR, ..GroupSettings::default() };
    // Of nobody: from the commit on.
    let mut world = World::with(settings());
    world.commit(commit("t", 0, 1)).expect("committed").remove(0).expect("it");
    world.pass(23 * HOUR);
    assert_eq!(world.committed("t", 0), Some(1));
    world.pass(2 * HOUR);
    assert_eq!((world.committed("t", 0), world.describe()), (None, None));

    // Of members: never while they read the topic; then all from when the last one left.
    let mut world = World::with(settings());
    let joined = world.stable(&mut [Member::new("a")]).remove(0);
    for topic in ["t", "u"] {
        world.commit(by(&joined, commit(topic, 0, 1))).expect("committed").remove(0).expect("it");
    }
    for _ in 0..25 * HOUR / 9_000 {
        world.pass(9_000);
        world.heartbeat(&joined.member, joined.generation).expect("alive");
    }
    assert_eq!(["t", "u"].map(|topic| world.committed(topic, 0)), [Some(1), None]);
    world.leave(&[(joined.member.as_str(), None)]).expect("left").remove(0).expect("left");
    world.pass(23 * HOUR);
    assert_eq!(world.committed("t", 0), Some(1));
    world.pass(2 * HOUR);
    assert_eq!((world.committed("t", 0), world.describe()), (None, None));
}

#[test]
fn a_client_may_choose_how_long_an_offset_is_kept() {
    let mut world = World::new();
    let request = CommitRequest { retention_ms: Some(HOUR), ..commit("t", 0, 1) };
    world.commit(request).expect("committed").remove(0).expect("it");
    world.pass(HOUR / 2);
    assert_eq!(world.committed("t", 0), Some(1));
    world.pass(HOUR);
    assert_eq!(world.committed("t", 0), None);
}

#[test]
fn with_a_topic_go_its_offsets_but_not_those_of_its_successor() {
    let mut world = World::new();
    world.topics.create("t", 3);
    let old = world.topics.id("t");
    world.topics.delete("t");
    world.topics.create("t", 3);
    let new = world.topics.id("t");
    for (partition, id) in [(0, Some(old)), (1, Some(new)), (2, None)] {
        let mut request = commit("t", partition, 1);
        request.offsets[0].topic_id = id;
        world.commit(request).expect("committed").remove(0).expect("it");
    }
    assert_eq!([0, 1, 2].map(|p| world.committed("t", p)), [Some(1); 3]);
    world.coordinator.topics_deleted(world.now);
    world.pass(1);
    let left = [None, Some(1), Some(1)];
    assert_eq!([0, 1, 2].map(|p| world.committed("t", p)), left);
    // Nor those of a topic that went while nobody looked.
    world.topics.delete("t");
    world.restart();
    world.pass(1);
    assert_eq!([0, 1, 2].map(|p| world.committed("t", p)), [None, None, Some(1)]);
}

#[test]
fn offsets_of_a_topic_go_in_pieces() {
    let mut world = World::new();
    world.topics.create("t", 1);
    let id = world.topics.id("t");
    let offset = |partition| CommitOffset {
        topic_id: Some(id),
        ..commit("t", partition, 1).offsets.remove(0)
    };
    let request = CommitRequest { offsets: (0..2_500).map(offset).collect(), ..commit("t", 0, 1) };
    world.commit(request).expect("committed");
    world.topics.delete("t");
    world.restart();
    let before = world.log.len();
    world.pass(0);
    assert_eq!(world.log.len() - before, 1_000);
    world.pass(100);
    assert_eq!(world.log.len() - before, 2_500);
}

/// A deletion that cannot be written loses nothing, whoever has come meanwhile.
#[test]
fn a_deletion_that_fails_leaves_everything() {
    let mut world = World::new();
    world.commit(commit("t", 0, 7)).expect("committed");
    world.quick = false;
    let asker = world.ask(Request::Delete(GROUP.into()));
    world.join(&Member::new("c"));
    world.fail(GroupError::CoordinatorNotAvailable);
    let told = world.told(asker);
    assert_eq!(told, Some(Reply::Delete(Err(GroupError::CoordinatorNotAvailable))));
    world.quick = true;
    assert_eq!(world.committed("t", 0), Some(7));
}

#[test]
fn what_is_committed_again_does_not_expire_on_its_way() {
    let retention_ms = 24 * HOUR;
    let mut world = World::with(GroupSettings { retention_ms, ..GroupSettings::default() });
    world.commit(commit("t", 0, 1)).expect("committed").remove(0).expect("it");
    world.pass(retention_ms - 1);
    world.quick = false;
    let asker = world.ask(Request::Commit(commit("t", 0, 2)));
    world.pass(HOUR);
    while !world.waiting.is_empty() {
        world.write();
    }
    assert_eq!(world.told(asker), Some(Reply::Commit(Ok(vec![Ok(())]))));
    assert_eq!(world.committed("t", 0), Some(2));
}
