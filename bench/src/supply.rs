//! What partitions get: all the same batch, or each one of records whose keys belong there.

use std::collections::BTreeMap;

use corelog_engine::record::builder::BatchTooLarge;

use crate::batch::{Batch, BatchSpec};
use crate::keys;

/// The batches of a load.
#[derive(Clone, Debug)]
pub(crate) enum Supply {
    Same(Batch),
    /// By partition; those that no key falls on get nothing.
    Keyed(BTreeMap<i32, Batch>),
}

impl Supply {
    /// Batches with so many keys for so many partitions.
    ///
    /// # Errors
    /// As [`BatchSpec::build`].
    pub(crate) fn keyed(
        spec: &BatchSpec,
        keys: u32,
        partitions: u32,
    ) -> Result<Supply, BatchTooLarge> {
        let batches = keys::by_partition(keys, partitions)
            .into_iter()
            .map(|(partition, keys)| Ok((partition, spec.build_with(&keys)?)));
        Ok(Supply::Keyed(batches.collect::<Result<_, _>>()?))
    }

    /// What a partition gets.
    pub(crate) fn of(&self, partition: i32) -> Option<&Batch> {
        match self {
            Supply::Same(batch) => Some(batch),
            Supply::Keyed(batches) => batches.get(&partition),
        }
    }

    /// Bytes of a batch, on average.
    pub(crate) fn batch_len(&self) -> u64 {
        match self {
            Supply::Same(batch) => batch.bytes.len() as u64,
            Supply::Keyed(batches) => {
                let all: usize = batches.values().map(|batch| batch.bytes.len()).sum();
                (all / batches.len().max(1)) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Fill;
    use corelog_engine::record::{BatchHeader, Records};

    #[test]
    fn keyed_batches_differ_in_their_keys_alone() {
        let spec = BatchSpec::plain(100, Fill::Records(4));
        let supply = Supply::keyed(&spec, 1000, 10).expect("batches");
        let mut seen = Vec::new();
        for partition in 0..10 {
            let batch = supply.of(partition).expect("a key falls on it");
            assert_eq!((batch.bytes.len() as u64, batch.records), (supply.batch_len(), 4));
            let header = BatchHeader::parse(&batch.bytes).expect("a header");
            let records = Records::open(&header, &batch.bytes, 1 << 20).expect("records");
            let keys = records.iter().map(|record| record.expect("a record").key.map(Vec::from));
            seen.extend(keys.map(|key| key.expect("a key")));
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 40);
        assert!(supply.of(10).is_none());
    }
}
