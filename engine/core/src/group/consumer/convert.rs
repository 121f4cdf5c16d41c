//! Groups that move from one protocol to the other while members are in them (KIP-848, "online
//! migration"): up with the first member of the new protocol, down when the last of them is gone.

use std::collections::BTreeSet;

use crate::group::classic::{self, CONSUMER, ClassicGroup};
use crate::group::consumer::heartbeat::full;
use crate::group::consumer::{ConsumerGroup, Member};
use crate::group::embedded::{Assignment, Named, Subscription};
use crate::group::name::{Epoch, Generation, MemberId};
use crate::group::partitions::{Held, Partitions};
use crate::group::record::{
    ClassicMetadata, Current, GroupEpoch, MemberMetadata, MemberState, Record, TargetEpoch,
};
use crate::group::request::{ConsumerHeartbeat, GroupError, Refused};
use crate::group::settings::GroupSettings;
use crate::group::timers::Timer;
use crate::group::turn::{Kind, Turn};
use crate::id::Timestamp;
use crate::metadata::Image;

/// Makes a classic group one of the new protocol. An empty one always can be.
///
/// # Errors
/// It cannot be, or the newcomer would be refused: then nothing has changed.
pub(crate) fn upgrade(
    kind: &mut Kind,
    newcomer: &ConsumerHeartbeat,
    turn: &mut Turn<'_>,
) -> Result<(), Refused> {
    let Kind::Classic(classic) = kind else { return Ok(()) };
    let mut members = Vec::new();
    if !classic.is_empty() {
        may_upgrade(classic, turn)?;
        may_join(classic, newcomer, turn)?;
        let mut taken = BTreeSet::new();
        for one in classic.members() {
            let (id, member, session_ms) = upgraded(classic, one, turn.image)?;
            for (topic, index, _) in member.current.assigned.iter() {
                if !taken.insert((topic, index)) {
                    return Err(refused(
                        "The group's leader has given a partition to two members.",
                    ));
                }
            }
            members.push((id, member, session_ms));
        }
    }
    classic.answer_all(GroupError::RebalanceInProgress, turn);
    for timer in [Timer::Join, Timer::Sync] {
        turn.timers.cancel(&timer(classic.id().clone()));
    }
    let mut group = ConsumerGroup::new(classic.id().clone());
    let epoch = Epoch(classic.generation().0);
    let before = Kind::Classic(classic.clone());
    turn.remember(&group.id, Some(before));
    turn.records.push(Record::ClassicGroup(group.id.clone(), None));
    if !members.is_empty() {
        group.begin(epoch, members, turn);
    }
    *kind = Kind::Consumer(group);
    Ok(())
}

fn refused(why: &str) -> Refused {
    Refused::new(GroupError::NotFound, why.to_owned())
}

fn may_upgrade(classic: &ClassicGroup, turn: &Turn<'_>) -> Result<(), Refused> {
    let settings = &turn.settings.consumer;
    match () {
        () if !settings.migration.upgrades() => Err(refused(
            "The group is a classic one with members, which the broker's setting \
             group.consumer.migration.policy does not let change.",
        )),
        () if classic.protocol_type() != Some(CONSUMER) => {
            Err(refused("The group's members are no consumers."))
        }
        () if classic.members().count() > settings.max_size => Err(refused(
            "The group has more members than the broker's setting group.consumer.max.size allows.",
        )),
        // Its first rebalance will be over soon.
        () if classic.protocol().is_none() || classic.members().next().is_none() => {
            Err(Refused::new(
                GroupError::LoadInProgress,
                "The group's first rebalance is not over yet.".to_owned(),
            ))
        }
        () => Ok(()),
    }
}

fn may_join(
    classic: &ClassicGroup,
    newcomer: &ConsumerHeartbeat,
    turn: &Turn<'_>,
) -> Result<(), Refused> {
    let instance = newcomer.instance.as_ref();
    let replaces = |(id, member): (&MemberId, &classic::Member)| {
        *id == newcomer.member || (instance.is_some() && member.instance.as_ref() == instance)
    };
    let most = turn.settings.consumer.max_size;
    if classic.members().count() >= most && !classic.members().any(replaces) {
        return Err(full(most));
    }
    // Looks at the pattern alone: nobody uses any yet.
    let nobody = ConsumerGroup::new(classic.id().clone());
    newcomer.regex.as_ref().map_or(Ok(()), |pattern| nobody.check_regex(pattern))
}

fn upgraded(
    classic: &ClassicGroup,
    (id, member): (&MemberId, &classic::Member),
    image: &Image,
) -> Result<(MemberId, Member, i32), Refused> {
    let protocol = classic.protocol().unwrap_or_default();
    let unreadable = |_| refused("The group has a member whose subscription is not a consumer's.");
    let said = Subscription::read(&member.metadata(protocol)).map_err(unreadable)?;
    let given = Assignment::read(&member.assignment).map_err(unreadable)?;
    if given.has_user_data {
        return Err(refused("The group's assignor keeps data of its own in assignments."));
    }
    let epoch = Epoch(classic.generation().0);
    let assigned = ids(&given.partitions, image);
    let metadata = MemberMetadata {
        instance: member.instance.clone(),
        rack: said.rack,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        topics: said.topics,
        rebalance_ms: member.rebalance_ms,
        classic: Some(ClassicMetadata {
            session_ms: member.session_ms,
            protocols: member.protocols.clone(),
        }),
        ..MemberMetadata::default()
    };
    let current = Current {
        epoch,
        previous: epoch,
        state: MemberState::Stable,
        assigned: assigned.iter().map(|(topic, index)| (topic, index, epoch)).collect(),
        revoking: Held::default(),
    };
    let software = member.client_software.clone();
    Ok((id.clone(), Member { metadata, current, software }, member.session_ms))
}

/// Partitions by their topics' ids, where they exist.
pub(super) fn ids(named: &Named, image: &Image) -> Partitions {
    let mut partitions = Partitions::default();
    for (topic, indexes) in named {
        let Some(topic) = image.topic(topic) else { continue };
        let exist = indexes.range(0..topic.partitions.cast_signed());
        exist.for_each(|index| partitions.insert(topic.id, *index));
    }
    partitions
}

/// Partitions by their topics' names, where the topics exist.
pub(super) fn names(partitions: &Partitions, image: &Image) -> Named {
    let name = |(id, indexes): (_, &BTreeSet<i32>)| {
        Some((image.topic_by_id(id)?.name.clone(), indexes.clone()))
    };
    partitions.topics().filter_map(name).collect()
}

impl ConsumerGroup {
    /// Takes over the members of a classic group, each with what it has.
    fn begin(&mut self, epoch: Epoch, members: Vec<(MemberId, Member, i32)>, turn: &mut Turn<'_>) {
        let group = || self.id.clone();
        let mut records = Vec::new();
        for (id, member, _) in &members {
            records.push(Record::Member(group(), id.clone(), Some(member.metadata.clone())));
        }
        let targets = members.iter().map(|(id, member, _)| {
            Record::Target(group(), id.clone(), Some(member.current.assigned.partitions()))
        });
        let target = TargetEpoch { epoch, time: Timestamp(0) };
        let mut behind: Vec<Record> = targets.collect();
        behind.push(Record::TargetEpoch(group(), Some(target)));
        for (id, member, _) in &members {
            behind.push(Record::Current(group(), id.clone(), Some(member.current.clone())));
        }
        records.into_iter().for_each(|record| self.write(record, turn));
        let hash = self.topics_hash(turn.image);
        let value = GroupEpoch { epoch, hash };
        self.write(Record::GroupEpoch(self.id.clone(), Some(value)), turn);
        behind.into_iter().for_each(|record| self.write(record, turn));
        for (id, _, session_ms) in &members {
            turn.set_session(&self.id, id, *session_ms);
        }
    }
}

/// Whether those who remain without some members are a classic group, and may be.
pub(super) fn is_downgraded(
    group: &ConsumerGroup,
    gone: &BTreeSet<&MemberId>,
    settings: &GroupSettings,
) -> bool {
    let mut rest = group.members.iter().filter(|(id, _)| !gone.contains(id));
    let count = group.members.len() - gone.len();
    (1..=settings.max_size).contains(&count)
        && settings.consumer.migration.downgrades()
        && rest.all(|(_, member)| member.metadata.classic.is_some())
}

/// The classic group of those who remain, each with what it was to have; the end of this one.
pub(super) fn downgrade(
    group: &ConsumerGroup,
    gone: &BTreeSet<&MemberId>,
    turn: &mut Turn<'_>,
) -> ClassicGroup {
    turn.remember(&group.id, Some(Kind::Consumer(group.clone())));
    let rest = group.members.iter().filter(|(id, _)| !gone.contains(id));
    let members: Vec<_> =
        rest.filter_map(|(id, member)| downgraded(group, id, member, turn.image)).collect();
    for (id, member) in &members {
        turn.set_session(&group.id, id, member.session_ms);
        for timer in [Timer::Revocation, Timer::Rejoin, Timer::Resync] {
            turn.timers.cancel(&timer(group.id.clone(), id.clone()));
        }
    }
    let generation = Generation(group.epoch.0);
    let classic = ClassicGroup::of(group.id.clone(), generation, members, turn.now.wall);
    turn.records.extend(group.endings());
    turn.records.push(classic.saved());
    classic
}

fn downgraded(
    group: &ConsumerGroup,
    id: &MemberId,
    member: &Member,
    image: &Image,
) -> Option<(MemberId, classic::Member)> {
    let Member { metadata, software, .. } = member;
    let said = metadata.classic.as_ref()?;
    let target = group.targets.get(id).cloned().unwrap_or_default();
    let member = classic::Member {
        instance: metadata.instance.clone(),
        client_id: metadata.client_id.clone(),
        client_host: metadata.client_host.clone(),
        client_software: software.clone(),
        session_ms: said.session_ms,
        rebalance_ms: metadata.rebalance_ms,
        assignment: Assignment::write(&names(&target, image), said.version()),
        protocols: said.protocols.clone(),
        is_new: false,
        joining: None,
        syncing: None,
    };
    Some((id.clone(), member))
}

impl ClassicMetadata {
    /// The version of what the member says of itself, in which it wants to be spoken to.
    pub(super) fn version(&self) -> i16 {
        let first = self.protocols.first().and_then(|protocol| protocol.metadata.first_chunk());
        first.map_or(0, |version| i16::from_be_bytes(*version))
    }
}
