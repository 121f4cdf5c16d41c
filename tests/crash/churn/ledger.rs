//! What members were told: who has which partition, and what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A partition of a group.
type Key = (String, i32);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// In classic groups a partition is somebody's for a generation.
    generations: BTreeMap<(String, i32, i32), String>,
    /// In consumer groups, until its session may have ended.
    claims: BTreeMap<Key, (String, Instant)>,
    commits: BTreeMap<Key, Commits>,
    acknowledged: u64,
    assignments: u64,
}

/// Commits of one partition, each higher than the one before.
#[derive(Debug, Default)]
struct Commits {
    last: i64,
    /// The highest that was acknowledged.
    known: i64,
    /// Those whose outcome nobody has told.
    maybe: BTreeSet<i64>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A classic member was given partitions in a generation.
    pub(super) fn given(
        &self,
        group: &str,
        generation: i32,
        member: &str,
        partitions: &[i32],
    ) -> Result<(), String> {
        let mut inner = self.lock();
        inner.assignments += 1;
        for partition in partitions {
            let key = (group.to_owned(), *partition, generation);
            let owner = inner.generations.entry(key).or_insert_with(|| member.to_owned());
            if owner != member {
                return Err(format!(
                    "partition {partition} is {owner}'s too in generation {generation}"
                ));
            }
        }
        Ok(())
    }

    /// A member of a consumer group has these until then, and nothing else.
    pub(super) fn claims(
        &self,
        group: &str,
        member: &str,
        partitions: &BTreeSet<i32>,
        until: Instant,
    ) -> Result<(), String> {
        let mut inner = self.lock();
        let now = Instant::now();
        inner.claims.retain(|(other, partition), (owner, _)| {
            other != group || owner != member || partitions.contains(partition)
        });
        for partition in partitions {
            let key = (group.to_owned(), *partition);
            let before = inner.claims.insert(key, (member.to_owned(), until));
            if let Some((owner, valid)) = before
                && owner != member
                && valid > now
            {
                return Err(format!("partition {partition} is {owner}'s for {:?}", valid - now));
            }
        }
        Ok(())
    }

    /// What a member commits next.
    pub(super) fn next(&self, group: &str, partition: i32) -> i64 {
        let mut inner = self.lock();
        let commits = inner.commits.entry((group.to_owned(), partition)).or_default();
        commits.last += 1;
        commits.maybe.insert(commits.last);
        commits.last
    }

    /// A commit was acknowledged.
    pub(super) fn committed(&self, group: &str, partition: i32, value: i64) {
        let mut inner = self.lock();
        inner.acknowledged += 1;
        let commits = inner.commits.entry((group.to_owned(), partition)).or_default();
        commits.known = commits.known.max(value);
    }

    /// A commit was refused: it is nowhere.
    pub(super) fn refused(&self, group: &str, partition: i32, value: i64) {
        let mut inner = self.lock();
        let commits = inner.commits.entry((group.to_owned(), partition)).or_default();
        commits.maybe.remove(&value);
    }

    /// What is committed in the end is what was acknowledged last, or came after that.
    pub(super) fn check(&self, group: &str, found: &[(i32, i64)]) -> Result<(), String> {
        let inner = self.lock();
        let none = Commits::default();
        for (partition, offset) in found {
            let commits = inner.commits.get(&(group.to_owned(), *partition)).unwrap_or(&none);
            let right = match *offset {
                -1 => commits.known == 0,
                offset => offset >= commits.known && commits.maybe.contains(&offset),
            };
            if !right {
                return Err(format!("{offset} is committed for {partition}: {commits:?}"));
            }
        }
        Ok(())
    }

    /// What has been done; a failure if that is next to nothing.
    pub(super) fn words(&self) -> Result<String, String> {
        let inner = self.lock();
        let words = format!("{} commits, {} assignments", inner.acknowledged, inner.assignments);
        let enough = inner.acknowledged >= 100 && inner.assignments >= 50;
        if enough { Ok(words) } else { Err(format!("only {words}")) }
    }
}
