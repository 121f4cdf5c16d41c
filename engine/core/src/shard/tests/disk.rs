//! A disk without room: producers are refused at once, whatever they send, and the operator is told
//! once.

use super::*;
use crate::shard::disk::{Found, Intake, Shortage};
use crate::shard::effect::DiskFull;
use crate::shard::pressure::Pressure;

/// As [`setup`] has it: the reserve, and what may be dirty.
const KEPT_BACK: u64 = 2 << 20;

const REFUSED: Option<AppendError> = Some(AppendError::DiskFull);

/// What was said of the disk since the last time.
fn told(world: &mut World) -> Vec<Notice> {
    std::mem::take(&mut world.notices)
}

fn full(free: u64, found: Found, largest: &[(u8, u64)]) -> Notice {
    let shortage = Shortage { free, kept_back: KEPT_BACK, found };
    let topic = |(topic, bytes): &(u8, u64)| (TopicId([*topic; 16]), *bytes);
    Notice::DiskFull(Box::new(DiskFull { shortage, largest: largest.iter().map(topic).collect() }))
}

#[test]
fn the_limit_is_the_same_for_every_batch_and_is_told_once() {
    let mut plan = setup(1, 1);
    let metadata = Adopted { partition: TopicPartition::METADATA, ..plan.partitions[0].clone() };
    plan.partitions.push(metadata);
    let mut world = World::new(plan);
    world.step(Event::DiskFree(KEPT_BACK));
    assert_eq!(world.produce(append(0, 1)), Some(Ok(())));
    let size = append(0, 1).batch.len() as u64;
    let margin = KEPT_BACK / 16;
    let freed = Notice::DiskFreed { free: KEPT_BACK + margin };
    let rows = [
        (KEPT_BACK, None, None),
        (KEPT_BACK - 1, REFUSED, Some(full(KEPT_BACK - 1, Found::Measured, &[(7, size)]))),
        (0, REFUSED, None),
        (KEPT_BACK, REFUSED, None),
        (KEPT_BACK + margin - 1, REFUSED, None),
        (KEPT_BACK + margin, None, Some(freed)),
        (KEPT_BACK, None, None),
    ];
    for (free, refused, said) in rows {
        world.step(Event::DiskFree(free));
        assert_eq!(world.shard.lacks_disk(), refused.is_some(), "{free} bytes free");
        for bytes in [1, 1_000, 200_000].into_iter().filter(|_| refused.is_some()) {
            let result = world.produce(append(0, bytes));
            assert_eq!(result.map(Result::err), Some(refused.clone()), "{free} bytes free");
        }
        assert_eq!(told(&mut world), said.into_iter().collect::<Vec<_>>(), "{free} bytes free");
    }
    assert_eq!(world.produce(append(0, 200_000)), Some(Ok(())));
}

#[test]
fn a_disk_that_is_full_now_and_then_is_told_once_in_a_while() {
    let mut world = World::new(setup(1, 1));
    let mut lines = 0;
    for second in 0..600u64 {
        let free = if second.is_multiple_of(2) { 0 } else { u64::MAX };
        world.step(Event::DiskFree(free));
        world.pass(1_000);
        lines += told(&mut world).len();
    }
    assert!((2..=20).contains(&lines), "{lines} lines in ten minutes");
    // What lasts is told, however little time has passed.
    world.step(Event::DiskFree(u64::MAX));
    told(&mut world);
    for round in 0..2 {
        world.step(Event::DiskFree(0));
        world.pass(120_000);
        assert!(matches!(told(&mut world)[..], [Notice::DiskFull(_)]), "{round}");
        world.step(Event::DiskFree(u64::MAX));
        assert!(matches!(told(&mut world)[..], [Notice::DiskFreed { .. }]), "{round}");
    }
}

#[test]
fn a_full_disk_with_much_dirty_refuses_and_recovers() {
    // With or without room that is only said to be there: a quota.
    for measured in [0, u64::MAX] {
        let mut world = World::new(setup(1, 4));
        world.disk = Disk::Stuck;
        while world.shard.pressure() == Pressure::Open {
            assert_eq!(world.produce(append(0, 50_000)), Some(Ok(())));
        }
        world.disk = Disk::Refuses(Failure::Full);
        world.settle();
        for round in 0..10 {
            assert_eq!(world.shard.pressure(), Pressure::Open, "{round}: nobody waits for it");
            let result = world.produce(append(round % 4, 1_000));
            assert_eq!(result, Some(Err(AppendError::DiskFull)), "{round}");
            assert!(world.shard.lacks_disk());
            world.step(Event::DiskFree(measured));
            world.pass(1_000);
        }
        let said = told(&mut world);
        assert!(
            matches!(&said[..], [Notice::DiskFull(full)] if full.shortage.found == Found::ByWrite)
        );
        world.disk = Disk::Works;
        world.step(Event::DiskFree(u64::MAX));
        assert_eq!(world.shard.pressure(), Pressure::Open);
        assert_eq!(world.produce(append(0, 50_000)), Some(Ok(())), "as soon as a write is taken");
        assert!(matches!(told(&mut world)[..], [Notice::DiskFreed { .. }]));
    }
}

#[test]
fn one_line_for_all_shards_with_the_topics_of_all() {
    let mut world = World::new(setup(2, 1));
    assert_eq!(world.produce_here(append(0, 1_000)), Some(Ok(())));
    let shortage = Shortage { free: 5, kept_back: 3 << 20, found: Found::Measured };
    let refused = Message::Disk(Intake::Refused(shortage));
    world.step(Event::Message(ShardId(1), refused));
    let asked =
        |(to, message): &(ShardId, Message)| *to == ShardId(1) && matches!(message, Message::Weigh);
    assert!(world.fx.messages.iter().any(asked));
    assert!(told(&mut world).is_empty(), "not before all have said how large topics are");
    // Meanwhile this shard finds the same.
    world.step(Event::DiskFree(0));
    let here = append(0, 1_000).batch.len() as u64;
    let there = [(TopicId([7; 16]), 100), (TopicId([9; 16]), 1 << 40)].to_vec();
    world.step(Event::Message(ShardId(1), Message::Weighed(there)));
    let largest = vec![(TopicId([9; 16]), 1 << 40), (TopicId([7; 16]), here + 100)];
    let expected = Notice::DiskFull(Box::new(DiskFull { shortage, largest }));
    assert_eq!(told(&mut world), [expected]);
    world.step(Event::Message(ShardId(1), Message::Disk(Intake::Open)));
    assert!(told(&mut world).is_empty(), "one shard has no room yet");
    world.step(Event::DiskFree(u64::MAX));
    assert_eq!(told(&mut world), [Notice::DiskFreed { free: u64::MAX }]);
}

/// A shard with one journal file, on a disk without room for a second one.
fn with_one_file() -> World {
    let mut plan = setup(1, 1);
    plan.formatted = vec![FileSlot(0)];
    (plan.limits.disk_reserve, plan.limits.dirty_bytes) = (0, 300_000);
    World::on(Disk::Small, plan)
}

#[test]
fn a_journal_without_room_for_a_second_file_is_a_full_disk() {
    let mut world = with_one_file();
    for free in [1_000, 400_000, (1 << 20) - 1] {
        world.step(Event::DiskFree(free));
        assert_eq!(world.produce(append(0, 1)), Some(Err(AppendError::DiskFull)), "{free}");
        assert_eq!(world.shard.pressure(), Pressure::Open);
    }
    world.disk = Disk::Works;
    world.step(Event::DiskFree(u64::MAX));
    assert_eq!(world.produce(append(0, 1)), Some(Ok(())));
}

#[test]
fn what_is_in_memory_is_flushed_while_the_journal_lacks_files() {
    let mut world = with_one_file();
    world.append_for_group(append(0, 100_000));
    assert!(world.shard.holdings().unflushed > 0);
    for _ in 0..10 {
        world.step(Event::DiskFree((1 << 20) - 1));
        world.pass(1_000);
        assert_eq!(world.produce(append(0, 1)), REFUSED.map(Err), "there is one file still");
    }
    assert_eq!(world.shard.holdings().unflushed, 0);
    world.step(Event::Stop(Ticket(99)));
    assert!(world.replies.iter().any(|(ticket, _)| *ticket == Ticket(99)));
}

#[test]
fn what_groups_remember_is_bounded_while_there_is_no_journal_file() {
    let mut plan = setup(1, 1);
    plan.formatted.clear();
    let limit = plan.limits.dirty_bytes;
    let mut world = World::on(Disk::Small, plan);
    (0..100).for_each(|_| world.append_for_group(append(0, 50_000)));
    let unflushed = world.shard.holdings().unflushed;
    assert!((limit / 4 * 3..=limit).contains(&unflushed), "{unflushed} of {limit} bytes");
    world.disk = Disk::Works;
    world.step(Event::DiskFree(u64::MAX));
    world.pass(10_000);
    assert_eq!(world.shard.holdings().unflushed, 0);
}

#[test]
fn a_stop_does_not_wait_for_a_journal_file_that_has_no_room() {
    let mut plan = setup(1, 1);
    plan.formatted.clear();
    let mut world = World::on(Disk::Small, plan);
    world.append_for_group(append(0, 100));
    // It would be tried again, and the disk takes other writes.
    world.step(Event::DiskFree((1 << 20) - 1));
    world.step(Event::Stop(Ticket(99)));
    assert!(world.replies.iter().any(|(ticket, _)| *ticket == Ticket(99)));
}
