//! What is under way for a request ends when nobody waits for it any more.

use super::*;
use crate::group::name::GroupId;
use crate::group::request::{self as group, GroupError};
use crate::log::LogConfig;
use crate::metadata::command::{Clamp, CreateTopics, Defaults, Limits, Mode, NewTopic};
use crate::metadata::controller::Broker;
use crate::metadata::record::{BrokerId, DirectoryId};
use crate::metadata::{Command, Controller, Image};
use crate::shard::holdings::Holdings;
use crate::shard::request::{GroupCall, Lookup, Target};

/// Bytes of a record whose batch a job reads.
const HEAVY: usize = 70_000;

fn lookup(index: u32) -> Lookup {
    Lookup { partition: partition(index), epoch: None, target: Target::At(Timestamp(0)) }
}

fn lookups(count: usize) -> Request {
    Request::Lookup(vec![lookup(0); count])
}

/// A partition of which memory has nothing, nor where its batches are.
fn flushed() -> World {
    let mut plan = setup(1, 1);
    plan.limits.tail_bytes = 0;
    let config = LogConfig { index_spacing: 4 << 10, ..LogConfig::default() };
    plan.partitions[0].config = Arc::new(config);
    let mut world = World::new(plan);
    (0..100).for_each(|_| assert_eq!(world.produce(append(0, 3_900)), Some(Ok(()))));
    world.pass(20_000);
    world.disk = Disk::Hangs;
    world
}

/// A partition in memory.
fn filled(value: usize) -> World {
    let mut world = World::new(setup(1, 1));
    (0..2).for_each(|_| assert_eq!(world.produce(append(0, value)), Some(Ok(()))));
    world
}

fn answers(world: &mut World, ticket: Ticket) -> usize {
    let before = world.replies.len();
    world.replies.retain(|(of, _)| *of != ticket);
    before - world.replies.len()
}

#[test]
fn what_a_cancelled_request_has_under_way_ends_at_once() {
    type Row = (&'static str, fn() -> World, fn(&World) -> Request);
    let rows: [Row; 3] = [
        ("searches that wait for a job", || filled(HEAVY), |_| lookups(100)),
        ("searches that wait for an index", flushed, |_| lookups(100)),
        ("a read that waits for an index", flushed, |world| world.fetch(0, 3, 60_000)),
    ];
    for (name, world, asks) in rows {
        let mut world = world();
        let request = asks(&world);
        let ticket = world.ask(request);
        world.pass(0);
        // The disk does nothing, and others wait for their turn.
        assert_eq!(world.shard.holdings().owed, 1, "{name}");
        assert!(world.shard.holdings().searches > 0, "{name}");
        world.step(Event::Cancel(ticket));
        let held = world.shard.holdings();
        assert_eq!((held.owed, held.searches, held.calls), (0, 0, 0), "{name}");
        // What has begun comes to its end, and nothing follows from it.
        assert!(world.jobs.len() <= 1, "{name}");
        world.disk = Disk::Works;
        world.settle();
        (0..world.jobs.len()).for_each(|_| world.run_job());
        world.pass(20_000);
        assert_eq!(world.shard.holdings(), Holdings::default(), "{name}");
        assert_eq!((answers(&mut world, ticket), world.jobs.len()), (0, 0), "{name}");
        // Others are served as ever.
        let ticket = world.ask(lookups(3));
        while answers(&mut world, ticket) == 0 {
            match world.jobs.is_empty() {
                true => world.pass(1_000),
                false => world.run_job(),
            }
        }
    }
}

#[test]
fn the_job_of_a_cancelled_search_ends_before_the_next_begins() {
    for cancelled in [0, 1] {
        let mut world = filled(HEAVY);
        let tickets = [world.ask(lookups(1)), world.ask(lookups(1))];
        assert_eq!((world.jobs.len(), world.shard.holdings().searches), (1, 1));
        world.step(Event::Cancel(tickets[cancelled]));
        assert_eq!(world.jobs.len(), 1, "one batch at a time is held for jobs");
        world.run_job();
        if cancelled == 0 {
            assert_eq!(world.jobs.len(), 1, "it is the other's turn");
            world.run_job();
        }
        assert!(world.jobs.is_empty());
        let told = tickets.map(|ticket| answers(&mut world, ticket));
        assert_eq!(told[cancelled], 0);
        assert_eq!(told[1 - cancelled], 1);
    }
}

#[test]
fn a_call_that_is_cancelled_is_answered_once() {
    type Row<'a> = (&'static str, fn() -> World, &'a dyn Fn(&World) -> Call);
    let read = |world: &World| {
        let Request::Fetch(fetch) = world.fetch(0, 3, 60_000) else { unreachable!() };
        Call::Read { parts: fetch.parts.to_vec(), max_bytes: 1000, enough: 1 << 20 }
    };
    let look = |_: &World| Call::Lookup(vec![lookup(0); 100]);
    let asks: [Row<'_>; 3] = [
        ("a read", flushed, &read),
        ("a lookup on disk", flushed, &look),
        ("a lookup in memory", || filled(100), &look),
    ];
    for (name, world, call) in asks {
        let mut world = world();
        let (from, id) = (ShardId(1), CallId(9));
        let call = call(&world);
        world.step(Event::Message(from, Message::Call(id, call)));
        assert!(world.fx.messages.is_empty(), "{name}");
        let answered = |world: &mut World| {
            let answer = |(to, message): &(ShardId, Message)| {
                matches!(message, Message::Answer(of, _) if *of == id) && *to == from
            };
            world.fx.messages.drain(..).filter(answer).count()
        };
        world.step(Event::Message(from, Message::Cancel(id)));
        assert_eq!(answered(&mut world), 1, "{name}: its credit comes back");
        world.disk = Disk::Works;
        world.settle();
        world.pass(20_000);
        world.step(Event::Message(from, Message::Cancel(id)));
        assert_eq!(answered(&mut world), 0, "{name}: once");
    }
}

#[test]
fn owners_hear_of_a_cancelled_lookup() {
    let mut world = World::new(setup(2, 1));
    let far = (0..).find(|index| crate::place::owner(partition(*index), 2) == ShardId(1));
    let far = far.expect("some are");
    let mut tickets = Vec::new();
    for _ in 0..=crate::limits::CREDITS {
        tickets.push(world.ask(Request::Lookup(vec![lookup(far)])));
    }
    world.fx.messages.clear();
    // The last waits for a credit.
    world.step(Event::Cancel(tickets[tickets.len() - 1]));
    assert!(world.fx.messages.is_empty(), "its owner has not heard of it");
    world.step(Event::Cancel(tickets[0]));
    let told: Vec<_> = world.fx.messages.drain(..).collect();
    assert!(matches!(told[..], [(ShardId(1), Message::Cancel(CallId(1)))]), "{told:?}");
    let answer = Message::Answer(CallId(1), Answer::Lookup(Vec::new()));
    world.step(Event::Message(ShardId(1), answer));
    let credits = world.shard.holdings().calls;
    assert_eq!(credits, 2 * (crate::limits::CREDITS as usize - 1), "and one is free again");
}

#[test]
fn searches_of_different_calls_take_turns() {
    let mut world = filled(100);
    let many = world.ask(lookups(100));
    assert!(world.shard.holdings().searches > 90, "a step does a few");
    let few = world.ask(lookups(3));
    let mut ticks = 0;
    while answers(&mut world, few) == 0 {
        world.step(Event::Tick);
        ticks += 1;
    }
    assert!(ticks < 10, "{ticks}");
    world.step(Event::Cancel(many));
    let held = world.shard.holdings();
    assert_eq!((held.owed, held.searches), (0, 0));
}

#[test]
fn more_searches_than_may_wait_for_an_index_all_end() {
    let mut world = flushed();
    let ticket = world.ask(lookups(20));
    world.pass(0);
    world.disk = Disk::Works;
    world.settle();
    world.pass(0);
    assert_eq!(answers(&mut world, ticket), 1);
    assert_eq!(world.shard.holdings().searches, 0);
}

/// A command to create a topic of one partition.
fn create(name: &str, id: u8) -> Request {
    Request::Metadata(Command::CreateTopics(CreateTopics {
        topics: vec![NewTopic {
            name: name.into(),
            id: TopicId([id; 16]),
            partitions: 1,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: Default::default(),
        }],
        mode: Mode::Apply,
        defaults: Defaults { partitions: 1, replication_factor: 1 },
        clamp: Clamp::Off,
        limits: Limits { partitions: 100 },
    }))
}

#[test]
fn a_cancelled_command_is_decided_only_if_that_has_begun() {
    let mut plan = setup(1, 1);
    let of_metadata = Adopted { partition: TopicPartition::METADATA, ..plan.partitions[0].clone() };
    plan.partitions.push(of_metadata);
    let broker = Broker { id: BrokerId(1), directory: DirectoryId([3; 16]) };
    plan.controller = Some(Controller::new(broker, Image::default()));
    let mut world = World::new(plan);
    let commands = [("begun", 1), ("waits", 2), ("wanted", 3)];
    let tickets = commands.map(|(name, id)| world.ask(create(name, id)));
    assert_eq!((world.jobs.len(), world.shard.holdings().postponed), (1, 2));
    world.step(Event::Cancel(tickets[0]));
    world.step(Event::Cancel(tickets[1]));
    let held = world.shard.holdings();
    assert_eq!((held.postponed, held.calls, held.requests), (1, 1, 1));
    while !world.jobs.is_empty() {
        world.run_job();
    }
    assert_eq!(tickets.map(|ticket| answers(&mut world, ticket)), [0, 0, 1]);
    let known = |(_, id): (&str, u8)| {
        let index = PartitionIndex(0);
        let partition = TopicPartition { topic: TopicId([id; 16]), index };
        world.shard.high_watermark(partition).is_some()
    };
    assert_eq!(commands.map(known), [true, false, true]);
}

#[test]
fn requests_that_wait_for_their_group_are_bounded_and_leave_with_their_connection() {
    let mut world = flushed();
    let describe = |bytes: usize| {
        let request = group::Request::Describe(GroupId("g".repeat(bytes).into()));
        let image = Arc::new(Image::default());
        Request::Group(Box::new(GroupCall { partition: partition(0), image, request }))
    };
    let refused = |world: &mut World, ticket: Ticket| {
        let at = world.replies.iter().position(|(of, _)| *of == ticket)?;
        match world.replies.swap_remove(at).1 {
            Reply::Group(Err(error)) => Some(error),
            other => panic!("{other:?}"),
        }
    };
    let mut tickets: Vec<Ticket> = (0..7).map(|_| world.ask(describe(1_000))).collect();
    let (reads, held) = (world.open.len(), world.shard.holdings());
    assert_eq!((held.postponed, held.calls), (7, 7));
    let more = world.ask(describe(2_000));
    assert_eq!(refused(&mut world, more), Some(GroupError::LoadInProgress), "they hold too much");
    // Whoever goes makes room, and it is loaded once.
    for ticket in tickets.drain(..) {
        world.step(Event::Cancel(ticket));
    }
    assert_eq!((world.shard.holdings().postponed, world.shard.holdings().calls), (0, 0));
    let again = world.ask(describe(2_000));
    assert_eq!((world.shard.holdings().postponed, world.open.len()), (1, reads));
    world.disk = Disk::Works;
    world.settle();
    world.pass(0);
    assert_eq!(refused(&mut world, again), Some(GroupError::NotCoordinator), "it has no groups");
    assert_eq!(world.shard.holdings().postponed, 0);
}
