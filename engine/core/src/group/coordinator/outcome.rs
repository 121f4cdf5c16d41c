//! What follows when a batch is durable, and what when it is not to be.

use std::collections::{BTreeMap, BTreeSet};

use crate::group::classic::ClassicGroup;
use crate::group::coordinator::{Group, Groups, end_kind, look};
use crate::group::name::{GroupId, MemberId};
use crate::group::request::{GroupError, JoinRefused, Refused, Reply};
use crate::group::turn::{Before, Kind, Then, Turn};

/// What a durable batch brings about.
pub(super) fn go_on(groups: &mut Groups, then: Then, turn: &mut Turn<'_>) {
    match then {
        Then::Answer(asker, reply) => turn.reply(asker, reply),
        Then::Fetch(asker, request) => turn.reply(asker, look::fetch(groups, &request)),
        Then::Assigned(id, generation, assignments) => {
            if let Some(classic) = classic(groups, &id) {
                classic.assigned(generation, assignments, turn);
            }
        }
        Then::Replaced(id, replacement) => {
            if let Some(classic) = classic(groups, &id) {
                classic.replaced(&replacement, turn);
            }
        }
        Then::Created(_) => {}
    }
}

/// What a batch that failed brings about.
pub(super) fn give_up(groups: &mut Groups, then: Then, error: GroupError, turn: &mut Turn<'_>) {
    match then {
        Then::Answer(asker, reply) => turn.reply(asker, reply.failed(error)),
        // What did not become durable is not waited for.
        Then::Fetch(asker, request) => turn.reply(asker, look::fetch(groups, &request)),
        Then::Assigned(id, generation, _) => {
            if let Some(classic) = classic(groups, &id) {
                classic.not_assigned(generation, error, turn);
            }
        }
        Then::Replaced(id, replacement) => {
            if let Some(classic) = classic(groups, &id) {
                classic.not_replaced(&replacement, error, turn);
            }
        }
        Then::Created(id) => {
            if groups.get(&id).is_some_and(Group::is_unused) {
                groups.remove(&id);
            }
        }
    }
}

fn classic<'a>(groups: &'a mut Groups, id: &GroupId) -> Option<&'a mut ClassicGroup> {
    match &mut groups.get_mut(id)?.kind {
        Kind::Classic(classic) => Some(classic),
        Kind::Consumer(_) => None,
    }
}

/// Makes groups what they were. Whoever waits in what they are is told why.
pub(super) fn take_back(
    groups: &mut Groups,
    before: Vec<Before>,
    error: GroupError,
    turn: &mut Turn<'_>,
) {
    for before in before.into_iter().rev() {
        let (id, kind) = match before {
            Before::Kind(id, kind) => (id, kind),
            Before::Record(record) => {
                let group = groups.get_mut(record.group()).map(|group| &mut group.kind);
                if let Some(Kind::Consumer(group)) = group {
                    group.take_back(&record);
                }
                continue;
            }
        };
        if let Some(classic) = classic(groups, &id) {
            classic.answer_all(error, turn);
        }
        match kind {
            None => end_kind(groups, &id, turn.now),
            Some(kind) => match groups.get_mut(&id) {
                Some(group) => group.kind = *kind,
                None => drop(groups.insert(id, Group::of(*kind))),
            },
        }
    }
}

/// Does something as a whole or not at all.
pub(super) fn attempt<T, E>(
    groups: &mut BTreeMap<GroupId, Group>,
    turn: &mut Turn<'_>,
    act: impl FnOnce(&mut Groups, &mut Turn<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let result = act(groups, turn);
    if result.is_err() {
        turn.records.clear();
        turn.events.clear();
        let before = std::mem::take(&mut turn.before);
        let restored: BTreeSet<GroupId> =
            before.iter().map(|before| before.group().clone()).collect();
        take_back(groups, before, GroupError::RebalanceInProgress, turn);
        for id in restored {
            if let Some(group) = groups.get_mut(&id) {
                group.restored(turn);
            }
        }
    }
    result
}

impl Reply {
    /// The same answer, if it cannot be given.
    pub(super) fn failed(&self, error: GroupError) -> Reply {
        let member = MemberId::default();
        match self {
            Reply::Join(_) => Reply::Join(Err(JoinRefused { error, member })),
            Reply::Sync(_) => Reply::Sync(Err(error)),
            Reply::Heartbeat(_) => Reply::Heartbeat(Err(error)),
            Reply::Leave(_) => Reply::Leave(Err(error)),
            Reply::ConsumerHeartbeat(_) => Reply::ConsumerHeartbeat(Err(Refused::from(error))),
            Reply::Commit(_) => Reply::Commit(Err(error)),
            Reply::Fetch(_) => Reply::Fetch(Err(error)),
            Reply::DeleteOffsets(_) => Reply::DeleteOffsets(Err(error)),
            Reply::Delete(_) => Reply::Delete(Err(error)),
            Reply::Describe(_) => Reply::Describe(Err(Refused::from(error))),
            Reply::History(_) => self.clone(),
            Reply::DescribeConsumer(_) => Reply::DescribeConsumer(Err(Refused::from(error))),
            // It waits for no batch.
            Reply::List(_) => self.clone(),
        }
    }
}
