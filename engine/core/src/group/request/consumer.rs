//! What members of consumer groups say and are told (KIP-848).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::group::name::{Epoch, GroupId, InstanceId, MemberId};
use crate::group::partitions::Partitions;
use crate::group::pattern::Pattern;
use crate::group::request::{GroupError, GroupState};

/// Bytes of a refusal's words; they may quote what the client sent.
const MAX_WHY: usize = 2_000;

/// A member is there; `None` says that something is as it was.
#[derive(Clone, Debug)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group: GroupId,
    /// The member's id; may be empty where it joins and does not name itself.
    pub member: MemberId,
    /// The epoch it was told last, or what it is about to do.
    pub epoch: Epoch,
    /// The name of a static member.
    pub instance: Option<InstanceId>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// Milliseconds that it needs to give up partitions.
    pub rebalance_ms: Option<i32>,
    /// Topics that it wants to read.
    pub topics: Option<BTreeSet<Arc<str>>>,
    /// A pattern of names of topics that it wants to read; empty for none.
    pub regex: Option<Pattern>,
    /// The assignor that it prefers.
    pub assignor: Option<Arc<str>>,
    /// What it has.
    pub owned: Option<Partitions>,
    /// Who it says it is.
    pub client_id: Arc<str>,
    /// Where it connects from, as Java spells addresses.
    pub client_host: Arc<str>,
    /// What it is and in which version (KIP-511); empty if it does not say.
    pub client_software: Arc<str>,
    /// Something random, for an id that none has.
    pub fresh: [u8; 16],
    /// Whether members choose their ids themselves (from version 1).
    pub names_itself: bool,
}

impl ConsumerHeartbeat {
    /// Whether it says everything, as after a lost answer.
    pub(crate) fn is_full(&self) -> bool {
        let reads = self.topics.is_some() || self.regex.is_some();
        self.rebalance_ms.is_some() && reads && self.owned.is_some()
    }
}

/// Where a member stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerStanding {
    /// Its id.
    pub member: MemberId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Milliseconds until it should be heard of again.
    pub interval_ms: i32,
    /// What it may read, if that has changed or it asked.
    pub assignment: Option<Partitions>,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The error.
    pub error: GroupError,
    /// What is wrong and what to do, where there is more to say.
    pub why: Option<Cow<'static, str>>,
}

impl Refused {
    /// With words; of very many, the first.
    #[must_use]
    pub fn new(error: GroupError, mut why: String) -> Refused {
        why.truncate(why.floor_char_boundary(MAX_WHY));
        Refused { error, why: Some(why.into()) }
    }
}

/// A consumer group, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescription {
    /// Where it stands.
    pub state: GroupState,
    /// How often it has changed.
    pub epoch: Epoch,
    /// The change that its members are on the way to.
    pub assignment_epoch: Epoch,
    /// How work is divided.
    pub assignor: &'static str,
    /// Its members.
    pub members: Vec<ConsumerMember>,
}

/// A member, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerMember {
    /// Its id.
    pub member: MemberId,
    /// The name of a static member.
    pub instance: Option<InstanceId>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// Its epoch; negative for a static member that is away.
    pub epoch: Epoch,
    /// Who it says it is.
    pub client_id: Arc<str>,
    /// Where it connects from.
    pub client_host: Arc<str>,
    /// Topics that it reads, by name.
    pub topics: Vec<Arc<str>>,
    /// The pattern of those that it reads; empty if there is none.
    pub regex: Arc<str>,
    /// What it has, also what it is to give up.
    pub assignment: Partitions,
    /// What it is to have.
    pub target: Partitions,
    /// Whether it speaks the classic protocol.
    pub is_classic: bool,
}
