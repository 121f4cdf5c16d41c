//! Batches whose every record says which batch it is.

use bytes::Bytes;
use corelog_engine::id::{ProducerEpoch, ProducerId, Timestamp, TopicPartition};
use corelog_engine::record::{BatchBuilder, Codec, NewRecord, Sequence};

use super::Workload;
use crate::sim::model::{Model, Uid};
use crate::sim::rng::{Rng, mix};

/// Bytes of a batch that are not values.
const OVERHEAD: u64 = 90;

/// What a seed's batches look like.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Bytes of the largest batch that must be taken.
    largest: u64,
    /// Most batches are smaller than this.
    usual: u64,
    /// How far timestamps are from the time of day, in milliseconds.
    spread: u64,
}

impl Sizes {
    pub(super) fn draw(largest: u64, rng: &mut Rng) -> Sizes {
        let usual = rng.spread(200..=largest);
        Sizes { largest, usual, spread: rng.pick(&[1, 1000, 100_000]) }
    }

    /// A timestamp near the time of day; seldom none.
    pub fn time(&self, wall: Timestamp, rng: &mut Rng) -> Timestamp {
        if rng.one_in(100) {
            return Timestamp::NONE;
        }
        Timestamp(wall.0 - rng.below(self.spread) as i64 + rng.below(self.spread) as i64 / 8)
    }

    fn bytes(&self, rng: &mut Rng) -> u64 {
        match rng.below(40) {
            0 => rng.spread(100..=self.largest),
            1 => self.largest,
            _ => rng.spread(100..=self.usual),
        }
    }
}

/// Who sends a batch, and which of its batches it is.
pub(super) type Numbered = (ProducerId, ProducerEpoch, Sequence);

impl Workload {
    /// A batch of no producer, to be sent by the world.
    pub fn plain_batch(
        &mut self,
        model: &mut Model,
        partition: TopicPartition,
        wall: Timestamp,
    ) -> Uid {
        self.batch(model, partition, wall, None)
    }

    /// Makes a batch.
    pub(super) fn batch(
        &mut self,
        model: &mut Model,
        partition: TopicPartition,
        wall: Timestamp,
        producer: Option<Numbered>,
    ) -> Uid {
        self.uids += 1;
        let uid = self.uids;
        let bytes = self.sizes.bytes(&mut self.rng);
        let records = self.rng.within(1..=6).min(bytes / 64).max(1);
        let codec = if self.rng.one_in(16) { Codec::Lz4 } else { Codec::None };
        let mut builder = BatchBuilder::new(codec);
        if let Some((id, epoch, first)) = producer {
            builder = builder.producer(id, epoch, first);
        }
        let len = bytes.saturating_sub(OVERHEAD + 20 * (records - 1)) / records;
        let mut times = Vec::new();
        for record in 0..records {
            let timestamp = self.sizes.time(wall, &mut self.rng);
            let value = value(uid, record, len as usize);
            builder.append(NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
            times.push(timestamp.0);
        }
        let batch = builder.build().expect("far below the limits of the format");
        model.make(uid, partition, Bytes::clone(&batch), times);
        uid
    }
}

/// Bytes that no other record has.
fn value(uid: Uid, record: u64, len: usize) -> Vec<u8> {
    let mut value = uid.to_be_bytes().to_vec();
    let mut bits = mix(uid ^ (record << 48));
    while value.len() < len {
        bits = mix(bits);
        value.extend_from_slice(&bits.to_be_bytes());
    }
    value.truncate(len.max(8));
    value
}
