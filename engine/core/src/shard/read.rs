//! As owner: reads. What memory and indexes tell is answered at once; the rest looks at stored
//! bytes first. Readers that find too little watch their partitions.

use bytes::Bytes;

use crate::id::Now;
use crate::limits::WAKES;
use crate::log::{EpochEnd, Oversize, Plan, SegmentId, Want, Window};
use crate::shard::Pending;
use crate::shard::Shard;
use crate::shard::effect::{Effects, Notice, ReadFile};
use crate::shard::event::{Failure, Health, Outcome};
use crate::shard::fetch::is_urgent;
use crate::shard::index::Rebuild;
use crate::shard::message::{Answer, Message};
use crate::shard::partition::{CallPart, OwnerCall, Slot};
use crate::shard::request::{FetchPart, Fetched, ReadError};
use crate::shard::search::Search;

/// A read call that is not answered.
#[derive(Debug)]
pub(crate) struct ReadCall {
    parts: Vec<FetchPart>,
    results: Vec<Option<Result<Fetched, ReadError>>>,
    open: usize,
    enough: u32,
}

/// Stored bytes that are on their way, and what for.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) slot: Slot,
    pub(crate) purpose: Purpose,
}

/// What a look at stored bytes is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// The unfinished last block, to append behind it.
    LastBlock,
    /// A window for a read.
    Read { reader: Reader, window: Window },
    /// The index file of a segment, for its points before a position.
    Index { segment: SegmentId, until: u64 },
    /// A segment, to make its index anew.
    Rebuild(Rebuild),
    /// Batches for a search by time.
    Search { search: Search, window: Window },
}

/// What waits for an index.
#[derive(Debug)]
pub(crate) enum Interrupted {
    Read(Reader),
    Search(Search),
}

/// One part of a read call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    call: OwnerCall,
    part: u32,
    want: Want,
}

impl Interrupted {
    /// Whose it is.
    pub(crate) fn part(&self) -> CallPart {
        match self {
            Interrupted::Read(reader) => (reader.call, reader.part),
            Interrupted::Search(search) => search.key(),
        }
    }
}

impl Reader {
    /// Bytes of a partition that has something, before it is known how much.
    fn may_take(self) -> u64 {
        u64::from(self.want.max_bytes).max(1)
    }
}

impl Look {
    pub(crate) fn last_block(slot: Slot) -> Look {
        Look { slot, purpose: Purpose::LastBlock }
    }
}

impl Shard {
    pub(super) fn read_call(
        &mut self,
        now: Now,
        call: OwnerCall,
        parts: &[FetchPart],
        max_bytes: u32,
        enough: u32,
        fx: &mut Effects,
    ) {
        self.unwatch(call);
        let results = parts.iter().map(|_| None).collect();
        let open = parts.len();
        let read = ReadCall { parts: parts.to_vec(), results, open, enough };
        self.calls.reads.insert(call, read);
        let mut room = max_bytes;
        let mut oversize = Oversize::Whole;
        for (part, wanted) in (0..).zip(parts) {
            let max_bytes = wanted.max_bytes.min(room);
            let FetchPart { offset, last_epoch, .. } = *wanted;
            let want = Want { offset, last_epoch, max_bytes, oversize };
            let reader = Reader { call, part, want };
            let len = self.read_part(now, wanted, reader, fx);
            room = room.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
            if len > 0 {
                oversize = Oversize::Nothing;
            }
        }
        if open == 0 {
            self.finish_read(now, call, fx);
        }
    }

    /// Reads one part; says how many bytes it has or may take.
    fn read_part(&mut self, now: Now, part: &FetchPart, reader: Reader, fx: &mut Effects) -> u64 {
        let planned = self.plan_part(part, reader.want);
        match planned {
            Ok((slot, plan)) => self.carry_out(now, slot, reader, plan, fx),
            Err(error) => {
                self.read_done(now, reader, Err(error), fx);
                0
            }
        }
    }

    fn plan_part(&mut self, part: &FetchPart, want: Want) -> Result<(Slot, Plan), ReadError> {
        let offline = self.directory.is_offline();
        let epoch = self.epoch;
        let (slot, partition) =
            self.partition(part.partition).ok_or(ReadError::UnknownPartition)?;
        if offline || partition.health == Health::Offline {
            return Err(ReadError::Offline);
        }
        match part.epoch {
            Some(known) if known < epoch => return Err(ReadError::FencedEpoch),
            Some(known) if known > epoch => return Err(ReadError::UnknownEpoch),
            _ => {}
        }
        Ok((slot, partition.log.plan(want)?))
    }

    fn carry_out(
        &mut self,
        now: Now,
        slot: Slot,
        reader: Reader,
        plan: Plan,
        fx: &mut Effects,
    ) -> u64 {
        match plan {
            Plan::Ready(pieces) => {
                let len = pieces.iter().map(|piece| piece.len()).sum();
                let fetched = self.fetched(slot, None, pieces);
                self.read_done(now, reader, fetched, fx);
                len
            }
            Plan::Diverged(end) => {
                let fetched = self.fetched(slot, Some(end), Vec::new());
                self.read_done(now, reader, fetched, fx);
                0
            }
            Plan::Look(window) => {
                self.look(slot, window, Purpose::Read { reader, window }, fx);
                reader.may_take()
            }
            Plan::NeedIndex(segment) => {
                self.load_index(slot, segment, Interrupted::Read(reader), fx);
                reader.may_take()
            }
        }
    }

    fn fetched(
        &self,
        slot: Slot,
        diverging: Option<EpochEnd>,
        pieces: Vec<crate::shard::request::Piece>,
    ) -> Result<Fetched, ReadError> {
        let partition = self.partitions.get(&slot).ok_or(ReadError::UnknownPartition)?;
        let high_watermark = partition.log.high_watermark().offset;
        let log_start = partition.log.marks().log_start();
        Ok(Fetched { high_watermark, log_start, diverging, pieces })
    }

    /// Reads stored bytes.
    pub(super) fn look(&mut self, slot: Slot, window: Window, purpose: Purpose, fx: &mut Effects) {
        let Some(partition) = self.partitions.get(&slot) else { return };
        let segment = partition.log.segment_id(window.place.segment);
        let id = self.effect(Pending::Look(Look { slot, purpose }));
        fx.reads.push(ReadFile { id, segment, at: window.place.at, len: window.stored });
    }

    /// Stored bytes have come, or not.
    pub(super) fn on_look(&mut self, now: Now, look: Look, outcome: Outcome, fx: &mut Effects) {
        let Look { slot, purpose } = look;
        let bytes = match outcome {
            // Bytes that a failed sync may have taken back are no damage.
            _ if self.is_offline(slot) => Err(Failure::Offline),
            Outcome::Read(bytes) => Ok(bytes),
            Outcome::Done => Ok(Bytes::new()),
            Outcome::Failed(failure) => Err(failure),
        };
        match purpose {
            Purpose::LastBlock => {
                self.on_last_block(now, slot, bytes.as_deref().ok(), fx);
            }
            Purpose::Read { reader, window } => {
                self.on_window(now, slot, reader, window, bytes, fx)
            }
            Purpose::Index { segment, until } => {
                self.on_index(now, slot, segment, until, bytes, fx);
            }
            Purpose::Rebuild(rebuild) => self.on_rebuild(now, slot, rebuild, bytes, fx),
            Purpose::Search { search, window } => {
                self.on_search(now, search, window, bytes, fx);
            }
        }
    }

    fn on_window(
        &mut self,
        now: Now,
        slot: Slot,
        reader: Reader,
        window: Window,
        bytes: Result<Bytes, Failure>,
        fx: &mut Effects,
    ) {
        if !self.is_open(reader) {
            return;
        }
        let planned = self.plan_window(slot, reader.want, window, bytes, fx);
        match planned {
            Ok(plan) => {
                self.carry_out(now, slot, reader, plan, fx);
            }
            Err(error) => self.read_done(now, reader, Err(error), fx),
        }
    }

    fn plan_window(
        &mut self,
        slot: Slot,
        want: Want,
        window: Window,
        bytes: Result<Bytes, Failure>,
        fx: &mut Effects,
    ) -> Result<Plan, ReadError> {
        let partition = self.partitions.get(&slot).ok_or(ReadError::UnknownPartition)?;
        let bytes = bytes.map_err(|_| ReadError::Offline)?;
        let plan = partition.log.plan_in(want, window, &bytes);
        if plan.as_ref().is_err_and(|error| *error == ReadError::Damaged) {
            let segment = partition.log.segment_id(window.place.segment);
            fx.notice(Notice::Damaged(segment, window.place.at));
        }
        plan
    }

    /// Goes on with a read once its index is there, or cannot be.
    pub(super) fn resume_read(
        &mut self,
        now: Now,
        slot: Slot,
        reader: Reader,
        index: Result<(), ReadError>,
        fx: &mut Effects,
    ) {
        let partition = self.partitions.get(&slot).ok_or(ReadError::UnknownPartition);
        let planned = index.and(partition).and_then(|p| p.log.plan(reader.want));
        match planned {
            Ok(plan) => {
                self.carry_out(now, slot, reader, plan, fx);
            }
            Err(error) => self.read_done(now, reader, Err(error), fx),
        }
    }

    fn read_done(
        &mut self,
        now: Now,
        reader: Reader,
        result: Result<Fetched, ReadError>,
        fx: &mut Effects,
    ) {
        let Some(read) = self.calls.reads.get_mut(&reader.call) else { return };
        if let Some(slot @ None) = read.results.get_mut(reader.part as usize) {
            *slot = Some(result);
            read.open -= 1;
        }
        if read.open == 0 {
            self.finish_read(now, reader.call, fx);
        }
    }

    fn finish_read(&mut self, now: Now, call: OwnerCall, fx: &mut Effects) {
        let Some(read) = self.calls.reads.remove(&call) else { return };
        let results: Vec<_> = read.results.into_iter().flatten().collect();
        let bytes: u64 = results.iter().flatten().map(Fetched::len).sum();
        if bytes < u64::from(read.enough) && !results.iter().any(is_urgent) {
            self.watch(call, &read.parts, &results);
        }
        self.send(now, call.from, Message::Answer(call.id, Answer::Read(results)), fx);
    }

    /// Wakes `call` when one of these partitions has more than it has just been told.
    fn watch(
        &mut self,
        call: OwnerCall,
        parts: &[FetchPart],
        results: &[Result<Fetched, ReadError>],
    ) {
        for (part, result) in parts.iter().zip(results) {
            let told = result.as_ref().ok().map(|fetched| fetched.high_watermark);
            let served = self.slots.get(&part.partition).copied();
            let served = served.filter(|slot| !self.is_offline(*slot));
            let Some(slot) = served else {
                // Gone since it was read: nothing of it will ever wake the reader.
                self.wakes.insert(call);
                continue;
            };
            let Some(partition) = self.partitions.get_mut(&slot) else { continue };
            if told.is_some_and(|told| partition.log.high_watermark().offset > told) {
                self.wakes.insert(call);
            }
            partition.watchers.insert(call);
            self.calls.watched.entry(call).or_default().push(slot);
        }
    }

    /// The reader is gone or served: a read of its that is under way ends.
    pub(super) fn end_read(&mut self, now: Now, call: OwnerCall, fx: &mut Effects) {
        self.unwatch(call);
        if self.calls.reads.remove(&call).is_some() {
            self.indexes.leave(call);
            self.send(now, call.from, Message::Answer(call.id, Answer::Read(Vec::new())), fx);
        }
    }

    fn is_open(&self, reader: Reader) -> bool {
        self.calls.reads.contains_key(&reader.call)
    }

    /// Stops watching for a reader.
    fn unwatch(&mut self, call: OwnerCall) {
        self.wakes.remove(&call);
        for slot in self.calls.watched.remove(&call).unwrap_or_default() {
            if let Some(partition) = self.partitions.get_mut(&slot) {
                partition.watchers.remove(&call);
            }
        }
    }

    /// Wakes each reader once for all that happened in this turn; of very many, the rest in the
    /// next.
    pub(super) fn wake_readers(&mut self, now: Now, fx: &mut Effects) {
        for _ in 0..WAKES {
            let Some(call) = self.wakes.pop_first() else { break };
            self.unwatch(call);
            self.send(now, call.from, Message::Wake(call.id), fx);
        }
        self.wakes_due = (!self.wakes.is_empty()).then_some(now.instant);
    }
}
