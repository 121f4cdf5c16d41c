//! How members agree on a way to divide their work, and which topics they read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::group::classic::{CONSUMER, ClassicGroup};
use crate::group::embedded::Subscription;
use crate::group::request::Protocol;

impl ClassicGroup {
    /// Whether a member that offers these can be one of the group's.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let known = self.known_to_all();
        let same = self.protocol_type() == Some(protocol_type);
        same && protocols.iter().any(|protocol| known.contains(&protocol.name))
    }

    /// The protocols that every member offers, counted once whatever a member repeats.
    fn known_to_all(&self) -> BTreeSet<Arc<str>> {
        let mut counts: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let offered: BTreeSet<_> = member.protocols.iter().map(|one| &one.name).collect();
            offered.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
        }
        let all = |(_, count): &(&Arc<str>, usize)| *count == self.members.len();
        counts.into_iter().filter(all).map(|(name, _)| name.clone()).collect()
    }

    /// The protocol that most members like best of those that all know; of several, the one that
    /// the leader likes best. (Kafka leaves that to chance.)
    pub(super) fn vote(&self) -> Option<Arc<str>> {
        let known = self.known_to_all();
        let mut votes: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let best = member.protocols.iter().find(|protocol| known.contains(&protocol.name));
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
            topics.extend(Subscription::read_topics(&member.metadata(protocol)).ok()?);
        }
        Some(topics)
    }
}
