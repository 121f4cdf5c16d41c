//! How a coordinator comes to know its groups: the partition is read from its start, as any reader
//! would read it.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::group::coordinator::Coordinator;
use crate::group::record::Record;
use crate::group::request::GroupError;
use crate::id::{Now, Offset};
use crate::record::compress::MAX_DECOMPRESSED;
use crate::record::{BatchHeader, Records, batch};
use crate::shard::effect::{Effects, Notice, ReadFile};
use crate::shard::event::Outcome;
use crate::shard::groups::Stage;
use crate::shard::message::{Call, CallId};
use crate::shard::partition::Slot;
use crate::shard::request::{FetchPart, Fetched, Piece, ReadError};
use crate::shard::{Pending, Shard};

/// Bytes that are read at a time, and taken in by one step: some thousands of records. (Kafka's
/// `offsets.load.buffer.size` is 5 MiB, on a thread of its own.)
const LOAD_BYTES: u32 = if cfg!(test) { 512 } else { 128 << 10 };

/// Milliseconds after which a partition that could not be read is tried again.
const RETRY_MS: u64 = 10_000;

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Loading {
    next: Offset,
    /// What is still to come of the present read.
    pieces: VecDeque<Piece>,
    /// Bytes of a file that have been asked for.
    asked: u32,
    bytes: BytesMut,
    /// What has been found, while somebody looks.
    found: Option<Result<Fetched, ReadError>>,
    looking: bool,
}

/// What a step of loading leads to.
enum Step {
    Again,
    /// Others first.
    Later,
    /// Something is to come first.
    Wait,
    Loaded,
    Failed(String),
}

impl Shard {
    /// Reads on, as far as that is possible now.
    pub(super) fn load(&mut self, now: Now, slot: Slot, fx: &mut Effects) {
        loop {
            match self.load_step(now, slot, fx) {
                Step::Again => {}
                Step::Later => return self.groups.go_on_later(now, slot),
                Step::Wait => return,
                Step::Loaded => return self.loaded(now, slot, fx),
                Step::Failed(why) => return self.not_loaded(now, slot, &why, fx),
            }
        }
    }

    fn load_step(&mut self, now: Now, slot: Slot, fx: &mut Effects) -> Step {
        let Some(loading) = self.loading(slot) else { return Step::Wait };
        match loading.pieces.pop_front() {
            Some(Piece::Memory(bytes)) => {
                loading.bytes.extend_from_slice(&bytes);
                Step::Again
            }
            Some(Piece::File { segment, at, len, .. }) => {
                let len = u32::try_from(len).unwrap_or(u32::MAX);
                loading.asked = len;
                let id = self.effect(Pending::Load(slot));
                fx.reads.push(ReadFile { id, segment, at, len });
                Step::Wait
            }
            None if !loading.bytes.is_empty() => match self.replay_groups(now, slot) {
                Ok(()) => Step::Later,
                Err(why) => Step::Failed(why),
            },
            None => self.look_for_more(now, slot, fx),
        }
    }

    fn look_for_more(&mut self, now: Now, slot: Slot, fx: &mut Effects) -> Step {
        let Some(partition) = self.partitions.get(&slot) else { return Step::Wait };
        let start = partition.log.marks().log_start();
        let high = partition.log.high_watermark().offset;
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return Step::Wait };
        let Stage::Loading(loading) = &mut host.stage else { return Step::Wait };
        loading.next = loading.next.max(start);
        if loading.next >= high {
            return Step::Loaded;
        }
        let (partition, offset) = (host.partition, loading.next);
        loading.looking = true;
        let id = self.home.name_call();
        self.groups.loads.insert(id, slot);
        let part =
            FetchPart { partition, offset, max_bytes: LOAD_BYTES, epoch: None, last_epoch: None };
        let call = Call::Read { parts: vec![part], max_bytes: LOAD_BYTES, enough: 0 };
        self.on_call(now, self.id, id, call, fx);
        let Some(loading) = self.loading(slot) else { return Step::Wait };
        loading.looking = false;
        self.take_found(slot)
    }

    fn take_found(&mut self, slot: Slot) -> Step {
        let Some(loading) = self.loading(slot) else { return Step::Wait };
        match loading.found.take() {
            None => Step::Wait,
            Some(Ok(fetched)) if fetched.pieces.is_empty() => {
                Step::Failed("it ends too early".to_owned())
            }
            Some(Ok(fetched)) => {
                loading.pieces = fetched.pieces.into();
                Step::Again
            }
            Some(Err(_)) => Step::Failed("it cannot be read".to_owned()),
        }
    }

    /// Part of a partition that is loaded has been found; whether the read was for that.
    pub(in crate::shard) fn on_load(
        &mut self,
        now: Now,
        id: CallId,
        results: &mut Vec<Result<Fetched, ReadError>>,
        fx: &mut Effects,
    ) -> bool {
        let Some(slot) = self.groups.loads.remove(&id) else { return false };
        let Some(loading) = self.loading(slot) else { return true };
        loading.found = results.pop();
        if !loading.looking {
            match self.take_found(slot) {
                Step::Failed(why) => self.not_loaded(now, slot, &why, fx),
                _ => self.load(now, slot, fx),
            }
        }
        true
    }

    fn loading(&mut self, slot: Slot) -> Option<&mut Loading> {
        match &mut self.groups.hosts.get_mut(&slot)?.stage {
            Stage::Loading(loading) => Some(loading),
            Stage::Fresh | Stage::Active | Stage::Failed(_) => None,
        }
    }

    /// Bytes of a file have come, or not.
    pub(in crate::shard) fn on_loaded_bytes(
        &mut self,
        now: Now,
        slot: Slot,
        outcome: Outcome,
        fx: &mut Effects,
    ) {
        let Some(loading) = self.loading(slot) else { return };
        match outcome {
            Outcome::Read(bytes) if bytes.len() == loading.asked as usize => {
                loading.bytes.extend_from_slice(&bytes);
                self.load(now, slot, fx);
            }
            // To look again would find the same.
            Outcome::Read(_) => self.not_loaded(now, slot, "its file is too short", fx),
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
        host.stage = Stage::Active;
        let output = host.coordinator.loaded(now);
        self.follow(now, slot, output, fx);
        self.attend(now, slot, fx);
    }

    fn not_loaded(&mut self, now: Now, slot: Slot, why: &str, fx: &mut Effects) {
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        fx.notice(Notice::GroupsUnreadable(host.partition, why.to_owned()));
        host.stage = Stage::Failed(now.instant.plus_ms(RETRY_MS));
        for call in self.groups.backlog.take(slot) {
            self.refuse_group(now, call, GroupError::NotCoordinator, fx);
        }
    }
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
