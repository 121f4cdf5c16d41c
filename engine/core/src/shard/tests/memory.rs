//! Bounds of memory: each is a reason to free what it bounds before it is reached, and producers
//! are asked to pause before they are refused.

use super::*;
use crate::id::{ProducerEpoch, ProducerId};
use crate::record::Sequence;
use crate::shard::pressure::Pressure;

/// Slabs of this many partitions, each written with batches of this many bytes, take more than
/// there may be long before their bytes are many.
const ROWS: [(u32, usize); 5] = [(1_000, 500), (2_000, 1), (600, 4_000), (60, 5_000), (3, 40_000)];

#[test]
fn slabs_are_flushed_and_given_back_before_anyone_is_refused() {
    for (partitions, bytes) in ROWS {
        let mut world = World::new(setup(1, partitions));
        let limits = world.shard.limits.clone();
        for round in 0..(4 * partitions).max(200) {
            world.now.instant.0 += 100;
            let result = world.produce(append(round % partitions, bytes));
            assert_eq!(result, Some(Ok(())), "{partitions} of {bytes} bytes, append {round}");
            let most = limits.tail_bytes + limits.dirty_bytes;
            assert!(world.shard.slabs() as u64 <= most, "{partitions} of {bytes} bytes");
        }
        assert!(world.segment_writes > 0);
    }
}

/// A bound that a disk which takes no segment byte makes appends come to.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Slabs,
    Dirty,
    Journal,
}

impl Bound {
    /// A shard for which this bound is the first, and what to send it.
    fn setup(self) -> (ShardSetup, u32, usize) {
        let mut plan = setup(1, 2_000);
        match self {
            Bound::Slabs => (plan, 2_000, 100),
            Bound::Dirty => {
                plan.limits.tail_bytes = 64 << 20;
                (plan, 4, 5_000)
            }
            Bound::Journal => {
                plan.limits.tail_bytes = 64 << 20;
                plan.limits.dirty_bytes = 64 << 20;
                (plan, 4, 5_000)
            }
        }
    }
}

#[test]
fn who_heeds_the_pressure_is_not_refused_and_who_does_not_is() {
    for bound in [Bound::Slabs, Bound::Dirty, Bound::Journal] {
        let (plan, partitions, bytes) = bound.setup();
        let mut world = World::new(plan);
        world.disk = Disk::Stuck;
        let mut sent = 0;
        let mut produce = |world: &mut World| {
            sent += 1;
            world.produce(append(sent % partitions, bytes))
        };
        while world.shard.pressure() == Pressure::Open {
            assert_eq!(produce(&mut world), Some(Ok(())), "{bound:?}");
        }
        let mut taken = 0;
        while produce(&mut world) == Some(Ok(())) {
            taken += 1;
        }
        assert!(taken > 3, "{bound:?}: there is time to hear of the pressure");
        assert_eq!(produce(&mut world), Some(Err(AppendError::Busy)), "{bound:?}");
        world.disk = Disk::Works;
        world.settle();
        assert_eq!(world.shard.pressure(), Pressure::Open, "{bound:?}");
        assert_eq!(produce(&mut world), Some(Ok(())), "{bound:?}");
    }
}

#[test]
fn a_large_batch_that_finds_no_room_has_room_made_for_it() {
    let mut plan = setup(1, 2);
    (plan.limits.dirty_bytes, plan.limits.tail_bytes) = (300_000, 64 << 20);
    let mut world = World::new(plan);
    // Less than half of what may be dirty: no reason to flush.
    (0..5).for_each(|_| assert_eq!(world.produce(append(0, 25_000)), Some(Ok(()))));
    assert_eq!(world.segment_writes, 0);
    world.disk = Disk::Stuck;
    assert_eq!(world.produce(append(1, 200_000)), Some(Err(AppendError::Busy)));
    assert_eq!(world.shard.pressure(), Pressure::Full, "it should not be sent again yet");
    world.disk = Disk::Works;
    world.settle();
    assert_eq!(world.shard.pressure(), Pressure::Open);
    assert_eq!(world.produce(append(1, 200_000)), Some(Ok(())));
}

#[test]
fn what_waits_for_its_last_block_counts_as_admitted() {
    let mut plan = setup(1, 8);
    plan.limits.tail_bytes = 0;
    let mut world = World::new(plan);
    (0..8).for_each(|index| assert_eq!(world.produce(append(index, 100)), Some(Ok(()))));
    world.pass(10_000);
    world.disk = Disk::Hangs;
    let tickets: Vec<_> =
        (0..8).map(|index| world.ask(Request::Produce(vec![append(index, 200_000)]))).collect();
    let refused = |world: &mut World, ticket| world.answer(ticket) == Some(Err(AppendError::Busy));
    let refused: Vec<_> = tickets.iter().map(|ticket| refused(&mut world, *ticket)).collect();
    assert_eq!(refused.iter().filter(|refused| **refused).count(), 3, "5 times 200 KB fit");
    assert_eq!(world.shard.pressure(), Pressure::Full);
    // A partition that goes away takes with it what waits for it.
    world.shard.remove_partition(world.now, partition(0), &mut world.fx);
    world.disk = Disk::Works;
    world.settle();
    world.pass(10_000);
    assert_eq!((world.shard.holdings().unflushed, world.shard.slabs()), (0, 0));
    assert_eq!(world.shard.pressure(), Pressure::Open);
}

fn idempotent(epoch: i16) -> Append {
    let builder = BatchBuilder::new(Codec::None).base_offset(Offset::ZERO);
    let mut builder = builder.producer(ProducerId(1), ProducerEpoch(epoch), Sequence(0));
    builder.append(NewRecord { value: Some(b"v"), ..NewRecord::default() });
    let batch = builder.build().expect("a batch");
    let header = BatchHeader::parse(&batch).expect("a header");
    Append { partition: partition(0), header, batch, append_time: Timestamp::NONE }
}

/// What ends a partition's claim on memory.
#[derive(Clone, Copy, Debug)]
enum End {
    Quiet,
    /// Its last block was read back for an append that was then refused.
    Refusal,
    SegmentFailure,
    JournalFailure,
    Deletion,
}

#[test]
fn nothing_is_kept_for_what_is_idle_offline_or_gone() {
    use End::{Deletion, JournalFailure, Quiet, Refusal, SegmentFailure};
    for end in [Quiet, Refusal, SegmentFailure, JournalFailure, Deletion] {
        let mut plan = setup(1, 2);
        plan.limits.tail_bytes = 0;
        let mut world = World::new(plan);
        world.disk = Disk::Stuck;
        assert_eq!(world.produce(idempotent(5)), Some(Ok(())), "{end:?}");
        match end {
            Quiet | Refusal => world.disk = Disk::Works,
            SegmentFailure => world.disk = Disk::Refuses(Failure::Io(5)),
            JournalFailure => {
                let failure = Failure::Io(5);
                let name = crate::shard::event::FileName::Journal(0);
                world.shard.shard_offline(world.now, name, failure, &mut world.fx);
            }
            Deletion => {
                world.shard.remove_partition(world.now, partition(0), &mut world.fx);
            }
        }
        world.settle();
        world.pass(10_000);
        if let Refusal = end {
            assert_eq!(world.shard.slabs(), 0);
            let fenced = AppendError::Fenced { current: ProducerEpoch(5) };
            assert_eq!(world.produce(idempotent(4)), Some(Err(fenced)));
            world.settle();
        }
        assert_eq!(world.shard.slabs(), 0, "{end:?}");
        assert!(world.shard.flusher.lists_nothing(), "{end:?}");
        assert_eq!(world.shard.holdings().lost_slabs, 0, "{end:?}");
    }
}
