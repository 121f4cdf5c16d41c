//! How members go: by their own word, by silence, by an operator's.

use std::collections::BTreeSet;

use crate::group::consumer::{ConsumerGroup, convert, heartbeat};
use crate::group::history::{Cause, Who};
use crate::group::name::{Epoch, MemberId};
use crate::group::partitions::Held;
use crate::group::record::{Current, GroupEpoch, MemberState, Record, TargetEpoch};
use crate::group::request::{ConsumerHeartbeat, ConsumerStanding, GroupError, Refused};
use crate::group::timers::Timer;
use crate::group::turn::{Kind, Turn};
use crate::id::Timestamp;

/// Decides about a heartbeat that is a farewell, for good or for a while.
pub(crate) fn leave(
    kind: &mut Kind,
    request: &ConsumerHeartbeat,
    turn: &mut Turn<'_>,
) -> Result<ConsumerStanding, Refused> {
    let Kind::Consumer(group) = kind else { return Err(GroupError::NotFound.into()) };
    let id = match &request.instance {
        None => Some(&request.member).filter(|id| group.members.contains_key(*id)),
        Some(instance) => group.instances.get(instance),
    };
    let id = id.cloned().ok_or_else(|| heartbeat::unknown(&request.member))?;
    if id != request.member {
        let why = format!("The instance id is now that of member {id}.");
        return Err(Refused::new(GroupError::FencedInstance, why));
    }
    if request.epoch == Epoch::AWAY {
        group.goes_away(&id, turn);
    } else {
        remove(kind, &[id.clone()].into(), Cause::Left, turn);
    }
    Ok(ConsumerStanding { member: id, epoch: request.epoch, interval_ms: 0, assignment: None })
}

impl ConsumerGroup {
    /// A static member will come back: what it has stays with it.
    fn goes_away(&mut self, id: &MemberId, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get(id) else { return };
        let assigned = member.current.assigned.iter();
        let current = Current {
            epoch: Epoch::AWAY,
            assigned: assigned.map(|(topic, index, _)| (topic, index, Epoch(0))).collect(),
            revoking: Held::default(),
            ..member.current.clone()
        };
        self.write(Record::Current(self.id.clone(), id.clone(), Some(current)), turn);
    }

    /// Whether a member was to give up partitions and has not.
    pub(crate) fn is_slow_to_revoke(&self, id: &MemberId) -> bool {
        self.members.get(id).is_some_and(|member| {
            let Current { epoch, state, .. } = &member.current;
            *state == MemberState::Unrevoked && *epoch != Epoch::AWAY
        })
    }
}

/// Takes members out. If only classic ones remain, the group becomes one of theirs.
pub(crate) fn remove(
    kind: &mut Kind,
    gone: &BTreeSet<MemberId>,
    cause: fn(Who) -> Cause,
    turn: &mut Turn<'_>,
) {
    let Kind::Consumer(group) = kind else { return };
    let gone: BTreeSet<&MemberId> =
        gone.iter().filter(|id| group.members.contains_key(*id)).collect();
    let Some(who) = gone.first().and_then(|id| group.who(id)) else { return };
    for id in &gone {
        cancel_timers(group, id, turn);
    }
    if convert::is_downgraded(group, &gone, turn.settings) {
        let mut classic = convert::downgrade(group, &gone, turn);
        classic.prepare_rebalance(cause(who), turn);
        *kind = Kind::Classic(classic);
        return;
    }
    turn.began(&group.id, cause(who));
    let id = group.id.clone();
    let id = || id.clone();
    let mut records = Vec::new();
    for member in gone.iter().map(|id| (*id).clone()) {
        records.push(Record::Current(id(), member.clone(), None));
        records.push(Record::Target(id(), member.clone(), None));
        records.push(Record::Member(id(), member, None));
    }
    records.into_iter().for_each(|record| group.write(record, turn));
    group.drop_regexes(turn);
    let hash = group.topics_hash(turn.image);
    let value = GroupEpoch { epoch: group.epoch.next(), hash };
    group.write(Record::GroupEpoch(group.id.clone(), Some(value)), turn);
    if group.is_empty() {
        // Whoever comes next need not wait for its assignment.
        let value = TargetEpoch { epoch: group.epoch, time: Timestamp(0) };
        group.write(Record::TargetEpoch(group.id.clone(), Some(value)), turn);
    }
}

fn cancel_timers(group: &ConsumerGroup, id: &MemberId, turn: &mut Turn<'_>) {
    for timer in [Timer::Session, Timer::Revocation, Timer::Rejoin, Timer::Resync] {
        turn.timers.cancel(&timer(group.id.clone(), id.clone()));
    }
}
