//! One producer: its epoch, its last batches, and how both are spelled in a snapshot.
//!
//! An entry of a snapshot is a run of variable-length integers: producer id, number of batches (0:
//! forgotten), then, unless forgotten, epoch and the batches from the oldest on, each as last
//! sequence, last offset, offset delta and timestamp, less those of the batch before it.

use std::fmt;

use super::Verdict;
use crate::id::{Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::record::varint::{self, Unterminated};
use crate::record::{BatchHeader, ProducerFields, Sequence};

/// How many batches of a producer are remembered: as many as a client may have in flight.
const BATCHES: usize = 5;
/// Kafka's `RecordBatch.NO_PRODUCER_EPOCH`.
pub(super) const NO_EPOCH: ProducerEpoch = ProducerEpoch(-1);

/// A batch that a producer wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendedBatch {
    /// The sequence of its last record.
    pub last: Sequence,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// Records in the batch, less one.
    pub offset_delta: i32,
    /// The latest timestamp in it, or the time of the append.
    pub timestamp: Timestamp,
}

impl AppendedBatch {
    pub(super) fn of(producer: &ProducerFields, batch: &BatchHeader) -> AppendedBatch {
        AppendedBatch {
            last: producer.last,
            last_offset: batch.last_offset(),
            offset_delta: batch.last_offset_delta,
            timestamp: batch.max_timestamp,
        }
    }

    /// The sequence of its first record.
    #[must_use]
    pub fn first(&self) -> Sequence {
        self.last.minus(self.offset_delta)
    }

    /// The offset of its first record.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        Offset(self.last_offset.0.saturating_sub(i64::from(self.offset_delta)))
    }
}

/// One producer's state.
///
/// Invariant: there is at least one batch; all are of this epoch, and the last one is the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    epoch: ProducerEpoch,
    len: usize,
    batches: [AppendedBatch; BATCHES],
    in_snapshot: bool,
}

impl Entry {
    pub(super) fn new(epoch: ProducerEpoch, first: AppendedBatch) -> Entry {
        let mut batches = [AppendedBatch::default(); BATCHES];
        batches[0] = first;
        Entry { epoch, len: 1, batches, in_snapshot: false }
    }

    pub(super) fn epoch(&self) -> ProducerEpoch {
        self.epoch
    }

    /// Whether the last snapshot has an entry for this producer.
    pub(super) fn is_in_snapshot(&self) -> bool {
        self.in_snapshot
    }

    pub(super) fn set_in_snapshot(&mut self) {
        self.in_snapshot = true;
    }

    fn batches(&self) -> &[AppendedBatch] {
        &self.batches[..self.len]
    }

    pub(super) fn newest(&self) -> AppendedBatch {
        self.batches[self.len - 1]
    }

    pub(super) fn push(&mut self, epoch: ProducerEpoch, batch: AppendedBatch) {
        if epoch != self.epoch {
            *self = Entry { in_snapshot: self.in_snapshot, ..Entry::new(epoch, batch) };
            return;
        }
        if self.len == BATCHES {
            self.batches.rotate_left(1);
            self.len -= 1;
        }
        self.batches[self.len] = batch;
        self.len += 1;
    }

    /// Kafka's order: duplicate, then epoch, then sequence.
    pub(super) fn check(&self, batch: &ProducerFields) -> Verdict {
        if batch.epoch == self.epoch {
            let same =
                |known: &&AppendedBatch| (known.first(), known.last) == (batch.first, batch.last);
            return match self.batches().iter().find(same) {
                Some(known) => Verdict::Duplicate(*known),
                None => self.check_sequence(self.newest().last.plus(1), batch.first),
            };
        }
        if batch.epoch < self.epoch {
            return Verdict::Fenced { current: self.epoch };
        }
        self.check_sequence(Sequence(0), batch.first)
    }

    fn check_sequence(&self, expected: Sequence, got: Sequence) -> Verdict {
        // Without an epoch, sequences mean nothing to Kafka.
        if got == expected || self.epoch == NO_EPOCH {
            return Verdict::Accept;
        }
        Verdict::OutOfOrder { expected, got }
    }

    /// Appends the entry as of a log that ends at `end`.
    pub(super) fn encode(&mut self, id: ProducerId, end: Offset, out: &mut Vec<u8>) {
        let before_end = self.batches().iter().filter(|batch| batch.last_offset < end).count();
        if before_end == 0 {
            if std::mem::take(&mut self.in_snapshot) {
                encode_forgotten(id, out);
            }
            return;
        }
        self.in_snapshot = true;
        varint::put(out, id.0);
        varint::put(out, before_end as i64);
        varint::put(out, i64::from(self.epoch.0));
        let mut last = AppendedBatch::default();
        for batch in &self.batches()[..before_end] {
            for (value, base) in fields(batch).into_iter().zip(fields(&last)) {
                varint::put(out, value.wrapping_sub(base));
            }
            last = *batch;
        }
    }

    /// Cuts one entry off the front of `rest`; `None` for a producer that is forgotten.
    pub(super) fn decode(rest: &mut &[u8]) -> Result<(ProducerId, Option<Entry>), MalformedEntry> {
        let mut next = || -> Result<i64, MalformedEntry> {
            varint::get_i64(|| {
                let (byte, tail) = rest.split_first().ok_or(MalformedEntry)?;
                *rest = tail;
                Ok(*byte)
            })
        };
        let id = ProducerId(next()?);
        let count = next()?;
        if count == 0 {
            return Ok((id, None));
        }
        let len =
            usize::try_from(count).ok().filter(|len| *len <= BATCHES).ok_or(MalformedEntry)?;
        let epoch = ProducerEpoch(small(next()?)?);
        let mut batches = [AppendedBatch::default(); BATCHES];
        let mut values = [0i64; 4];
        for batch in &mut batches[..len] {
            for value in &mut values {
                *value = value.wrapping_add(next()?);
            }
            *batch = AppendedBatch {
                last: Sequence(small(values[0])?),
                last_offset: Offset(values[1]),
                offset_delta: small(values[2])?,
                timestamp: Timestamp(values[3]),
            };
        }
        Ok((id, Some(Entry { epoch, len, batches, in_snapshot: true })))
    }
}

/// Appends an entry that says that `id` is not remembered.
pub(super) fn encode_forgotten(id: ProducerId, out: &mut Vec<u8>) {
    varint::put(out, id.0);
    varint::put(out, 0);
}

fn fields(batch: &AppendedBatch) -> [i64; 4] {
    let AppendedBatch { last, last_offset, offset_delta, timestamp } = *batch;
    [i64::from(last.0), last_offset.0, i64::from(offset_delta), timestamp.0]
}

fn small<T: TryFrom<i64>>(value: i64) -> Result<T, MalformedEntry> {
    T::try_from(value).map_err(|_| MalformedEntry)
}

/// The bytes are not entries of a producer snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedEntry;

impl fmt::Display for MalformedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed entry of a producer snapshot")
    }
}

impl std::error::Error for MalformedEntry {}

impl From<Unterminated> for MalformedEntry {
    fn from(_: Unterminated) -> MalformedEntry {
        MalformedEntry
    }
}
