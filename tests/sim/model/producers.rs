//! What a partition must remember of its idempotent producers, told by a naive scan of its log.

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
                    remembered.push(Remembered { id, epoch, batches });
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
        remembered
    }
}
