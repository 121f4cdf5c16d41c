//! As owner: the coordinators of the partitions of `__consumer_offsets` that this shard owns. A
//! coordinator begins with the first request to its partition, which waits until the partition is
//! read; what it decides is appended like any other batch.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::group::coordinator::{BatchNumber, Coordinator, Output};
use crate::group::record::Record;
use crate::group::request::{Asker, GroupError, Request};
use crate::group::settings::GroupSettings;
use crate::id::{Instant, Now, Offset, ShardId, Timestamp, TopicId, TopicPartition};
use crate::record::compress::MAX_DECOMPRESSED;
use crate::record::{BatchBuilder, BatchHeader, Codec, NewRecord, Records, batch};
use crate::shard::effect::{Effects, Notice, ReadFile};
use crate::shard::event::{Health, Outcome};
use crate::shard::message::{Answer, Call, CallId, Message};
use crate::shard::partition::{OwnerCall, Slot, Waiter};
use crate::shard::request::{Append, AppendError, FetchPart, Fetched, Piece, ReadError};
use crate::shard::{Map, Pending, Shard};

/// Bytes that are read at a time when a partition is loaded (`offsets.load.buffer.size`).
const LOAD_BYTES: u32 = 1 << 20;

/// Timers of groups that one turn attends to.
const TICKS: usize = 1_000;

/// Requests that may wait for a partition to be loaded.
const WAITING: usize = 10_000;

/// The coordinators of a shard.
#[derive(Debug)]
pub(crate) struct Groups {
    settings: GroupSettings,
    hosts: Map<Slot, Host>,
    /// Reads that load partitions.
    loads: Map<CallId, Slot>,
    next_asker: u64,
    /// When some coordinator has something to do.
    next: Option<Instant>,
}

/// A coordinator, and who has asked it.
#[derive(Debug)]
struct Host {
    partition: TopicPartition,
    coordinator: Coordinator,
    stage: Stage,
    askers: Map<Asker, OwnerCall>,
}

#[derive(Debug)]
enum Stage {
    Loading(Loading),
    Active,
    /// Its partition cannot be read.
    Failed,
}

#[derive(Debug, Default)]
struct Loading {
    next: Offset,
    /// What is still to come of the present read.
    pieces: VecDeque<Piece>,
    bytes: BytesMut,
    waiting: Vec<(OwnerCall, Request)>,
}

impl Groups {
    pub(crate) fn new(settings: GroupSettings) -> Groups {
        Groups { settings, hosts: Map::default(), loads: Map::default(), next_asker: 0, next: None }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    fn note_deadlines(&mut self) {
        let deadlines = self.hosts.values().filter_map(|host| host.coordinator.next_deadline());
        self.next = deadlines.min();
    }
}

impl Shard {
    /// A request to the coordinator of a partition.
    pub(super) fn on_group_request(
        &mut self,
        now: Now,
        from: ShardId,
        id: CallId,
        partition: TopicPartition,
        request: Request,
        fx: &mut Effects,
    ) {
        let call = OwnerCall { from, id };
        let Some(slot) = self.online(partition) else {
            return self.refuse_group(now, call, GroupError::NotCoordinator, fx);
        };
        let settings = &self.groups.settings;
        let host = self.groups.hosts.entry(slot).or_insert_with(|| Host {
            partition,
            coordinator: Coordinator::new(settings.clone()),
            stage: Stage::Loading(Loading::default()),
            askers: Map::default(),
        });
        match &mut host.stage {
            Stage::Active => self.ask_coordinator(now, slot, call, request, fx),
            Stage::Failed => self.refuse_group(now, call, GroupError::NotCoordinator, fx),
            Stage::Loading(loading) if loading.waiting.len() >= WAITING => {
                self.refuse_group(now, call, GroupError::LoadInProgress, fx);
            }
            Stage::Loading(loading) => {
                loading.waiting.push((call, request));
                if loading.waiting.len() == 1 {
                    self.load_more(now, slot, fx);
                }
            }
        }
    }

    fn online(&self, partition: TopicPartition) -> Option<Slot> {
        let slot = *self.slots.get(&partition)?;
        let online = self.partitions.get(&slot).is_some_and(|p| p.health == Health::Online);
        (online && !self.directory.is_offline()).then_some(slot)
    }

    fn refuse_group(&mut self, now: Now, call: OwnerCall, error: GroupError, fx: &mut Effects) {
        self.send(now, call.from, Message::Answer(call.id, Answer::Group(Err(error))), fx);
    }

    fn ask_coordinator(
        &mut self,
        now: Now,
        slot: Slot,
        call: OwnerCall,
        request: Request,
        fx: &mut Effects,
    ) {
        self.groups.next_asker += 1;
        let asker = Asker(self.groups.next_asker);
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        host.askers.insert(asker, call);
        let output = host.coordinator.request(now, asker, request);
        self.follow(now, slot, output, fx);
    }

    /// Sends what a coordinator answers, and appends what it wants to remember.
    fn follow(&mut self, now: Now, slot: Slot, output: Output, fx: &mut Effects) {
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        let partition = host.partition;
        let told: Vec<_> = output
            .replies
            .into_iter()
            .filter_map(|(asker, reply)| Some((host.askers.remove(&asker)?, reply)))
            .collect();
        self.groups.note_deadlines();
        for (call, reply) in told {
            self.send(now, call.from, Message::Answer(call.id, Answer::Group(Ok(reply))), fx);
        }
        if let Some((number, records)) = output.batch {
            let waiter = Waiter::Group { slot, number };
            match encode(&records, now.wall) {
                Some((header, batch)) => {
                    let append_time = Timestamp::NONE;
                    self.append(now, Append { partition, header, batch, append_time }, waiter, fx);
                }
                None => {
                    let error = AppendError::TooLarge { max: i32::MAX as u32 };
                    self.appended(now, waiter, Err(error), fx);
                }
            }
        }
    }

    /// What a coordinator wants to remember is durable, or will not be.
    pub(super) fn on_group_batch(
        &mut self,
        now: Now,
        slot: Slot,
        number: BatchNumber,
        result: Result<(), AppendError>,
        fx: &mut Effects,
    ) {
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        let output = match result {
            Ok(()) => host.coordinator.durable(now, number),
            Err(error) => host.coordinator.failed(now, number, why(&error)),
        };
        self.follow(now, slot, output, fx);
    }

    /// A partition is no more, or cannot be written: nor is its coordinator. Whoever waits for it
    /// is told.
    pub(super) fn unload_groups(&mut self, now: Now, slot: Slot, fx: &mut Effects) {
        let Some(host) = self.groups.hosts.remove(&slot) else { return };
        self.groups.note_deadlines();
        let mut calls: Vec<OwnerCall> = host.askers.into_values().collect();
        if let Stage::Loading(loading) = host.stage {
            calls.extend(loading.waiting.into_iter().map(|(call, _)| call));
        }
        for call in calls {
            self.refuse_group(now, call, GroupError::NotCoordinator, fx);
        }
    }

    /// Topics are gone: so is what groups have committed for them, where groups are loaded.
    pub(super) fn forget_offsets(
        &mut self,
        now: Now,
        removed: &[TopicPartition],
        fx: &mut Effects,
    ) {
        let mut topics: Vec<TopicId> = removed.iter().map(|partition| partition.topic).collect();
        topics.dedup();
        let active =
            |(slot, host): (&Slot, &Host)| matches!(host.stage, Stage::Active).then_some(*slot);
        for slot in self.groups.hosts.iter().filter_map(active).collect::<Vec<_>>() {
            let Some(host) = self.groups.hosts.get_mut(&slot) else { continue };
            let output = host.coordinator.topics_deleted(now, &topics);
            self.follow(now, slot, output, fx);
        }
    }

    /// Lets coordinators do what is due; what is left is due in the next turn.
    pub(super) fn tick_groups(&mut self, now: Now, fx: &mut Effects) {
        for _ in 0..TICKS {
            if self.groups.next.is_none_or(|next| next > now.instant) {
                return;
            }
            let due =
                |host: &Host| host.coordinator.next_deadline().is_some_and(|at| at <= now.instant);
            let Some((&slot, _)) = self.groups.hosts.iter().find(|(_, host)| due(host)) else {
                return self.groups.note_deadlines();
            };
            let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
            let output = host.coordinator.tick(now);
            self.follow(now, slot, output, fx);
        }
    }
}

/// Loading: the partition is read from its start as any reader would.
impl Shard {
    fn load_more(&mut self, now: Now, slot: Slot, fx: &mut Effects) {
        let Some(partition) = self.partitions.get(&slot) else { return };
        let start = partition.log.marks().log_start();
        let high = partition.log.high_watermark().offset;
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        let Stage::Loading(loading) = &mut host.stage else { return };
        loading.next = loading.next.max(start);
        if loading.next >= high {
            return self.loaded(now, slot, fx);
        }
        let (partition, offset) = (host.partition, loading.next);
        let id = self.home.name_call();
        self.groups.loads.insert(id, slot);
        let part = FetchPart { partition, offset, max_bytes: LOAD_BYTES, epoch: None };
        let call = Call::Read { parts: vec![part], max_bytes: LOAD_BYTES, enough: 0 };
        self.on_call(now, self.id, id, call, fx);
    }

    /// Part of a partition that is loaded has been found; whether the read was for that.
    pub(super) fn on_load(
        &mut self,
        now: Now,
        id: CallId,
        results: &mut Vec<Result<Fetched, ReadError>>,
        fx: &mut Effects,
    ) -> bool {
        let Some(slot) = self.groups.loads.remove(&id) else { return false };
        match results.pop() {
            Some(Ok(fetched)) => {
                if let Some(loading) = self.loading(slot) {
                    loading.pieces = fetched.pieces.into();
                }
                self.gather(now, slot, fx);
            }
            Some(Err(_)) | None => self.not_loaded(now, slot, "it cannot be read", fx),
        }
        true
    }

    fn loading(&mut self, slot: Slot) -> Option<&mut Loading> {
        match &mut self.groups.hosts.get_mut(&slot)?.stage {
            Stage::Loading(loading) => Some(loading),
            Stage::Active | Stage::Failed => None,
        }
    }

    /// Brings the pieces of a read together; those in files are read first.
    fn gather(&mut self, now: Now, slot: Slot, fx: &mut Effects) {
        let Some(loading) = self.loading(slot) else { return };
        while let Some(piece) = loading.pieces.pop_front() {
            match piece {
                Piece::Memory(bytes) => loading.bytes.extend_from_slice(&bytes),
                Piece::File { segment, at, len, .. } => {
                    let len = u32::try_from(len).unwrap_or(u32::MAX);
                    let id = self.effect(Pending::Load(slot));
                    return fx.reads.push(ReadFile { id, segment, at, len });
                }
            }
        }
        match self.replay_groups(now, slot) {
            Ok(()) => self.load_more(now, slot, fx),
            Err(why) => self.not_loaded(now, slot, &why, fx),
        }
    }

    /// Bytes of a file have come, or not.
    pub(super) fn on_loaded_bytes(
        &mut self,
        now: Now,
        slot: Slot,
        outcome: Outcome,
        fx: &mut Effects,
    ) {
        let Some(loading) = self.loading(slot) else { return };
        match outcome {
            Outcome::Read(bytes) => {
                loading.bytes.extend_from_slice(&bytes);
                self.gather(now, slot, fx);
            }
            Outcome::Done | Outcome::Failed(_) => {
                self.not_loaded(now, slot, "its file cannot be read", fx);
            }
        }
    }

    fn replay_groups(&mut self, now: Now, slot: Slot) -> Result<(), String> {
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return Ok(()) };
        let Stage::Loading(loading) = &mut host.stage else { return Ok(()) };
        let bytes = loading.bytes.split().freeze();
        let before = loading.next;
        for part in batch::split(&bytes) {
            let (header, batch) = part.map_err(|error| error.to_string())?;
            replay(&mut host.coordinator, &header, &batch, now)?;
            loading.next = header.next_offset();
        }
        let moved = loading.next > before;
        moved.then_some(()).ok_or_else(|| "it ends too early".to_owned())
    }

    fn loaded(&mut self, now: Now, slot: Slot, fx: &mut Effects) {
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        let stage = std::mem::replace(&mut host.stage, Stage::Active);
        let output = host.coordinator.loaded(now);
        self.follow(now, slot, output, fx);
        if let Stage::Loading(loading) = stage {
            for (call, request) in loading.waiting {
                self.ask_coordinator(now, slot, call, request, fx);
            }
        }
    }

    fn not_loaded(&mut self, now: Now, slot: Slot, why: &str, fx: &mut Effects) {
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        fx.notice(Notice::GroupsUnreadable(host.partition, why.to_owned()));
        let stage = std::mem::replace(&mut host.stage, Stage::Failed);
        if let Stage::Loading(loading) = stage {
            for (call, _) in loading.waiting {
                self.refuse_group(now, call, GroupError::NotCoordinator, fx);
            }
        }
    }
}

fn encode(records: &[Record], now: Timestamp) -> Option<(BatchHeader, Bytes)> {
    let mut builder = BatchBuilder::new(Codec::None).base_offset(Offset::ZERO);
    for record in records {
        let stored = record.encode();
        let (key, value) = (Some(&stored.key[..]), stored.value.as_deref());
        builder.append(NewRecord { timestamp: now, key, value, headers: &[] });
    }
    let batch = builder.build().ok()?;
    let header = BatchHeader::parse(&batch).ok()?;
    Some((header, batch))
}

fn replay(
    coordinator: &mut Coordinator,
    header: &BatchHeader,
    batch: &[u8],
    now: Now,
) -> Result<(), String> {
    let at = |error: &dyn std::fmt::Display| format!("offset {}: {error}", header.base_offset);
    if !batch::crc_matches(header, batch) {
        return Err(at(&"the checksum does not match"));
    }
    // Markers of transactions say nothing of groups.
    if header.is_control() {
        return Ok(());
    }
    let records = Records::open(header, batch, MAX_DECOMPRESSED).map_err(|error| at(&error))?;
    for record in records.iter() {
        let record = record.map_err(|error| at(&error))?;
        let key = record.key.unwrap_or_default();
        let read = Record::decode(key, record.value).map_err(|error| at(&error))?;
        if let Some(read) = read {
            coordinator.replay(read, now);
        }
    }
    Ok(())
}

/// Kafka's errors of writes, as clients of groups are told them
/// (`CoordinatorOperationExceptionHelper`).
fn why(error: &AppendError) -> GroupError {
    match error {
        AppendError::UnknownPartition | AppendError::Offline => GroupError::NotCoordinator,
        AppendError::Busy | AppendError::DiskFull => GroupError::CoordinatorNotAvailable,
        AppendError::TooLarge { .. }
        | AppendError::OutOfOrder { .. }
        | AppendError::Fenced { .. } => GroupError::Unknown,
    }
}
