//! Which shard owns a partition: soft state, computed anew at every start. Layout on disk does not
//! depend on it.

use crate::id::{ShardId, TopicPartition};

/// The owner of a partition among `shards` shards. A topic's partitions go round the shards, from
/// one that its id chooses; the metadata is shard 0's.
#[must_use]
pub fn owner(partition: TopicPartition, shards: u16) -> ShardId {
    if partition == TopicPartition::METADATA {
        return ShardId(0);
    }
    let start = crc32c::crc32c(&partition.topic.0);
    let shard = start.wrapping_add(partition.index.0) % u32::from(shards.max(1));
    ShardId(shard as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{PartitionIndex, TopicId};

    #[test]
    fn partitions_of_a_topic_spread_evenly() {
        for shards in 1..5 {
            let mut counts = vec![0; usize::from(shards)];
            for index in (0..60).map(PartitionIndex) {
                let partition = TopicPartition { topic: TopicId([9; 16]), index };
                counts[usize::from(owner(partition, shards).0)] += 1;
            }
            assert!(counts.iter().all(|count| *count == 60 / usize::from(shards)), "{counts:?}");
        }
        assert_eq!(owner(TopicPartition::METADATA, 7), ShardId(0));
    }
}
