//! As owner: calls come in, appends are admitted, answers go out when every part is decided.

use crate::id::{Now, Offset, ShardId, Timestamp};
use crate::journal::commit::largest_entry;
use crate::log::PreparedAppend;
use crate::producer::Verdict;
use crate::shard::effect::Effects;
use crate::shard::event::Health;
use crate::shard::message::{Answer, Call, CallId, Message};
use crate::shard::partition::{Ack, LastBlock, OwnerCall, Queued, Slot, Waiter};
use crate::shard::request::{Append, AppendError, Appended};
use crate::shard::{Map, Pending, Shard};

/// An append call that is not answered yet.
#[derive(Debug)]
struct AppendCall {
    results: Vec<Option<Result<Appended, AppendError>>>,
    open: usize,
}

/// The calls that this shard owes an answer.
#[derive(Debug, Default)]
pub(crate) struct OwnerCalls {
    appends: Map<OwnerCall, AppendCall>,
    pub(crate) reads: Map<OwnerCall, super::read::ReadCall>,
    pub(crate) lookups: Map<OwnerCall, super::lookup::LookupCall>,
    /// The partitions that each watching reader waits for.
    pub(crate) watched: Map<OwnerCall, Vec<Slot>>,
}

impl OwnerCalls {
    /// How many are not answered.
    pub(crate) fn owed(&self) -> usize {
        self.appends.len() + self.reads.len() + self.lookups.len()
    }
}

impl Shard {
    pub(super) fn on_call(
        &mut self,
        now: Now,
        from: ShardId,
        id: CallId,
        call: Call,
        fx: &mut Effects,
    ) {
        let owner_call = OwnerCall { from, id };
        match call {
            Call::Append(parts) => self.append_call(now, owner_call, parts, fx),
            Call::Read { parts, max_bytes, enough } => {
                self.read_call(now, owner_call, &parts, max_bytes, enough, fx);
            }
            Call::Lookup(parts) => self.lookup_call(now, owner_call, &parts, fx),
        }
    }

    /// Nobody waits for a call any more. What it appends is appended all the same, and what has
    /// begun to change the metadata, or groups, does.
    pub(super) fn on_cancel(&mut self, now: Now, call: OwnerCall, fx: &mut Effects) {
        self.end_read(now, call, fx);
        self.end_lookup(now, call, fx);
        self.withdraw_command(now, call, fx);
        self.withdraw_group_request(now, call, fx);
    }

    fn append_call(&mut self, now: Now, call: OwnerCall, parts: Vec<Append>, fx: &mut Effects) {
        let open = parts.len();
        let results = parts.iter().map(|_| None).collect();
        self.calls.appends.insert(call, AppendCall { results, open });
        self.append_parts(now, call, parts, fx);
        if open == 0 {
            self.finish_append(now, call, fx);
        }
    }

    /// Appends a batch, or says why not; the waiter hears of it either way, maybe at once.
    pub(super) fn append(&mut self, now: Now, append: Append, waiter: Waiter, fx: &mut Effects) {
        if let Err(error) = self.try_append(now, append, waiter, fx) {
            self.appended(now, waiter, Err(error), fx);
        }
    }

    fn try_append(
        &mut self,
        now: Now,
        append: Append,
        waiter: Waiter,
        fx: &mut Effects,
    ) -> Result<(), AppendError> {
        let slot = *self.slots.get(&append.partition).ok_or(AppendError::UnknownPartition)?;
        let bytes = append.batch.len() as u64;
        self.admit(bytes, waiter)?;
        let partition = self.partitions.get_mut(&slot).ok_or(AppendError::UnknownPartition)?;
        if partition.health == Health::Offline {
            return Err(AppendError::Offline);
        }
        if let LastBlock::Loading { parked, .. } = &mut partition.last_block {
            parked.push((append, waiter));
            self.flusher.park(bytes);
            return Ok(());
        }
        if partition.log.needs_tail() {
            self.load_last_block(slot, append, waiter, fx);
            return Ok(());
        }
        self.append_to(now, slot, &append, waiter, fx)
    }

    /// Admission comes before offsets (storage.md, invariant 13).
    fn admit(&mut self, bytes: u64, waiter: Waiter) -> Result<(), AppendError> {
        let max = largest_entry(self.limits.journal_file_bytes).saturating_sub(8192);
        if bytes > max {
            return Err(AppendError::TooLarge { max: max as u32 });
        }
        if self.directory.is_offline() {
            return Err(AppendError::Offline);
        }
        let full = !self.has_journal_for(bytes);
        match waiter {
            Waiter::Controller => return Ok(()),
            // Those who drain a full disk commit what they have read.
            Waiter::Group { .. } if full => return Err(AppendError::Busy),
            Waiter::Group { .. } => return Ok(()),
            Waiter::Call { .. } => {}
        }
        if self.lacks_disk() {
            return Err(AppendError::DiskFull);
        }
        if !self.find_room_for(bytes) || full { Err(AppendError::Busy) } else { Ok(()) }
    }

    fn append_to(
        &mut self,
        now: Now,
        slot: Slot,
        append: &Append,
        waiter: Waiter,
        fx: &mut Effects,
    ) -> Result<(), AppendError> {
        let growth = self.growth();
        let Some(partition) = self.partitions.get_mut(&slot) else {
            return Err(AppendError::UnknownPartition);
        };
        let log_start = partition.log.marks().log_start();
        let append_time = append.append_time;
        if let Some(producer) = append.header.producer() {
            match partition.log.producers().check(&producer) {
                Verdict::Accept => {}
                Verdict::Duplicate(known) => {
                    let base = known.base_offset();
                    let stamped = append_time > Timestamp::NONE;
                    let append_time = if stamped { known.timestamp } else { append_time };
                    let answer = Appended { base, append_time, log_start };
                    let end = known.last_offset.plus(1);
                    self.acknowledge_at(now, slot, Ack { end, waiter, answer }, fx);
                    return Ok(());
                }
                Verdict::OutOfOrder { expected, got } => {
                    return Err(AppendError::OutOfOrder { expected, got });
                }
                Verdict::Fenced { current } => return Err(AppendError::Fenced { current }),
            }
        }
        partition.log.set_growth(growth);
        let before = partition.log.tail_memory();
        let prepared = PreparedAppend { bytes: &append.batch, header: append.header };
        let base = partition.log.append(now, &prepared);
        let grown = partition.log.tail_memory() - before;
        if partition.queued == Queued::No {
            partition.queued = Queued::Yes;
            self.commits.queue(slot);
        }
        let end = partition.log.marks().end().offset;
        self.flusher.appended(now, append.batch.len() as u64, grown);
        let answer = Appended { base, append_time, log_start };
        self.acknowledge_at(now, slot, Ack { end, waiter, answer }, fx);
        Ok(())
    }

    /// Answers when the log is as durable at `ack.end` as its topic asks.
    fn acknowledge_at(&mut self, now: Now, slot: Slot, ack: Ack, fx: &mut Effects) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        partition.wait(ack);
        self.acknowledge(now, slot, fx);
    }

    /// Answers what waits below the high watermark, and notes readers to be woken.
    pub(super) fn acknowledge(&mut self, now: Now, slot: Slot, fx: &mut Effects) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let high = partition.log.high_watermark().offset;
        let ready = partition.acks.partition_point(|ack| ack.end <= high);
        if ready == 0 {
            return;
        }
        let ready: Vec<Ack> = partition.acks.drain(..ready).collect();
        self.wakes.append(&mut partition.watchers);
        for ack in ready {
            self.appended(now, ack.waiter, Ok(ack.answer), fx);
        }
    }

    /// One append is decided.
    pub(super) fn appended(
        &mut self,
        now: Now,
        waiter: Waiter,
        result: Result<Appended, AppendError>,
        fx: &mut Effects,
    ) {
        let (call, part) = match waiter {
            Waiter::Call { call, part } => (call, part),
            Waiter::Controller => return self.on_records(now, result.map(drop), fx),
            Waiter::Group { slot, number } => {
                return self.on_group_batch(now, slot, number, result.map(drop), fx);
            }
        };
        let Some(open) = self.calls.appends.get_mut(&call) else { return };
        let result_slot = open.results.get_mut(part as usize);
        if let Some(slot @ None) = result_slot {
            *slot = Some(result);
            open.open -= 1;
        }
        if open.open == 0 {
            self.finish_append(now, call, fx);
        }
    }

    fn finish_append(&mut self, now: Now, call: OwnerCall, fx: &mut Effects) {
        let Some(done) = self.calls.appends.remove(&call) else { return };
        let results = done.results.into_iter().flatten().collect();
        self.send(now, call.from, Message::Answer(call.id, Answer::Append(results)), fx);
    }

    fn load_last_block(&mut self, slot: Slot, append: Append, waiter: Waiter, fx: &mut Effects) {
        let id = self.effect(Pending::Look(super::read::Look::last_block(slot)));
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let (place, len) = partition.log.missing_tail();
        self.flusher.park(append.batch.len() as u64);
        partition.last_block = LastBlock::Loading { parked: vec![(append, waiter)] };
        let segment = partition.log.segment_id(place.segment);
        fx.reads.push(super::effect::ReadFile { id, segment, at: place.at, len });
    }

    /// The unfinished last block has been read back: what waited for it goes on.
    pub(super) fn on_last_block(
        &mut self,
        now: Now,
        slot: Slot,
        bytes: Option<&[u8]>,
        fx: &mut Effects,
    ) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let loading = std::mem::replace(&mut partition.last_block, LastBlock::Here);
        let LastBlock::Loading { parked, .. } = loading else { return };
        let before = partition.log.tail_memory();
        let restored = bytes.is_some_and(|bytes| partition.log.restore_tail(now, bytes));
        let grown = partition.log.tail_memory() - before;
        self.flusher.appended(now, 0, grown);
        // What is appended now keeps it; what is refused does not.
        self.may_evict(slot);
        for (append, waiter) in parked {
            self.flusher.unpark(append.batch.len() as u64);
            let result = if restored {
                self.append_to(now, slot, &append, waiter, fx)
            } else {
                Err(AppendError::Offline)
            };
            if let Err(error) = result {
                self.appended(now, waiter, Err(error), fx);
            }
        }
    }

    /// Answers everything that waits for a partition with an error.
    pub(super) fn fail_waiters(
        &mut self,
        now: Now,
        slot: Slot,
        error: &AppendError,
        fx: &mut Effects,
    ) {
        let Some(partition) = self.partitions.get_mut(&slot) else { return };
        let acks = std::mem::take(&mut partition.acks);
        let loading = std::mem::replace(&mut partition.last_block, LastBlock::Here);
        self.wakes.append(&mut partition.watchers);
        for ack in acks {
            self.appended(now, ack.waiter, Err(error.clone()), fx);
        }
        if let LastBlock::Loading { parked, .. } = loading {
            for (append, waiter) in parked {
                self.flusher.unpark(append.batch.len() as u64);
                self.appended(now, waiter, Err(error.clone()), fx);
            }
        }
        self.unload_groups(now, slot, fx);
    }

    /// The offset behind what consumers may read; for tests and metrics.
    #[must_use]
    pub fn high_watermark(&self, partition: crate::id::TopicPartition) -> Option<Offset> {
        let slot = self.slots.get(&partition)?;
        self.partitions.get(slot).map(|partition| partition.log.high_watermark().offset)
    }
}
