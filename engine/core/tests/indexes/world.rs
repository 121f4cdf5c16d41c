//! One shard on a disk in memory on which everything goes well at once, unless a test says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use corelog_engine::id::{
    Now, Offset, PartitionIndex, ShardId, Timestamp, TopicId, TopicPartition,
};
use corelog_engine::journal::commit::Seq;
use corelog_engine::limits::ManifestLimits;
use corelog_engine::log::{Known, LogConfig, LogImage, LogVersion, SegmentId};
use corelog_engine::manifest::record::{Header, Record, decode, encode};
use corelog_engine::manifest::state::{ManifestState, snapshot};
use corelog_engine::metadata::Delta;
use corelog_engine::metadata::delta::{Change, Fate};
use corelog_engine::record::{BatchBuilder, BatchHeader, Codec, NewRecord};
use corelog_engine::shard::Shard;
use corelog_engine::shard::effect::{Effects, FileAction, Notice};
use corelog_engine::shard::event::{Adopted, EffectId, Event, Failure, Health, Outcome, Ticket};
use corelog_engine::shard::message::Message;
use corelog_engine::shard::request::{
    Append, AppendError, Fetch, FetchPart, Lookup, Piece, Reply, Request, Target,
};
use corelog_engine::shard::setup::{ShardLimits, ShardSetup};

/// What is on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) segments: BTreeMap<SegmentId, Vec<u8>>,
    pub(crate) indexes: BTreeMap<SegmentId, Vec<u8>>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) draft: Vec<u8>,
}

/// What the shard has wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Bytes of each part of a manifest that replaced another, the last one's count at the end.
    pub(crate) parts: Vec<usize>,
    pub(crate) appends: Vec<usize>,
    pub(crate) replaced: usize,
    pub(crate) index_reads: usize,
    pub(crate) looked: u64,
    pub(crate) rebuilt: usize,
    /// Microseconds of the longest step.
    pub(crate) longest: u128,
}

type Judge = Box<dyn FnMut(&FileAction) -> Option<Failure>>;

pub(crate) struct World {
    pub(crate) shard: Shard,
    fx: Effects,
    now: Now,
    tickets: u64,
    pub(crate) disk: Disk,
    pub(crate) seen: Seen,
    /// How an act on files fails, if the test wants it to.
    pub(crate) judge: Judge,
    /// What becomes of partitions once so many parts of a manifest are written that is made anew.
    pub(crate) at_part: Option<(usize, Vec<Change>)>,
}

/// What becomes of one partition.
pub(crate) fn change(index: u32, fate: Fate) -> Change {
    Change { topic: partition(index).topic, partitions: index..index + 1, fate }
}

pub(crate) fn partition(index: u32) -> TopicPartition {
    TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(index) }
}

pub(crate) fn first_segment(index: u32) -> SegmentId {
    SegmentId { partition: partition(index), base: Offset(0) }
}

/// Bytes between two points here.
pub(crate) const SPACING: u64 = 4 << 10;

/// Bytes of a record whose batch has 4,000.
pub(crate) const RECORD: usize = 3_931;

pub(crate) fn config() -> LogConfig {
    LogConfig { index_spacing: SPACING, ..LogConfig::default() }
}

pub(crate) fn setup(
    manifest: ManifestLimits,
    config: LogConfig,
    logs: Vec<LogImage>,
) -> ShardSetup {
    let config = Arc::new(config);
    let adopted = |(index, log): (u32, LogImage)| {
        let fresh = log.version == LogVersion { start: 1, change: 0 } && log.end.offset.0 == 0;
        Adopted {
            partition: partition(index),
            log,
            config: config.clone(),
            health: Health::Online,
            known: if fresh { Known::No } else { Known::Yes },
        }
    };
    let limits = ShardLimits { tail_bytes: 2 << 20, manifest, ..ShardLimits::small() };
    let partitions = (0..).zip(logs).map(adopted).collect();
    ShardSetup { limits, defaults: config.clone(), partitions, ..ShardSetup::small([]) }
}

pub(crate) fn empty_logs(count: u32) -> Vec<LogImage> {
    (0..count).map(|_| LogImage::empty(LogVersion { start: 1, change: 0 })).collect()
}

/// What the start has written before.
fn first_manifest(setup: &ShardSetup) -> Vec<u8> {
    let (start, shard, shards) = (setup.start, setup.id, setup.shards);
    let header = Header { start, shard, shards, incarnation: setup.incarnation };
    let mut records = vec![Record::Header(header)];
    let known = setup.partitions.iter().filter(|adopted| adopted.known == Known::Yes);
    known.for_each(|log| records.extend(snapshot(log.partition, &log.log, Bytes::new())));
    records.push(Record::Needed(Seq(1)));
    encode(&records).to_vec()
}

impl World {
    pub(crate) fn new(setup: ShardSetup, mut disk: Disk) -> World {
        if disk.manifest.is_empty() {
            disk.manifest = first_manifest(&setup);
        }
        let mut world = World {
            shard: Shard::new(setup),
            fx: Effects::default(),
            now: Now::default(),
            tickets: 0,
            disk,
            seen: Seen::default(),
            judge: Box::new(|_| None),
            at_part: None,
        };
        world.shard.start(&mut world.fx);
        world.settle();
        world
    }

    /// What the next start of this directory begins with.
    pub(crate) fn restart(self, setup: impl FnOnce(Vec<LogImage>) -> ShardSetup) -> World {
        let state = ManifestState::replay(decode(&self.disk.manifest).expect("a manifest"));
        let logs = state.expect("a whole manifest").partitions.into_values().collect();
        let mut setup = setup(logs);
        setup.manifest_bytes = self.disk.manifest.len() as u64;
        World::new(setup, self.disk)
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.now.instant = self.now.instant.plus_ms(ms);
        self.now.wall.0 += ms as i64;
        if self.shard.next_deadline().is_some_and(|at| at <= self.now.instant) {
            self.step(Event::Tick);
        }
        self.settle();
    }

    fn step(&mut self, event: Event) {
        let began = std::time::Instant::now();
        self.shard.step(self.now, event, &mut self.fx);
        self.seen.longest = self.seen.longest.max(began.elapsed().as_micros());
    }

    fn end_of_turn(&mut self) {
        let began = std::time::Instant::now();
        self.shard.end_of_turn(self.now, &mut self.fx);
        self.seen.longest = self.seen.longest.max(began.elapsed().as_micros());
    }

    fn settle(&mut self) {
        self.end_of_turn();
        loop {
            let done = self.carry_out();
            if done.is_empty() {
                return;
            }
            let written = if self.disk.draft.is_empty() { 0 } else { self.seen.parts.len() };
            if let Some((_, changes)) = self.at_part.take_if(|(part, _)| *part == written) {
                self.publish(changes);
            }
            for (id, outcome) in done {
                self.step(Event::Done(id, outcome));
            }
            self.end_of_turn();
        }
    }

    /// The oldest effects of each kind.
    fn carry_out(&mut self) -> Vec<(EffectId, Outcome)> {
        let mut done: Vec<(EffectId, Outcome)> = Vec::new();
        done.extend(self.fx.journal.drain(..).map(|write| (write.id, Outcome::Done)));
        for write in self.fx.segments.drain(..) {
            let file = self.disk.segments.entry(write.segment).or_default();
            // What a test has only told of is not there.
            if write.at as usize <= file.len() {
                file.truncate(write.at as usize);
                write.bytes.iter().for_each(|bytes| file.extend_from_slice(bytes));
            }
            done.push((write.id, Outcome::Done));
        }
        for file in std::mem::take(&mut self.fx.files) {
            let outcome = match (self.judge)(&file.action) {
                Some(failure) => Outcome::Failed(failure),
                None => self.act(file.action),
            };
            done.push((file.id, outcome));
        }
        for read in self.fx.indexes.drain(..) {
            self.seen.index_reads += 1;
            let found = self.disk.indexes.get(&read.segment);
            let missing = Outcome::Failed(Failure::Missing);
            let bytes = found.map_or(missing, |file| Outcome::Read(Bytes::from(file.clone())));
            done.push((read.id, bytes));
        }
        for read in self.fx.reads.drain(..) {
            let file = &self.disk.segments[&read.segment];
            let start = (read.at as usize).min(file.len());
            let end = (start + read.len as usize).min(file.len());
            self.seen.looked += (end - start) as u64;
            done.push((read.id, Outcome::Read(Bytes::copy_from_slice(&file[start..end]))));
        }
        let rebuilt = |notice: &Notice| matches!(notice, Notice::IndexRebuilt(..));
        self.seen.rebuilt += self.fx.notices.drain(..).filter(rebuilt).count();
        done
    }

    fn act(&mut self, action: FileAction) -> Outcome {
        let disk = &mut self.disk;
        match action {
            FileAction::AppendManifest(bytes) => {
                self.seen.appends.push(bytes.len());
                disk.manifest.extend_from_slice(&bytes);
            }
            FileAction::DraftManifest(at, bytes) => self.draft(at, &bytes),
            FileAction::ReplaceManifest(at, bytes) => {
                self.draft(at, &bytes);
                self.disk.manifest = std::mem::take(&mut self.disk.draft);
                self.seen.replaced += 1;
            }
            FileAction::WriteIndex(segment, pages) => {
                let file = disk.indexes.entry(segment).or_default();
                let end = pages.at as usize + pages.bytes.len();
                file.resize(file.len().max(end), 0);
                file[pages.at as usize..end].copy_from_slice(&pages.bytes);
            }
            FileAction::Truncate(segment, len) => {
                disk.segments.entry(segment).or_default().truncate(len as usize);
            }
            _ => {}
        }
        Outcome::Done
    }

    fn draft(&mut self, at: u64, bytes: &[u8]) {
        if at == 0 {
            self.seen.parts.clear();
            self.disk.draft.clear();
        }
        assert_eq!(self.disk.draft.len() as u64, at, "parts follow each other");
        self.seen.parts.push(bytes.len());
        self.disk.draft.extend_from_slice(bytes);
    }

    fn ask(&mut self, request: Request) -> Reply {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.step(Event::Request(ticket, request));
        self.settle();
        let mut replies = std::mem::take(&mut self.fx.replies);
        let at = replies.iter().position(|(of, _)| *of == ticket).expect("answered");
        replies.swap_remove(at).1
    }

    fn publish(&mut self, changes: Vec<Change>) {
        let delta = Delta { version: 1, image: Arc::default(), changes };
        self.step(Event::Message(ShardId(0), Message::Publish(Arc::new(delta))));
    }

    /// Appends a batch of one record of so many bytes.
    pub(crate) fn produce(&mut self, index: u32, size: usize) -> Offset {
        let mut builder = BatchBuilder::new(Codec::None);
        let value = vec![7; size];
        let timestamp = Timestamp(self.now.wall.0);
        builder.append(NewRecord { timestamp, value: Some(&value), ..NewRecord::default() });
        let batch = builder.build().expect("a small batch");
        let header = BatchHeader::parse(&batch).expect("a batch");
        let partition = partition(index);
        let append = Append { partition, header, batch, append_time: Timestamp::NONE };
        for _ in 0..10 {
            let Reply::Produce(parts) = self.ask(Request::Produce(vec![append.clone()])) else {
                panic!("no produce");
            };
            match &parts[0] {
                Ok(appended) => return appended.base,
                Err(AppendError::Busy) => self.advance(6_000),
                Err(other) => panic!("{other:?}"),
            }
        }
        panic!("always busy");
    }

    /// The base offsets of the batches that a fetch gives.
    pub(crate) fn fetch(&mut self, index: u32, offset: i64, max_bytes: u32) -> Vec<i64> {
        let (partition, offset) = (partition(index), Offset(offset));
        let part = FetchPart { partition, offset, max_bytes, epoch: None, last_epoch: None };
        let parts = Arc::from([part]);
        let deadline = self.now.instant;
        let fetch = Fetch { max_bytes, min_bytes: 0, deadline, parts };
        let Reply::Fetch(parts) = self.ask(Request::Fetch(fetch)) else { panic!("no fetch") };
        let fetched = parts.into_iter().next().expect("one").expect("read");
        let mut bytes = Vec::new();
        for piece in fetched.pieces {
            match piece {
                Piece::Memory(piece) => bytes.extend_from_slice(&piece),
                Piece::File { segment, at, len, .. } => {
                    let file = &self.disk.segments[&segment];
                    bytes.extend_from_slice(&file[at as usize..(at + len) as usize]);
                }
            }
        }
        let (mut at, mut bases) = (0, Vec::new());
        while at < bytes.len() {
            let header = BatchHeader::parse(&bytes[at..]).expect("whole batches");
            bases.push(header.base_offset.0);
            at += header.total_len();
        }
        bases
    }

    /// The first offset at or after a time.
    pub(crate) fn offset_at(&mut self, index: u32, timestamp: i64) -> Option<i64> {
        let target = Target::At(Timestamp(timestamp));
        let lookup = Lookup { partition: partition(index), epoch: None, target };
        match self.ask(Request::Lookup(vec![lookup])) {
            Reply::Lookup(parts) => {
                let found = parts[0].expect("looked up");
                found.record.map(|(offset, _)| offset.0)
            }
            other => panic!("{other:?}"),
        }
    }

    /// So much of the disk is free.
    pub(crate) fn free(&mut self, bytes: u64) {
        self.step(Event::DiskFree(bytes));
        self.settle();
    }

    /// Appends to the first partition until the manifest has been made anew once more.
    pub(crate) fn grow_manifest(&mut self) {
        let before = self.seen.replaced;
        while self.seen.replaced == before {
            self.produce(0, 10);
            self.stop();
        }
    }

    /// Everything goes to segments and manifest.
    pub(crate) fn stop(&mut self) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.step(Event::Stop(ticket));
        for _ in 0..100 {
            self.settle();
            if self.fx.replies.iter().any(|(of, _)| *of == ticket) {
                self.fx.replies.clear();
                return;
            }
            self.advance(1_000);
        }
        panic!("it does not stop");
    }
}
