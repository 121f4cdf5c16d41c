//! No step of a shard grows with what is asked of it: requests at their limits are taken in pieces,
//! or worked out elsewhere. What is counted is what a step wants done, not how long it takes.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use corelog_engine::id::*;
use corelog_engine::metadata::command::*;
use corelog_engine::metadata::controller::Broker;
use corelog_engine::metadata::record::{BrokerId, DirectoryId};
use corelog_engine::metadata::{Command, Controller, Image, Outcome as Decided};
use corelog_engine::record::{BatchBuilder, BatchHeader, Codec, NewRecord};
use corelog_engine::shard::Shard;
use corelog_engine::shard::effect::{Effects, FileAction};
use corelog_engine::shard::event::{EffectId, Event, Outcome, Ticket};
use corelog_engine::shard::job::{Job, RunJob};
use corelog_engine::shard::request::{
    Append, Fetch, FetchPart, Found, Lookup, ReadError, Reply, Request, Target,
};
use corelog_engine::shard::setup::{ShardLimits, ShardSetup};

/// Partitions that one step may take in or let go of.
const PIECE: usize = 512;

fn partition(index: u32) -> TopicPartition {
    TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(index) }
}

fn setup(partitions: u32) -> ShardSetup {
    let all = (0..partitions).map(partition).chain([TopicPartition::METADATA]);
    let broker = Broker { id: BrokerId(1), directory: DirectoryId([3; 16]) };
    let controller = Some(Controller::new(broker, Image::default()));
    let limits = ShardLimits {
        journal_file_bytes: 32 << 20,
        dirty_bytes: 64 << 20,
        tail_bytes: 256 << 20,
        ..ShardLimits::small()
    };
    ShardSetup { limits, controller, ..ShardSetup::small(all) }
}

/// A shard and its surroundings: what it wants done is done in its next turn, jobs one by one.
struct World {
    shard: Shard,
    fx: Effects,
    now: Now,
    tickets: u64,
    done: Vec<EffectId>,
    jobs: VecDeque<RunJob>,
    /// The most partitions that one step has removed.
    removed_at_once: usize,
    /// The most jobs that there were at a time.
    jobs_at_once: usize,
    /// Commands that jobs have decided.
    decided: usize,
    steps: usize,
    replies: Vec<Reply>,
}

impl World {
    fn new(partitions: u32) -> World {
        let mut shard = Shard::new(setup(partitions));
        let mut fx = Effects::default();
        shard.start(&mut fx);
        World {
            shard,
            fx,
            now: Now::default(),
            tickets: 0,
            done: Vec::new(),
            jobs: VecDeque::new(),
            removed_at_once: 0,
            jobs_at_once: 0,
            decided: 0,
            steps: 0,
            replies: Vec::new(),
        }
    }

    fn ask(&mut self, request: Request) {
        self.tickets += 1;
        self.step(Event::Request(Ticket(self.tickets), request));
    }

    fn step(&mut self, event: Event) {
        self.steps += 1;
        self.shard.step(self.now, event, &mut self.fx);
        let removes = |file: &FileAction| matches!(file, FileAction::RemovePartition(_));
        let removed = self.fx.files.iter().filter(|file| removes(&file.action)).count();
        self.removed_at_once = self.removed_at_once.max(removed);
        self.done.extend(self.fx.journal.drain(..).map(|write| write.id));
        self.done.extend(self.fx.segments.drain(..).map(|write| write.id));
        self.done.extend(self.fx.files.drain(..).map(|file| file.id));
        self.jobs.extend(self.fx.jobs.drain(..));
        self.jobs_at_once = self.jobs_at_once.max(self.jobs.len());
        self.replies.extend(self.fx.replies.drain(..).map(|(_, reply)| reply));
        assert!(self.fx.reads.is_empty(), "all is in memory");
    }

    fn end_turn(&mut self) {
        self.shard.end_of_turn(self.now, &mut self.fx);
        self.done.extend(self.fx.journal.drain(..).map(|write| write.id));
        self.done.extend(self.fx.segments.drain(..).map(|write| write.id));
        self.done.extend(self.fx.files.drain(..).map(|file| file.id));
        self.replies.extend(self.fx.replies.drain(..).map(|(_, reply)| reply));
    }

    /// Turns, until nothing is left to do at this time.
    fn settle(&mut self) {
        loop {
            self.end_turn();
            let is_due = self.shard.next_deadline().is_some_and(|at| at <= self.now.instant);
            if self.done.is_empty() && self.jobs.is_empty() && !is_due {
                return;
            }
            for id in std::mem::take(&mut self.done) {
                self.step(Event::Done(id, Outcome::Done));
            }
            if let Some(RunJob { id, job }) = self.jobs.pop_front() {
                if let Job::Decide(undecided) = &job {
                    self.decided += undecided.commands.len();
                }
                self.step(Event::Finished(id, job.run()));
            }
            if is_due {
                self.step(Event::Tick);
            }
        }
    }

    /// How many offsets of a partition can be read.
    fn end_of(&self, index: u32) -> i64 {
        self.shard.high_watermark(partition(index)).map_or(0, |end| end.0)
    }

    fn partitions_there(&self, topic: TopicId, of: u32) -> usize {
        let there = |index: &u32| {
            let partition = TopicPartition { topic, index: PartitionIndex(*index) };
            self.shard.high_watermark(partition).is_some()
        };
        (0..of).filter(there).count()
    }
}

fn topic_id(tag: u32, n: u32) -> TopicId {
    let mut id = [9; 16];
    id[..4].copy_from_slice(&tag.to_be_bytes());
    id[4..8].copy_from_slice(&n.to_be_bytes());
    TopicId(id)
}

fn create(tag: u32, topics: u32, partitions: i32) -> Request {
    let topics = (0..topics).map(|n| NewTopic {
        name: format!("t-{tag}-{n}").into(),
        id: topic_id(tag, n),
        partitions,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: BTreeMap::new(),
    });
    Request::Metadata(Command::CreateTopics(CreateTopics {
        topics: topics.collect(),
        mode: Mode::Apply,
        defaults: Defaults { partitions: 1, replication_factor: 1 },
        clamp: Clamp::Off,
        limits: Limits { partitions: 10_000_000 },
    }))
}

fn created(reply: &Reply) -> usize {
    match reply {
        Reply::Metadata(Ok(Decided::Topics(results))) => {
            results.iter().filter(|result| result.result.is_ok()).count()
        }
        other => panic!("{other:?}"),
    }
}

/// Each is decided once, apart from the shard, however many wait.
#[test]
fn waiting_commands_are_decided_once() {
    let mut w = World::new(0);
    for tag in 0..64 {
        w.ask(create(tag, 1, 500));
    }
    assert_eq!(w.jobs_at_once, 1);
    w.settle();
    assert_eq!((w.decided, w.jobs_at_once), (64, 1));
    assert_eq!(w.replies.iter().map(created).sum::<usize>(), 64);
    for tag in 0..64 {
        assert_eq!(w.partitions_there(topic_id(tag, 0), 500), 500);
    }
}

/// As many small ones as make up a batch are decided by one job.
#[test]
fn small_commands_go_together_and_a_large_one_goes_alone() {
    let mut w = World::new(0);
    w.ask(create(0, 1, 1));
    for tag in 1..=100 {
        w.ask(create(tag, 1, 1));
    }
    w.ask(create(101, 1, 9_000));
    w.ask(create(102, 1, 1));
    let mut together = Vec::new();
    while let Some(RunJob { id, job }) = w.jobs.pop_front() {
        let Job::Decide(undecided) = &job else { panic!("{job:?}") };
        together.push(undecided.commands.len());
        w.step(Event::Finished(id, job.run()));
        w.end_turn();
        while !w.done.is_empty() || w.shard.next_deadline() == Some(w.now.instant) {
            for id in std::mem::take(&mut w.done) {
                w.step(Event::Done(id, Outcome::Done));
            }
            w.step(Event::Tick);
            w.end_turn();
        }
    }
    assert_eq!(together, [1, 100, 1, 1]);
    assert_eq!(w.replies.iter().map(created).sum::<usize>(), 103);
}

/// A topic comes and goes in pieces; it is published, and answered, when all of it is there.
#[test]
fn partitions_come_and_go_in_pieces() {
    let mut w = World::new(0);
    w.ask(create(1, 1, 9_000));
    loop {
        let there = w.partitions_there(topic_id(1, 0), 9_000);
        if there == 9_000 {
            break;
        }
        assert!(w.replies.is_empty(), "answered with {there} partitions");
        w.end_turn();
        if let Some(RunJob { id, job }) = w.jobs.pop_front() {
            w.step(Event::Finished(id, job.run()));
        } else if let Some(id) = w.done.pop() {
            w.step(Event::Done(id, Outcome::Done));
        } else {
            w.step(Event::Tick);
        }
        let more = w.partitions_there(topic_id(1, 0), 9_000) - there;
        assert!(more <= PIECE, "{more} partitions in one step");
    }
    w.settle();
    assert_eq!(w.replies.drain(..).map(|reply| created(&reply)).sum::<usize>(), 1);
    let topics = vec![TopicRef::ById(topic_id(1, 0))];
    w.ask(Request::Metadata(Command::DeleteTopics(topics)));
    w.settle();
    assert_eq!((w.replies.len(), w.removed_at_once), (1, PIECE));
    assert_eq!(w.partitions_there(topic_id(1, 0), 9_000), 0);
}

fn batch(codec: Codec, records: usize, value: &[u8]) -> (BatchHeader, Bytes) {
    let mut builder = BatchBuilder::new(codec);
    for n in 0..records {
        let timestamp = Timestamp(1 + n as i64);
        builder.append(NewRecord { timestamp, key: None, value: Some(value), headers: &[] });
    }
    let batch = builder.build().expect("a batch");
    (BatchHeader::parse(&batch).expect("a batch"), batch)
}

fn look_up(partitions: impl Iterator<Item = u32>, time: i64) -> Request {
    let lookup = |index| {
        let target = Target::At(Timestamp(time));
        Lookup { partition: partition(index), epoch: None, target }
    };
    Request::Lookup(partitions.map(lookup).collect())
}

fn found(reply: Reply) -> Vec<Result<Found, ReadError>> {
    match reply {
        Reply::Lookup(results) => results,
        other => panic!("{other:?}"),
    }
}

fn produce(w: &mut World, index: u32, (header, batch): (BatchHeader, Bytes)) {
    let append_time = Timestamp::NONE;
    let append = Append { partition: partition(index), header, batch, append_time };
    w.ask(Request::Produce(vec![append]));
    w.settle();
    w.replies.clear();
}

/// How far a batch expands is its producer's choice: jobs read it, one at a time, for however many
/// ask.
#[test]
fn compressed_batches_are_searched_by_jobs_one_at_a_time() {
    let mut w = World::new(2);
    produce(&mut w, 0, batch(Codec::Gzip, 2, &vec![0; 1 << 20]));
    produce(&mut w, 1, batch(Codec::None, 2, b"small"));
    for _ in 0..16 {
        w.ask(look_up([0, 1].into_iter(), 2));
    }
    assert_eq!((w.jobs_at_once, w.replies.len()), (1, 0));
    w.settle();
    assert_eq!((w.jobs_at_once, w.replies.len()), (1, 16));
    for reply in w.replies.drain(..) {
        for found in found(reply) {
            assert_eq!(found.expect("found").record, Some((Offset(1), Timestamp(2))));
        }
    }
    // The record that is looked for need not be there: the search goes on behind.
    w.ask(look_up([0].into_iter(), 3));
    w.settle();
    assert_eq!(found(w.replies.remove(0))[0].expect("none is that late").record, None);
}

/// The partition goes while its batch is read, and while others wait to be.
#[test]
fn a_search_ends_with_its_partition() {
    let mut w = World::new(0);
    w.ask(create(1, 1, 1));
    w.settle();
    w.replies.clear();
    let partition = TopicPartition { topic: topic_id(1, 0), index: PartitionIndex(0) };
    let (header, batch) = batch(Codec::Gzip, 2, &vec![0; 1 << 20]);
    let append = Append { partition, header, batch, append_time: Timestamp::NONE };
    w.ask(Request::Produce(vec![append]));
    w.settle();
    w.replies.clear();
    for _ in 0..5 {
        let target = Target::At(Timestamp(2));
        w.ask(Request::Lookup(vec![Lookup { partition, epoch: None, target }]));
    }
    let topics = vec![TopicRef::ById(topic_id(1, 0))];
    w.ask(Request::Metadata(Command::DeleteTopics(topics)));
    // The command first, then the searches.
    w.jobs.rotate_left(1);
    w.settle();
    assert_eq!(w.replies.len(), 6);
}

/// Searches by time take turns, however many one request has.
#[test]
fn many_searches_take_many_steps() {
    let mut w = World::new(1_000);
    for index in 0..1_000 {
        produce(&mut w, index, batch(Codec::None, 2, b"small"));
    }
    w.steps = 0;
    w.ask(look_up(0..1_000, 2));
    assert!(w.replies.is_empty());
    w.settle();
    let results = found(w.replies.remove(0));
    let is_there = |found: &Result<Found, ReadError>| {
        found.as_ref().is_ok_and(|found| found.record == Some((Offset(1), Timestamp(2))))
    };
    assert!(results.len() == 1_000 && results.iter().all(is_there));
    assert!(w.steps >= 100, "{} steps", w.steps);
}

/// Batches for very many partitions are appended in pieces, those of a later request behind them.
#[test]
fn a_produce_request_with_many_parts_takes_many_steps() {
    const PARTS: u32 = 2_500;
    let mut w = World::new(PARTS);
    let (header, batch) = batch(Codec::None, 1, b"x");
    let append = |index| {
        let (partition, batch) = (partition(index), batch.clone());
        Append { partition, header, batch, append_time: Timestamp::NONE }
    };
    let ends = |w: &World| (0..PARTS).map(|index| w.end_of(index)).sum::<i64>();
    w.ask(Request::Produce((0..PARTS).map(append).collect()));
    w.ask(Request::Produce(vec![append(PARTS - 1)]));
    let mut before = 0;
    for _ in 0..4 {
        w.end_turn();
        for id in std::mem::take(&mut w.done) {
            w.step(Event::Done(id, Outcome::Done));
        }
        let more = ends(&w) - before;
        assert!(more <= 1_000, "{more} batches in one step");
        before += more;
        w.step(Event::Tick);
    }
    w.settle();
    assert_eq!(ends(&w), i64::from(PARTS) + 1);
    let bases = w.replies.iter().map(|reply| match reply {
        Reply::Produce(parts) => parts.last().expect("a part").clone().expect("appended").base,
        other => panic!("{other:?}"),
    });
    assert_eq!(bases.collect::<Vec<_>>(), [Offset(0), Offset(1)]);
}

/// A fetch of very many partitions is several calls; those to the shard itself are steps apart.
#[test]
fn a_fetch_of_many_partitions_takes_many_steps() {
    const PARTS: u32 = 5_000;
    let mut w = World::new(PARTS);
    produce(&mut w, PARTS - 1, batch(Codec::None, 1, b"x"));
    let part = |index| FetchPart {
        partition: partition(index),
        offset: Offset(0),
        max_bytes: 1000,
        epoch: None,
        last_epoch: None,
    };
    let fetch = Fetch {
        max_bytes: 1 << 20,
        min_bytes: 1,
        deadline: Instant(1_000_000),
        parts: (0..PARTS).map(part).collect(),
    };
    w.steps = 0;
    w.ask(Request::Fetch(fetch));
    assert!(w.replies.is_empty());
    w.settle();
    assert!(w.steps >= 3, "{} steps", w.steps);
    let Reply::Fetch(found) = w.replies.remove(0) else { panic!("no fetch") };
    assert_eq!(found.len(), PARTS as usize);
    assert!(found.last().expect("a part").as_ref().expect("read").len() > 0);
}
