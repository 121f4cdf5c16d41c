//! What happens at which time if nothing happens before.

use std::collections::{BTreeMap, BTreeSet};

use crate::group::name::{GroupId, MemberId};
use crate::id::Instant;

/// Timers that are looked at for members that go together.
const AT_ONCE: usize = 1_000;

/// What a timer is for. Each thing has at most one; setting it again replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A member, or one that is to join with this id, is silent.
    Session(GroupId, MemberId),
    /// Members have had their time to join.
    Join(GroupId),
    /// Members have had their time to fetch their assignments.
    Sync(GroupId),
    /// A member of a consumer group has had its time to give up partitions.
    Revocation(GroupId, MemberId),
    /// A classic member of a consumer group has had its time to join again.
    Rejoin(GroupId, MemberId),
    /// A classic member of a consumer group has had its time to fetch its assignment.
    Resync(GroupId, MemberId),
    /// Offsets that nobody uses are looked for.
    Expiry,
    /// Offsets of topics that are no more are looked for.
    Orphans,
}

/// All timers of a coordinator.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    times: BTreeMap<Timer, Instant>,
    order: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.cancel(&timer);
        self.order.insert((at, timer.clone()));
        self.times.insert(timer, at);
    }

    pub(crate) fn cancel(&mut self, timer: &Timer) {
        if let Some(at) = self.times.remove(timer) {
            self.order.remove(&(at, timer.clone()));
        }
    }

    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.times.contains_key(timer)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes those members of a group whose sessions are over, some of them if there are many.
    pub(crate) fn due_sessions(&mut self, group: &GroupId, now: Instant) -> BTreeSet<MemberId> {
        let due = self.order.iter().take_while(|(at, _)| *at <= now).take(AT_ONCE);
        let of_group = due.filter_map(|(_, timer)| match timer {
            Timer::Session(of, member) if of == group => Some(member.clone()),
            _ => None,
        });
        let members: BTreeSet<MemberId> = of_group.collect();
        for member in &members {
            self.cancel(&Timer::Session(group.clone(), member.clone()));
        }
        members
    }

    /// Takes the first of those whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = self.order.first()?;
        if *at > now {
            return None;
        }
        let timer = timer.clone();
        self.cancel(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_once_and_not_when_replaced() {
        let mut timers = Timers::default();
        let (join, sync) = (Timer::Join("g".into()), Timer::Sync("g".into()));
        timers.set(join.clone(), Instant(5));
        timers.set(sync.clone(), Instant(3));
        timers.set(Timer::Expiry, Instant(4));
        timers.set(sync.clone(), Instant(9));
        timers.cancel(&Timer::Expiry);
        assert_eq!(timers.next(), Some(Instant(5)));
        assert_eq!(timers.due(Instant(4)), None);
        assert_eq!(timers.due(Instant(20)), Some(join));
        assert_eq!(timers.due(Instant(20)), Some(sync));
        assert_eq!((timers.due(Instant(20)), timers.next()), (None, None));
    }
}
