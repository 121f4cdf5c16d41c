//! As owner: finding offsets, by position in the log or by time.

use bytes::Bytes;

use crate::id::{Now, Offset, Timestamp};
use crate::log::{Log, Place, Window};
use crate::record::BatchHeader;
use crate::record::batch::HEADER_LEN;
use crate::record::records::{first_at_or_after, offset_of_max_timestamp};
use crate::shard::Shard;
use crate::shard::effect::Effects;
use crate::shard::event::{Failure, Health};
use crate::shard::message::{Answer, Message};
use crate::shard::partition::{OwnerCall, Slot};
use crate::shard::read::{Interrupted, Purpose};
use crate::shard::request::{Found, Lookup, ReadError, Target};

/// Bytes looked at in one go, unless a batch is larger.
const WINDOW: u32 = 64 << 10;

/// A lookup call that is not answered.
#[derive(Debug)]
pub(crate) struct LookupCall {
    results: Vec<Option<Result<Found, ReadError>>>,
    open: usize,
}

/// A search by time under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    slot: Slot,
    call: OwnerCall,
    part: u32,
    goal: Goal,
}

/// What a search by time wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// The first record at or after this time.
    At(Timestamp),
    /// A record with this, the log's greatest timestamp.
    Newest(Timestamp),
}

/// What the batches of a window told.
enum Step {
    Found(Offset, Timestamp),
    /// Go on here, with at least so many bytes.
    Further(Place, u32),
    Damaged,
}

impl Shard {
    pub(super) fn lookup_call(
        &mut self,
        now: Now,
        call: OwnerCall,
        parts: &[Lookup],
        fx: &mut Effects,
    ) {
        let results = parts.iter().map(|_| None).collect();
        self.calls.lookups.insert(call, LookupCall { results, open: parts.len() });
        for (part, lookup) in (0..).zip(parts) {
            if let Err(error) = self.start_lookup(now, call, part, lookup, fx) {
                self.looked_up(now, call, part, Err(error), fx);
            }
        }
        if parts.is_empty() {
            self.finish_lookup(now, call, fx);
        }
    }

    fn start_lookup(
        &mut self,
        now: Now,
        call: OwnerCall,
        part: u32,
        lookup: &Lookup,
        fx: &mut Effects,
    ) -> Result<(), ReadError> {
        let offline = self.directory.is_offline();
        let current = self.epoch;
        let (slot, partition) =
            self.partition(lookup.partition).ok_or(ReadError::UnknownPartition)?;
        match lookup.epoch {
            _ if offline || partition.health == Health::Offline => return Err(ReadError::Offline),
            Some(known) if known < current => return Err(ReadError::FencedEpoch),
            Some(known) if known > current => return Err(ReadError::UnknownEpoch),
            _ => {}
        }
        let log = &partition.log;
        let at = |offset: Offset| Found {
            record: Some((offset, Timestamp::NONE)),
            epoch: log.epoch_of(offset),
        };
        let nothing = Found { record: None, epoch: current };
        let found = match lookup.target {
            Target::Earliest => Ok(at(log.marks().log_start())),
            Target::Latest => Ok(Found { epoch: current, ..at(log.high_watermark().offset) }),
            Target::EpochEnd(epoch) => Ok(log.end_of_epoch(epoch).map_or(nothing, |found| {
                let record = Some((found.end, Timestamp::NONE));
                Found { record, epoch: found.epoch }
            })),
            Target::Remote => Ok(nothing),
            Target::At(timestamp) => Err(Goal::At(timestamp)),
            Target::MaxTimestamp => {
                let newest = log.newest_readable_timestamp().unwrap_or(Timestamp(i64::MAX));
                Err(Goal::Newest(newest))
            }
        };
        match found {
            Ok(found) => self.looked_up(now, call, part, Ok(found), fx),
            Err(goal) => self.begin_search(now, slot, Search { slot, call, part, goal }, fx),
        }
        Ok(())
    }

    fn begin_search(&mut self, now: Now, slot: Slot, search: Search, fx: &mut Effects) {
        let Some(partition) = self.partitions.get(&slot) else {
            return self.search_done(now, search, Err(ReadError::UnknownPartition), fx);
        };
        match partition.log.start_by_time(search.goal.timestamp()) {
            None => self.search_done(now, search, Ok(None), fx),
            Some(Ok(place)) => self.search_from(now, slot, search, place, WINDOW, fx),
            Some(Err(segment)) => {
                self.load_index(slot, segment, Interrupted::Search(search), fx);
            }
        }
    }

    /// Goes on with a search once its index is there, or cannot be.
    pub(super) fn resume_search(
        &mut self,
        now: Now,
        slot: Slot,
        search: Search,
        index: Result<(), ReadError>,
        fx: &mut Effects,
    ) {
        match index {
            Ok(()) => self.begin_search(now, slot, search, fx),
            Err(error) => self.search_done(now, search, Err(error), fx),
        }
    }

    /// Searches from a batch on; in memory as far as it goes.
    fn search_from(
        &mut self,
        now: Now,
        slot: Slot,
        search: Search,
        mut place: Place,
        mut len: u32,
        fx: &mut Effects,
    ) {
        loop {
            let log = self.partitions.get(&slot).map(|partition| &partition.log);
            let Some(log) = log else {
                return self.search_done(now, search, Err(ReadError::UnknownPartition), fx);
            };
            if place >= log.end_of_segment(place) {
                let Some(next) = log.next_segment(place) else {
                    return self.search_done(now, search, Ok(None), fx);
                };
                (place, len) = (next, WINDOW);
            }
            let Some(bytes) = log.in_memory(place, len) else {
                let window = log.window(place, len);
                return self.look(slot, window, Purpose::Search { search, window }, fx);
            };
            match search.goal.step(place, &bytes) {
                Step::Further(next, more) if next > place || more > len => {
                    (place, len) = (next, more);
                }
                Step::Found(offset, timestamp) => {
                    return self.search_done(now, search, Ok(Some((offset, timestamp))), fx);
                }
                Step::Further(..) | Step::Damaged => {
                    return self.search_done(now, search, Err(ReadError::Damaged), fx);
                }
            }
        }
    }

    /// Stored batches have come for a search.
    pub(super) fn on_search(
        &mut self,
        now: Now,
        slot: Slot,
        search: Search,
        window: Window,
        bytes: Result<Bytes, Failure>,
        fx: &mut Effects,
    ) {
        let log = self.partitions.get(&slot).map(|partition| &partition.log);
        let (Some(log), Ok(bytes)) = (log, bytes) else {
            return self.search_done(now, search, Err(ReadError::Offline), fx);
        };
        let Some(bytes) = log.complete(window, &bytes) else {
            let Window { place, len, .. } = window;
            return self.search_from(now, slot, search, place, len, fx);
        };
        match search.goal.step(window.place, &bytes) {
            Step::Found(offset, timestamp) => {
                self.search_done(now, search, Ok(Some((offset, timestamp))), fx);
            }
            Step::Further(place, len) if place > window.place || len > window.len => {
                self.search_from(now, slot, search, place, len, fx);
            }
            Step::Further(..) | Step::Damaged => {
                self.search_done(now, search, Err(ReadError::Damaged), fx);
            }
        }
    }

    fn search_done(
        &mut self,
        now: Now,
        search: Search,
        result: Result<Option<(Offset, Timestamp)>, ReadError>,
        fx: &mut Effects,
    ) {
        let epoch = match self.partitions.get(&search.slot) {
            Some(partition) => epoch_of(&partition.log, &result),
            None => self.epoch,
        };
        let found = result.map(|record| Found { record, epoch });
        self.looked_up(now, search.call, search.part, found, fx);
    }

    fn looked_up(
        &mut self,
        now: Now,
        call: OwnerCall,
        part: u32,
        result: Result<Found, ReadError>,
        fx: &mut Effects,
    ) {
        let Some(open) = self.calls.lookups.get_mut(&call) else { return };
        if let Some(slot @ None) = open.results.get_mut(part as usize) {
            *slot = Some(result);
            open.open -= 1;
        }
        if open.open == 0 {
            self.finish_lookup(now, call, fx);
        }
    }

    fn finish_lookup(&mut self, now: Now, call: OwnerCall, fx: &mut Effects) {
        let Some(done) = self.calls.lookups.remove(&call) else { return };
        let results = done.results.into_iter().flatten().collect();
        self.send(now, call.from, Message::Answer(call.id, Answer::Lookup(results)), fx);
    }
}

/// The leader epoch of the record found.
fn epoch_of(
    log: &Log,
    result: &Result<Option<(Offset, Timestamp)>, ReadError>,
) -> crate::id::LeaderEpoch {
    let offset = result.as_ref().ok().and_then(|found| found.map(|(offset, _)| offset));
    offset.map_or(log.leader_epoch(), |offset| log.epoch_of(offset))
}

impl Goal {
    fn timestamp(self) -> Timestamp {
        match self {
            Goal::At(timestamp) | Goal::Newest(timestamp) => timestamp,
        }
    }

    /// Looks through the batches of a window that starts with one.
    fn step(self, place: Place, bytes: &[u8]) -> Step {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER_LEN) {
            let Ok(header) = BatchHeader::parse(rest) else { return Step::Damaged };
            let size = header.total_len();
            if header.max_timestamp >= self.timestamp() {
                let Some(batch) = rest.get(..size) else {
                    return Step::Further(place.plus(at as u64), size as u32);
                };
                match self.in_batch(&header, batch) {
                    Ok(Some((offset, timestamp))) => return Step::Found(offset, timestamp),
                    Ok(None) => {}
                    Err(()) => return Step::Damaged,
                }
            }
            at += size;
        }
        Step::Further(place.plus(at as u64), WINDOW)
    }

    fn in_batch(
        self,
        header: &BatchHeader,
        batch: &[u8],
    ) -> Result<Option<(Offset, Timestamp)>, ()> {
        let found = match self {
            Goal::At(timestamp) => first_at_or_after(header, batch, timestamp, Offset::ZERO),
            Goal::Newest(timestamp) => offset_of_max_timestamp(header, batch)
                .map(|offset| offset.map(|offset| (offset, timestamp))),
        };
        found.map_err(|_| ())
    }
}
