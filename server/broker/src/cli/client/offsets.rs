//! Where partitions begin and end, and where a time is in them.

use std::collections::BTreeMap;

use corelog_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};

use super::cluster::{Cluster, Topic, by_leader};
use super::connection::ANSWER_TIMEOUT;
use crate::cli::failure::{Failure, check};

/// Stands for the first offset, where a timestamp is asked for.
pub(in crate::cli) const EARLIEST: i64 = -2;
/// Stands for the offset of the next record.
pub(in crate::cli) const LATEST: i64 = -1;

const CONSUMER: i32 = -1;

/// The offset found in each partition; none where no record is so late.
pub(in crate::cli) type Found = BTreeMap<i32, Option<i64>>;

impl Cluster {
    /// The offsets of the first records that are not before `timestamp` (milliseconds, or
    /// [`EARLIEST`] or [`LATEST`]) in these partitions.
    pub(in crate::cli) fn offsets(
        &mut self,
        topic: &Topic,
        partitions: &[i32],
        timestamp: i64,
    ) -> Result<Found, Failure> {
        let mut found = Found::new();
        for (leader, partitions) in by_leader(topic, partitions.iter().copied(), |index| *index)? {
            let request = request(topic, &partitions, timestamp);
            let response = self.broker(leader)?.call(&request)?;
            take(topic, response, &mut found)?;
        }
        match partitions.iter().find(|index| !found.contains_key(index)) {
            None => Ok(found),
            Some(index) => Err(Failure::NoAnswer { what: name(topic, *index) }),
        }
    }
}

fn request(topic: &Topic, partitions: &[i32], timestamp: i64) -> ListOffsetsRequest {
    let partition = |index: &i32| ListOffsetsPartition {
        partition_index: *index,
        timestamp,
        ..Default::default()
    };
    ListOffsetsRequest {
        replica_id: CONSUMER,
        topics: vec![ListOffsetsTopic {
            name: topic.wire_name(),
            partitions: partitions.iter().map(partition).collect(),
        }],
        timeout_ms: i32::try_from(ANSWER_TIMEOUT.as_millis()).unwrap_or(i32::MAX),
        ..Default::default()
    }
}

fn take(topic: &Topic, response: ListOffsetsResponse, found: &mut Found) -> Result<(), Failure> {
    for partition in response.topics.into_iter().flat_map(|topic| topic.partitions) {
        let index = partition.partition_index;
        check(partition.error_code, None, || name(topic, index))?;
        found.insert(index, (partition.offset >= 0).then_some(partition.offset));
    }
    Ok(())
}

fn name(topic: &Topic, partition: i32) -> String {
    format!("offsets of partition {partition} of `{}`", topic.name)
}
