//! A rebalance: who is waited for, how long, and what happens then.

use std::mem;

use crate::group::classic::{ClassicGroup, State};
use crate::group::history::Cause;
use crate::group::name::MemberId;
use crate::group::request::{GroupError, Reply};
use crate::group::timers::Timer;
use crate::group::turn::Turn;

/// Milliseconds between two looks whether silent static members have joined: they may have asked
/// for none.
const SHORTEST_WAIT_MS: u64 = 1_000;

/// The wait of the first members of an empty group for others, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wait {
    now: u64,
    /// How much may follow, when somebody comes meanwhile.
    later: u64,
}

impl ClassicGroup {
    /// Asks all members to join again.
    pub(crate) fn prepare_rebalance(&mut self, cause: Cause, turn: &mut Turn<'_>) {
        turn.began(&self.id, cause);
        if self.state == State::CompletingRebalance {
            self.clear_assignments();
            self.answer_syncs(|_| Err(GroupError::RebalanceInProgress), turn);
        }
        self.unsynced.clear();
        turn.timers.cancel(&Timer::Sync(self.id.clone()));
        let initial = self.is_empty();
        self.enter(State::PreparingRebalance, turn.now.wall);
        if initial {
            let delay = turn.settings.initial_delay_ms;
            let later = self.longest_rebalance_ms().saturating_sub(delay);
            self.newcomers = false;
            self.wait = Wait { now: delay, later };
            self.wait_for_joins(delay, turn);
        } else if self.all_joined() {
            self.complete_joins(turn);
        } else {
            self.wait_for_joins(self.longest_rebalance_ms(), turn);
        }
    }

    fn wait_for_joins(&self, ms: u64, turn: &mut Turn<'_>) {
        turn.timers.set(Timer::Join(self.id.clone()), turn.now.instant.plus_ms(ms));
    }

    fn longest_rebalance_ms(&self) -> u64 {
        let longest = self.members.values().map(|member| member.rebalance_ms).max();
        u64::from(longest.unwrap_or(0).max(0).unsigned_abs())
    }

    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// Ends the joining if nobody is missing, except in a group that was empty: that waits for its
    /// time.
    pub(super) fn complete_if_joined(&mut self, turn: &mut Turn<'_>) {
        let waits = self.state == State::PreparingRebalance;
        if waits && self.previous != State::Empty && self.all_joined() {
            self.complete_joins(turn);
        }
    }

    /// Members have had their time to join.
    pub(crate) fn join_time_is_over(&mut self, turn: &mut Turn<'_>) {
        if self.state != State::PreparingRebalance {
            return;
        }
        let Wait { now, later } = self.wait;
        if self.previous == State::Empty && later > 0 && mem::take(&mut self.newcomers) {
            let next = turn.settings.initial_delay_ms.min(later);
            self.wait = Wait { now: next, later: later.saturating_sub(now) };
            return self.wait_for_joins(next, turn);
        }
        self.complete_joins(turn);
    }

    /// Goes on with those who have joined.
    pub(super) fn complete_joins(&mut self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&Timer::Join(self.id.clone()));
        let absent = self.members.iter().filter(|(_, member)| member.joining.is_none());
        let gone = absent.filter(|(_, member)| member.instance.is_none());
        for id in gone.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.remove(&id, turn);
        }
        let has_joined = |id: &MemberId| self.members.get(id).is_some_and(|m| m.joining.is_some());
        if !self.leader.as_ref().is_some_and(has_joined) {
            let first = self.members.iter().find(|(_, member)| member.joining.is_some());
            let first = first.map(|(id, _)| id.clone());
            if first.is_none() && !self.members.is_empty() {
                // Static members, all of them silent: until they speak, or their sessions end.
                let ms = self.longest_rebalance_ms().max(SHORTEST_WAIT_MS);
                return self.wait_for_joins(ms, turn);
            }
            self.leader = first;
        }
        self.generation = self.generation.next();
        self.unsynced.clear();
        if self.members.is_empty() { self.rest(turn) } else { self.ask_leader(turn) }
    }

    /// Nobody is left.
    fn rest(&mut self, turn: &mut Turn<'_>) {
        (self.protocol, self.leader) = (None, None);
        self.subscribed = self.topics();
        self.enter(State::Empty, turn.now.wall);
        turn.ended(&self.id, self.generation.0);
        turn.records.push(self.record(None));
    }

    /// Tells members of each other, and waits for what the leader decides.
    fn ask_leader(&mut self, turn: &mut Turn<'_>) {
        self.protocol = self.vote();
        self.subscribed = self.topics();
        self.enter(State::CompletingRebalance, turn.now.wall);
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for id in &ids {
            let joined = self.joined(id, true);
            let Some(member) = self.members.get_mut(id) else { continue };
            member.is_new = false;
            turn.set_session(&self.id, id, member.session_ms);
            if let Some(asker) = member.joining.take() {
                turn.reply(asker, Reply::Join(Ok(joined)));
            }
        }
        self.unsynced.extend(ids);
        let until = turn.now.instant.plus_ms(self.longest_rebalance_ms());
        turn.timers.set(Timer::Sync(self.id.clone()), until);
    }

    /// Members have had their time to fetch their parts: those who did not are gone, static or not.
    pub(crate) fn sync_time_is_over(&mut self, turn: &mut Turn<'_>) {
        let runs = matches!(self.state, State::CompletingRebalance | State::Stable);
        let silent = mem::take(&mut self.unsynced);
        if !runs || silent.is_empty() {
            return;
        }
        let slow = silent.first().and_then(|id| self.who(id));
        silent.iter().for_each(|id| self.remove(id, turn));
        if let Some(who) = slow {
            self.prepare_rebalance(Cause::TooSlow(who), turn);
        }
    }
}
