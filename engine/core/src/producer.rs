//! What a partition remembers of its idempotent producers, so that a batch sent twice is stored
//! once and none is stored out of order. The rules are those of Kafka's `ProducerStateManager` and
//! `ProducerAppendInfo` for appends by clients.
//!
//! Of each producer its epoch and its last five batches are known: a client has no more than five
//! in flight. [`Producers::check`] decides before offsets are given; [`Producers::append`] records
//! what was stored, in the same way whether the batch comes from a client or from recovery.
//!
//! The state is rebuilt from a snapshot, valid for a certain end of the log, and the batches from
//! there on. Snapshots are incremental: [`Producers::take_dirty`] encodes the producers that
//! changed since the last time, as entries that [`Producers::apply`] takes in the same order.
//!
//! Nothing here has a clock or depends on a hash, and at most `limit` producers are remembered: the
//! one that wrote longest ago is forgotten first. A forgotten producer may go on with any sequence.

mod entry;

use std::collections::{BTreeMap, BTreeSet};

use self::entry::Entry;
pub use self::entry::{AppendedBatch, MalformedEntry};
use crate::id::{Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::record::{BatchHeader, ProducerFields, Sequence};

/// The producers of one partition.
///
/// Invariants: `by_age` has exactly one element for each of `entries`, and they are at most
/// `limit`; what a snapshot taken now would change is in `dirty`.
#[derive(Clone, Debug)]
pub struct Producers {
    limit: usize,
    entries: BTreeMap<ProducerId, Entry>,
    /// By the offset of the last record they wrote.
    by_age: BTreeSet<(Offset, ProducerId)>,
    /// Changed since the last snapshot, or forgotten and still in it.
    dirty: BTreeSet<ProducerId>,
}

/// What to do with a producer's batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Append it.
    Accept,
    /// It was appended already: answer as then, once that append is durable.
    Duplicate(AppendedBatch),
    /// Batches before it are missing. `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    OutOfOrder {
        /// The sequence that must come next.
        expected: Sequence,
        /// The batch's first sequence.
        got: Sequence,
    },
    /// A later incarnation of the producer has written. `INVALID_PRODUCER_EPOCH`.
    Fenced {
        /// The epoch of that incarnation.
        current: ProducerEpoch,
    },
}

/// A producer as `DescribeProducers` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Who.
    pub id: ProducerId,
    /// Its incarnation.
    pub epoch: ProducerEpoch,
    /// The last batch it wrote.
    pub last: AppendedBatch,
}

impl Producers {
    /// Remembers nobody yet, and never more than `limit` producers, at least one.
    #[must_use]
    pub fn new(limit: usize) -> Producers {
        Producers {
            limit: limit.max(1),
            entries: BTreeMap::new(),
            by_age: BTreeSet::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// Remembers no more than `limit` producers from now on, at least one.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
        while self.entries.len() > self.limit {
            let Some((_, oldest)) = self.by_age.first().copied() else { return };
            self.forget(oldest);
        }
    }

    /// How many producers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no producer is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The producers, by id.
    pub fn iter(&self) -> impl Iterator<Item = ActiveProducer> {
        self.entries.iter().map(|(id, entry)| ActiveProducer {
            id: *id,
            epoch: entry.epoch(),
            last: entry.newest(),
        })
    }

    /// Decides about a client's batch.
    #[must_use]
    pub fn check(&self, batch: &ProducerFields) -> Verdict {
        match self.entries.get(&batch.id) {
            Some(entry) => entry.check(batch),
            // Of an unknown producer any sequence is accepted: what it wrote may have expired.
            None if batch.epoch < entry::NO_EPOCH => Verdict::Fenced { current: entry::NO_EPOCH },
            None => Verdict::Accept,
        }
    }

    /// Records a batch that was given its offsets; `batch` is the header as stored. Changes nothing
    /// for a batch without a producer, for a marker, and for one that is known already, so that
    /// replaying a log over a snapshot of its state is harmless. (So a log that was cut needs a
    /// state rebuilt from before the cut.)
    pub fn append(&mut self, batch: &BatchHeader) {
        let Some(producer) = batch.producer() else { return };
        let appended = AppendedBatch::of(&producer, batch);
        let known = self.entries.get(&producer.id).map(|entry| entry.newest().last_offset);
        if batch.is_control() || known.is_some_and(|known| appended.last_offset <= known) {
            return;
        }
        match self.entries.get_mut(&producer.id) {
            Some(entry) => {
                self.by_age.remove(&(entry.newest().last_offset, producer.id));
                entry.push(producer.epoch, appended);
            }
            None => {
                self.make_room();
                let mut entry = Entry::new(producer.epoch, appended);
                // Dirty without an entry: forgotten since the last snapshot, and still in it.
                if self.dirty.contains(&producer.id) {
                    entry.set_in_snapshot();
                }
                self.entries.insert(producer.id, entry);
            }
        }
        self.by_age.insert((appended.last_offset, producer.id));
        self.dirty.insert(producer.id);
    }

    /// Forgets the producers whose last batch has a timestamp that is `max_age_ms`
    /// (`producer.id.expiration.ms`) or more before `now`.
    pub fn expire(&mut self, now: Timestamp, max_age_ms: i64) {
        let expired: Vec<ProducerId> = self
            .iter()
            .filter(|producer| now.0.saturating_sub(producer.last.timestamp.0) >= max_age_ms)
            .map(|producer| producer.id)
            .collect();
        for id in expired {
            self.forget(id);
        }
    }

    /// Encodes what changed since the last snapshot, as of a log that ends at `end`: batches from
    /// there on stay for the next time. The caller adds length and checksum.
    ///
    /// A producer all of whose batches lie past `end` is encoded as forgotten: its older ones are
    /// known to be acknowledged, since it had five more in flight or began a new epoch.
    pub fn take_dirty(&mut self, end: Offset) -> Vec<u8> {
        let mut out = Vec::new();
        for id in std::mem::take(&mut self.dirty) {
            let Some(entry) = self.entries.get_mut(&id) else {
                entry::encode_forgotten(id, &mut out);
                continue;
            };
            entry.encode(id, end, &mut out);
            if entry.newest().last_offset >= end {
                self.dirty.insert(id);
            }
        }
        out
    }

    /// Like [`Producers::take_dirty`], for every producer: what a rewritten snapshot starts with.
    pub fn take_all(&mut self, end: Offset) -> Vec<u8> {
        self.dirty = self.entries.keys().copied().collect();
        self.take_dirty(end)
    }

    /// Takes in the entries of a snapshot, in the order in which they were encoded.
    ///
    /// # Errors
    /// [`MalformedEntry`] when the bytes are not such entries; those before it were taken in.
    pub fn apply(&mut self, mut entries: &[u8]) -> Result<(), MalformedEntry> {
        while !entries.is_empty() {
            let (id, entry) = Entry::decode(&mut entries)?;
            if let Some(known) = self.entries.remove(&id) {
                self.by_age.remove(&(known.newest().last_offset, id));
            }
            if let Some(entry) = entry {
                self.make_room();
                self.by_age.insert((entry.newest().last_offset, id));
                self.entries.insert(id, entry);
            }
            self.dirty.remove(&id);
        }
        Ok(())
    }

    /// Forgets the producer that wrote longest ago if there is no room for another.
    fn make_room(&mut self) {
        if self.entries.len() < self.limit {
            return;
        }
        if let Some((_, oldest)) = self.by_age.first().copied() {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: ProducerId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.by_age.remove(&(entry.newest().last_offset, id));
        if entry.is_in_snapshot() {
            self.dirty.insert(id);
        } else {
            self.dirty.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
