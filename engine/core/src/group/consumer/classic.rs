//! Members of the classic protocol in a consumer group: JoinGroup, SyncGroup and Heartbeat as other
//! words for the same. Nobody waits for anybody, and nobody leads.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::group::classic::CONSUMER;
use crate::group::consumer::heartbeat::fresh_id;
use crate::group::consumer::{ConsumerGroup, Member, convert, leave};
use crate::group::embedded::{Assignment, Subscription};
use crate::group::history::Cause;
use crate::group::name::{Generation, InstanceId, MemberId};
use crate::group::record::{ClassicMetadata, MemberMetadata, MemberState};
use crate::group::request::{
    GroupError, HeartbeatRequest, JoinRefused, JoinRequest, Joined, SyncRequest, Synced,
};
use crate::group::timers::Timer;
use crate::group::turn::{Kind, Turn};

/// Bytes of what a member says of itself that are looked into.
const MAX_SUBSCRIPTION: usize = 1 << 20;

/// Decides about a JoinGroup.
pub(crate) fn join(
    kind: &mut Kind,
    request: &JoinRequest,
    turn: &mut Turn<'_>,
) -> Result<Joined, JoinRefused> {
    let Kind::Consumer(group) = kind else {
        return Err(JoinRefused { error: GroupError::Unknown, member: request.member.clone() });
    };
    let id = match request.member.is_empty() {
        true => fresh_id(&request.fresh),
        false => request.member.clone(),
    };
    let refused = |error| JoinRefused { error, member: id.clone() };
    let took_over = group.join(&id, request, turn).map_err(refused)?;
    let epoch = group.member(&id).map_err(refused)?.current.epoch;
    turn.timers.cancel(&Timer::Rejoin(group.id.clone(), id.clone()));
    if took_over && convert::is_downgraded(group, &BTreeSet::new(), turn.settings) {
        let is_old = group.target_epoch < group.epoch;
        let mut classic = convert::downgrade(group, &BTreeSet::new(), turn);
        if is_old && let Some(who) = classic.who(&id) {
            classic.prepare_rebalance(Cause::Joined(who), turn);
        }
        if !is_old {
            turn.ended(classic.id(), epoch.0);
        }
        *kind = Kind::Classic(classic);
    } else {
        turn.set_session(&group.id, &id, request.session_ms);
        turn.set(Timer::Resync(group.id.clone(), id.clone()), request.rebalance_ms);
    }
    Ok(Joined {
        member: id,
        generation: Generation(epoch.0),
        protocol_type: Some(CONSUMER.into()),
        protocol: request.protocols.first().map(|protocol| protocol.name.clone()),
        leader: MemberId::default(),
        skip_assignment: false,
        members: Vec::new(),
    })
}

impl ConsumerGroup {
    /// Takes a classic member in, or what it now says of itself; whether it took the place of a
    /// member of the new protocol.
    fn join(
        &mut self,
        id: &MemberId,
        request: &JoinRequest,
        turn: &mut Turn<'_>,
    ) -> Result<bool, GroupError> {
        if !turn.settings.consumer.migration.admits_classic() {
            return Err(GroupError::InconsistentProtocol);
        }
        self.has_room(&request.member, request.instance.as_ref(), turn).map_err(|no| no.error)?;
        if &*request.protocol_type != CONSUMER || !self.shares_protocol(request) {
            return Err(GroupError::InconsistentProtocol);
        }
        let is_nameless = request.member.is_empty() && request.instance.is_none();
        if is_nameless && request.knows.member_id_required {
            return Err(GroupError::MemberIdRequired);
        }
        let metadata = &request.protocols[0].metadata;
        if metadata.len() > MAX_SUBSCRIPTION {
            return Err(GroupError::InconsistentProtocol);
        }
        let said = Subscription::read(metadata).map_err(|_| GroupError::InconsistentProtocol)?;
        let took_over = self.admit_classic(id, request, turn)?;
        let known = self.members.get(id).map(|member| member.metadata.clone());
        let owned = convert::ids(&said.owned, turn.image);
        let metadata = told(known.clone().unwrap_or_default(), request, said);
        let cause = if known.is_none() { Cause::Joined } else { Cause::Changed };
        let changed = self.set(id, known, metadata, turn);
        self.hear_software(id, &request.client_software);
        let cause = self.who(id).filter(|_| changed).map(cause);
        self.refresh(cause, turn);
        self.retarget(turn);
        self.settle(id, Some(&owned), changed, turn).map_err(|no| no.error)?;
        turn.timers.cancel(&Timer::Revocation(self.id.clone(), id.clone()));
        Ok(took_over)
    }

    /// Whether all classic members offer one of the protocols that the newcomer does.
    fn shares_protocol(&self, request: &JoinRequest) -> bool {
        let mut common: BTreeSet<&Arc<str>> =
            request.protocols.iter().map(|protocol| &protocol.name).collect();
        for member in self.members.values() {
            if let Some(classic) = &member.metadata.classic {
                let offered: BTreeSet<_> = classic.protocols.iter().map(|one| &one.name).collect();
                common.retain(|name| offered.contains(name));
            }
        }
        !common.is_empty()
    }

    fn admit_classic(
        &mut self,
        id: &MemberId,
        request: &JoinRequest,
        turn: &mut Turn<'_>,
    ) -> Result<bool, GroupError> {
        let Some(instance) = &request.instance else { return Ok(false) };
        match self.instances.get(instance).cloned() {
            None if request.member.is_empty() => Ok(false),
            None => Err(GroupError::UnknownMember),
            Some(holder) if request.member.is_empty() => {
                let took_over = self.member(&holder)?.metadata.classic.is_none();
                self.replace(&holder, id, turn);
                Ok(took_over)
            }
            Some(holder) if holder != *id => Err(GroupError::FencedInstance),
            Some(_) => Ok(false),
        }
    }

    fn classic_member(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
        generation: Generation,
    ) -> Result<(&Member, &ClassicMetadata), GroupError> {
        self.identify(id, instance)?;
        let member = self.member(id)?;
        let classic = member.metadata.classic.as_ref().ok_or(GroupError::UnknownMember)?;
        match generation.0 == member.current.epoch.0 {
            true => Ok((member, classic)),
            false => Err(GroupError::IllegalGeneration),
        }
    }

    fn identify(&self, id: &MemberId, instance: Option<&InstanceId>) -> Result<(), GroupError> {
        match instance.map(|instance| self.instances.get(instance)) {
            Some(None) => Err(GroupError::UnknownMember),
            Some(Some(holder)) if holder != id => Err(GroupError::FencedInstance),
            _ => Ok(()),
        }
    }

    /// Decides about a SyncGroup: what the member has, whoever believes to lead.
    pub(crate) fn sync(
        &self,
        request: &SyncRequest,
        turn: &mut Turn<'_>,
    ) -> Result<Synced, GroupError> {
        let (id, instance) = (&request.member, request.instance.as_ref());
        let (member, classic) = self.classic_member(id, instance, request.generation)?;
        let first = classic.protocols.first().map(|protocol| &protocol.name);
        let differs = request.protocol_type.as_deref().is_some_and(|kind| kind != CONSUMER)
            || request.protocol.as_ref().is_some_and(|protocol| Some(protocol) != first);
        if differs {
            return Err(GroupError::InconsistentProtocol);
        }
        let current = &member.current;
        if self.target_epoch > current.epoch && current.state != MemberState::Unrevoked {
            self.must_rejoin(id, member, turn);
            return Err(GroupError::RebalanceInProgress);
        }
        turn.timers.cancel(&Timer::Resync(self.id.clone(), id.clone()));
        turn.set_session(&self.id, id, classic.session_ms);
        let named = convert::names(&current.assigned.partitions(), turn.image);
        Ok(Synced {
            protocol_type: request.protocol_type.clone(),
            protocol: request.protocol.clone(),
            assignment: Assignment::write(&named, classic.version()),
        })
    }

    /// Decides about a Heartbeat of the classic protocol.
    pub(crate) fn classic_heartbeat(
        &self,
        request: &HeartbeatRequest,
        turn: &mut Turn<'_>,
    ) -> Result<(), GroupError> {
        let (id, instance) = (&request.member, request.instance.as_ref());
        let (member, classic) = self.classic_member(id, instance, request.generation)?;
        turn.set_session(&self.id, id, classic.session_ms);
        let current = &member.current;
        let moves = match current.state {
            _ if current.epoch < self.target_epoch => true,
            MemberState::Unrevoked => true,
            MemberState::Unreleased => self.is_released(id),
            MemberState::Stable | MemberState::Unknown(_) => false,
        };
        if moves {
            self.must_rejoin(id, member, turn);
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// Whether nobody else has anything of what a member is to have.
    fn is_released(&self, id: &MemberId) -> bool {
        let Some(target) = self.targets.get(id) else { return true };
        self.held_by_others(id, target).is_empty()
    }

    /// A member that is told to join again has its rebalance timeout for that.
    fn must_rejoin(&self, id: &MemberId, member: &Member, turn: &mut Turn<'_>) {
        let timer = Timer::Rejoin(self.id.clone(), id.clone());
        if !turn.timers.is_set(&timer) {
            turn.set(timer, member.metadata.rebalance_ms);
        }
    }
}

/// Decides about a LeaveGroup; members of both protocols may be named.
pub(crate) fn leave_all(
    kind: &mut Kind,
    members: &[(MemberId, Option<InstanceId>)],
    turn: &mut Turn<'_>,
) -> Vec<Result<(), GroupError>> {
    let Kind::Consumer(group) = kind else { return Vec::new() };
    let found: Vec<Result<MemberId, GroupError>> = members
        .iter()
        .map(|(id, instance)| match (instance, id.is_empty()) {
            (Some(instance), true) => {
                group.instances.get(instance).cloned().ok_or(GroupError::UnknownMember)
            }
            _ => {
                group.identify(id, instance.as_ref())?;
                group.member(id).map(|_| id.clone())
            }
        })
        .collect();
    let gone: BTreeSet<MemberId> = found.iter().flatten().cloned().collect();
    leave::remove(kind, &gone, Cause::Left, turn);
    found.into_iter().map(|found| found.map(drop)).collect()
}

/// What a classic member says of itself now.
fn told(before: MemberMetadata, request: &JoinRequest, said: Subscription) -> MemberMetadata {
    MemberMetadata {
        instance: request.instance.clone().or(before.instance),
        rack: said.rack.or(before.rack),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        topics: said.topics,
        regex: "".into(),
        rebalance_ms: request.rebalance_ms,
        assignor: before.assignor,
        classic: Some(ClassicMetadata {
            session_ms: request.session_ms,
            protocols: request.protocols.clone(),
        }),
    }
}
