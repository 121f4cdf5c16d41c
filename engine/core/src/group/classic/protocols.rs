//! How members agree on a way to divide their work, and which topics they read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::fields::{DecodeError, Reader};
use crate::group::classic::{CONSUMER, ClassicGroup};
use crate::group::request::Protocol;

impl ClassicGroup {
    /// Whether a member that offers these can be one of the group's.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let same = self.protocol_type() == Some(protocol_type);
        same && protocols.iter().any(|protocol| self.all_know(&protocol.name))
    }

    fn all_know(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.knows(protocol))
    }

    /// The protocol that most members like best of those that all know; of several, the one that
    /// the leader likes best. (Kafka leaves that to chance.)
    pub(super) fn vote(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let best = member.protocols.iter().find(|protocol| self.all_know(&protocol.name));
            *votes.entry(best?.name.clone()).or_default() += 1;
        }
        let most = votes.values().max().copied()?;
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        let mut liked = leader.into_iter().flat_map(|leader| &leader.protocols);
        let chosen = liked.find(|protocol| votes.get(&protocol.name) == Some(&most));
        chosen
            .map(|protocol| protocol.name.clone())
            .or_else(|| votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name))
    }

    /// The topics of all members, if they are consumers that the broker understands.
    pub(super) fn topics(&self) -> Option<BTreeSet<Arc<str>>> {
        if self.protocol_type() != Some(CONSUMER) {
            return None;
        }
        let mut topics = BTreeSet::new();
        if self.members.is_empty() {
            return Some(topics);
        }
        let protocol = self.protocol.as_deref()?;
        for member in self.members.values() {
            topics.extend(subscription(&member.metadata(protocol)).ok()?);
        }
        Some(topics)
    }
}

/// The topics of a consumer's subscription, which all its versions begin with
/// (`ConsumerProtocolSubscription`).
fn subscription(metadata: &[u8]) -> Result<Vec<Arc<str>>, DecodeError> {
    let mut fields = Reader::new(metadata);
    fields.i16()?;
    fields.fixed_list(|fields| fields.fixed_string().map(Arc::from))
}
