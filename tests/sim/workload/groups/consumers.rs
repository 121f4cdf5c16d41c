//! Members of consumer groups (KIP-848). Each believes to have what it was told while it has been
//! heard of within the session timeout; then no two of a group have the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use corelog_engine::group::name::Epoch;
use corelog_engine::group::partitions::Partitions;
use corelog_engine::group::request::{
    ConsumerHeartbeat, ConsumerStanding, GroupError, Request as Question,
};

use super::Asked;
use crate::sim::model::Check;
use crate::sim::scenario::SESSION_MS;
use crate::sim::workload::{Asking, Setting, Workload};

/// Longer than a session: a member that misses what it is to give up is silent before that.
const REBALANCE_MS: i32 = 2 * SESSION_MS;

/// A member, in one of two groups.
#[derive(Debug)]
pub(super) struct Consumer {
    group: usize,
    name: usize,
    lives: u64,
    epoch: Epoch,
    has: Partitions,
    /// When it asked what was answered well last; microseconds.
    heard: u64,
    /// Whether the next heartbeat says everything: an answer may have been missed.
    full: bool,
    waits: bool,
}

impl Consumer {
    pub(super) fn new(name: usize) -> Consumer {
        Consumer {
            group: name % 2,
            name,
            lives: 0,
            epoch: Epoch::JOINING,
            has: Partitions::default(),
            heard: 0,
            full: true,
            waits: false,
        }
    }

    pub(super) fn unanswered(&mut self) {
        (self.waits, self.full) = (false, true);
    }

    fn gives_up(&mut self) {
        (self.epoch, self.has) = (Epoch::JOINING, Partitions::default());
    }

    pub(super) fn told(
        &mut self,
        at: u64,
        leaves: bool,
        result: Result<ConsumerStanding, GroupError>,
    ) {
        self.unanswered();
        match result {
            Ok(_) if leaves => self.gives_up(),
            Ok(standing) => {
                (self.heard, self.full, self.epoch) = (at, false, standing.epoch);
                if let Some(assignment) = standing.assignment {
                    self.has = assignment;
                }
            }
            Err(error) if may_be_told(error) => self.gives_up(),
            Err(_) => {}
        }
    }

    fn believes(&self, now: u64) -> bool {
        self.heard + SESSION_MS as u64 * 1_000 > now
    }
}

/// What members may hear that were silent for too long, or not where they believed to be.
pub(super) fn may_be_told(error: GroupError) -> bool {
    matches!(
        error,
        GroupError::UnknownMember | GroupError::FencedMemberEpoch | GroupError::NotFound
    )
}

/// No two have the same.
pub(super) fn check(consumers: &[Consumer], now: u64) -> Check {
    for (place, one) in consumers.iter().enumerate() {
        for other in &consumers[place + 1..] {
            let both = one.group == other.group && one.believes(now) && other.believes(now);
            if both && let Some(twice) = one.has.iter().find(|(t, p)| other.has.contains(*t, *p)) {
                return Err(format!("{twice:?} is read by two: {one:?} and {other:?}"));
            }
        }
    }
    Ok(())
}

impl Workload {
    pub(super) fn beat(&mut self, setting: Setting) -> Option<Asking> {
        let count = self.groups.consumers.len() as u64;
        let who = (count > 0).then(|| self.rng.below(count) as usize)?;
        let (leaves, dies) = (self.rng.one_in(40), self.rng.one_in(60));
        let topics: BTreeSet<Arc<str>> =
            (0..3).filter(|_| self.rng.one_in(2)).map(|n| format!("topic-{n}").into()).collect();
        let fresh = self.rng.id();
        let consumer = &mut self.groups.consumers[who];
        if consumer.waits {
            return None;
        }
        if dies {
            consumer.lives += 1;
            consumer.gives_up();
        }
        let joins = consumer.epoch == Epoch::JOINING;
        let leaves = leaves && !joins;
        if leaves || joins {
            consumer.has = Partitions::default();
        }
        let says_all = joins || consumer.full;
        consumer.waits = true;
        let number = consumer.group;
        let request = ConsumerHeartbeat {
            group: format!("consumers-{number}").as_str().into(),
            member: format!("{}.{}", consumer.name, consumer.lives).as_str().into(),
            epoch: if leaves { Epoch::LEFT } else { consumer.epoch },
            instance: None,
            rack: None,
            rebalance_ms: says_all.then_some(REBALANCE_MS),
            topics: says_all.then_some(topics),
            regex: None,
            assignor: None,
            owned: Some(consumer.has.clone()),
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            client_software: "".into(),
            fresh,
            names_itself: true,
        };
        let asked = Asked::Beat { who, at: setting.now, leaves };
        self.ask_group(setting, number, Question::ConsumerHeartbeat(Box::new(request)), asked)
    }
}
