//! What a group has committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::group::record::Committed;
use crate::id::Timestamp;

/// Offsets of one group, by topic and partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets(BTreeMap<Arc<str>, BTreeMap<i32, Committed>>);

impl Offsets {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.0.get(topic)?.get(&partition)
    }

    pub(crate) fn set(&mut self, topic: Arc<str>, partition: i32, committed: Committed) {
        self.0.entry(topic).or_default().insert(partition, committed);
    }

    pub(crate) fn remove(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.0.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.0.remove(topic);
            }
        }
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Arc<str>, &BTreeMap<i32, Committed>)> {
        self.0.iter()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Arc<str>, i32, &Committed)> {
        self.0.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, committed)| (topic, *partition, committed))
        })
    }
}

/// From when on an offset's age counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// It does not: somebody may need it.
    Never,
    /// Its commit.
    Commit,
    /// When the group's last member left.
    Empty(Timestamp),
}

impl Committed {
    /// Whether nobody will ask for it any more (`OffsetExpirationCondition`).
    pub(crate) fn is_expired(&self, now: Timestamp, since: Since, retention_ms: u64) -> bool {
        let base = match since {
            Since::Never => return false,
            Since::Commit => self.time,
            Since::Empty(time) => time,
        };
        match self.expires {
            Some(expires) => now >= expires,
            None => now.0.saturating_sub(base.0) >= i64::try_from(retention_ms).unwrap_or(i64::MAX),
        }
    }
}
