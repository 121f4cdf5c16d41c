//! Readers that watch, and looks at what time has made due: each ends as it should.

use super::*;
use crate::log::SegmentId;
use crate::place::owner;
use crate::shard::job::Goal;
use crate::shard::partition::OwnerCall;
use crate::shard::search::Search;

/// When a fetch is cancelled.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// While stored bytes are looked at.
    Looking,
    /// While its read waits for the last part of several.
    Watching,
}

fn watchers(shard: &Shard) -> usize {
    shard.partitions.values().map(|partition| partition.watchers.len()).sum::<usize>()
        + shard.calls.watched.len()
}

#[test]
fn a_cancelled_fetch_leaves_no_watcher() {
    for moment in [Moment::Looking, Moment::Watching] {
        let mut plan = setup(1, 2);
        plan.limits.tail_bytes = 0;
        let mut world = World::new(plan);
        (0..3).for_each(|_| assert_eq!(world.produce(append(0, 100)), Some(Ok(()))));
        world.pass(10_000);
        for _ in 0..100 {
            let (offset, disk) = match moment {
                // In the middle of what only the segment has.
                Moment::Looking => (1, Disk::Hangs),
                Moment::Watching => (3, Disk::Works),
            };
            world.disk = disk;
            let request = world.fetch(0, offset, 60_000);
            let ticket = world.ask(request);
            assert_eq!(watchers(&world.shard) > 0, disk == Disk::Works, "{moment:?}");
            world.step(Event::Cancel(ticket));
            world.disk = Disk::Works;
            world.settle();
        }
        assert_eq!(watchers(&world.shard), 0, "{moment:?}");
        assert!(world.shard.calls.reads.is_empty() && world.replies.is_empty());
    }
}

#[test]
fn a_reader_of_what_is_deleted_meanwhile_is_woken() {
    let mut plan = setup(1, 2);
    plan.limits.tail_bytes = 0;
    let mut world = World::new(plan);
    (0..3).for_each(|_| assert_eq!(world.produce(append(0, 100)), Some(Ok(()))));
    world.pass(10_000);
    world.disk = Disk::Hangs;
    let deadline = world.now.instant.plus_ms(60_000);
    let part = |index, offset| FetchPart {
        partition: partition(index),
        offset: Offset(offset),
        max_bytes: 1000,
        epoch: None,
        last_epoch: None,
    };
    // The first part is answered at once, the second looks at the disk meanwhile.
    let parts = vec![part(1, 0), part(0, 1)].into();
    let fetch = Fetch { max_bytes: 2000, min_bytes: 1 << 20, deadline, parts };
    let ticket = world.ask(Request::Fetch(fetch));
    world.shard.remove_partition(world.now, partition(1), &mut world.fx);
    world.disk = Disk::Works;
    world.settle();
    let answered = world.replies.iter().any(|(of, _)| *of == ticket);
    assert!(answered, "it reads again, and is told that a partition is gone");
    assert_eq!(watchers(&world.shard), 0);
}

#[test]
fn a_cancelled_fetch_takes_back_what_waits_for_a_credit() {
    let mut world = World::new(setup(2, 1));
    let far = (0..).map(partition).find(|p| owner(*p, 2) == ShardId(1)).expect("some are");
    // All credits are used by lookups that nobody answers.
    let lookup = |partition| {
        let target = crate::shard::request::Target::Latest;
        Request::Lookup(vec![crate::shard::request::Lookup { partition, epoch: None, target }])
    };
    for _ in 0..crate::limits::CREDITS {
        world.ask(lookup(far));
    }
    let ticket = world.ask({
        let Request::Fetch(mut fetch) = world.fetch(0, 0, 60_000) else { unreachable!() };
        let part = FetchPart { partition: far, ..fetch.parts[0] };
        fetch.parts = vec![part].into();
        Request::Fetch(fetch)
    });
    world.step(Event::Cancel(ticket));
    world.fx.messages.clear();
    let answer = Message::Answer(CallId(1), Answer::Lookup(Vec::new()));
    world.step(Event::Message(ShardId(1), answer));
    let read =
        |(_, message): &(ShardId, Message)| matches!(message, Message::Call(_, Call::Read { .. }));
    assert!(!world.fx.messages.iter().any(read), "nobody wants it any more");
}

#[test]
fn what_is_quiet_is_flushed_however_late_its_commit_comes() {
    for ready_ms in [0, 500, 1_500, 30_000] {
        let mut plan = setup(1, 1);
        plan.formatted = Vec::new();
        let mut shard = World::new(ShardSetup { partitions: Vec::new(), ..plan.clone() });
        // Journal files take this long to make.
        shard.shard = Shard::new(plan);
        shard.disk = Disk::Hangs;
        shard.shard.start(&mut shard.fx);
        let ticket = shard.ask(Request::Produce(vec![append(0, 500)]));
        shard.pass(ready_ms);
        shard.disk = Disk::Works;
        shard.settle();
        assert_eq!(shard.answer(ticket), Some(Ok(())), "{ready_ms}");
        shard.pass(20_000);
        assert_eq!(shard.segment_writes, 1, "ready after {ready_ms} ms");
        assert_eq!(shard.shard.next_deadline(), None, "and then there is nothing to look for");
    }
}

#[test]
fn whoever_waits_for_the_index_of_a_segment_that_is_gone_goes_on_without_it() {
    let mut world = World::new(setup(1, 1));
    let slot = world.shard.slots[&partition(0)];
    let call = OwnerCall { from: ShardId(0), id: CallId(1) };
    let search = Search { slot, call, part: 0, goal: Goal::At(Timestamp(0)) };
    // More than are read at once.
    let segments = 1..=10;
    for part in segments.clone() {
        let segment = SegmentId { partition: partition(0), base: Offset(i64::from(part)) };
        world.shard.await_index(Search { part, ..search }, segment, &mut world.fx);
    }
    let mut reads = 0;
    while let Some(read) = world.fx.indexes.pop() {
        reads += 1;
        assert!(reads <= segments.clone().count(), "{:?} is read again", read.segment);
        let missing = Event::Done(read.id, Outcome::Failed(Failure::Missing));
        world.shard.step(world.now, missing, &mut world.fx);
    }
    assert_eq!((reads, world.shard.holdings().effects), (segments.count(), 0));
}
