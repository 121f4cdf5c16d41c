//! Where partitions begin and end.

use corelog_wire::api::ApiKey;
use corelog_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use crate::client::{ClientError, Connection, accepted};
use crate::topic::Topic;

/// An end of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    First,
    /// Behind the last record.
    Last,
}

/// The offsets of an end of each of the partitions, in their order.
///
/// # Errors
/// The broker does not tell them all.
pub(crate) fn offsets(
    connection: &mut Connection,
    topic: &Topic,
    partitions: &[i32],
    end: End,
) -> Result<Vec<i64>, ClientError> {
    // Kafka's two special timestamps.
    let timestamp = match end {
        End::First => -2,
        End::Last => -1,
    };
    let asked = partitions.iter().map(|&partition_index| ListOffsetsPartition {
        partition_index,
        timestamp,
        ..ListOffsetsPartition::default()
    });
    let asked = ListOffsetsTopic { name: topic.name.clone(), partitions: asked.collect() };
    let response = connection.call(&ListOffsetsRequest {
        replica_id: -1,
        topics: vec![asked],
        ..ListOffsetsRequest::default()
    })?;
    let told: Vec<_> = response.topics.into_iter().flat_map(|topic| topic.partitions).collect();
    let offset_of = |partition: &i32| {
        let told = told.iter().find(|told| told.partition_index == *partition);
        let told = told.ok_or(ClientError::Missing { api: ApiKey::ListOffsets })?;
        accepted(ApiKey::ListOffsets, told.error_code).map(|()| told.offset)
    };
    partitions.iter().map(offset_of).collect()
}
