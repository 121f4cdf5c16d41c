//! What may be asked of a coordinator, and what it answers: Kafka's group APIs without their
//! versions.

mod consumer;
mod weight;

use std::sync::Arc;

use bytes::Bytes;

pub use consumer::{
    ConsumerDescription, ConsumerHeartbeat, ConsumerMember, ConsumerStanding, Refused,
};

use crate::group::history::Rebalance;
use crate::group::name::{Epoch, Generation, GroupId, InstanceId, MemberId};
use crate::group::record::Committed;
pub use crate::group::record::Protocol;
use crate::id::{LeaderEpoch, Offset, TopicId};

/// Whom an answer is for; chosen by whoever asks, unique among what is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(pub u64);

/// One request.
#[derive(Clone, Debug)]
pub enum Request {
    /// Be a member of a classic group's next rebalance; answered when that comes to an end.
    Join(Box<JoinRequest>),
    /// Give, or fetch, what the leader has assigned.
    Sync(SyncRequest),
    /// I am alive.
    Heartbeat(HeartbeatRequest),
    /// These members are gone.
    Leave(LeaveRequest),
    /// A member of a consumer group joins, is there, or goes; [checked](ConsumerHeartbeat::check)
    /// before.
    ConsumerHeartbeat(Box<ConsumerHeartbeat>),
    /// Remember where we are.
    Commit(CommitRequest),
    /// Where were we?
    Fetch(FetchRequest),
    /// Forget where we were in some partitions.
    DeleteOffsets(DeleteOffsetsRequest),
    /// Forget a group that has no members.
    Delete(GroupId),
    /// What is there to be known of a classic group?
    Describe(GroupId),
    /// What is there to be known of a consumer group?
    DescribeConsumer(GroupId),
    /// Why has a group rebalanced lately?
    History(GroupId),
    /// Which groups are there?
    List,
}

impl Request {
    /// What it is, for whoever watches how long it takes.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Request::Join(_) => "a JoinGroup",
            Request::Sync(_) => "a SyncGroup",
            Request::Heartbeat(_) => "a Heartbeat",
            Request::Leave(_) => "a LeaveGroup",
            Request::ConsumerHeartbeat(_) => "a ConsumerGroupHeartbeat",
            Request::Commit(_) => "an OffsetCommit",
            Request::Fetch(_) => "an OffsetFetch",
            Request::DeleteOffsets(_) => "an OffsetDelete",
            Request::Delete(_) => "a DeleteGroups",
            Request::Describe(_) => "a DescribeGroups",
            Request::DescribeConsumer(_) => "a ConsumerGroupDescribe",
            Request::History(_) => "a group's history",
            Request::List => "a ListGroups",
        }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Request::Join`].
    Join(Result<Joined, JoinRefused>),
    /// To [`Request::Sync`].
    Sync(Result<Synced, GroupError>),
    /// To [`Request::Heartbeat`].
    Heartbeat(Result<(), GroupError>),
    /// To [`Request::Leave`], member by member.
    Leave(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// To [`Request::ConsumerHeartbeat`].
    ConsumerHeartbeat(Result<ConsumerStanding, Refused>),
    /// To [`Request::Commit`], partition by partition.
    Commit(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// To [`Request::Fetch`].
    Fetch(Result<Vec<TopicOffsets>, GroupError>),
    /// To [`Request::DeleteOffsets`], topic by topic.
    DeleteOffsets(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// To [`Request::Delete`].
    Delete(Result<(), GroupError>),
    /// To [`Request::Describe`].
    Describe(Result<Box<Description>, Refused>),
    /// To [`Request::DescribeConsumer`].
    DescribeConsumer(Result<Box<ConsumerDescription>, Refused>),
    /// To [`Request::History`], the newest last.
    History(Vec<Rebalance>),
    /// To [`Request::List`].
    List(Vec<Listing>),
}

/// Why not. Named after Kafka's errors, which the front maps them to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupError {
    /// Not now; the client looks for the coordinator again.
    CoordinatorNotAvailable,
    /// Not here.
    NotCoordinator,
    /// The partition is being read.
    LoadInProgress,
    /// A group without a name.
    InvalidGroupId,
    /// No such member.
    UnknownMember,
    /// Another rebalance is the last.
    IllegalGeneration,
    /// Members could not agree on how to divide their work.
    InconsistentProtocol,
    /// Outside of what the operator allows.
    InvalidSessionTimeout,
    /// The member must join again.
    RebalanceInProgress,
    /// Ask again with the id in the answer (KIP-394).
    MemberIdRequired,
    /// No more members.
    MaxSizeReached,
    /// Another member has this static member's name now.
    FencedInstance,
    /// It has members.
    NonEmpty,
    /// No such group.
    NotFound,
    /// The group reads this topic.
    SubscribedToTopic,
    /// Words too long.
    MetadataTooLarge,
    /// What the protocol does not allow.
    InvalidRequest,
    /// This version of the API cannot say what it would have to.
    UnsupportedVersion,
    /// The member must give up what it has and join again.
    FencedMemberEpoch,
    /// The member is in another epoch.
    StaleMemberEpoch,
    /// The static member of that name is still there.
    UnreleasedInstance,
    /// No such assignor.
    UnsupportedAssignor,
    /// A pattern that is none.
    InvalidRegex,
    /// What cannot be.
    Unknown,
}

/// See [`Request::Join`].
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The group.
    pub group: GroupId,
    /// The member's id; empty if it has none yet.
    pub member: MemberId,
    /// The name of a static member.
    pub instance: Option<InstanceId>,
    /// Who it says it is.
    pub client_id: Arc<str>,
    /// Where it connects from, as Java spells addresses.
    pub client_host: Arc<str>,
    /// What it is and in which version (KIP-511); empty if it does not say.
    pub client_software: Arc<str>,
    /// Milliseconds after which its silence means that it is gone.
    pub session_ms: i32,
    /// Milliseconds that it has to join a rebalance.
    pub rebalance_ms: i32,
    /// What kind of group it is.
    pub protocol_type: Arc<str>,
    /// What the member can do, what it likes best first.
    pub protocols: Vec<Protocol>,
    /// Something random, for an id that none has.
    pub fresh: [u8; 16],
    /// What this version of the API knows of.
    pub knows: JoinKnows,
}

/// What a JoinGroup's version brings with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinKnows {
    /// From version 4: members without an id are given one and asked to come again.
    pub member_id_required: bool,
    /// From version 9: a leader may be told to leave assignments as they are.
    pub skip_assignment: bool,
}

/// A member of a rebalance that has come to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its id.
    pub member: MemberId,
    /// Which rebalance.
    pub generation: Generation,
    /// What kind of group it is.
    pub protocol_type: Option<Arc<str>>,
    /// How work is divided.
    pub protocol: Option<Arc<str>>,
    /// Who does it.
    pub leader: MemberId,
    /// Whether the leader should leave assignments as they are.
    pub skip_assignment: bool,
    /// All members, for the leader.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member: MemberId,
    /// The name of a static member.
    pub instance: Option<InstanceId>,
    /// What it said in the protocol that was chosen.
    pub metadata: Bytes,
}

/// Why a member did not join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefused {
    /// Why.
    pub error: GroupError,
    /// The id that the answer names: the member's, a new one, or none.
    pub member: MemberId,
}

/// See [`Request::Sync`].
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// The group.
    pub group: GroupId,
    /// Who asks.
    pub member: MemberId,
    /// The name of a static member.
    pub instance: Option<InstanceId>,
    /// Of which rebalance.
    pub generation: Generation,
    /// What kind of group the member takes it for, from version 5.
    pub protocol_type: Option<Arc<str>>,
    /// How it believes work is divided, from version 5.
    pub protocol: Option<Arc<str>>,
    /// From the leader: who gets what.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// What a member is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// What kind of group it is.
    pub protocol_type: Option<Arc<str>>,
    /// How work is divided.
    pub protocol: Option<Arc<str>>,
    /// The member's part of it.
    pub assignment: Bytes,
}

/// See [`Request::Heartbeat`].
#[derive(Clone, Debug)]
pub struct HeartbeatRequest {
    /// The group.
    pub group: GroupId,
    /// Who is alive.
    pub member: MemberId,
    /// The name of a static member.
    pub instance: Option<InstanceId>,
    /// In which rebalance.
    pub generation: Generation,
}

/// See [`Request::Leave`].
#[derive(Clone, Debug)]
pub struct LeaveRequest {
    /// The group.
    pub group: GroupId,
    /// Who leaves: by id, or static members by their names, whoever asks.
    pub members: Vec<(MemberId, Option<InstanceId>)>,
}

/// See [`Request::Commit`].
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// The group.
    pub group: GroupId,
    /// Who commits; empty if nobody in particular.
    pub member: MemberId,
    /// The name of a static member.
    pub instance: Option<InstanceId>,
    /// In which rebalance; negative if in none.
    pub generation: Generation,
    /// How long the offsets are kept, up to version 4.
    pub retention_ms: Option<u64>,
    /// Whether a missing group is told as such (from version 9), or as an old generation.
    pub knows_not_found: bool,
    /// The offsets.
    pub offsets: Vec<CommitOffset>,
}

/// A partition's part of a commit.
#[derive(Clone, Debug)]
pub struct CommitOffset {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its id.
    pub topic_id: Option<TopicId>,
    /// The partition's number.
    pub partition: i32,
    /// The next record to be read.
    pub offset: Offset,
    /// The epoch of the record before it.
    pub epoch: Option<LeaderEpoch>,
    /// The client's own words.
    pub metadata: Arc<str>,
}

/// See [`Request::Fetch`].
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The group.
    pub group: GroupId,
    /// The member of a consumer group that asks, if one does, and its epoch (from version 9).
    pub member: Option<(MemberId, Epoch)>,
    /// Whether what is being committed is waited for (KIP-447).
    pub stable: bool,
    /// Which partitions of which topics; everything there is if there is no list.
    pub topics: Option<Vec<(Arc<str>, Vec<i32>)>>,
}

/// Committed offsets of a topic's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOffsets {
    /// The topic's name.
    pub topic: Arc<str>,
    /// By the partition's number; nothing where nothing was committed.
    pub partitions: Vec<(i32, Option<Committed>)>,
}

/// See [`Request::DeleteOffsets`].
#[derive(Clone, Debug)]
pub struct DeleteOffsetsRequest {
    /// The group.
    pub group: GroupId,
    /// Which partitions of which topics.
    pub topics: Vec<(Arc<str>, Vec<i32>)>,
}

/// Whose protocol a group follows (`Group.GroupType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupType {
    /// Its members decide.
    Classic,
    /// The broker decides.
    Consumer,
}

/// Where a group stands (`ClassicGroupState`, `ConsumerGroupState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// No members.
    Empty,
    /// Members are to join.
    PreparingRebalance,
    /// Everyone has joined; the leader is to assign.
    CompletingRebalance,
    /// Of a consumer group: what has changed is to be divided anew.
    Assigning,
    /// Of a consumer group: members are on the way to what they are to have.
    Reconciling,
    /// Everyone has its part.
    Stable,
}

/// A group, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where it stands.
    pub state: GroupState,
    /// What kind of group it is; empty if it never had members.
    pub protocol_type: Arc<str>,
    /// How work is divided; empty unless it is.
    pub protocol: Arc<str>,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member: MemberId,
    /// The name of a static member.
    pub instance: Option<InstanceId>,
    /// Who it says it is.
    pub client_id: Arc<str>,
    /// Where it connects from.
    pub client_host: Arc<str>,
    /// What it said of itself; empty unless the group is stable.
    pub metadata: Bytes,
    /// Its part of the work.
    pub assignment: Bytes,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its id.
    pub group: GroupId,
    /// What kind of group it is.
    pub protocol_type: Arc<str>,
    /// Where it stands.
    pub state: GroupState,
    /// Its protocol.
    pub kind: GroupType,
}
