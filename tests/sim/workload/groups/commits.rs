//! Offsets of groups that nobody joins: each higher than the one before, so that what is lost or
//! moved back shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use corelog_engine::group::name::{Generation, MemberId};
use corelog_engine::group::request::{
    CommitOffset, CommitRequest, FetchRequest, Request as Question,
};
use corelog_engine::id::Offset;

use super::Asked;
use crate::sim::model::Check;
use crate::sim::workload::{Asking, Setting, Workload};

/// One that commits for a group.
#[derive(Debug)]
pub(super) struct Committer {
    group: usize,
    next: i64,
    /// What was acknowledged or seen last.
    known: Option<i64>,
    /// What may have been stored: nobody has told.
    maybe: BTreeSet<i64>,
    waits: bool,
}

impl Committer {
    pub(super) fn new(group: usize) -> Committer {
        Committer { group, next: 1, known: None, maybe: BTreeSet::new(), waits: false }
    }

    pub(super) fn unanswered(&mut self) {
        self.waits = false;
    }

    pub(super) fn committed(&mut self, value: i64) -> Check {
        self.known = Some(value);
        self.maybe.retain(|other| *other > value);
        self.waits = false;
        Ok(())
    }

    pub(super) fn fetched(&mut self, offset: Option<i64>) -> Check {
        self.waits = false;
        let right = offset == self.known || offset.is_some_and(|found| self.maybe.contains(&found));
        if !right || offset < self.known {
            return Err(format!("{offset:?} is committed, {self:?}"));
        }
        self.known = offset;
        self.maybe.retain(|other| Some(*other) > offset);
        Ok(())
    }
}

impl Workload {
    pub(super) fn commit_or_fetch(&mut self, setting: Setting) -> Option<Asking> {
        let count = self.groups.committers.len() as u64;
        let who = (count > 0).then(|| self.rng.below(count) as usize)?;
        let fetches = self.rng.one_in(3);
        let stable = self.rng.one_in(2);
        let committer = &mut self.groups.committers[who];
        if committer.waits {
            return None;
        }
        committer.waits = true;
        let number = committer.group;
        let group = format!("commits-{number}").as_str().into();
        if fetches {
            let topics = Some(vec![(Arc::from("t"), vec![0])]);
            let request = FetchRequest { group, member: None, stable, topics };
            return self.ask_group(setting, number, Question::Fetch(request), Asked::Fetch { who });
        }
        let value = committer.next;
        committer.next += 1;
        committer.maybe.insert(value);
        let request = CommitRequest {
            group,
            member: MemberId::default(),
            instance: None,
            generation: Generation(-1),
            retention_ms: None,
            knows_not_found: true,
            offsets: vec![CommitOffset {
                topic: "t".into(),
                topic_id: None,
                partition: 0,
                offset: Offset(value),
                epoch: None,
                metadata: "".into(),
            }],
        };
        self.ask_group(setting, number, Question::Commit(request), Asked::Commit { who, value })
    }
}
