//! JoinGroup: new members, members that come back, static members under new ids.

use std::fmt::Write;

use crate::fields::MAX_STRING;
use crate::group::classic::{ClassicGroup, Member, State};
use crate::group::history::{Cause, Who};
use crate::group::name::MemberId;
use crate::group::request::{
    Asker, GroupError, JoinRefused, JoinRequest, Joined, JoinedMember, Reply,
};
use crate::group::turn::{Then, Turn};

/// Milliseconds that a new member may be silent until its first rebalance has come to an end
/// (`CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`).
const NEW_MEMBER_MS: i32 = 300_000;

/// Characters of a dash and a UUID.
const UUID: usize = 37;

/// A static member that has come back, until that is durable.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    old: MemberId,
    new: MemberId,
    before: Member,
    leader_before: MemberId,
    asker: Asker,
    knows_skip: bool,
}

impl ClassicGroup {
    /// Decides about a JoinGroup that is for this group.
    pub(crate) fn join(&mut self, request: &JoinRequest, asker: Asker, turn: &mut Turn<'_>) {
        if !self.has_room_for(&request.member, turn.settings.max_size) {
            self.pending.remove(&request.member);
            if self.members.contains_key(&request.member) {
                self.remove(&request.member.clone(), turn);
            }
            return refuse(asker, GroupError::MaxSizeReached, MemberId::default(), turn);
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            let error = GroupError::InconsistentProtocol;
            return refuse(asker, error, request.member.clone(), turn);
        }
        if request.member.is_empty() {
            return self.join_unknown(request, asker, turn);
        }
        if self.pending.contains(&request.member) {
            return match &request.instance {
                Some(_) => refuse(asker, GroupError::Unknown, request.member.clone(), turn),
                None => self.add(request.member.clone(), request, asker, turn),
            };
        }
        match self.identify(&request.member, request.instance.as_ref()) {
            Ok(()) => self.join_again(request, asker, turn),
            Err(error) => refuse(asker, error, request.member.clone(), turn),
        }
    }

    /// `group.max.size`, as Kafka counts: ids that were only given out do not.
    fn has_room_for(&self, member: &MemberId, most: usize) -> bool {
        let known = self.members.get(member);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                let joining = self.members.values().filter(|member| member.joining.is_some());
                known.is_some_and(|member| member.joining.is_some()) || joining.count() < most
            }
            State::CompletingRebalance | State::Stable => {
                known.is_some() || self.members.len() < most
            }
        }
    }

    fn join_unknown(&mut self, request: &JoinRequest, asker: Asker, turn: &mut Turn<'_>) {
        let id = fresh_id(request);
        if let Some(instance) = &request.instance {
            return match self.instances.get(instance).cloned() {
                Some(old) => self.replace(&old, id, request, asker, turn),
                None => self.add(id, request, asker, turn),
            };
        }
        if !request.knows.member_id_required {
            return self.add(id, request, asker, turn);
        }
        turn.set_session(&self.id, &id, request.session_ms);
        self.pending.insert(id.clone());
        refuse(asker, GroupError::MemberIdRequired, id, turn);
    }

    fn add(&mut self, id: MemberId, request: &JoinRequest, asker: Asker, turn: &mut Turn<'_>) {
        if self.state == State::PreparingRebalance && self.previous == State::Empty {
            self.newcomers = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        if let Some(instance) = &request.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.pending.remove(&id);
        turn.set_session(&self.id, &id, NEW_MEMBER_MS);
        self.members.insert(id.clone(), Member::new(request, asker));
        self.rebalance_or_complete(Cause::Joined, &id, turn);
    }

    fn join_again(&mut self, request: &JoinRequest, asker: Asker, turn: &mut Turn<'_>) {
        let id = &request.member;
        let same = self.members.get(id).is_some_and(|m| m.protocols == request.protocols);
        let leads = self.leader.as_ref() == Some(id);
        match self.state {
            // It has members, so it is not empty.
            State::Empty => refuse(asker, GroupError::UnknownMember, id.clone(), turn),
            State::CompletingRebalance if same => self.answer_now(id, asker, turn),
            State::Stable if same && !leads => self.answer_now(id, asker, turn),
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                if let Some(member) = self.members.get_mut(id) {
                    member.update(request);
                }
                self.park(id, asker, turn);
                self.rebalance_or_complete(Cause::Changed, id, turn);
            }
        }
    }

    fn answer_now(&self, id: &MemberId, asker: Asker, turn: &mut Turn<'_>) {
        // Nobody divides anything anew in a stable group.
        let lists = self.state == State::CompletingRebalance;
        turn.reply(asker, Reply::Join(Ok(self.joined(id, lists))));
    }

    /// Has a JoinGroup wait for the rebalance to end; an earlier one of the member's is given up.
    fn park(&mut self, id: &MemberId, asker: Asker, turn: &mut Turn<'_>) {
        let member = self.members.get_mut(id);
        let earlier = member.and_then(|member| member.joining.replace(asker));
        if let Some(earlier) = earlier {
            refuse(earlier, GroupError::RebalanceInProgress, id.clone(), turn);
        }
    }

    fn rebalance_or_complete(
        &mut self,
        cause: fn(Who) -> Cause,
        id: &MemberId,
        turn: &mut Turn<'_>,
    ) {
        if self.state == State::PreparingRebalance {
            self.complete_if_joined(turn);
        } else if let Some(who) = self.who(id) {
            self.prepare_rebalance(cause(who), turn);
        }
    }

    /// What a member of the present rebalance is answered; `lists` where it leads, with the others.
    pub(super) fn joined(&self, id: &MemberId, lists: bool) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let protocol = self.protocol.clone().unwrap_or_default();
        let listed = |(id, member): (&MemberId, &Member)| JoinedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(&protocol),
        };
        let lists = lists && leader == *id;
        let members = if lists { self.members.iter().map(listed).collect() } else { Vec::new() };
        Joined {
            member: id.clone(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader,
            skip_assignment: false,
            members,
        }
    }
}

/// Static members that come back (KIP-345).
impl ClassicGroup {
    fn replace(
        &mut self,
        old: &MemberId,
        new: MemberId,
        request: &JoinRequest,
        asker: Asker,
        turn: &mut Turn<'_>,
    ) {
        let leader_before = self.leader.clone().unwrap_or_default();
        let Some(before) = self.rekey(old, &new, turn) else { return };
        turn.set_session(&self.id, &new, before.session_ms);
        if let Some(member) = self.members.get_mut(&new) {
            member.update(request);
            member.joining = Some(asker);
        }
        if self.state != State::Stable {
            return self.rebalance_or_complete(Cause::Joined, &new, turn);
        }
        if self.vote() != self.protocol {
            return self.rebalance_or_complete(Cause::Changed, &new, turn);
        }
        let knows_skip = request.knows.skip_assignment;
        let old = old.clone();
        let replacement = Replacement { old, new, before, leader_before, asker, knows_skip };
        turn.records.push(self.record(None));
        turn.then.push(Then::Replaced(self.id.clone(), Box::new(replacement)));
    }

    /// Gives a member another id; what waits for the old one is fenced. The member as it was.
    fn rekey(&mut self, old: &MemberId, new: &MemberId, turn: &mut Turn<'_>) -> Option<Member> {
        let mut member = self.members.remove(old)?;
        let before = Member { joining: None, syncing: None, ..member.clone() };
        if let Some(asker) = member.joining.take() {
            refuse(asker, GroupError::FencedInstance, old.clone(), turn);
        }
        if let Some(asker) = member.syncing.take() {
            turn.reply(asker, Reply::Sync(Err(GroupError::FencedInstance)));
        }
        member.is_new = false;
        if let Some(instance) = &member.instance {
            self.instances.insert(instance.clone(), new.clone());
        }
        if self.leader.as_ref() == Some(old) {
            self.leader = Some(new.clone());
        }
        if self.unsynced.remove(old) {
            self.unsynced.insert(new.clone());
        }
        turn.cancel_session(&self.id, old);
        self.members.insert(new.clone(), member);
        Some(before)
    }

    /// The replacement is durable. If a rebalance has come between, that has answered.
    pub(crate) fn replaced(&mut self, done: &Replacement, turn: &mut Turn<'_>) {
        if !self.takes_back(done) {
            return;
        }
        let mut joined = self.joined(&done.new, done.knows_skip);
        if done.knows_skip {
            joined.skip_assignment = joined.leader == done.new;
        } else {
            // So that a leader of old, which would divide everything anew, does not know itself.
            joined.leader = done.leader_before.clone();
        }
        turn.reply(done.asker, Reply::Join(Ok(joined)));
    }

    /// The replacement could not be written: everything is as it was.
    pub(crate) fn not_replaced(
        &mut self,
        failed: &Replacement,
        error: GroupError,
        turn: &mut Turn<'_>,
    ) {
        if !self.takes_back(failed) {
            return;
        }
        let before = failed.before.clone();
        turn.set_session(&self.id, &failed.old, before.session_ms);
        if self.rekey(&failed.new, &failed.old, turn).is_some() {
            self.members.insert(failed.old.clone(), before);
        }
        refuse(failed.asker, error, MemberId::default(), turn);
    }

    /// Ends the wait of a replaced member's JoinGroup, if it still waits.
    fn takes_back(&mut self, replacement: &Replacement) -> bool {
        let member = self.members.get_mut(&replacement.new);
        let waits = member.filter(|member| member.joining == Some(replacement.asker));
        waits.map(|member| member.joining = None).is_some()
    }
}

pub(crate) fn refuse(asker: Asker, error: GroupError, member: MemberId, turn: &mut Turn<'_>) {
    turn.reply(asker, Reply::Join(Err(JoinRefused { error, member })));
}

/// `<instance or client>-<random UUID>`.
fn fresh_id(request: &JoinRequest) -> MemberId {
    let client = &*request.client_id;
    let named = request.instance.as_ref().map_or(client, |instance| instance.as_str());
    // What is stored must be no longer than what can be read.
    let mut id: String = named.to_owned();
    id.truncate(id.floor_char_boundary(MAX_STRING - UUID));
    let mut bytes = request.fresh;
    // Version 4, the variant of RFC 9562.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    for (place, byte) in bytes.iter().enumerate() {
        let dash = if [0, 4, 6, 8, 10].contains(&place) { "-" } else { "" };
        // A string takes everything.
        let _ = write!(id, "{dash}{byte:02x}");
    }
    MemberId(id.into())
}
