//! As owner: finding offsets, by position in the log or by time (`search`).

use crate::id::{Now, Offset, Timestamp};
use crate::shard::Shard;
use crate::shard::effect::Effects;
use crate::shard::event::Health;
use crate::shard::job::Goal;
use crate::shard::message::{Answer, Message};
use crate::shard::partition::OwnerCall;
use crate::shard::request::{Found, Lookup, ReadError, Target};
use crate::shard::search::Search;

/// A lookup call that is not answered.
#[derive(Debug)]
pub(crate) struct LookupCall {
    results: Vec<Option<Result<Found, ReadError>>>,
    open: usize,
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
        self.go_on_searching(now, fx);
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
            Err(goal) => self.searches.add(Search { slot, call, part, goal }),
        }
        Ok(())
    }

    pub(super) fn looked_up(
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

    /// Nobody waits for a lookup any more: its searches end.
    pub(super) fn end_lookup(&mut self, now: Now, call: OwnerCall, fx: &mut Effects) {
        let Some(open) = self.calls.lookups.get_mut(&call) else { return };
        open.results.clear();
        self.end_searches(now, call);
        self.finish_lookup(now, call, fx);
    }

    fn finish_lookup(&mut self, now: Now, call: OwnerCall, fx: &mut Effects) {
        let Some(done) = self.calls.lookups.remove(&call) else { return };
        let results = done.results.into_iter().flatten().collect();
        self.send(now, call.from, Message::Answer(call.id, Answer::Lookup(results)), fx);
    }
}
