//! Sets of partitions, by topic.

use std::collections::{BTreeMap, BTreeSet};

use crate::group::name::Epoch;
use crate::id::TopicId;

/// Partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions(BTreeMap<TopicId, BTreeSet<i32>>);

impl Partitions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, topic: TopicId, index: i32) -> bool {
        self.0.get(&topic).is_some_and(|indexes| indexes.contains(&index))
    }

    /// Takes one in.
    pub fn insert(&mut self, topic: TopicId, index: i32) {
        self.0.entry(topic).or_default().insert(index);
    }

    /// Takes one out, if it is there.
    pub fn remove(&mut self, topic: TopicId, index: i32) {
        if let Some(indexes) = self.0.get_mut(&topic) {
            indexes.remove(&index);
            if indexes.is_empty() {
                self.0.remove(&topic);
            }
        }
    }

    /// Topic by topic, none of them without partitions.
    pub fn topics(&self) -> impl Iterator<Item = (TopicId, &BTreeSet<i32>)> {
        self.0.iter().map(|(topic, indexes)| (*topic, indexes))
    }

    /// Those of one topic.
    pub fn of(&self, topic: TopicId) -> impl DoubleEndedIterator<Item = i32> {
        self.0.get(&topic).into_iter().flatten().copied()
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = (TopicId, i32)> {
        self.0.iter().flat_map(|(topic, indexes)| indexes.iter().map(|index| (*topic, *index)))
    }
}

impl FromIterator<(TopicId, i32)> for Partitions {
    fn from_iter<I: IntoIterator<Item = (TopicId, i32)>>(partitions: I) -> Partitions {
        let mut set = Partitions::default();
        partitions.into_iter().for_each(|(topic, index)| set.insert(topic, index));
        set
    }
}

/// Partitions that a member has, each with the epoch of the assignment that gave it (KIP-1251).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held(BTreeMap<TopicId, BTreeMap<i32, Epoch>>);

impl Held {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Since which assignment the member has this one.
    #[must_use]
    pub fn since(&self, topic: TopicId, index: i32) -> Option<Epoch> {
        self.0.get(&topic)?.get(&index).copied()
    }

    /// Takes one in.
    pub fn insert(&mut self, topic: TopicId, index: i32, since: Epoch) {
        self.0.entry(topic).or_default().insert(index, since);
    }

    /// Topic by topic, none of them without partitions.
    pub fn topics(&self) -> impl Iterator<Item = (TopicId, &BTreeMap<i32, Epoch>)> {
        self.0.iter().map(|(topic, indexes)| (*topic, indexes))
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = (TopicId, i32, Epoch)> {
        self.0.iter().flat_map(|(topic, indexes)| {
            indexes.iter().map(|(index, since)| (*topic, *index, *since))
        })
    }

    /// Without their epochs.
    #[must_use]
    pub fn partitions(&self) -> Partitions {
        self.iter().map(|(topic, index, _)| (topic, index)).collect()
    }
}

impl FromIterator<(TopicId, i32, Epoch)> for Held {
    fn from_iter<I: IntoIterator<Item = (TopicId, i32, Epoch)>>(partitions: I) -> Held {
        let mut held = Held::default();
        partitions.into_iter().for_each(|(topic, index, since)| held.insert(topic, index, since));
        held
    }
}
