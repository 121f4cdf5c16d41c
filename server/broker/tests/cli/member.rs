//! A member of a group: a connection that joins, and leaves when it is told to.

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use corelog_wire::messages::find_coordinator::FindCoordinatorRequest;
use corelog_wire::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use corelog_wire::messages::leave_group::LeaveGroupRequest;
use corelog_wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::wire::Connection;

/// Longer than any test.
const PATIENCE_MS: i32 = 300_000;

pub(crate) struct Member {
    connection: Connection,
    group: &'static str,
    pub(crate) id: String,
    is_classic: bool,
}

impl Member {
    /// Joins a classic group, as its only member, which assigns itself these bytes.
    pub(crate) fn classic(address: &str, group: &'static str, assignment: &'static [u8]) -> Member {
        let mut member = Member::connect(address, group, true);
        // No topics of its own, no user data.
        let metadata = b"\0\0\0\0\0\0\xff\xff\xff\xff";
        let joined = member.connection.call(
            3,
            &JoinGroupRequest {
                group_id: group.into(),
                session_timeout_ms: PATIENCE_MS,
                rebalance_timeout_ms: PATIENCE_MS,
                protocol_type: "consumer".into(),
                protocols: vec![JoinGroupRequestProtocol {
                    name: "range".into(),
                    metadata: metadata[..].into(),
                }],
                ..Default::default()
            },
        );
        assert_eq!(joined.error_code, ErrorCode::None);
        member.id = joined.member_id.to_string();
        let synced = member.connection.call(
            2,
            &SyncGroupRequest {
                group_id: group.into(),
                generation_id: joined.generation_id,
                member_id: joined.member_id.clone(),
                assignments: vec![SyncGroupRequestAssignment {
                    member_id: joined.member_id,
                    assignment: assignment.into(),
                }],
                ..Default::default()
            },
        );
        assert_eq!(synced.error_code, ErrorCode::None);
        member
    }

    /// Joins a consumer group (KIP-848).
    pub(crate) fn consumer(address: &str, group: &'static str, topic: &str) -> Member {
        let mut member = Member::connect(address, group, false);
        member.id = "AAAAAAAAAAAAAAAAAAAAAQ".to_owned();
        let joins = ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: PATIENCE_MS,
            subscribed_topic_names: Some(vec![topic.into()]),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        };
        member.heartbeat(0, joins);
        member
    }

    pub(crate) fn leave(mut self) {
        if !self.is_classic {
            return self.heartbeat(-1, ConsumerGroupHeartbeatRequest::default());
        }
        let (group_id, member_id) = (self.group.into(), self.id.as_str().into());
        let leaves = LeaveGroupRequest { group_id, member_id, ..Default::default() };
        assert_eq!(self.connection.call(1, &leaves).error_code, ErrorCode::None);
    }

    fn connect(address: &str, group: &'static str, is_classic: bool) -> Member {
        let connection = Connection::open(address);
        let mut member = Member { connection, group, id: String::new(), is_classic };
        // Makes the topic that keeps groups, if there is none yet.
        let coordinator_keys = vec![group.into()];
        let finds = FindCoordinatorRequest { coordinator_keys, ..Default::default() };
        assert_eq!(member.connection.call(4, &finds).coordinators[0].error_code, ErrorCode::None);
        member
    }

    fn heartbeat(&mut self, member_epoch: i32, request: ConsumerGroupHeartbeatRequest) {
        let (group_id, member_id) = (self.group.into(), self.id.as_str().into());
        let request =
            ConsumerGroupHeartbeatRequest { group_id, member_id, member_epoch, ..request };
        let answer = self.connection.call(1, &request);
        assert_eq!(answer.error_code, ErrorCode::None, "{answer:?}");
    }
}
