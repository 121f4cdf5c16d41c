//! Classic groups: members join, one of them divides the work, all fetch their parts. Facts:
//! Kafka's `classic.ClassicGroup` and the classic half of `GroupMetadataManager`.
//!
//! ```text
//! Empty ─ join ─▶ PreparingRebalance ─ all, or late ─▶ CompletingRebalance ─ leader ─▶ Stable
//!   ▲                   │   ▲                                 │                        │
//!   └─ nobody is left ──┘   └─────── somebody joins, leaves, is silent ────────────────┘
//! ```
//!
//! Only what the leader has decided is in a record. A restart finds the last of these.

mod join;
mod member;
mod presence;
mod protocols;
mod rebalance;
mod saved;
mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::group::name::{Generation, GroupId, InstanceId, MemberId};
use crate::group::record::Record;
use crate::group::request::{
    Asker, DescribedMember, Description, GroupError, GroupState, Listing, Reply,
};
use crate::group::settings::GroupSettings;
use crate::group::timers::{Timer, Timers};
use crate::id::{Now, Timestamp};
pub(crate) use member::Member;
pub(crate) use sync::Assignments;

/// The kind of group whose members' words the broker reads.
pub(crate) const CONSUMER: &str = "consumer";

/// What one step of the coordinator has at hand, and what it leaves behind.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) settings: &'a GroupSettings,
    pub(crate) timers: &'a mut Timers,
    /// To be appended as one batch.
    pub(crate) records: Vec<Record>,
    /// What follows once the records, and all before them, are durable.
    pub(crate) then: Vec<Then>,
    /// Answers that wait for nothing.
    pub(crate) replies: Vec<(Asker, Reply)>,
}

/// What follows when a batch is durable, or is not to be.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// An answer; what is answered if there is no batch.
    Answer(Asker, Reply),
    /// The leader's word counts.
    Assigned(GroupId, Generation, Assignments),
    /// A static member has come back under a new id.
    Replaced(GroupId, Box<join::Replacement>),
    /// A group without members, which the batch makes known.
    Created(GroupId),
}

impl Turn<'_> {
    pub(crate) fn reply(&mut self, asker: Asker, reply: Reply) {
        self.replies.push((asker, reply));
    }

    /// Answers when everything so far is durable.
    pub(crate) fn reply_when_durable(&mut self, asker: Asker, reply: Reply) {
        self.then.push(Then::Answer(asker, reply));
    }

    pub(crate) fn set_session(&mut self, group: &GroupId, member: &MemberId, ms: i32) {
        let at = self.now.instant.plus_ms(u64::from(ms.max(0).unsigned_abs()));
        self.timers.set(Timer::Session(group.clone(), member.clone()), at);
    }

    pub(crate) fn cancel_session(&mut self, group: &GroupId, member: &MemberId) {
        self.timers.cancel(&Timer::Session(group.clone(), member.clone()));
    }
}

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct ClassicGroup {
    id: GroupId,
    state: GroupState,
    /// The state before; a rebalance that began in an empty group waits for more members.
    previous: GroupState,
    since: Option<Timestamp>,
    generation: Generation,
    protocol_type: Option<Arc<str>>,
    protocol: Option<Arc<str>>,
    leader: Option<MemberId>,
    members: BTreeMap<MemberId, Member>,
    instances: BTreeMap<InstanceId, MemberId>,
    /// Ids that were given to members which have not come back with them.
    pending: BTreeSet<MemberId>,
    /// Members that have not fetched their part yet.
    unsynced: BTreeSet<MemberId>,
    /// Whether somebody has joined since the first wait of an empty group began.
    newcomers: bool,
    /// Milliseconds of that wait, and how many may follow.
    wait: rebalance::Wait,
    /// Topics that its members read, as far as the broker understands them.
    subscribed: Option<BTreeSet<Arc<str>>>,
}

impl ClassicGroup {
    /// One that nobody has joined.
    pub(crate) fn new(id: GroupId, now: Timestamp) -> ClassicGroup {
        ClassicGroup {
            id,
            state: GroupState::Empty,
            previous: GroupState::Empty,
            since: Some(now),
            generation: Generation::default(),
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            newcomers: false,
            wait: rebalance::Wait::default(),
            subscribed: None,
        }
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state == GroupState::Empty
    }

    /// Whether nobody is or ever was in it, nor is about to be.
    pub(crate) fn is_unused(&self) -> bool {
        self.is_empty() && self.pending.is_empty() && self.protocol_type.is_none()
    }

    /// What makes a group known that has no rebalance to tell of.
    pub(crate) fn first_record(&self) -> Record {
        ClassicGroup::new(self.id.clone(), self.since.unwrap_or(Timestamp::NONE)).record(None)
    }

    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Topics that its members read; `None` if the broker does not know.
    pub(crate) fn subscribed(&self) -> Option<&BTreeSet<Arc<str>>> {
        self.subscribed.as_ref()
    }

    /// Whether a topic's offsets are in use. Of a group whose words the broker does not understand
    /// all are, if it is one whose words it should.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.protocol_type() == Some(CONSUMER),
        }
    }

    fn enter(&mut self, state: GroupState, now: Timestamp) {
        self.previous = self.state;
        self.state = state;
        self.since = Some(now);
    }

    /// Who a request is from: known, and nobody else under its name.
    pub(crate) fn identify(
        &self,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(owner) if owner != member => return Err(GroupError::FencedInstance),
                Some(_) => {}
            }
        }
        self.members.get(member).map(drop).ok_or(GroupError::UnknownMember)
    }

    /// Restarts the time after which a member's silence counts.
    pub(crate) fn heard_of(&self, member: &MemberId, turn: &mut Turn<'_>) {
        if let Some(known) = self.members.get(member) {
            turn.set_session(&self.id, member, known.session_ms);
        }
    }

    pub(crate) fn describe(&self) -> Description {
        let stable = self.state == GroupState::Stable;
        let protocol = self.protocol.clone().filter(|_| stable).unwrap_or_default();
        let described = |(id, member): (&MemberId, &Member)| DescribedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: if stable { member.metadata(&protocol) } else { bytes::Bytes::new() },
            assignment: member.assignment.clone(),
        };
        Description {
            state: self.state,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.clone(),
            members: self.members.iter().map(described).collect(),
        }
    }

    pub(crate) fn listing(&self) -> Listing {
        Listing {
            group: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state,
        }
    }
}
