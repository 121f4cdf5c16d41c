//! Batches that tell their own name. All records of a batch have the same timestamp, and it is the
//! batch's number, so that whoever finds a batch knows which one it is, compressed or not.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use corelog_engine::id::{ProducerEpoch, ProducerId, Timestamp};
use corelog_engine::record::{
    BatchBuilder, BatchHeader, Codec, FrameError, NewRecord, Sequence, split,
};
use corelog_wire::populate::Seed;

/// A batch's number, given to no other batch of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BatchId(pub(crate) i64);

/// Stands for the bytes of a batch, all but those that the broker writes: base offset and leader
/// epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(u64);

/// An idempotent producer and the sequence of a batch's first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) producer: i64,
    pub(crate) first: i32,
}

/// A batch as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) offset: i64,
    pub(crate) records: i64,
    pub(crate) id: BatchId,
    pub(crate) digest: Digest,
    pub(crate) stamp: Option<Stamp>,
}

const RECORDS_MAX: usize = 30;
const RECORD_BYTES_MIN: usize = 100;
const RECORD_BYTES_MAX: usize = 200 << 10;
/// Below the default of `max.message.bytes`, whatever the records' own fields take.
const BATCH_BYTES_MAX: usize = 900 << 10;
/// Where values come from.
const POOL_BYTES: usize = 1 << 20;

/// Makes batches of random shapes.
pub(crate) struct Maker {
    pool: Vec<u8>,
}

impl Digest {
    fn of(batch: &[u8]) -> Digest {
        let mut hasher = DefaultHasher::new();
        // Length; everything from the magic on.
        hasher.write(&batch[8..12]);
        hasher.write(&batch[16..]);
        Digest(hasher.finish())
    }
}

impl Stored {
    fn new(header: &BatchHeader, batch: &[u8]) -> Stored {
        Stored {
            offset: header.base_offset.0,
            records: i64::from(header.last_offset_delta) + 1,
            id: BatchId(header.base_timestamp.0),
            digest: Digest::of(batch),
            stamp: header.producer().map(|p| Stamp { producer: p.id.0, first: p.first.0 }),
        }
    }

    /// What comes after it in the log.
    pub(crate) fn next_offset(&self) -> i64 {
        self.offset + self.records
    }

    /// What a batch that was not sent yet will be found as at `offset`.
    pub(crate) fn of(batch: &Bytes, offset: i64) -> Option<Stored> {
        let header = BatchHeader::parse(batch).ok()?;
        Some(Stored { offset, ..Stored::new(&header, batch) })
    }
}

/// The whole batches of a fetch response; a last one that is cut is left out.
pub(crate) fn stored(records: &Bytes) -> Result<Vec<Stored>, FrameError> {
    let mut found = Vec::new();
    for batch in split(records) {
        match batch {
            Ok((header, batch)) => found.push(Stored::new(&header, &batch)),
            Err(FrameError::Truncated { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

impl Maker {
    pub(crate) fn new(seed: &mut Seed) -> Maker {
        let words = POOL_BYTES / size_of::<u64>();
        Maker { pool: (0..words).flat_map(|_| seed.next_u64().to_be_bytes()).collect() }
    }

    /// A batch of 1 to 30 records of 100 B to 200 KiB, each order of magnitude as likely.
    pub(crate) fn make(&self, id: BatchId, stamp: Option<Stamp>, seed: &mut Seed) -> Bytes {
        let codec = if seed.one_in(3) { Codec::ALL[seed.below(5)] } else { Codec::None };
        let mut batch = BatchBuilder::new(codec);
        if let Some(Stamp { producer, first }) = stamp {
            batch = batch.producer(ProducerId(producer), ProducerEpoch(0), Sequence(first));
        }
        let typical = spread(seed, RECORD_BYTES_MIN, RECORD_BYTES_MAX);
        for number in 0..=seed.below(RECORDS_MAX) {
            let len = spread(seed, RECORD_BYTES_MIN, typical);
            if batch.uncompressed_len() + len > BATCH_BYTES_MAX {
                break;
            }
            let at = seed.below(POOL_BYTES - len);
            let key = format!("{}/{number}", id.0);
            batch.append(NewRecord {
                timestamp: Timestamp(id.0),
                key: Some(key.as_bytes()),
                value: Some(&self.pool[at..at + len]),
                headers: &[],
            });
        }
        batch.build().expect("far below 2 GiB")
    }
}

/// A number of the range, each order of magnitude as likely.
fn spread(seed: &mut Seed, min: usize, max: usize) -> usize {
    let magnitude = min.ilog2() + seed.below((max.ilog2() - min.ilog2() + 1) as usize) as u32;
    ((1 << magnitude) + seed.below(1 << magnitude)).clamp(min, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_known_again_wherever_the_broker_puts_it() {
        let seed = &mut Seed(1);
        let maker = Maker::new(seed);
        let stamp = Some(Stamp { producer: 3, first: 7 });
        let sent: Vec<Bytes> = (1..20).map(|id| maker.make(BatchId(id), stamp, seed)).collect();
        let (mut log, mut expected, mut offset) = (Vec::new(), Vec::new(), 100);
        for (batch, id) in sent.iter().zip(1..) {
            let mut placed = batch.to_vec();
            placed[..8].copy_from_slice(&i64::to_be_bytes(offset));
            placed[12..16].copy_from_slice(&[0, 0, 0, 9]);
            log.extend_from_slice(&placed);
            let found = Stored::of(batch, offset).unwrap();
            assert_eq!((found.id, found.stamp), (BatchId(id), stamp));
            expected.push(found);
            offset = found.next_offset();
        }
        let whole = log.len();
        log.extend_from_slice(&sent[0][..sent[0].len() - 1]);
        assert_eq!(stored(&log.clone().into()).unwrap(), expected);
        log[whole - 1] ^= 1;
        let changed = stored(&log.into()).unwrap();
        assert_eq!(changed[..18], expected[..18]);
        assert_ne!(changed[18].digest, expected[18].digest);
    }
}
