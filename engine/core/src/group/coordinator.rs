//! The groups of one partition of `__consumer_offsets`, and what is on its way to the log.

mod ask;
mod commit;
mod ends;
mod look;
mod outcome;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::group::classic::ClassicGroup;
use crate::group::consumer::{self, ConsumerGroup};
use crate::group::history::{Cause, Event, History, Rebalance};
use crate::group::lookup::{Lookup, Matched};
use crate::group::name::{GroupId, MemberId};
use crate::group::offsets::Offsets;
use crate::group::record::{Committed, OffsetKey, Record};
use crate::group::request::{Asker, Reply};
use crate::group::settings::GroupSettings;
use crate::group::timers::{Timer, Timers};
use crate::group::turn::{Before, Kind, Then, Turn};
use crate::id::{Instant, Now};
use crate::metadata::Image;

/// The number of a batch of records, in the order in which they are to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchNumber(pub u64);

/// What a step wants.
#[derive(Debug, Default)]
pub struct Output {
    /// To be appended together, behind all earlier batches.
    pub batch: Option<(BatchNumber, Vec<Record>)>,
    /// To be sent now.
    pub replies: Vec<(Asker, Reply)>,
    /// Rebalances that have come to an end.
    pub rebalances: Vec<(GroupId, Rebalance)>,
    /// Patterns to be looked up, for [`Coordinator::matched`].
    pub lookups: Vec<Lookup>,
}

/// Groups by their ids.
type Groups = BTreeMap<GroupId, Group>;

/// One group. A group that only has offsets is a classic one that nobody ever joined.
#[derive(Clone, Debug)]
struct Group {
    kind: Kind,
    offsets: Offsets,
    history: History,
}

#[derive(Debug)]
struct InFlight {
    number: BatchNumber,
    /// Offsets count once the batch is durable; groups are what it says already.
    offsets: Vec<(OffsetKey, Option<Committed>)>,
    then: Vec<Then>,
    /// Groups that the batch forgets.
    forgotten: Vec<(GroupId, Group)>,
    /// How to undo what the batch has changed already.
    before: Vec<Before>,
}

/// The coordinator of one partition.
#[derive(Debug)]
pub struct Coordinator {
    settings: GroupSettings,
    image: Arc<Image>,
    groups: Groups,
    timers: Timers,
    in_flight: VecDeque<InFlight>,
    next: u64,
    /// Where the look for what has expired goes on.
    expire_from: GroupId,
}

impl Coordinator {
    /// One that knows of no groups.
    #[must_use]
    pub fn new(settings: GroupSettings) -> Coordinator {
        Coordinator {
            settings,
            image: Arc::default(),
            groups: BTreeMap::new(),
            timers: Timers::default(),
            in_flight: VecDeque::new(),
            next: 0,
            expire_from: GroupId::default(),
        }
    }

    /// Takes note of the topics that there are and of groups' own times; older news than what is
    /// known is passed over.
    pub fn learn(&mut self, image: &Arc<Image>) {
        if image.version() >= self.image.version() {
            self.image = image.clone();
        }
    }

    /// Takes in a record that is durable, while the partition is read.
    pub fn replay(&mut self, record: Record, now: Now) {
        let id = record.group().clone();
        match record {
            Record::Offset(key, committed) => self.apply_offset(key, committed, now),
            Record::ClassicGroup(_, Some(value)) => {
                self.set_kind(&id, Kind::Classic(ClassicGroup::load(id.clone(), value)));
            }
            Record::ClassicGroup(_, None) => {
                if matches!(self.groups.get(&id), Some(Group { kind: Kind::Classic(_), .. })) {
                    end_kind(&mut self.groups, &id, now);
                }
            }
            Record::GroupEpoch(_, None) => {
                if matches!(self.groups.get(&id), Some(Group { kind: Kind::Consumer(_), .. })) {
                    end_kind(&mut self.groups, &id, now);
                }
            }
            record => self.replay_consumer(&id, &record),
        }
    }

    /// A consumer group begins with whichever of its records comes first.
    fn replay_consumer(&mut self, id: &GroupId, record: &Record) {
        let is_there = matches!(self.groups.get(id), Some(Group { kind: Kind::Consumer(_), .. }));
        if !is_there && !record.is_removal() {
            self.set_kind(id, Kind::Consumer(ConsumerGroup::new(id.clone())));
        }
        if let Some(Group { kind: Kind::Consumer(group), .. }) = self.groups.get_mut(id) {
            group.apply(record);
        }
    }

    fn set_kind(&mut self, id: &GroupId, kind: Kind) {
        match self.groups.get_mut(id) {
            Some(group) => group.kind = kind,
            None => {
                self.groups.insert(id.clone(), Group::of(kind));
            }
        }
    }

    fn apply_offset(
        &mut self,
        OffsetKey { group: id, topic, partition }: OffsetKey,
        committed: Option<Committed>,
        now: Now,
    ) {
        match committed {
            Some(committed) => {
                let group = self.groups.entry(id.clone()).or_insert_with(|| Group::new(id, now));
                group.offsets.set(topic, partition, committed);
            }
            None => {
                let Some(group) = self.groups.get_mut(&id) else { return };
                group.offsets.remove(&topic, partition);
                if group.is_unused() {
                    self.groups.remove(&id);
                }
            }
        }
    }

    /// All records are read: time begins to count.
    pub fn loaded(&mut self, now: Now) -> Output {
        let every = self.settings.expiry_interval_ms;
        self.timers.set(Timer::Expiry, now.instant.plus_ms(every));
        // A coordinator that knows of no topics has not been told.
        if self.image.version() > 0 {
            self.topics_deleted(now);
        }
        self.turn(now, |groups, turn| {
            groups.values_mut().for_each(|group| group.resume(turn));
        })
    }

    /// When [`tick`](Self::tick) has something to do, if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Time has passed. One thing happens; there may be more.
    pub fn tick(&mut self, now: Now) -> Output {
        let Some(timer) = self.timers.due(now.instant) else { return Output::default() };
        if let Timer::Session(id, member) = &timer
            && matches!(self.groups.get(id), Some(Group { kind: Kind::Consumer(_), .. }))
        {
            // Many may have gone together; they go in one step.
            let mut silent = self.timers.due_sessions(id, now.instant);
            silent.insert(member.clone());
            return self.turn(now, |groups, turn| {
                if let Some(group) = groups.get_mut(id) {
                    consumer::remove(&mut group.kind, &silent, Cause::SessionTimedOut, turn);
                }
            });
        }
        let (id, member) = match timer.clone() {
            Timer::Expiry => return self.expire(now),
            Timer::Orphans => return self.remove_orphans(now),
            Timer::Join(id) | Timer::Sync(id) => (id, MemberId::default()),
            Timer::Session(id, member)
            | Timer::Revocation(id, member)
            | Timer::Rejoin(id, member)
            | Timer::Resync(id, member) => (id, member),
        };
        self.turn(now, |groups, turn| {
            if let Some(group) = groups.get_mut(&id) {
                group.time_is_over(&timer, &member, turn);
            }
        })
    }

    /// A pattern was looked up.
    pub fn matched(&mut self, now: Now, Matched { group, regex, found }: Matched) -> Output {
        self.turn(now, |groups, turn| {
            if let Some(Group { kind: Kind::Consumer(group), .. }) = groups.get_mut(&group) {
                group.matched(&regex, found, turn);
            }
        })
    }

    /// A batch is durable, and all before it.
    pub fn durable(&mut self, now: Now, number: BatchNumber) -> Output {
        let behind = self.in_flight.partition_point(|batch| batch.number <= number);
        let done: Vec<InFlight> = self.in_flight.drain(..behind).collect();
        let mut then = Vec::new();
        for batch in done {
            for (key, committed) in batch.offsets {
                self.apply_offset(key, committed, now);
            }
            then.extend(batch.then);
        }
        self.turn(now, |groups, turn| {
            then.into_iter().for_each(|then| outcome::go_on(groups, then, turn));
        })
    }

    /// A batch, and all behind it, will not be appended.
    pub fn failed(
        &mut self,
        now: Now,
        number: BatchNumber,
        error: crate::group::request::GroupError,
    ) -> Output {
        let before = self.in_flight.partition_point(|batch| batch.number < number);
        let failed: Vec<InFlight> = self.in_flight.drain(before..).collect();
        self.turn(now, |groups, turn| {
            let (mut then, mut restored) = (Vec::new(), BTreeSet::new());
            for batch in failed.into_iter().rev() {
                for (id, group) in batch.forgotten {
                    // Whoever has begun a new one meanwhile has not committed to it.
                    let offsets = group.offsets.clone();
                    groups.entry(id).and_modify(|now| now.offsets = offsets).or_insert(group);
                }
                restored.extend(batch.before.iter().map(|before| before.group().clone()));
                outcome::take_back(groups, batch.before, error, turn);
                then.extend(batch.then);
            }
            for id in restored {
                if let Some(group) = groups.get_mut(&id) {
                    group.restored(turn);
                }
            }
            then.into_iter().for_each(|then| outcome::give_up(groups, then, error, turn));
        })
    }

    /// Whether what is said in several places is the same everywhere.
    #[cfg(test)]
    pub(crate) fn is_consistent(&self) -> bool {
        self.groups.values().all(|group| match &group.kind {
            Kind::Classic(_) => true,
            Kind::Consumer(group) => group.is_consistent(),
        })
    }

    /// Runs a step, and puts what it leaves behind on its way.
    fn turn(&mut self, now: Now, step: impl FnOnce(&mut Groups, &mut Turn<'_>)) -> Output {
        let mut turn = Turn {
            now,
            settings: &self.settings,
            image: &self.image,
            timers: &mut self.timers,
            records: Vec::new(),
            then: Vec::new(),
            replies: Vec::new(),
            before: Vec::new(),
            lookups: Vec::new(),
            events: Vec::new(),
        };
        step(&mut self.groups, &mut turn);
        let Turn { records, then, replies, before, lookups, events, .. } = turn;
        let rebalances = self.note(now, events, &before);
        let output = self.submit(records, then, replies, Undo { before, forgotten: Vec::new() });
        Output { rebalances, lookups, ..output }
    }

    /// Takes note of what has happened to groups; the rebalances that have ended with that.
    fn note(
        &mut self,
        now: Now,
        events: Vec<(GroupId, Event)>,
        changed: &[Before],
    ) -> Vec<(GroupId, Rebalance)> {
        let mut ended = Vec::new();
        for (id, event) in events {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            ended.extend(group.history.note(event, now).map(|rebalance| (id, rebalance)));
        }
        let changed: BTreeSet<&GroupId> = changed.iter().map(Before::group).collect();
        for id in changed {
            let Some(group) = self.groups.get_mut(id) else { continue };
            let Kind::Consumer(consumer) = &group.kind else { continue };
            if group.history.is_open() && consumer.is_at_rest() {
                let event = Event::Ended(consumer.epoch().0);
                let rebalance = group.history.note(event, now);
                ended.extend(rebalance.map(|rebalance| (id.clone(), rebalance)));
            }
        }
        ended
    }

    fn submit(
        &mut self,
        records: Vec<Record>,
        then: Vec<Then>,
        mut replies: Vec<(Asker, Reply)>,
        Undo { before, forgotten }: Undo,
    ) -> Output {
        if !records.is_empty() {
            self.next += 1;
            let number = BatchNumber(self.next);
            let offsets = records.iter().filter_map(|record| match record {
                Record::Offset(key, committed) => Some((key.clone(), committed.clone())),
                _ => None,
            });
            let offsets = offsets.collect();
            let batch = InFlight { number, offsets, then, forgotten, before };
            self.in_flight.push_back(batch);
            return Output { batch: Some((number, records)), replies, ..Output::default() };
        }
        match self.in_flight.back_mut() {
            Some(last) => last.then.extend(then),
            // Whatever is not an answer comes with records.
            None => replies.extend(then.into_iter().filter_map(|then| match then {
                Then::Answer(asker, reply) => Some((asker, reply)),
                Then::Fetch(asker, request) => Some((asker, look::fetch(&self.groups, &request))),
                Then::Assigned(..) | Then::Replaced(..) | Then::Created(_) => None,
            })),
        }
        Output { replies, ..Output::default() }
    }
}

/// What is to be undone if a batch cannot be written.
#[derive(Default)]
struct Undo {
    before: Vec<Before>,
    forgotten: Vec<(GroupId, Group)>,
}

/// A group is no more, but for what it has committed.
fn end_kind(groups: &mut Groups, id: &GroupId, now: Now) {
    if let Some(group) = groups.get_mut(id) {
        group.kind = Kind::Classic(ClassicGroup::new(id.clone(), now.wall));
        if group.is_unused() {
            groups.remove(id);
        }
    }
}

impl Group {
    fn new(id: GroupId, now: Now) -> Group {
        Group::of(Kind::Classic(ClassicGroup::new(id, now.wall)))
    }

    fn of(kind: Kind) -> Group {
        Group { kind, offsets: Offsets::default(), history: History::default() }
    }

    fn is_unused(&self) -> bool {
        let Kind::Classic(classic) = &self.kind else { return false };
        self.offsets.is_empty() && classic.is_unused()
    }

    /// Whether nobody is in it.
    fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Classic(classic) => classic.is_empty(),
            Kind::Consumer(group) => group.is_empty(),
        }
    }

    /// Whether a topic's offsets are in use.
    fn reads(&self, topic: &str) -> bool {
        match &self.kind {
            Kind::Classic(classic) => classic.reads(topic),
            Kind::Consumer(group) => group.reads(topic),
        }
    }

    fn resume(&mut self, turn: &mut Turn<'_>) {
        match &mut self.kind {
            Kind::Classic(classic) => classic.resume(turn),
            Kind::Consumer(group) => group.resume(turn),
        }
    }

    /// It is what it was before something that could not be written, or was refused. Nobody waits
    /// in it any more: a rebalance that went on begins anew.
    fn restored(&mut self, turn: &mut Turn<'_>) {
        self.resume(turn);
        if let Kind::Classic(classic) = &mut self.kind
            && classic.is_rebalancing()
        {
            classic.prepare_rebalance(Cause::NotWritten, turn);
        }
    }

    fn time_is_over(&mut self, timer: &Timer, member: &MemberId, turn: &mut Turn<'_>) {
        let kind = &mut self.kind;
        match (timer, &mut *kind) {
            (Timer::Session(..), Kind::Classic(classic)) => classic.session_is_over(member, turn),
            (Timer::Join(_), Kind::Classic(classic)) => classic.join_time_is_over(turn),
            (Timer::Sync(_), Kind::Classic(classic)) => classic.sync_time_is_over(turn),
            (Timer::Revocation(..), Kind::Consumer(group)) if !group.is_slow_to_revoke(member) => {}
            (Timer::Revocation(..) | Timer::Rejoin(..) | Timer::Resync(..), Kind::Consumer(_)) => {
                consumer::remove(kind, &[member.clone()].into(), Cause::TooSlow, turn);
            }
            // Of a group that has changed its protocol since.
            _ => {}
        }
    }
}

impl Output {
    fn reply(asker: Asker, reply: Reply) -> Output {
        Output { replies: vec![(asker, reply)], ..Output::default() }
    }
}
