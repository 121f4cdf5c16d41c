//! SyncGroup: the leader's decision, and each member's part of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::group::classic::{CONSUMER, ClassicGroup, State};
use crate::group::embedded::Assignment;
use crate::group::history::Cause;
use crate::group::name::{Generation, MemberId};
use crate::group::request::{Asker, GroupError, Reply, SyncRequest, Synced};
use crate::group::timers::Timer;
use crate::group::turn::{Then, Turn};

/// Bytes of assignments in which partitions that move are counted.
const MAX_COUNTED: usize = 1 << 20;

/// Who gets what.
pub(crate) type Assignments = BTreeMap<MemberId, Bytes>;

impl ClassicGroup {
    /// Decides about a SyncGroup.
    pub(crate) fn sync(&mut self, request: SyncRequest, asker: Asker, turn: &mut Turn<'_>) {
        if let Err(error) = self.may_sync(&request) {
            return turn.reply(asker, Reply::Sync(Err(error)));
        }
        let id = &request.member;
        if self.unsynced.remove(id) && self.unsynced.is_empty() {
            turn.timers.cancel(&Timer::Sync(self.id.clone()));
        }
        if self.state == State::Stable {
            return turn.reply(asker, Reply::Sync(Ok(self.synced(id))));
        }
        let member = self.members.get_mut(id);
        if let Some(earlier) = member.and_then(|member| member.syncing.replace(asker)) {
            turn.reply(earlier, Reply::Sync(Err(GroupError::RebalanceInProgress)));
        }
        if self.leader.as_ref() == Some(id) {
            let mut assignments: Assignments = request.assignments.into_iter().collect();
            assignments.retain(|id, _| self.members.contains_key(id));
            turn.records.push(self.record(Some(&assignments)));
            turn.then.push(Then::Assigned(self.id.clone(), self.generation, assignments));
        }
    }

    fn may_sync(&self, request: &SyncRequest) -> Result<(), GroupError> {
        if self.is_empty() {
            return Err(GroupError::UnknownMember);
        }
        self.identify(&request.member, request.instance.as_ref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differs =
            |asked: &Option<_>, own: &Option<_>| asked.is_some() && own.is_some() && asked != own;
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol, &self.protocol)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        match self.state {
            State::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    fn synced(&self, id: &MemberId) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members.get(id).map_or(Bytes::new(), |m| m.assignment.clone()),
        }
    }

    /// What the leader decided is durable. If the group has gone on meanwhile it counts no more.
    pub(crate) fn assigned(
        &mut self,
        generation: Generation,
        mut assignments: Assignments,
        turn: &mut Turn<'_>,
    ) {
        if !self.waits_for_leader(generation) {
            return;
        }
        let before = self.readers();
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
        let moved = self.readers().into_iter().filter(|(part, id)| before.get(part) != Some(id));
        turn.moved(&self.id, moved.count());
        turn.ended(&self.id, self.generation.0);
        self.enter(State::Stable, turn.now.wall);
        let parts: BTreeMap<MemberId, Synced> =
            self.members.keys().map(|id| (id.clone(), self.synced(id))).collect();
        self.answer_syncs(|id| parts.get(id).cloned().ok_or(GroupError::Unknown), turn);
    }

    /// Who reads what, as far as the broker understands what the leader decided.
    fn readers(&self) -> BTreeMap<(Arc<str>, i32), MemberId> {
        let mut readers = BTreeMap::new();
        let bytes: usize = self.members.values().map(|member| member.assignment.len()).sum();
        if self.protocol_type() != Some(CONSUMER) || bytes > MAX_COUNTED {
            return readers;
        }
        for (id, member) in &self.members {
            let assignment = Assignment::read(&member.assignment).unwrap_or_default();
            for (topic, indexes) in assignment.partitions {
                let parts = indexes.into_iter().map(|index| (topic.clone(), index));
                readers.extend(parts.map(|part| (part, id.clone())));
            }
        }
        readers
    }

    /// What the leader decided could not be written.
    pub(crate) fn not_assigned(
        &mut self,
        generation: Generation,
        error: GroupError,
        turn: &mut Turn<'_>,
    ) {
        if self.waits_for_leader(generation) {
            self.clear_assignments();
            self.answer_syncs(|_| Err(error), turn);
            self.prepare_rebalance(Cause::NotWritten, turn);
        }
    }

    fn waits_for_leader(&self, generation: Generation) -> bool {
        self.state == State::CompletingRebalance && self.generation == generation
    }

    /// Answers everyone who waits for a part. They have been heard of.
    pub(super) fn answer_syncs(
        &mut self,
        answer: impl Fn(&MemberId) -> Result<Synced, GroupError>,
        turn: &mut Turn<'_>,
    ) {
        for (id, member) in &mut self.members {
            if let Some(asker) = member.syncing.take() {
                turn.reply(asker, Reply::Sync(answer(id)));
                turn.set_session(&self.id, id, member.session_ms);
            }
        }
    }
}
