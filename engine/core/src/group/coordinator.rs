//! The groups of one partition of `__consumer_offsets`, and what is on its way to the log.

mod commit;
mod ends;
mod look;

use std::collections::{BTreeMap, VecDeque};

use crate::group::classic::{ClassicGroup, Then, Turn};
use crate::group::name::{GroupId, MemberId};
use crate::group::offsets::Offsets;
use crate::group::record::{OffsetKey, Record};
use crate::group::request::{Asker, GroupError, JoinRefused, JoinRequest, Reply, Request};
use crate::group::settings::GroupSettings;
use crate::group::timers::{Timer, Timers};
use crate::id::{Instant, Now};

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
}

/// One group. A group that only has offsets is a classic one that nobody ever joined.
#[derive(Clone, Debug)]
struct Group {
    classic: ClassicGroup,
    offsets: Offsets,
}

#[derive(Debug)]
struct InFlight {
    number: BatchNumber,
    records: Vec<Record>,
    then: Vec<Then>,
    /// Groups that the batch forgets.
    forgotten: Vec<(GroupId, Group)>,
}

/// The coordinator of one partition.
#[derive(Debug)]
pub struct Coordinator {
    settings: GroupSettings,
    groups: BTreeMap<GroupId, Group>,
    timers: Timers,
    in_flight: VecDeque<InFlight>,
    next: u64,
}

impl Coordinator {
    /// One that knows of no groups.
    #[must_use]
    pub fn new(settings: GroupSettings) -> Coordinator {
        Coordinator {
            settings,
            groups: BTreeMap::new(),
            timers: Timers::default(),
            in_flight: VecDeque::new(),
            next: 0,
        }
    }

    /// Takes in a record that is durable, while the partition is read.
    pub fn replay(&mut self, record: Record, now: Now) {
        match record {
            Record::ClassicGroup(id, Some(value)) => {
                let classic = ClassicGroup::load(id.clone(), value);
                self.groups
                    .entry(id)
                    .and_modify(|group| group.classic = classic.clone())
                    .or_insert_with(|| Group { classic, offsets: Offsets::default() });
            }
            Record::ClassicGroup(id, None) => {
                self.groups.remove(&id);
            }
            Record::Offset(key, committed) => self.apply_offset(key, committed, now),
        }
    }

    fn apply_offset(
        &mut self,
        OffsetKey { group: id, topic, partition }: OffsetKey,
        committed: Option<crate::group::record::Committed>,
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
                if group.offsets.is_empty() && group.classic.is_unused() {
                    self.groups.remove(&id);
                }
            }
        }
    }

    /// All records are read: time begins to count.
    pub fn loaded(&mut self, now: Now) -> Output {
        let every = self.settings.expiry_interval_ms;
        self.timers.set(Timer::Expiry, now.instant.plus_ms(every));
        self.turn(now, |groups, turn| {
            groups.values_mut().for_each(|group| group.classic.loaded(turn));
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
        match timer {
            Timer::Expiry => self.expire(now),
            Timer::Session(id, member) => {
                self.of(now, &id, |group, turn| group.session_is_over(&member, turn))
            }
            Timer::Join(id) => self.of(now, &id, ClassicGroup::join_time_is_over),
            Timer::Sync(id) => self.of(now, &id, ClassicGroup::sync_time_is_over),
        }
    }

    fn of(
        &mut self,
        now: Now,
        id: &GroupId,
        act: impl FnOnce(&mut ClassicGroup, &mut Turn<'_>),
    ) -> Output {
        self.turn(now, |groups, turn| {
            if let Some(group) = groups.get_mut(id) {
                act(&mut group.classic, turn);
            }
        })
    }

    /// Decides about a request.
    pub fn request(&mut self, now: Now, asker: Asker, request: Request) -> Output {
        match request {
            Request::Join(request) => self.join(now, asker, &request),
            Request::Sync(request) => {
                self.turn(now, |groups, turn| match groups.get_mut(&request.group) {
                    _ if request.group.is_empty() => {
                        turn.reply(asker, Reply::Sync(Err(GroupError::InvalidGroupId)));
                    }
                    Some(group) => group.classic.sync(request, asker, turn),
                    None => turn.reply(asker, Reply::Sync(Err(GroupError::UnknownMember))),
                })
            }
            Request::Heartbeat(request) => self.turn(now, |groups, turn| {
                let result = match groups.get(&request.group) {
                    _ if request.group.is_empty() => Err(GroupError::InvalidGroupId),
                    Some(group) => group.classic.heartbeat(&request, turn),
                    None => Err(GroupError::UnknownMember),
                };
                turn.reply_when_durable(asker, Reply::Heartbeat(result));
            }),
            Request::Leave(request) => self.turn(now, |groups, turn| {
                let result = match groups.get_mut(&request.group) {
                    _ if request.group.is_empty() => Err(GroupError::InvalidGroupId),
                    Some(group) => Ok(group.classic.leave(&request.members, turn)),
                    None => Ok(vec![Err(GroupError::UnknownMember); request.members.len()]),
                };
                turn.reply_when_durable(asker, Reply::Leave(result));
            }),
            Request::Commit(request) => self.commit(now, asker, request),
            Request::DeleteOffsets(request) => self.delete_offsets(now, asker, &request),
            Request::Delete(group) => self.delete(now, asker, &group),
            Request::Fetch(request) => Output::reply(asker, Reply::Fetch(Ok(self.fetch(&request)))),
            Request::Describe(group) => Output::reply(asker, self.describe(&group)),
            Request::List => Output::reply(asker, self.list()),
        }
    }

    fn join(&mut self, now: Now, asker: Asker, request: &JoinRequest) -> Output {
        let session = self.settings.min_session_ms..=self.settings.max_session_ms;
        let exists = self.groups.contains_key(&request.group);
        let full = !exists && self.groups.len() >= self.settings.max_groups;
        let error = match () {
            () if request.group.is_empty() => Some(GroupError::InvalidGroupId),
            () if !session.contains(&request.session_ms) => Some(GroupError::InvalidSessionTimeout),
            () if !exists && !request.member.is_empty() => Some(GroupError::UnknownMember),
            () if full => Some(GroupError::CoordinatorNotAvailable),
            () => None,
        };
        if let Some(error) = error {
            let member: MemberId = request.member.clone();
            return Output::reply(asker, Reply::Join(Err(JoinRefused { error, member })));
        }
        self.turn(now, |groups, turn| {
            let id = &request.group;
            let group = groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone(), now));
            group.classic.join(request, asker, turn);
            if !exists && turn.records.is_empty() {
                turn.records.push(group.classic.first_record());
                turn.then.push(Then::Created(id.clone()));
            }
        })
    }

    /// A batch is durable, and all before it.
    pub fn durable(&mut self, now: Now, number: BatchNumber) -> Output {
        let behind = self.in_flight.partition_point(|batch| batch.number <= number);
        let done: Vec<InFlight> = self.in_flight.drain(..behind).collect();
        let mut then = Vec::new();
        for batch in done {
            for record in batch.records {
                // Groups are what their members have made of them already.
                if let Record::Offset(key, committed) = record {
                    self.apply_offset(key, committed, now);
                }
            }
            then.extend(batch.then);
        }
        self.turn(now, |groups, turn| {
            then.into_iter().for_each(|then| go_on(groups, then, turn));
        })
    }

    /// A batch, and all behind it, will not be appended.
    pub fn failed(&mut self, now: Now, number: BatchNumber, error: GroupError) -> Output {
        let before = self.in_flight.partition_point(|batch| batch.number < number);
        let failed: Vec<InFlight> = self.in_flight.drain(before..).collect();
        let mut then = Vec::new();
        for batch in failed.into_iter().rev() {
            for (id, group) in batch.forgotten {
                self.groups.entry(id).or_insert(group);
            }
            then.extend(batch.then);
        }
        self.turn(now, |groups, turn| {
            then.into_iter().for_each(|then| give_up(groups, then, error, turn));
        })
    }

    /// Runs a step, and puts what it leaves behind on its way.
    fn turn(
        &mut self,
        now: Now,
        step: impl FnOnce(&mut BTreeMap<GroupId, Group>, &mut Turn<'_>),
    ) -> Output {
        let mut turn = Turn {
            now,
            settings: &self.settings,
            timers: &mut self.timers,
            records: Vec::new(),
            then: Vec::new(),
            replies: Vec::new(),
        };
        step(&mut self.groups, &mut turn);
        let Turn { records, then, replies, .. } = turn;
        self.submit(records, then, replies, Vec::new())
    }

    fn submit(
        &mut self,
        records: Vec<Record>,
        then: Vec<Then>,
        mut replies: Vec<(Asker, Reply)>,
        forgotten: Vec<(GroupId, Group)>,
    ) -> Output {
        if !records.is_empty() {
            self.next += 1;
            let number = BatchNumber(self.next);
            self.in_flight.push_back(InFlight {
                number,
                records: records.clone(),
                then,
                forgotten,
            });
            return Output { batch: Some((number, records)), replies };
        }
        match self.in_flight.back_mut() {
            Some(last) => last.then.extend(then),
            // Whatever is not an answer comes with records.
            None => replies.extend(then.into_iter().filter_map(|then| match then {
                Then::Answer(asker, reply) => Some((asker, reply)),
                Then::Assigned(..) | Then::Replaced(..) | Then::Created(_) => None,
            })),
        }
        Output { batch: None, replies }
    }
}

impl Group {
    fn new(id: GroupId, now: Now) -> Group {
        Group { classic: ClassicGroup::new(id, now.wall), offsets: Offsets::default() }
    }
}

impl Output {
    fn reply(asker: Asker, reply: Reply) -> Output {
        Output { batch: None, replies: vec![(asker, reply)] }
    }
}

/// What a durable batch brings about.
fn go_on(groups: &mut BTreeMap<GroupId, Group>, then: Then, turn: &mut Turn<'_>) {
    match then {
        Then::Answer(asker, reply) => turn.reply(asker, reply),
        Then::Assigned(id, generation, assignments) => {
            if let Some(group) = groups.get_mut(&id) {
                group.classic.assigned(generation, assignments, turn);
            }
        }
        Then::Replaced(id, replacement) => {
            if let Some(group) = groups.get_mut(&id) {
                group.classic.replaced(&replacement, turn);
            }
        }
        Then::Created(_) => {}
    }
}

/// What a batch that failed brings about.
fn give_up(
    groups: &mut BTreeMap<GroupId, Group>,
    then: Then,
    error: GroupError,
    turn: &mut Turn<'_>,
) {
    match then {
        Then::Answer(asker, reply) => turn.reply(asker, reply.failed(error)),
        Then::Assigned(id, generation, _) => {
            if let Some(group) = groups.get_mut(&id) {
                group.classic.not_assigned(generation, error, turn);
            }
        }
        Then::Replaced(id, replacement) => {
            if let Some(group) = groups.get_mut(&id) {
                group.classic.not_replaced(&replacement, error, turn);
            }
        }
        Then::Created(id) => {
            let unused = |group: &Group| group.classic.is_unused() && group.offsets.is_empty();
            if groups.get(&id).is_some_and(unused) {
                groups.remove(&id);
            }
        }
    }
}

impl Reply {
    /// The same answer, if it cannot be given.
    fn failed(&self, error: GroupError) -> Reply {
        let member = MemberId::default();
        match self {
            Reply::Join(_) => Reply::Join(Err(JoinRefused { error, member })),
            Reply::Sync(_) => Reply::Sync(Err(error)),
            Reply::Heartbeat(_) => Reply::Heartbeat(Err(error)),
            Reply::Leave(_) => Reply::Leave(Err(error)),
            Reply::Commit(_) => Reply::Commit(Err(error)),
            Reply::Fetch(_) => Reply::Fetch(Err(error)),
            Reply::DeleteOffsets(_) => Reply::DeleteOffsets(Err(error)),
            Reply::Delete(_) => Reply::Delete(Err(error)),
            Reply::Describe(_) => Reply::Describe(Err(error)),
            // It waits for no batch.
            Reply::List(_) => self.clone(),
        }
    }
}
