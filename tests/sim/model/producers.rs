//! What a partition must remember of its idempotent producers, told by a naive scan of its log.

use std::cmp::Ordering;

use corelog_engine::id::{Offset, ProducerEpoch, ProducerId, TopicPartition};
use corelog_engine::record::ProducerFields;

use super::{Model, Uid};

/// How many batches of a producer a partition knows again.
const KNOWN_AGAIN: usize = 5;

/// What a partition must remember of a producer.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Who.
    pub id: ProducerId,
    /// The epoch of its last batch.
    pub epoch: ProducerEpoch,
    /// The last batches of that epoch with their offsets, oldest first.
    pub batches: Vec<(Uid, ProducerFields, Offset)>,
    /// Batches behind them that may have been appended, and were lost in a crash. For each of them
    /// the oldest of `batches` may be forgotten: it was acknowledged before that one was sent.
    pub vanished: usize,
}

impl Remembered {
    /// The batches that must be known again.
    pub fn known(&self) -> impl Iterator<Item = &(Uid, ProducerFields, Offset)> {
        let forgotten = (self.batches.len() + self.vanished).saturating_sub(KNOWN_AGAIN);
        self.batches.iter().skip(forgotten)
    }
}

impl Model {
    /// What a partition whose log is known must remember.
    #[must_use]
    pub fn remembered(&self, partition: TopicPartition) -> Vec<Remembered> {
        let mut remembered: Vec<Remembered> = Vec::new();
        for (uid, fields, base) in self.produced(partition) {
            let known = remembered.iter_mut().find(|producer| producer.id == fields.id);
            let producer = match known {
                Some(producer) => producer,
                None => {
                    let (id, epoch, batches) = (fields.id, fields.epoch, Vec::new());
                    remembered.push(Remembered { id, epoch, batches, vanished: 0 });
                    let last = remembered.len() - 1;
                    &mut remembered[last]
                }
            };
            if fields.epoch != producer.epoch {
                producer.epoch = fields.epoch;
                producer.batches.clear();
            }
            if producer.batches.len() == KNOWN_AGAIN {
                producer.batches.remove(0);
            }
            producer.batches.push((uid, fields, base));
        }
        for producer in &mut remembered {
            producer.vanished = self.vanished(partition, producer);
        }
        remembered
    }

    /// How many batches behind the last one were lost; many, if they were of a later epoch.
    fn vanished(&self, partition: TopicPartition, producer: &Remembered) -> usize {
        let Some((_, newest, _)) = producer.batches.last() else { return 0 };
        let lost = self.batches.values().filter(|batch| {
            batch.partition == partition && batch.stored.is_none() && (batch.lost || batch.vanished)
        });
        let lost = lost.filter_map(|batch| batch.header.producer());
        let weights = lost.filter(|lost| lost.id == producer.id).map(|lost| {
            let ahead = lost.first.0.wrapping_sub(newest.last.0) & i32::MAX;
            match lost.epoch.cmp(&newest.epoch) {
                Ordering::Greater => KNOWN_AGAIN,
                Ordering::Equal => usize::from(ahead < i32::MAX / 2),
                Ordering::Less => 0,
            }
        });
        weights.sum()
    }
}
