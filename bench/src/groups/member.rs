//! A member of a classic group, on a connection of its own.

use bytes::Bytes;
use corelog_wire::api::ApiKey;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::find_coordinator::FindCoordinatorRequest;
use corelog_wire::messages::heartbeat::HeartbeatRequest;
use corelog_wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use corelog_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use corelog_wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use corelog_wire::text::Str;

use crate::client::{ClientError, Connection, accepted};
use crate::topic::Topic;

const SESSION_MS: i32 = 45_000;
const REBALANCE_MS: i32 = 60_000;
const PROTOCOL: &str = "range";

/// A member.
pub(super) struct Member {
    connection: Connection,
    group: Str,
    topic: String,
    id: Str,
    generation: i32,
    /// How often it has joined.
    joins: u32,
}

/// Asks where a group's coordinator is.
pub(super) fn find_coordinator(
    connection: &mut Connection,
    group: &str,
) -> Result<(), ClientError> {
    let version = connection.version::<FindCoordinatorRequest>()?;
    let several = version >= 4;
    let request = FindCoordinatorRequest {
        key: if several { Str::new() } else { Str::from(group) },
        coordinator_keys: if several { vec![Str::from(group)] } else { Vec::new() },
        ..FindCoordinatorRequest::default()
    };
    let response = connection.call(&request)?;
    let first = response.coordinators.first().map(|coordinator| coordinator.error_code);
    accepted(ApiKey::FindCoordinator, first.unwrap_or(response.error_code))
}

impl Member {
    pub(super) fn new(connection: Connection, group: String, topic: String) -> Member {
        let (group, id) = (Str::from(group), Str::new());
        Member { connection, group, topic, id, generation: -1, joins: 0 }
    }

    /// Joins the group's next rebalance, and fetches its part when that is over; if it leads, it
    /// gives all members theirs first.
    pub(super) fn join(&mut self) -> Result<(), ClientError> {
        self.joins += 1;
        loop {
            let joined = self.connection.call(&self.joining())?;
            self.id = joined.member_id;
            match joined.error_code {
                ErrorCode::MemberIdRequired | ErrorCode::RebalanceInProgress => continue,
                // It was slower than the others had time.
                ErrorCode::UnknownMemberId => {
                    self.id = Str::new();
                    continue;
                }
                // While the broker makes its topic for groups, or reads it.
                code if code.retriable() => continue,
                code => accepted(ApiKey::JoinGroup, code)?,
            }
            self.generation = joined.generation_id;
            let part = |id: Str| SyncGroupRequestAssignment {
                member_id: id,
                assignment: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
            };
            let request = SyncGroupRequest {
                group_id: self.group.clone(),
                generation_id: self.generation,
                member_id: self.id.clone(),
                protocol_type: joined.protocol_type,
                protocol_name: joined.protocol_name,
                assignments: joined.members.into_iter().map(|one| part(one.member_id)).collect(),
                ..SyncGroupRequest::default()
            };
            let synced = self.connection.call(&request)?;
            // Somebody was late: all join once more.
            let again = [
                ErrorCode::RebalanceInProgress,
                ErrorCode::IllegalGeneration,
                ErrorCode::UnknownMemberId,
            ];
            if !again.contains(&synced.error_code) {
                return accepted(ApiKey::SyncGroup, synced.error_code);
            }
        }
    }

    fn joining(&self) -> JoinGroupRequest {
        // A subscription of version 0 to the one topic.
        let mut metadata = vec![0, 0, 0, 0, 0, 1];
        metadata.extend((self.topic.len() as u16).to_be_bytes());
        metadata.extend(self.topic.as_bytes());
        // Other words than the last time, or who does not lead is told that nothing has changed
        // and waits for nobody.
        metadata.extend(4u32.to_be_bytes());
        metadata.extend(self.joins.to_be_bytes());
        JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            member_id: self.id.clone(),
            protocol_type: Str::from_static("consumer"),
            protocols: vec![JoinGroupRequestProtocol {
                name: Str::from_static(PROTOCOL),
                metadata: metadata.into(),
            }],
            ..JoinGroupRequest::default()
        }
    }

    pub(super) fn heartbeat(&mut self) -> Result<(), ClientError> {
        let response = self.connection.call(&HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..HeartbeatRequest::default()
        })?;
        accepted(ApiKey::Heartbeat, response.error_code)
    }

    /// Commits an offset of one partition.
    pub(super) fn commit(
        &mut self,
        topic: &Topic,
        partition: i32,
        offset: i64,
    ) -> Result<(), ClientError> {
        let response = self.connection.call(&OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: topic.name.clone(),
                topic_id: topic.id,
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..OffsetCommitRequestPartition::default()
                }],
            }],
            ..OffsetCommitRequest::default()
        })?;
        let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
        let mut codes = codes.map(|partition| partition.error_code);
        let code = codes.next().ok_or(ClientError::Missing { api: ApiKey::OffsetCommit })?;
        accepted(ApiKey::OffsetCommit, code)
    }
}
