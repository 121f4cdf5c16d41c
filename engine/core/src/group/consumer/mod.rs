//! Consumer groups (KIP-848): members say what they want and have, the broker says what they are to
//! have. Facts: Kafka's `modern.consumer` package and the consumer half of `GroupMetadataManager`.
//!
//! Three counts lead from a change to its end. The *group's epoch* rises with every change of who
//! is in it and what there is to read. The *target* is what the members are to have for the group's
//! epoch of its moment. Each *member's epoch* follows when it is on the way to the newest target:
//! first it gives up what it is to lose, then it gets what it is to have, as others give it up.
//!
//! A group is what its records say and nothing else: every change is made by applying the record
//! that tells of it.

mod checks;
mod classic;
mod convert;
mod describe;
mod heartbeat;
mod leave;
mod reconcile;
pub(super) mod subscription;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use classic::{join, leave_all};
pub(crate) use convert::upgrade;
pub(crate) use leave::{leave, remove};

use crate::group::history::{Client, Who};
use crate::group::name::{Epoch, GroupId, InstanceId, MemberId};
use crate::group::partitions::Partitions;
use crate::group::record::{
    Current, GroupEpoch, MemberMetadata, MemberState, Record, ResolvedRegex, TargetEpoch,
};
use crate::group::request::{GroupError, GroupState};
use crate::group::timers::Timer;
use crate::group::turn::{Before, Turn};
use crate::id::Timestamp;

/// What the group knows of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    metadata: MemberMetadata,
    current: Current,
    /// What it is and in which version. In no record: empty after a restart, until it is heard of.
    software: Arc<str>,
}

impl Member {
    /// Whether it has what it is to have.
    fn is_settled(&self, target: Epoch) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == target
    }
}

/// Sets or removes an entry; what was there.
fn replace<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key.clone(), value),
        None => map.remove(key),
    }
}

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerGroup {
    id: GroupId,
    epoch: Epoch,
    /// Of its topics, when the epoch last rose.
    hash: u64,
    target_epoch: Epoch,
    target_time: Timestamp,
    members: BTreeMap<MemberId, Arc<Member>>,
    targets: BTreeMap<MemberId, Arc<Partitions>>,
    regexes: BTreeMap<Arc<str>, Arc<ResolvedRegex>>,
    /// Members by their own names; says what `members` says.
    instances: BTreeMap<InstanceId, MemberId>,
    /// The version of the metadata that `hash` was last compared with. Not in any record: a restart
    /// compares again.
    compared: Option<u64>,
    /// Patterns that are being looked up, since when. In no record either.
    looking: BTreeMap<Arc<str>, Timestamp>,
}

impl ConsumerGroup {
    /// One that no record has told of yet.
    pub(crate) fn new(id: GroupId) -> ConsumerGroup {
        ConsumerGroup {
            id,
            epoch: Epoch::FIRST,
            hash: 0,
            target_epoch: Epoch::FIRST,
            target_time: Timestamp(0),
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            regexes: BTreeMap::new(),
            instances: BTreeMap::new(),
            compared: None,
            looking: BTreeMap::new(),
        }
    }

    /// Makes what a record says so; the record that says what was so, if that was anything else.
    /// Records of other groups, and the end of this one, are not for here.
    pub(crate) fn apply(&mut self, record: &Record) -> Option<Record> {
        let group = self.id.clone();
        Some(match record {
            Record::GroupEpoch(_, Some(value)) => {
                let before = GroupEpoch { epoch: self.epoch, hash: self.hash };
                (self.epoch, self.hash) = (value.epoch, value.hash);
                Record::GroupEpoch(group, Some(before))
            }
            Record::TargetEpoch(_, value) => {
                let before = TargetEpoch { epoch: self.target_epoch, time: self.target_time };
                let none = TargetEpoch { epoch: Epoch::LEFT, time: Timestamp(0) };
                let TargetEpoch { epoch, time } = value.unwrap_or(none);
                (self.target_epoch, self.target_time) = (epoch, time);
                Record::TargetEpoch(group, Some(before))
            }
            Record::Member(_, id, Some(metadata)) => {
                let before = self.set_metadata(id, metadata);
                Record::Member(group, id.clone(), before)
            }
            Record::Member(_, id, None) => {
                let gone = self.members.remove(id)?;
                self.forget_name(id, gone.metadata.instance.as_ref());
                Record::Member(group, id.clone(), Some(gone.metadata.clone()))
            }
            Record::Target(_, id, target) => {
                let target = target.clone().map(Arc::new);
                let before = replace(&mut self.targets, id, target);
                Record::Target(group, id.clone(), before.map(Arc::unwrap_or_clone))
            }
            Record::Current(_, id, current) => {
                if current.is_none() && !self.members.contains_key(id) {
                    return None;
                }
                let gone = Current { epoch: Epoch::LEFT, ..Current::default() };
                let current = current.clone().unwrap_or(gone);
                let before = std::mem::replace(&mut self.entry(id).current, current);
                Record::Current(group, id.clone(), Some(before))
            }
            Record::Regex(_, regex, resolved) => {
                let resolved = resolved.clone().map(Arc::new);
                let before = replace(&mut self.regexes, regex, resolved);
                Record::Regex(group, regex.clone(), before.map(Arc::unwrap_or_clone))
            }
            Record::GroupEpoch(_, None) | Record::ClassicGroup(..) | Record::Offset(..) => {
                return None;
            }
        })
    }

    /// Makes so again what was.
    pub(crate) fn take_back(&mut self, record: &Record) {
        self.apply(record);
        self.compared = None;
    }

    fn entry(&mut self, id: &MemberId) -> &mut Member {
        Arc::make_mut(self.members.entry(id.clone()).or_default())
    }

    fn set_metadata(&mut self, id: &MemberId, metadata: &MemberMetadata) -> Option<MemberMetadata> {
        let known = self.members.contains_key(id);
        let before = std::mem::replace(&mut self.entry(id).metadata, metadata.clone());
        self.forget_name(id, before.instance.as_ref());
        if let Some(instance) = &metadata.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        known.then_some(before)
    }

    fn forget_name(&mut self, id: &MemberId, instance: Option<&InstanceId>) {
        if let Some(instance) = instance.filter(|name| self.instances.get(*name) == Some(id)) {
            self.instances.remove(instance);
        }
    }

    /// Makes what a record says so, and has it written; it is taken back if that fails.
    fn write(&mut self, record: Record, turn: &mut Turn<'_>) {
        turn.before.extend(self.apply(&record).map(Before::Record));
        turn.records.push(record);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn member(&self, id: &MemberId) -> Result<&Member, GroupError> {
        self.members.get(id).map(|member| &**member).ok_or(GroupError::UnknownMember)
    }

    /// A member, for those who ask why something happened.
    fn who(&self, id: &MemberId) -> Option<Who> {
        let Member { metadata, software, .. } = &**self.members.get(id)?;
        let (host, instance) = (&metadata.client_host, metadata.instance.as_ref());
        Some(Who::new(id, instance, Client { id: &metadata.client_id, host, software }))
    }

    /// Learns what a member is.
    fn hear_software(&mut self, id: &MemberId, software: &Arc<str>) {
        if self.members.get(id).is_some_and(|member| member.software != *software) {
            self.entry(id).software = software.clone();
        }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where it stands (`ConsumerGroup.ConsumerGroupState`).
    pub(crate) fn state(&self) -> GroupState {
        let settled = |member: &Arc<Member>| member.is_settled(self.target_epoch);
        match () {
            () if self.members.is_empty() => GroupState::Empty,
            () if self.epoch > self.target_epoch => GroupState::Assigning,
            () if !self.members.values().all(settled) => GroupState::Reconciling,
            () => GroupState::Stable,
        }
    }

    /// Whether everyone has what it is to have.
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self.state(), GroupState::Stable | GroupState::Empty)
    }

    /// Whether a topic's offsets are in use.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        let named = |member: &Arc<Member>| member.metadata.topics.contains(topic);
        let matched = |resolved: &Arc<ResolvedRegex>| resolved.topics.contains(topic);
        self.members.values().any(named) || self.regexes.values().any(matched)
    }

    /// Whether somebody may have what is committed: nobody in particular, or a member in its epoch.
    pub(crate) fn may_fetch(&self, member: Option<&(MemberId, Epoch)>) -> Result<(), GroupError> {
        let Some((id, epoch)) = member else { return Ok(()) };
        let member = self.member(id)?;
        match (*epoch == member.current.epoch, &member.metadata.classic) {
            (true, _) => Ok(()),
            (false, None) => Err(GroupError::StaleMemberEpoch),
            (false, Some(_)) => Err(GroupError::IllegalGeneration),
        }
    }

    /// Whether somebody may commit for these partitions. An epoch of before is good enough for what
    /// the member has had since then (KIP-1251).
    pub(crate) fn may_commit(
        &self,
        id: &MemberId,
        epoch: Epoch,
        knows_epochs: bool,
        mut partitions: impl Iterator<Item = (Option<crate::id::TopicId>, i32)>,
    ) -> Result<(), GroupError> {
        if epoch.0 < 0 && self.is_empty() {
            return Ok(());
        }
        let member = self.member(id)?;
        let is_classic = member.metadata.classic.is_some();
        if !is_classic && !knows_epochs {
            return Err(GroupError::UnsupportedVersion);
        }
        let current = &member.current;
        let has = |(topic, index): (Option<crate::id::TopicId>, i32)| {
            let since = |held: &crate::group::partitions::Held| held.since(topic?, index);
            let since = since(&current.assigned).or_else(|| since(&current.revoking));
            since.is_some_and(|since| epoch >= since)
        };
        match epoch.cmp(&current.epoch) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less if partitions.all(has) => Ok(()),
            _ if is_classic => Err(GroupError::IllegalGeneration),
            _ => Err(GroupError::StaleMemberEpoch),
        }
    }

    /// What ends the group, in the order in which a group may end.
    pub(crate) fn endings(&self) -> Vec<Record> {
        let id = || self.id.clone();
        let members = || self.members.keys().cloned();
        let mut records: Vec<Record> =
            members().map(|member| Record::Current(id(), member, None)).collect();
        let targets = self.targets.keys().cloned();
        records.extend(targets.map(|member| Record::Target(id(), member, None)));
        records.push(Record::TargetEpoch(id(), None));
        records.extend(members().map(|member| Record::Member(id(), member, None)));
        let regexes = self.regexes.keys().cloned();
        records.extend(regexes.map(|regex| Record::Regex(id(), regex, None)));
        records.push(Record::GroupEpoch(id(), None));
        records
    }

    /// All records are read, or what was believed is taken back: members whose time does not run
    /// have it again from now on.
    pub(crate) fn resume(&self, turn: &mut Turn<'_>) {
        let session_ms = turn.times(&self.id).session_ms;
        for (id, member) in &self.members {
            let own = member.metadata.classic.as_ref().map(|classic| classic.session_ms);
            turn.ensure_session(&self.id, id, own.unwrap_or(session_ms));
            if !turn.timers.is_set(&Timer::Revocation(self.id.clone(), id.clone())) {
                self.time_revocation(id, member, turn);
            }
        }
    }

    /// Names of those whom `instances` knows; what a test compares with what the members say.
    #[cfg(test)]
    pub(crate) fn is_consistent(&self) -> bool {
        let named: BTreeMap<_, _> = self
            .members
            .iter()
            .filter_map(|(id, member)| Some((member.metadata.instance.clone()?, id.clone())))
            .collect();
        let is_known = |id: &MemberId| self.members.contains_key(id);
        named == self.instances && self.targets.keys().all(is_known)
    }
}
