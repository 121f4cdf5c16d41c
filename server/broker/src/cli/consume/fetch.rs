//! Asks leaders for records.

use bytes::Bytes;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};

use super::positions::Position;
use crate::cli::client::{Cluster, Topic, by_leader};
use crate::cli::failure::{Failure, check};

/// How long a broker without records may wait for some.
const MAX_WAIT_MS: i32 = 500;
const MAX_BYTES: i32 = 32 << 20;
const PARTITION_MAX_BYTES: i32 = 4 << 20;

/// Why there are no records.
pub(super) enum Refusal {
    /// The log does not have the offset.
    OutOfRange,
    /// Another broker, or this one a little later, has them.
    ForNow(Failure),
    /// Nobody does.
    ForGood(Failure),
}

/// One request to each leader, all at once; the answers by partition.
pub(super) fn fetch(
    cluster: &mut Cluster,
    topic: &Topic,
    positions: Vec<Position>,
) -> Result<Vec<(i32, PartitionData)>, Failure> {
    let mut sent = Vec::new();
    for (leader, positions) in by_leader(topic, positions, |position| position.partition)? {
        sent.push((leader, cluster.broker(leader)?.send(&request(topic, &positions))?));
    }
    let mut answers = Vec::new();
    for (leader, pending) in sent {
        let response = cluster.broker(leader)?.receive(pending)?;
        check(response.error_code, None, || format!("fetch from `{}`", topic.name))?;
        let partitions = response.responses.into_iter().flat_map(|topic| topic.partitions);
        answers.extend(partitions.map(|partition| (partition.partition_index, partition)));
    }
    Ok(answers)
}

fn request(topic: &Topic, positions: &[Position]) -> FetchRequest {
    let partition = |position: &Position| FetchPartition {
        partition: position.partition,
        fetch_offset: position.next,
        partition_max_bytes: PARTITION_MAX_BYTES,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: MAX_WAIT_MS,
        min_bytes: 1,
        max_bytes: MAX_BYTES,
        topics: vec![FetchTopic {
            topic: topic.wire_name(),
            topic_id: topic.id,
            partitions: positions.iter().map(partition).collect(),
        }],
        ..Default::default()
    }
}

/// The batches in an answer.
pub(super) fn records(
    topic: &Topic,
    partition: i32,
    answer: PartitionData,
) -> Result<Bytes, Refusal> {
    let what = || format!("partition {partition} of `{}`", topic.name);
    let PartitionData { error_code, records, .. } = answer;
    match (error_code, check(error_code, None, what)) {
        (ErrorCode::OffsetOutOfRange, _) => Err(Refusal::OutOfRange),
        (code, Err(failure)) if code.retriable() => Err(Refusal::ForNow(failure)),
        (_, Err(failure)) => Err(Refusal::ForGood(failure)),
        (_, Ok(())) => {
            let bytes = records.as_ref().and_then(|records| records.as_bytes());
            Ok(bytes.cloned().unwrap_or_default())
        }
    }
}
