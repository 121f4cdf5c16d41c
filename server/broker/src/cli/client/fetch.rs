//! Asks leaders for records.

use bytes::Bytes;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};

use super::cluster::{Cluster, Topic, by_leader};
use crate::cli::failure::{Failure, check};

/// How long a broker without records may wait for some.
const MAX_WAIT_MS: i32 = 500;
const MAX_BYTES: i32 = 32 << 20;

/// From where to read in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Start {
    pub(in crate::cli) partition: i32,
    pub(in crate::cli) offset: i64,
}

/// Why there are no records.
pub(in crate::cli) enum Refusal {
    /// The log does not have the offset.
    OutOfRange,
    /// Another broker, or this one a little later, has them.
    ForNow(Failure),
    /// Nobody does.
    ForGood(Failure),
}

impl Cluster {
    /// One request to each leader, all at once; the answers by partition. More than `most` bytes of
    /// a partition are only in an answer that would have no whole batch else.
    pub(in crate::cli) fn fetch(
        &mut self,
        topic: &Topic,
        starts: Vec<Start>,
        most: i32,
    ) -> Result<Vec<(i32, PartitionData)>, Failure> {
        let mut sent = Vec::new();
        for (leader, starts) in by_leader(topic, starts, |start| start.partition)? {
            sent.push((leader, self.broker(leader)?.send(&request(topic, &starts, most))?));
        }
        let mut answers = Vec::new();
        for (leader, pending) in sent {
            let response = self.broker(leader)?.receive(pending)?;
            check(response.error_code, None, || format!("fetch from `{}`", topic.name))?;
            let partitions = response.responses.into_iter().flat_map(|topic| topic.partitions);
            answers.extend(partitions.map(|partition| (partition.partition_index, partition)));
        }
        Ok(answers)
    }
}

fn request(topic: &Topic, starts: &[Start], most: i32) -> FetchRequest {
    let partition = |start: &Start| FetchPartition {
        partition: start.partition,
        fetch_offset: start.offset,
        partition_max_bytes: most,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: MAX_WAIT_MS,
        min_bytes: 1,
        max_bytes: MAX_BYTES,
        topics: vec![FetchTopic {
            topic: topic.wire_name(),
            topic_id: topic.id,
            partitions: starts.iter().map(partition).collect(),
        }],
        ..Default::default()
    }
}

/// The batches in an answer.
pub(in crate::cli) fn records(
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
