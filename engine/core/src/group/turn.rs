//! One step of a coordinator: what it has at hand, and what it leaves behind.

use std::sync::Arc;

use crate::group::classic::{Assignments, ClassicGroup, Replacement};
use crate::group::consumer::ConsumerGroup;
use crate::group::history::{Cause, Event};
use crate::group::lookup::Lookup;
use crate::group::name::{Generation, GroupId, MemberId};
use crate::group::record::Record;
use crate::group::request::{Asker, FetchRequest, Reply};
use crate::group::settings::{ConsumerTimes, GroupSettings};
use crate::group::timers::{Timer, Timers};
use crate::id::Now;
use crate::metadata::Image;

/// A group of one protocol or the other.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Its members decide; one that only has offsets is one that nobody ever joined.
    Classic(ClassicGroup),
    /// The broker decides (KIP-848).
    Consumer(ConsumerGroup),
}

/// What makes a group what it was; to be done in reverse order.
#[derive(Clone, Debug)]
pub(crate) enum Before {
    /// The whole group, where its kind has changed; `None` if it was not.
    Kind(GroupId, Option<Box<Kind>>),
    /// A record of a consumer group that says what was so.
    Record(Record),
}

impl Before {
    pub(crate) fn group(&self) -> &GroupId {
        match self {
            Before::Kind(id, _) => id,
            Before::Record(record) => record.group(),
        }
    }
}

/// One step.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) settings: &'a GroupSettings,
    /// The topics that there are, and groups' own times.
    pub(crate) image: &'a Arc<Image>,
    pub(crate) timers: &'a mut Timers,
    /// To be appended as one batch.
    pub(crate) records: Vec<Record>,
    /// What follows once the records, and all before them, are durable.
    pub(crate) then: Vec<Then>,
    /// Answers that wait for nothing.
    pub(crate) replies: Vec<(Asker, Reply)>,
    /// How to undo what the records have changed already, in case they cannot be written.
    pub(crate) before: Vec<Before>,
    /// Patterns to be looked up.
    pub(crate) lookups: Vec<Lookup>,
    /// What happens to groups, for those who ask later.
    pub(crate) events: Vec<(GroupId, Event)>,
}

/// What follows when a batch is durable, or is not to be.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// An answer; what is answered if there is no batch.
    Answer(Asker, Reply),
    /// An answer that is made only then.
    Fetch(Asker, FetchRequest),
    /// The leader's word counts.
    Assigned(GroupId, Generation, Assignments),
    /// A static member has come back under a new id.
    Replaced(GroupId, Box<Replacement>),
    /// A group without members, which the batch makes known.
    Created(GroupId),
}

impl Turn<'_> {
    pub(crate) fn reply(&mut self, asker: Asker, reply: Reply) {
        self.replies.push((asker, reply));
    }

    /// Answers when everything so far is durable.
    pub(crate) fn reply_when_durable(&mut self, asker: Asker, reply: Reply) {
        self.then.push(Then::Answer(asker, reply));
    }

    /// There is a reason to divide a group's work anew.
    pub(crate) fn began(&mut self, group: &GroupId, cause: Cause) {
        self.events.push((group.clone(), Event::Began(cause)));
    }

    /// Partitions of a group are to move.
    pub(crate) fn moved(&mut self, group: &GroupId, count: usize) {
        self.events.push((group.clone(), Event::Moved(count as u32)));
    }

    /// Everyone in a group has its part.
    pub(crate) fn ended(&mut self, group: &GroupId, number: i32) {
        self.events.push((group.clone(), Event::Ended(number)));
    }

    /// Keeps a group as it is before it becomes one of another kind.
    pub(crate) fn remember(&mut self, group: &GroupId, kind: Option<Kind>) {
        self.before.push(Before::Kind(group.clone(), kind.map(Box::new)));
    }

    /// The times that count for a consumer group.
    pub(crate) fn times(&self, group: &GroupId) -> ConsumerTimes {
        self.settings.consumer.times(self.image.group_configs(group.as_str()))
    }

    pub(crate) fn set_session(&mut self, group: &GroupId, member: &MemberId, ms: i32) {
        self.set(Timer::Session(group.clone(), member.clone()), ms);
    }

    /// Starts a member's time, unless it runs.
    pub(crate) fn ensure_session(&mut self, group: &GroupId, member: &MemberId, ms: i32) {
        if !self.timers.is_set(&Timer::Session(group.clone(), member.clone())) {
            self.set_session(group, member, ms);
        }
    }

    pub(crate) fn cancel_session(&mut self, group: &GroupId, member: &MemberId) {
        self.timers.cancel(&Timer::Session(group.clone(), member.clone()));
    }

    /// Sets a timer, to so many milliseconds from now.
    pub(crate) fn set(&mut self, timer: Timer, ms: i32) {
        let at = self.now.instant.plus_ms(u64::from(ms.max(0).unsigned_abs()));
        self.timers.set(timer, at);
    }
}
