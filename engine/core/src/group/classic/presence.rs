//! Who is there: heartbeats, departures, silence, and commits, which say so too.

use crate::group::classic::join::refuse;
use crate::group::classic::{ClassicGroup, State};
use crate::group::history::Cause;
use crate::group::name::{Generation, InstanceId, MemberId};
use crate::group::request::{CommitRequest, GroupError, HeartbeatRequest, Reply};
use crate::group::turn::Turn;

impl ClassicGroup {
    /// Decides about a Heartbeat.
    pub(crate) fn heartbeat(
        &self,
        request: &HeartbeatRequest,
        turn: &mut Turn<'_>,
    ) -> Result<(), GroupError> {
        self.identify(&request.member, request.instance.as_ref())?;
        self.is_current(request.generation)?;
        self.heard_of(&request.member, turn);
        match self.state {
            State::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    fn is_current(&self, generation: Generation) -> Result<(), GroupError> {
        (generation == self.generation).then_some(()).ok_or(GroupError::IllegalGeneration)
    }

    /// Whether somebody may commit; members that do have been heard of.
    pub(crate) fn may_commit(
        &self,
        request: &CommitRequest,
        turn: &mut Turn<'_>,
    ) -> Result<(), GroupError> {
        let anonymous = request.generation.0 < 0;
        if anonymous && self.is_empty() {
            return Ok(());
        }
        if anonymous && request.member.is_empty() && request.instance.is_none() {
            return Err(GroupError::UnknownMember);
        }
        self.identify(&request.member, request.instance.as_ref())?;
        self.is_current(request.generation)?;
        if self.state == State::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        self.heard_of(&request.member, turn);
        Ok(())
    }

    /// Takes out everyone who leaves; what becomes of each.
    pub(crate) fn leave(
        &mut self,
        members: &[(MemberId, Option<InstanceId>)],
        turn: &mut Turn<'_>,
    ) -> Vec<Result<(), GroupError>> {
        let mut gone = None;
        let left: Vec<_> = members
            .iter()
            .map(|(id, instance)| {
                let named = instance.as_ref().and_then(|instance| self.instances.get(instance));
                let who = self.who(if id.is_empty() { named.unwrap_or(id) } else { id });
                let left = self.take_out(id, instance.as_ref(), turn);
                gone = gone.take().or(who.filter(|_| left.is_ok()));
                left
            })
            .collect();
        if left.iter().any(Result::is_ok) {
            self.go_on_without(gone.map(Cause::Left), turn);
        }
        left
    }

    fn take_out(
        &mut self,
        id: &MemberId,
        instance: Option<&InstanceId>,
        turn: &mut Turn<'_>,
    ) -> Result<(), GroupError> {
        if id.is_empty() {
            let named = instance.and_then(|instance| self.instances.get(instance)).cloned();
            let named = named.ok_or(GroupError::UnknownMember)?;
            self.remove(&named, turn);
            return Ok(());
        }
        if self.pending.remove(id) {
            turn.cancel_session(&self.id, id);
            return Ok(());
        }
        self.identify(id, instance)?;
        self.remove(id, turn);
        Ok(())
    }

    /// Nobody is missed who was only given an id.
    fn go_on_without(&mut self, cause: Option<Cause>, turn: &mut Turn<'_>) {
        match (self.state, cause) {
            (State::PreparingRebalance, _) => self.complete_if_joined(turn),
            (State::Stable | State::CompletingRebalance, Some(cause)) => {
                self.prepare_rebalance(cause, turn);
            }
            _ => {}
        }
    }

    /// Forgets a member. Whoever waits for it is told, leadership passes on.
    pub(super) fn remove(&mut self, id: &MemberId, turn: &mut Turn<'_>) {
        turn.cancel_session(&self.id, id);
        self.unsynced.remove(id);
        let Some(member) = self.members.remove(id) else { return };
        if let Some(asker) = member.joining {
            refuse(asker, GroupError::UnknownMember, MemberId::default(), turn);
        }
        if let Some(asker) = member.syncing {
            turn.reply(asker, Reply::Sync(Err(GroupError::UnknownMember)));
        }
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// A member, or one that was given an id, was silent for too long.
    pub(crate) fn session_is_over(&mut self, id: &MemberId, turn: &mut Turn<'_>) {
        let who = self.who(id);
        if !self.pending.remove(id) {
            let Some(member) = self.members.get(id) else { return };
            let waits = member.joining.is_some() || member.syncing.is_some();
            if waits && !member.is_new {
                return;
            }
            self.remove(id, turn);
        } else if self.state != State::PreparingRebalance {
            return;
        }
        match (self.state, who) {
            // Also one that has just begun: Kafka does not wait on for others here.
            (State::PreparingRebalance, _) if self.all_joined() => self.complete_joins(turn),
            (State::Stable | State::CompletingRebalance, Some(who)) => {
                self.prepare_rebalance(Cause::SessionTimedOut(who), turn);
            }
            _ => {}
        }
    }
}
