//! ConsumerGroupHeartbeat of a member that joins or stays.

use std::cell::OnceCell;

use crate::group::consumer::{ConsumerGroup, Member, reconcile};
use crate::group::history::Cause;
use crate::group::name::{Epoch, InstanceId, MemberId};
use crate::group::partitions::Partitions;
use crate::group::record::{Current, MemberMetadata, MemberState, Record};
use crate::group::request::{ConsumerHeartbeat, ConsumerStanding, GroupError, Refused};
use crate::group::timers::Timer;
use crate::group::turn::Turn;
use crate::id::TopicId;

impl ConsumerGroup {
    /// Decides about a heartbeat that was checked and is no farewell.
    ///
    /// # Errors
    /// What has been written until then must be taken back.
    pub(crate) fn heartbeat(
        &mut self,
        request: &ConsumerHeartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<ConsumerStanding, Refused> {
        self.has_room(&request.member, request.instance.as_ref(), turn)?;
        let id = match request.member.is_empty() {
            true => fresh_id(&request.fresh),
            false => request.member.clone(),
        };
        self.admit(&id, request, turn)?;

        let before = self.members.get(&id).map(|member| member.current.assigned.clone());
        let changed = self.update(&id, request, turn)?;
        self.retarget(turn);
        self.settle(&id, request.owned.as_ref(), changed, turn)?;
        let times = turn.times(&self.id);
        turn.set_session(&self.id, &id, times.session_ms);

        let current = &self.member(&id)?.current;
        let asks = request.epoch == Epoch::JOINING || request.is_full();
        let tells = asks || before.unwrap_or_default() != current.assigned;
        Ok(ConsumerStanding {
            member: id.clone(),
            epoch: current.epoch,
            interval_ms: times.heartbeat_ms,
            assignment: tells.then(|| current.assigned.partitions()),
        })
    }

    /// Refuses one more member than there may be (`group.consumer.max.size`).
    pub(super) fn has_room(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
        turn: &Turn<'_>,
    ) -> Result<(), Refused> {
        let named = instance.is_some_and(|instance| self.instances.contains_key(instance));
        let most = turn.settings.consumer.max_size;
        if named || self.members.len() < most || self.members.contains_key(id) {
            return Ok(());
        }
        Err(full(most))
    }

    /// Finds the member, or makes room for it: a static one takes the place of its predecessor.
    fn admit(
        &mut self,
        id: &MemberId,
        request: &ConsumerHeartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let joins = request.epoch == Epoch::JOINING;
        let holder =
            request.instance.as_ref().map(|instance| self.instances.get(instance).cloned());
        match holder {
            Some(Some(holder)) if joins => {
                let old = self.member(&holder)?;
                if old.metadata.classic.is_none() && old.current.epoch != Epoch::AWAY {
                    let why = format!(
                        "The instance id is in use by member {holder}, which has neither left \
                         nor been silent for the session timeout."
                    );
                    return Err(Refused::new(GroupError::UnreleasedInstance, why));
                }
                self.replace(&holder, id, turn);
                Ok(())
            }
            Some(Some(holder)) if holder != *id => {
                let why = format!("The instance id is now that of member {holder}.");
                Err(Refused::new(GroupError::FencedInstance, why))
            }
            Some(None) if !joins => Err(unknown(id)),
            None if !joins && !self.members.contains_key(id) => Err(unknown(id)),
            Some(_) | None => match self.members.get(id) {
                Some(member) => has_epoch(member, request),
                None => Ok(()),
            },
        }
    }

    /// Gives what a static member was to its successor.
    pub(super) fn replace(&mut self, old: &MemberId, new: &MemberId, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get(old).cloned() else { return };
        let target = self.targets.get(old).cloned();
        let group = self.id.clone();
        self.write(Record::Current(group.clone(), old.clone(), None), turn);
        self.write(Record::Target(group.clone(), old.clone(), None), turn);
        self.write(Record::Member(group.clone(), old.clone(), None), turn);

        let metadata = member.metadata.clone();
        self.write(Record::Member(group.clone(), new.clone(), Some(metadata)), turn);
        if let Some(target) = target {
            self.write(Record::Target(group.clone(), new.clone(), Some((*target).clone())), turn);
        }
        let current = Current { epoch: Epoch(0), previous: Epoch(0), ..member.current.clone() };
        self.write(Record::Current(group, new.clone(), Some(current)), turn);
    }

    /// Takes over what a member says of itself, and makes the group's epoch rise if that changes
    /// what there is to divide; whether it reads something else now.
    fn update(
        &mut self,
        id: &MemberId,
        request: &ConsumerHeartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<bool, Refused> {
        let known = self.members.get(id).map(|member| member.metadata.clone());
        let is_new = known.is_none();
        let metadata = said(known.clone().unwrap_or_default(), request);
        if known.as_ref() == Some(&metadata) {
            self.hear_software(id, &request.client_software);
            self.refresh(None, turn);
            return Ok(false);
        }
        request.regex.as_ref().map_or(Ok(()), |pattern| self.check_regex(pattern))?;
        let preferred = self.assignor(&turn.settings.consumer);
        let changed = self.set(id, known, metadata, turn);
        self.hear_software(id, &request.client_software);
        let other = self.assignor(&turn.settings.consumer) != preferred;
        let cause = if is_new { Cause::Joined } else { Cause::Changed };
        let cause = self.who(id).filter(|_| changed || other).map(cause);
        self.refresh(cause, turn);
        Ok(changed)
    }

    /// Makes a member say this of itself; whether it reads something else than before.
    pub(super) fn set(
        &mut self,
        id: &MemberId,
        before: Option<MemberMetadata>,
        metadata: MemberMetadata,
        turn: &mut Turn<'_>,
    ) -> bool {
        if before.as_ref() == Some(&metadata) {
            return false;
        }
        let had_regex = before.as_ref().is_some_and(|before| !before.regex.is_empty());
        let before = before.unwrap_or_default();
        let changed = before.topics != metadata.topics || before.regex != metadata.regex;
        self.write(Record::Member(self.id.clone(), id.clone(), Some(metadata)), turn);
        if had_regex {
            self.drop_regexes(turn);
        }
        changed
    }

    /// Brings a member one step nearer to what it is to have.
    pub(super) fn settle(
        &mut self,
        id: &MemberId,
        owned: Option<&Partitions>,
        changed: bool,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let member = self.members.get(id).cloned().unwrap_or_default();
        if !changed && member.is_settled(self.target_epoch) {
            return Ok(());
        }
        let target = self.targets.get(id).cloned().unwrap_or_default();
        let subscribed = self.topics_of(&member.metadata, turn.image);
        // Looked up once, if at all.
        let taken = OnceCell::new();
        let others = || self.held_by_others(id, &target);
        let is_free =
            |topic: TopicId, index: i32| !taken.get_or_init(others).contains(topic, index);
        let aim = reconcile::Aim {
            epoch: self.target_epoch,
            target: &target,
            subscribed: &subscribed,
            changed,
            owned,
            is_free: &is_free,
        };
        let current = reconcile::step(&member.current, &aim)?;
        if current == member.current {
            return Ok(());
        }
        self.write(Record::Current(self.id.clone(), id.clone(), Some(current)), turn);
        if let Some(member) = self.members.get(id) {
            self.time_revocation(id, member, turn);
        }
        Ok(())
    }

    /// What others have of what a member is to have.
    pub(super) fn held_by_others(&self, id: &MemberId, target: &Partitions) -> Partitions {
        let others = self.members.iter().filter(|(other, _)| *other != id);
        let held = others.flat_map(|(_, member)| {
            member.current.assigned.iter().chain(member.current.revoking.iter())
        });
        held.map(|(topic, index, _)| (topic, index))
            .filter(|(topic, index)| target.contains(*topic, *index))
            .collect()
    }

    /// A member that is to give up partitions has its rebalance timeout for that.
    pub(super) fn time_revocation(&self, id: &MemberId, member: &Member, turn: &mut Turn<'_>) {
        let timer = Timer::Revocation(self.id.clone(), id.clone());
        match member.current.state {
            MemberState::Unrevoked if member.metadata.classic.is_none() => {
                turn.set(timer, member.metadata.rebalance_ms);
            }
            _ => turn.timers.cancel(&timer),
        }
    }
}

impl From<GroupError> for Refused {
    fn from(error: GroupError) -> Refused {
        Refused { error, why: None }
    }
}

pub(super) fn full(most: usize) -> Refused {
    let why = format!(
        "The group has {most} members, the most that the broker's setting group.consumer.max.size \
         allows."
    );
    Refused::new(GroupError::MaxSizeReached, why)
}

pub(super) fn unknown(id: &MemberId) -> Refused {
    let why = format!("Member {id} is not a member of the group.");
    Refused::new(GroupError::UnknownMember, why)
}

/// Whether a member is where it should be; one that has missed an answer may be one epoch behind if
/// it says what it has.
fn has_epoch(member: &Member, request: &ConsumerHeartbeat) -> Result<(), Refused> {
    let Current { epoch, previous, assigned, .. } = &member.current;
    let told = request.epoch;
    let has_all = |owned: &Partitions| owned.iter().all(|(t, p)| assigned.since(t, p).is_some());
    let missed = told == *previous && request.owned.as_ref().is_some_and(has_all);
    if told == Epoch::JOINING || told == *epoch || (told < *epoch && missed) {
        return Ok(());
    }
    let why = format!(
        "The member is in epoch {}, not in {}. It must give up its partitions and join again.",
        epoch.0, told.0
    );
    Err(Refused::new(GroupError::FencedMemberEpoch, why))
}

/// What a member says of itself now, where it said that before.
fn said(before: MemberMetadata, request: &ConsumerHeartbeat) -> MemberMetadata {
    MemberMetadata {
        instance: request.instance.clone().or(before.instance),
        rack: request.rack.clone().or(before.rack),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        topics: request.topics.clone().unwrap_or(before.topics),
        regex: request.regex.as_ref().map_or(before.regex, |pattern| pattern.text().clone()),
        rebalance_ms: request.rebalance_ms.unwrap_or(before.rebalance_ms),
        assignor: request.assignor.clone().or(before.assignor),
        classic: None,
    }
}

/// An id as Kafka spells random UUIDs.
pub(super) fn fresh_id(bytes: &[u8; 16]) -> MemberId {
    let id = TopicId(*bytes).to_string();
    id.as_str().into()
}
