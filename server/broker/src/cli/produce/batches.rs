//! Records on their way, gathered into one batch for each partition.

use std::collections::BTreeMap;

use bytes::Bytes;
use corelog_engine::record::builder::BatchTooLarge;
use corelog_engine::record::{BatchBuilder, Codec, NewRecord};

/// Bytes of a batch, before compression: half of what brokers take by default.
const BATCH_BYTES: usize = 512 << 10;
/// Bytes of all batches together, well below the largest request.
const ALL_BYTES: usize = 8 << 20;
/// More than a record has besides its key and value.
const RECORD_OVERHEAD: usize = 32;

#[derive(Debug)]
pub(super) struct Batches {
    codec: Codec,
    builders: BTreeMap<i32, BatchBuilder>,
    bytes: usize,
}

/// Ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) partition: i32,
    pub(super) records: usize,
    pub(super) bytes: Bytes,
}

impl Batches {
    pub(super) fn new(codec: Codec) -> Batches {
        Batches { codec, builders: BTreeMap::new(), bytes: 0 }
    }

    /// Whether a record of `len` bytes can be added before what there is is sent. A record that is
    /// larger than a batch is one by itself.
    pub(super) fn has_room(&self, partition: i32, len: usize) -> bool {
        let len = len + RECORD_OVERHEAD;
        let batch = self.builders.get(&partition).map_or(0, BatchBuilder::uncompressed_len);
        (batch == 0 || batch + len <= BATCH_BYTES)
            && (self.bytes == 0 || self.bytes + len <= ALL_BYTES)
    }

    pub(super) fn add(&mut self, partition: i32, record: NewRecord<'_>) {
        let codec = self.codec;
        let builder = self.builders.entry(partition).or_insert_with(|| BatchBuilder::new(codec));
        let before = builder.uncompressed_len();
        builder.append(record);
        self.bytes += builder.uncompressed_len() - before;
    }

    /// All batches; none are left.
    pub(super) fn take(&mut self) -> Result<Vec<Batch>, BatchTooLarge> {
        self.bytes = 0;
        let built = std::mem::take(&mut self.builders).into_iter().map(|(partition, builder)| {
            Ok(Batch { partition, records: builder.count(), bytes: builder.build()? })
        });
        built.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(batches: &mut Batches, partition: i32, len: usize) {
        let value = vec![b'x'; len];
        batches.add(partition, NewRecord { value: Some(&value), ..Default::default() });
    }

    #[test]
    fn a_batch_is_full_before_it_is_too_large() {
        let mut batches = Batches::new(Codec::None);
        assert!(batches.has_room(0, 2 * BATCH_BYTES), "alone it may be larger");
        while batches.has_room(0, 1000) {
            add(&mut batches, 0, 1000);
        }
        assert!(batches.has_room(1, 1000), "other partitions have room");
        add(&mut batches, 1, 10);
        let taken = batches.take().expect("small enough");
        assert_eq!(taken.iter().map(|batch| batch.partition).collect::<Vec<_>>(), [0, 1]);
        assert!((500..530).contains(&taken[0].records), "{}", taken[0].records);
        assert!(taken[0].bytes.len() <= BATCH_BYTES);
        assert!(batches.take().expect("nothing").is_empty());
    }

    #[test]
    fn all_batches_together_are_limited_too() {
        let mut batches = Batches::new(Codec::None);
        let mut partition = 0;
        while batches.has_room(partition, BATCH_BYTES / 2) {
            add(&mut batches, partition, BATCH_BYTES / 2);
            partition += 1;
        }
        assert_eq!(partition as usize, 2 * ALL_BYTES / BATCH_BYTES - 1);
    }
}
