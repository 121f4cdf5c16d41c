//! One step of a member on its way from what it has to what it is to have
//! (`CurrentAssignmentBuilder`). Pure.

use std::collections::BTreeSet;

use crate::group::name::Epoch;
use crate::group::partitions::{Held, Partitions};
use crate::group::record::{Current, MemberState};
use crate::group::request::GroupError;
use crate::id::TopicId;

/// Where the member is to go, and what is known when it asks.
pub(super) struct Aim<'a> {
    /// The target's epoch.
    pub(super) epoch: Epoch,
    /// What the member is to have.
    pub(super) target: &'a Partitions,
    /// Topics that exist and that it reads.
    pub(super) subscribed: &'a BTreeSet<TopicId>,
    /// Whether these have changed just now.
    pub(super) changed: bool,
    /// What it says that it has, if it says.
    pub(super) owned: Option<&'a Partitions>,
    /// Whether nobody else has a partition.
    pub(super) is_free: &'a dyn Fn(TopicId, i32) -> bool,
}

/// The member after its step; the same if there is none to make.
///
/// # Errors
/// Fenced, out of a state that is not known.
pub(super) fn step(current: &Current, aim: &Aim<'_>) -> Result<Current, GroupError> {
    let settled = current.state == MemberState::Stable && current.epoch == aim.epoch;
    Ok(match current.state {
        MemberState::Stable if !settled => next(current, current.epoch, aim),
        MemberState::Unrevoked if !aim.owns(&current.revoking) => next(current, current.epoch, aim),
        MemberState::Stable | MemberState::Unrevoked if aim.changed => trim(current, aim),
        MemberState::Stable | MemberState::Unrevoked => current.clone(),
        MemberState::Unreleased => next(current, current.epoch, aim),
        MemberState::Unknown(_) => match aim.owned {
            Some(owned) if owned.is_empty() => next(current, aim.epoch, aim),
            _ => return Err(GroupError::FencedMemberEpoch),
        },
    })
}

impl Aim<'_> {
    /// Whether the member may still have some of these.
    fn owns(&self, held: &Held) -> bool {
        self.owned.is_none_or(|owned| held.iter().any(|(topic, at, _)| owned.contains(topic, at)))
    }

    fn wants(&self, topic: TopicId, index: i32) -> bool {
        self.subscribed.contains(&topic) && self.target.contains(topic, index)
    }
}

fn next(current: &Current, epoch: Epoch, aim: &Aim<'_>) -> Current {
    let (mut keep, revoke): (Vec<_>, Vec<_>) =
        current.assigned.iter().partition(|(topic, index, _)| aim.wants(*topic, *index));
    let revoke: Held = revoke.into_iter().collect();
    if !revoke.is_empty() && aim.owns(&revoke) {
        return Current {
            epoch,
            previous: current.epoch,
            state: MemberState::Unrevoked,
            assigned: keep.into_iter().collect(),
            revoking: revoke,
        };
    }
    let mut state = MemberState::Stable;
    for (topic, index) in aim.target.iter().filter(|(t, p)| aim.wants(*t, *p)) {
        if current.assigned.since(topic, index).is_some() {
            continue;
        }
        if (aim.is_free)(topic, index) {
            keep.push((topic, index, aim.epoch));
        } else {
            state = MemberState::Unreleased;
        }
    }
    Current {
        epoch: aim.epoch,
        previous: current.epoch,
        state,
        assigned: keep.into_iter().collect(),
        revoking: Held::default(),
    }
}

/// The target may come later; what the member no longer reads goes now.
fn trim(current: &Current, aim: &Aim<'_>) -> Current {
    let (keep, gone): (Vec<_>, Vec<_>) =
        current.assigned.iter().partition(|(topic, ..)| aim.subscribed.contains(topic));
    if gone.is_empty() {
        return current.clone();
    }
    let revoking: Held = current.revoking.iter().chain(gone).collect();
    let trimmed = Current {
        previous: current.epoch,
        assigned: keep.into_iter().collect(),
        ..current.clone()
    };
    match aim.owns(&revoking) {
        true => Current { state: MemberState::Unrevoked, revoking, ..trimmed },
        false => trimmed,
    }
}
