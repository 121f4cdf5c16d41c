//! Sends batches to the leaders of their partitions. A batch that its broker certainly has not
//! taken is sent again, to where it belongs by then; when that is not certain the command ends, so
//! that nothing is written twice.

use std::collections::BTreeMap;

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::metadata::MetadataRequest;
use corelog_wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData,
};

use super::batches::Batch;
use crate::cli::client::{Cluster, Retries, Topic, by_leader};
use crate::cli::failure::{Failure, check};

const TIMEOUT_MS: i32 = 20_000;

/// When a broker says that it has a batch. The number is the one on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Acks {
    /// When all replicas in sync have it, and for Corelog when it is on disk.
    All = -1,
    /// Never.
    #[value(name = "0")]
    Nobody = 0,
    /// When the leader has it.
    #[value(name = "1")]
    Leader = 1,
}

/// A batch that its broker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) partition: i32,
    pub(super) records: usize,
    /// Unknown where nobody acknowledges.
    pub(super) first_offset: Option<i64>,
}

pub(super) struct Sender {
    pub(super) cluster: Cluster,
    pub(super) topic: Topic,
    pub(super) acks: Acks,
}

impl Sender {
    /// Sends batches, at most one for each partition, until their brokers have them.
    pub(super) fn send(&mut self, batches: Vec<Batch>) -> Result<Vec<Written>, Failure> {
        let mut retries = Retries::new();
        let (mut left, mut written) = (batches, Vec::new());
        while !left.is_empty() {
            let answers = self.exchange(&left)?;
            let (again, failure) = settle(&self.topic.name, left, &answers, &mut written)?;
            left = again;
            if let Some(failure) = failure {
                retries.pause(failure)?;
                self.topic = self.cluster.topic(&self.topic.name)?;
            }
        }
        Ok(written)
    }

    /// Waits until brokers have seen what was sent without an acknowledgement.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        if self.acks != Acks::Nobody {
            return Ok(());
        }
        let leaders: Vec<i32> =
            self.topic.partitions.iter().filter_map(|partition| partition.leader).collect();
        for leader in leaders {
            // Requests of a connection are worked on in order.
            let nothing = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
            self.cluster.broker(leader)?.call(&nothing)?;
        }
        Ok(())
    }

    /// One request to each leader, all at once; the answers by partition.
    fn exchange(&mut self, batches: &[Batch]) -> Result<Answers, Failure> {
        let by_leader = by_leader(&self.topic, batches, |batch| batch.partition)?;
        let mut sent = Vec::new();
        for (leader, batches) in by_leader {
            let request = request(&self.topic, &batches, self.acks);
            sent.push((leader, self.cluster.broker(leader)?.send(&request)?));
        }
        let mut answers = Answers::new();
        if self.acks == Acks::Nobody {
            let unknown = |batch: &Batch| (batch.partition, no_answer(batch.partition));
            return Ok(batches.iter().map(unknown).collect());
        }
        for (leader, pending) in sent {
            let response: ProduceResponse = self.cluster.broker(leader)?.receive(pending)?;
            let topics = response.responses.into_iter();
            let partitions = topics.flat_map(|topic| topic.partition_responses);
            answers.extend(partitions.map(|answer| (answer.index, answer)));
        }
        Ok(answers)
    }
}

type Answers = BTreeMap<i32, PartitionProduceResponse>;

/// What stands for the answer to a batch that is not acknowledged.
fn no_answer(partition: i32) -> PartitionProduceResponse {
    PartitionProduceResponse { index: partition, base_offset: -1, ..Default::default() }
}

fn request(topic: &Topic, batches: &[&Batch], acks: Acks) -> ProduceRequest {
    let data = |batch: &&Batch| PartitionProduceData {
        index: batch.partition,
        records: Some(batch.bytes.clone()),
    };
    ProduceRequest {
        transactional_id: None,
        acks: acks as i16,
        timeout_ms: TIMEOUT_MS,
        topic_data: vec![TopicProduceData {
            name: topic.wire_name(),
            topic_id: topic.id,
            partition_data: batches.iter().map(data).collect(),
        }],
    }
}

/// Notes what was written; the batches to send again, and why the last of them was refused.
fn settle(
    topic: &str,
    batches: Vec<Batch>,
    answers: &Answers,
    written: &mut Vec<Written>,
) -> Result<(Vec<Batch>, Option<Failure>), Failure> {
    let (mut again, mut failure) = (Vec::new(), None);
    for batch in batches {
        let what = || format!("partition {} of `{topic}`", batch.partition);
        let answer =
            answers.get(&batch.partition).ok_or_else(|| Failure::NoAnswer { what: what() })?;
        match check(answer.error_code, answer.error_message.clone(), what) {
            Ok(()) => written.push(Written {
                partition: batch.partition,
                records: batch.records,
                first_offset: (answer.base_offset >= 0).then_some(answer.base_offset),
            }),
            Err(refused) if certainly_not_written(answer.error_code) => {
                again.push(batch);
                failure = Some(refused);
            }
            Err(refused) => return Err(refused),
        }
    }
    Ok((again, failure))
}

fn certainly_not_written(code: ErrorCode) -> bool {
    use ErrorCode::{NetworkException, NotEnoughReplicasAfterAppend, RequestTimedOut};
    let uncertain = [NetworkException, NotEnoughReplicasAfterAppend, RequestTimedOut];
    code.retriable() && !uncertain.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn batch(partition: i32) -> Batch {
        Batch { partition, records: 2, bytes: Bytes::new() }
    }

    fn answer(partition: i32, error_code: ErrorCode) -> (i32, PartitionProduceResponse) {
        let answer = PartitionProduceResponse {
            index: partition,
            error_code,
            base_offset: 7,
            ..Default::default()
        };
        (partition, answer)
    }

    #[test]
    fn what_was_refused_for_now_is_sent_again() {
        let answers =
            [answer(0, ErrorCode::None), answer(1, ErrorCode::NotLeaderOrFollower)].into();
        let mut written = Vec::new();
        let (again, failure) =
            settle("t", vec![batch(0), batch(1)], &answers, &mut written).expect("goes on");
        assert_eq!(written, [Written { partition: 0, records: 2, first_offset: Some(7) }]);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].partition, 1);
        let failure = failure.expect("a reason").to_string();
        assert!(failure.starts_with("partition 1 of `t`: "), "{failure}");
    }

    #[test]
    fn what_may_be_written_is_not_sent_again() {
        for (code, goes_on) in [
            (ErrorCode::MessageTooLarge, false),
            (ErrorCode::RequestTimedOut, false),
            (ErrorCode::NotEnoughReplicasAfterAppend, false),
            (ErrorCode::NotEnoughReplicas, true),
            (ErrorCode::KafkaStorageError, true),
        ] {
            let settled = settle("t", vec![batch(0)], &[answer(0, code)].into(), &mut Vec::new());
            assert_eq!(settled.is_ok(), goes_on, "{code:?}");
        }
        let silent = settle("t", vec![batch(0)], &Answers::new(), &mut Vec::new());
        assert!(matches!(silent, Err(Failure::NoAnswer { .. })));
    }

    #[test]
    fn an_offset_that_nobody_told_is_unknown() {
        let mut written = Vec::new();
        let answers = [(0, no_answer(0))].into();
        settle("t", vec![batch(0)], &answers, &mut written).expect("written");
        assert_eq!(written[0].first_offset, None);
    }
}
