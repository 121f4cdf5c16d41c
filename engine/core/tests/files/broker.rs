//! A broker on a directory in memory. The disk answers at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use corelog_engine::boot::effect::{BootStep, JournalFile, ManifestName};
use corelog_engine::boot::{Boot, BootPlan, BootRefusal, BootReport};
use corelog_engine::group::request as group;
use corelog_engine::id::{
    Now, Offset, PartitionIndex, ShardId, Timestamp, TopicId, TopicPartition,
};
use corelog_engine::journal::commit::Incarnation;
use corelog_engine::log::{LogConfig, SegmentId};
use corelog_engine::metadata::Command;
use corelog_engine::metadata::command::{Clamp, CreateTopics, Defaults, Limits, Mode, NewTopic};
use corelog_engine::metadata::controller::Broker as Identity;
use corelog_engine::metadata::record::{BrokerId, DirectoryId};
use corelog_engine::record::{BatchBuilder, BatchHeader, Codec, NewRecord, batch};
use corelog_engine::shard::Shard;
use corelog_engine::shard::effect::{Effects, FileAction, FileEffect};
use corelog_engine::shard::event::{Event, Failure, Outcome, Ticket};
use corelog_engine::shard::job::RunJob;
use corelog_engine::shard::request::{Append, Fetch, FetchPart, GroupCall, Piece, Reply, Request};
use corelog_engine::shard::setup::ShardLimits;

use super::directory::{Directory, Name};

pub(crate) const TOPIC: TopicId = TopicId([7; 16]);
pub(crate) const JOURNAL_BYTES: u64 = 64 << 10;

/// Steps after which a boot is taken to go on for ever.
const MOST_STEPS: u32 = 10_000;

pub(crate) fn partition(index: u32) -> TopicPartition {
    TopicPartition { topic: TOPIC, index: PartitionIndex(index) }
}

/// Why there is no broker.
#[derive(Debug)]
pub(crate) enum NotStarted {
    Refused(BootRefusal),
    Killed,
}

pub(crate) struct Broker {
    pub(crate) directory: Directory,
    pub(crate) report: BootReport,
    shards: Vec<Shard>,
    replies: BTreeMap<Ticket, Reply>,
    tickets: u64,
    now: Now,
    /// Partitions whose segments fail.
    pub(crate) failing: BTreeSet<TopicPartition>,
    dead: bool,
}

fn limits() -> ShardLimits {
    ShardLimits {
        journal_file_bytes: JOURNAL_BYTES,
        journal_files: 3,
        disk_reserve: 0,
        ..ShardLimits::small()
    }
}

fn plan(directory: &Directory, shards: u16) -> BootPlan {
    let incarnation = |shard| {
        Incarnation([directory.starts as u8, shard as u8].repeat(8).try_into().expect("16"))
    };
    BootPlan {
        start: directory.starts,
        settled: directory.settled,
        incarnations: (0..shards).map(incarnation).collect(),
        limits: limits(),
        defaults: Arc::new(LogConfig { segment_bytes: 24 << 10, ..LogConfig::default() }),
        broker: Identity { id: BrokerId(1), directory: DirectoryId([3; 16]) },
        now: Timestamp(1),
        features: Vec::new(),
    }
}

impl Broker {
    /// Starts on this directory, which stays as it is when it is refused.
    pub(crate) fn start(directory: &mut Directory, shards: u16) -> Result<Broker, NotStarted> {
        let before = directory.clone();
        directory.starts += 1;
        let mut boot = Boot::new(plan(directory, shards));
        let mut answers = Vec::new();
        for _ in 0..MOST_STEPS {
            match boot.step(std::mem::take(&mut answers)) {
                BootStep::Perform(effects) => {
                    for effect in &effects {
                        let answer = directory.carry_out(effect);
                        answers.push(answer.ok_or(NotStarted::Killed)?);
                    }
                }
                BootStep::Ready(recovered) => {
                    if !directory.lives() {
                        return Err(NotStarted::Killed);
                    }
                    directory.settled = directory.starts;
                    let shards = recovered.shards.into_iter().map(Shard::new).collect();
                    let mut broker = Broker {
                        directory: directory.clone(),
                        report: recovered.report,
                        shards,
                        replies: BTreeMap::new(),
                        tickets: 0,
                        now: Now::default(),
                        failing: BTreeSet::new(),
                        dead: false,
                    };
                    broker.begin();
                    return Ok(broker);
                }
                BootStep::Refuse(refusal) => {
                    directory.starts = before.starts;
                    assert!(*directory == before, "a refusal changes nothing");
                    return Err(NotStarted::Refused(refusal));
                }
            }
        }
        panic!("the boot goes on and on");
    }

    fn begin(&mut self) {
        let mut events = VecDeque::new();
        for at in 0..self.shards.len() {
            let mut effects = Effects::default();
            self.shards[at].start(&mut effects);
            events.extend(self.perform(at, effects));
        }
        self.settle(events);
    }

    /// Whether the process is still there.
    pub(crate) fn lives(&self) -> bool {
        !self.dead
    }

    fn settle(&mut self, mut events: VecDeque<(usize, Event)>) {
        let mut steps = 0;
        loop {
            while let Some((at, event)) = events.pop_front() {
                steps += 1;
                assert!(steps < MOST_STEPS, "the shards go on and on");
                let mut effects = Effects::default();
                self.shards[at].step(self.now, event, &mut effects);
                events.extend(self.perform(at, effects));
            }
            for at in 0..self.shards.len() {
                let mut effects = Effects::default();
                self.shards[at].end_of_turn(self.now, &mut effects);
                events.extend(self.perform(at, effects));
            }
            let now = self.now.instant;
            let due = |shard: &Shard| shard.next_deadline().is_some_and(|at| at <= now);
            let due = (0..self.shards.len()).filter(|at| due(&self.shards[*at]));
            events.extend(due.map(|at| (at, Event::Tick)));
            if self.dead || events.is_empty() {
                return;
            }
        }
    }

    /// Time passes, a tick at a time.
    pub(crate) fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(100) {
            self.now.instant.0 += 100_000;
            self.now.wall.0 += 100;
            self.settle((0..self.shards.len()).map(|at| (at, Event::Tick)).collect());
        }
    }

    fn ask(&mut self, request: Request) -> Option<Reply> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.settle([(0, Event::Request(ticket, request))].into());
        self.replies.remove(&ticket)
    }

    pub(crate) fn create(&mut self, partitions: i32) {
        let topic = NewTopic {
            name: "numbers".into(),
            id: TOPIC,
            partitions,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: BTreeMap::new(),
        };
        self.ask(Request::Metadata(Command::CreateTopics(CreateTopics {
            topics: vec![topic],
            mode: Mode::Apply,
            defaults: Defaults { partitions: 1, replication_factor: 1 },
            clamp: Clamp::Off,
            limits: Limits { partitions: 100 },
        })));
    }

    /// Appends batch `number` of a partition; whether it was acknowledged.
    pub(crate) fn append(&mut self, index: u32, number: i64) -> bool {
        let batch = numbered(number);
        let header = BatchHeader::parse(&batch).expect("a batch");
        let partition = partition(index);
        let append = Append { partition, header, batch, append_time: Timestamp::NONE };
        match self.ask(Request::Produce(vec![append])) {
            Some(Reply::Produce(parts)) => {
                parts[0].as_ref().is_ok_and(|appended| appended.base == Offset(number))
            }
            _ => false,
        }
    }

    /// How many batches of a partition can be read, each the one that was appended.
    pub(crate) fn read(&mut self, index: u32) -> Result<i64, String> {
        let mut next = 0;
        loop {
            let part = FetchPart {
                partition: partition(index),
                offset: Offset(next),
                max_bytes: 1 << 20,
                epoch: None,
                last_epoch: None,
            };
            let fetch = Fetch {
                max_bytes: 1 << 20,
                min_bytes: 0,
                deadline: self.now.instant,
                parts: Arc::new([part]),
            };
            let Some(Reply::Fetch(mut parts)) = self.ask(Request::Fetch(fetch)) else {
                return Err("no answer".to_owned());
            };
            let fetched = parts.remove(0).map_err(|error| format!("{error:?}"))?;
            if next >= fetched.high_watermark.0 {
                return Ok(next);
            }
            let before = next;
            let bytes = self.bytes(&fetched.pieces)?;
            for part in batch::split(&bytes) {
                let (header, batch) = part.map_err(|error| error.to_string())?;
                if header.base_offset != Offset(next) || batch[21..] != numbered(next)[21..] {
                    return Err(format!("batch {next} is another"));
                }
                next += 1;
            }
            if next == before {
                return Err(format!("nothing at {next}"));
            }
        }
    }

    fn bytes(&self, pieces: &[Piece]) -> Result<Bytes, String> {
        let mut all = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Memory(bytes) => all.extend_from_slice(bytes),
                Piece::File { segment, at, len, .. } => {
                    let bytes = self.directory.read(Name::Segment(*segment), *at, *len);
                    let whole = bytes.filter(|bytes| bytes.len() as u64 == *len);
                    all.extend_from_slice(&whole.ok_or("the file is too short")?);
                }
            }
        }
        Ok(all.into())
    }

    /// Asks the coordinator of groups that this partition would have; whether it could be read.
    pub(crate) fn load_groups(&mut self, index: u32) -> bool {
        let call = GroupCall {
            partition: partition(index),
            image: Arc::default(),
            request: group::Request::List,
        };
        let reply = self.ask(Request::Group(Box::new(call)));
        matches!(reply, Some(Reply::Group(Ok(_))))
    }

    /// Stops it as an operator does.
    pub(crate) fn stop(mut self) -> Directory {
        let tickets: Vec<Ticket> =
            (0..self.shards.len() as u64).map(|at| Ticket(1 << 40 | at)).collect();
        self.settle(tickets.iter().enumerate().map(|(at, t)| (at, Event::Stop(*t))).collect());
        self.pass(20_000);
        assert!(tickets.iter().all(|ticket| self.replies.contains_key(ticket)), "it stops");
        self.directory
    }

    fn perform(&mut self, at: usize, effects: Effects) -> Vec<(usize, Event)> {
        let mut events = Vec::new();
        let shard = ShardId(at as u16);
        let Effects { journal, segments, files, reads, indexes, jobs, messages, replies, .. } =
            effects;
        for write in journal {
            let file = JournalFile { shard, slot: write.slot };
            if self.change(|d| d.write(Name::Journal(file), write.at, &write.bytes)) {
                events.push((at, Event::Done(write.id, Outcome::Done)));
            }
        }
        for write in segments {
            if self.failing.contains(&write.segment.partition) {
                events.push((at, Event::Done(write.id, Outcome::Failed(Failure::Io(5)))));
                continue;
            }
            let mut place = write.at;
            let written = self.change(|directory| {
                for bytes in &write.bytes {
                    directory.write(Name::Segment(write.segment), place, bytes);
                    place += bytes.len() as u64;
                }
            });
            if written {
                events.push((at, Event::Done(write.id, Outcome::Done)));
            }
        }
        for FileEffect { id, action } in files {
            if self.file(shard, action) {
                events.push((at, Event::Done(id, Outcome::Done)));
            }
        }
        for read in reads {
            let outcome = self.found(Name::Segment(read.segment), read.at, u64::from(read.len));
            events.push((at, Event::Done(read.id, outcome)));
        }
        for read in indexes {
            let outcome = self.found(Name::Index(read.segment), 0, u64::MAX >> 1);
            events.push((at, Event::Done(read.id, outcome)));
        }
        for RunJob { id, job } in jobs {
            events.push((at, Event::Finished(id, job.run())));
        }
        for (to, message) in messages {
            events.push((usize::from(to.0), Event::Message(shard, message)));
        }
        self.replies.extend(replies);
        if self.dead { Vec::new() } else { events }
    }

    fn found(&self, name: Name, at: u64, len: u64) -> Outcome {
        let bytes = self.directory.read(name, at, len);
        bytes.map_or(Outcome::Failed(Failure::Missing), Outcome::Read)
    }

    /// Makes a change, unless the process is killed at it.
    fn change(&mut self, change: impl FnOnce(&mut Directory)) -> bool {
        self.dead |= !self.directory.lives();
        if !self.dead {
            change(&mut self.directory);
        }
        !self.dead
    }

    fn file(&mut self, shard: ShardId, action: FileAction) -> bool {
        let manifest = ManifestName { start: self.directory.starts, shard };
        match action {
            FileAction::FormatJournal(slot) => {
                let name = Name::Journal(JournalFile { shard, slot });
                // It may be killed when the file is half made.
                let zeros = vec![0; JOURNAL_BYTES as usize];
                self.change(|d| d.write(name, 0, &zeros[..zeros.len() / 2]))
                    && self.change(|d| drop(d.files.insert(name, zeros)))
            }
            FileAction::Barrier => true,
            FileAction::AppendManifest(bytes) => self.change(|directory| {
                let name = Name::Manifest(manifest);
                let end = directory.files.get(&name).map_or(0, Vec::len);
                directory.write(name, end as u64, &bytes);
            }),
            FileAction::DraftManifest(at, bytes) => self.change(|d| d.draft(manifest, at, &bytes)),
            FileAction::ReplaceManifest(at, bytes) => {
                self.change(|d| d.draft(manifest, at, &bytes))
                    && self.change(|d| d.replace_by_draft(manifest))
            }
            FileAction::Truncate(segment, len) => self.change(|d| d.cut(segment, len)),
            FileAction::WriteIndex(segment, pages) => {
                self.change(|d| d.write(Name::Index(segment), pages.at, &pages.bytes))
            }
            FileAction::Rescue(file, bytes) => {
                self.change(|d| drop(d.files.insert(Name::Rescue(file), bytes.to_vec())))
            }
            other @ (FileAction::RemoveSegment(_) | FileAction::RemovePartition(_)) => {
                panic!("no test removes anything: {other:?}")
            }
        }
    }
}

/// A batch of one record of 1,000 bytes, which says which one it is.
fn numbered(number: i64) -> Bytes {
    let value: Vec<u8> = (0..1000).map(|at| (at ^ number) as u8).collect();
    let mut builder = BatchBuilder::new(Codec::None);
    let timestamp = Timestamp(1_000 + number);
    builder.append(NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
    builder.build().expect("a small batch")
}

/// The partition that a segment is of, for what a test says.
pub(crate) fn index_of(segment: SegmentId) -> Option<u32> {
    (segment.partition.topic == TOPIC).then_some(segment.partition.index.0)
}
