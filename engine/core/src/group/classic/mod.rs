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

use crate::group::history::{Client, Who};
use crate::group::name::{Generation, GroupId, InstanceId, MemberId};
use crate::group::record::Record;
use crate::group::request::{
    DescribedMember, Description, GroupError, GroupState, GroupType, Listing,
};
use crate::group::turn::Turn;
use crate::id::Timestamp;
pub(crate) use join::Replacement;
pub(crate) use member::Member;
pub(crate) use sync::Assignments;

/// The kind of group whose members' words the broker reads.
pub(crate) const CONSUMER: &str = "consumer";

/// Where a group stands (`ClassicGroupState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl From<State> for GroupState {
    fn from(state: State) -> GroupState {
        match state {
            State::Empty => GroupState::Empty,
            State::PreparingRebalance => GroupState::PreparingRebalance,
            State::CompletingRebalance => GroupState::CompletingRebalance,
            State::Stable => GroupState::Stable,
        }
    }
}

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct ClassicGroup {
    id: GroupId,
    state: State,
    /// The state before; a rebalance that began in an empty group waits for more members.
    previous: State,
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
            state: State::Empty,
            previous: State::Empty,
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

    /// One that other members made, who are all there and have their parts.
    pub(crate) fn of(
        id: GroupId,
        generation: Generation,
        members: Vec<(MemberId, Member)>,
        now: Timestamp,
    ) -> ClassicGroup {
        let mut group = ClassicGroup {
            state: State::Stable,
            previous: State::Stable,
            generation,
            protocol_type: Some(CONSUMER.into()),
            leader: members.first().map(|(id, _)| id.clone()),
            members: members.into_iter().collect(),
            ..ClassicGroup::new(id, now)
        };
        group.protocol = group.vote();
        group.index();
        group
    }

    /// What is said of members in several places.
    fn index(&mut self) {
        let named = self
            .members
            .iter()
            .filter_map(|(id, member)| Some((member.instance.clone()?, id.clone())));
        self.instances = named.collect();
        self.subscribed = self.topics();
    }

    pub(crate) fn id(&self) -> &GroupId {
        &self.id
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&MemberId, &Member)> {
        self.members.iter()
    }

    /// Answers everyone who waits with an error.
    pub(crate) fn answer_all(&mut self, error: GroupError, turn: &mut Turn<'_>) {
        self.answer_syncs(|_| Err(error), turn);
        for (id, member) in &mut self.members {
            if let Some(asker) = member.joining.take() {
                join::refuse(asker, error, id.clone(), turn);
            }
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Whether members are asked to join, or wait for their parts.
    pub(crate) fn is_rebalancing(&self) -> bool {
        matches!(self.state, State::PreparingRebalance | State::CompletingRebalance)
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

    fn enter(&mut self, state: State, now: Timestamp) {
        self.previous = self.state;
        self.state = state;
        self.since = Some(now);
    }

    /// A member, for those who ask why something happened.
    pub(crate) fn who(&self, id: &MemberId) -> Option<Who> {
        if self.pending.contains(id) {
            return Some(Who::new(id, None, Client::default()));
        }
        self.members.get(id).map(|member| member.who(id))
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
        let stable = self.state == State::Stable;
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
            state: self.state.into(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.clone(),
            members: self.members.iter().map(described).collect(),
        }
    }

    pub(crate) fn listing(&self) -> Listing {
        Listing {
            group: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state.into(),
            kind: GroupType::Classic,
        }
    }
}
