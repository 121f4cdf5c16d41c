//! As home: requests of this core's connections are split by owner, sent as calls, and joined
//! again.
//!
//! A call uses one credit of its target; without a credit it waits here, in order, while this shard
//! goes on serving others' calls. So two shards that call each other never wait for each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::{Instant, Now, ShardId, TopicPartition};
use crate::limits::CREDITS;
use crate::metadata::Command;
use crate::place::owner;
use crate::shard::effect::Effects;
use crate::shard::event::Ticket;
use crate::shard::fetch::FetchJoin;
use crate::shard::message::{Answer, Call, CallId, Message};
use crate::shard::request::{
    Append, AppendError, Appended, Found, GroupCall, Lookup, ReadError, Reply,
};
use crate::shard::{Map, Shard};

/// What the answers to some calls are put together to.
#[derive(Debug)]
pub(crate) enum Join {
    Produce(Parts<Result<Appended, AppendError>>),
    Lookup(LookupJoin),
    Fetch(FetchJoin),
    /// The controller's answer to this call.
    Metadata(CallId),
    /// A coordinator's to this one.
    Group(ShardId, CallId),
}

/// A lookup that is not answered.
#[derive(Debug)]
pub(crate) struct LookupJoin {
    parts: Parts<Result<Found, ReadError>>,
    /// Its calls, to whom.
    calls: Vec<(ShardId, CallId)>,
}

/// Answers part by part, as they come.
#[derive(Debug)]
pub(crate) struct Parts<T> {
    results: Vec<Option<T>>,
    open_calls: usize,
}

impl<T> Parts<T> {
    pub(crate) fn new(count: usize, open_calls: usize) -> Parts<T> {
        Parts { results: (0..count).map(|_| None).collect(), open_calls }
    }

    /// Puts a call's answers where they belong; whether all calls are answered.
    pub(crate) fn put(&mut self, indexes: &[u32], answers: Vec<T>) -> bool {
        for (index, answer) in indexes.iter().zip(answers) {
            self.results[*index as usize] = Some(answer);
        }
        self.open_calls -= 1;
        self.open_calls == 0
    }

    pub(crate) fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.results).into_iter().flatten().collect()
    }
}

/// A call that is not answered, or, for a long poll, may still be woken.
#[derive(Debug)]
pub(crate) struct OpenCall {
    pub(crate) ticket: Ticket,
    /// Which parts of the request it asks for.
    pub(crate) indexes: Vec<u32>,
}

/// Calls to one shard.
#[derive(Debug)]
struct Line {
    credits: u32,
    waiting: VecDeque<(CallId, Call)>,
}

/// The home half's state.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) joins: Map<Ticket, Join>,
    pub(crate) calls: Map<CallId, OpenCall>,
    lines: Vec<Line>,
    next_call: u64,
    /// Long polls by when they must be answered.
    pub(crate) deadlines: BTreeSet<(Instant, Ticket)>,
}

impl Home {
    pub(crate) fn new(shards: u16) -> Home {
        let line = || Line { credits: CREDITS, waiting: VecDeque::new() };
        Home {
            joins: Map::default(),
            calls: Map::default(),
            lines: (0..shards).map(|_| line()).collect(),
            next_call: 0,
            deadlines: BTreeSet::new(),
        }
    }

    /// A name that no call has had.
    pub(crate) fn name_call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }

    /// Credits, of so many for each owner, that have not come back, and calls that wait for one.
    pub(crate) fn credits_out(&self, credits: u32) -> usize {
        let out = |line: &Line| (credits - line.credits) as usize + line.waiting.len();
        self.lines.iter().map(out).sum()
    }

    /// Takes back a call that still waits for a credit; whether it did.
    pub(crate) fn withdraw(&mut self, to: ShardId, id: CallId) -> bool {
        let Some(line) = self.lines.get_mut(usize::from(to.0)) else { return false };
        let at = line.waiting.iter().position(|(waiting, _)| *waiting == id);
        at.and_then(|at| line.waiting.remove(at)).is_some()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

/// The places of parts by owner; owners in order.
pub(crate) fn by_owner(
    partitions: impl Iterator<Item = TopicPartition>,
    shards: u16,
) -> BTreeMap<ShardId, Vec<u32>> {
    let mut groups: BTreeMap<ShardId, Vec<u32>> = BTreeMap::new();
    for (index, partition) in (0..).zip(partitions) {
        groups.entry(owner(partition, shards)).or_default().push(index);
    }
    groups
}

impl Shard {
    pub(super) fn produce(
        &mut self,
        now: Now,
        ticket: Ticket,
        parts: Vec<Append>,
        fx: &mut Effects,
    ) {
        if parts.is_empty() {
            return fx.reply(ticket, Reply::Produce(Vec::new()));
        }
        let groups = by_owner(parts.iter().map(|part| part.partition), self.shards);
        let join = Join::Produce(Parts::new(parts.len(), groups.len()));
        self.home.joins.insert(ticket, join);
        let mut parts: Vec<Option<Append>> = parts.into_iter().map(Some).collect();
        for (to, indexes) in groups {
            let group = indexes.iter().filter_map(|index| parts[*index as usize].take()).collect();
            let id = self.open_call(ticket, indexes);
            self.call(now, to, id, Call::Append(group), fx);
        }
    }

    pub(super) fn look_up(
        &mut self,
        now: Now,
        ticket: Ticket,
        parts: Vec<Lookup>,
        fx: &mut Effects,
    ) {
        if parts.is_empty() {
            return fx.reply(ticket, Reply::Lookup(Vec::new()));
        }
        let groups = by_owner(parts.iter().map(|part| part.partition), self.shards);
        let mut calls = Vec::with_capacity(groups.len());
        let mut lookups = Vec::with_capacity(groups.len());
        for (to, indexes) in groups {
            lookups.push(indexes.iter().map(|index| parts[*index as usize]).collect());
            calls.push((to, self.open_call(ticket, indexes)));
        }
        let parts = Parts::new(parts.len(), calls.len());
        self.home.joins.insert(ticket, Join::Lookup(LookupJoin { parts, calls: calls.clone() }));
        for ((to, id), lookups) in calls.into_iter().zip(lookups) {
            self.call(now, to, id, Call::Lookup(lookups), fx);
        }
    }

    pub(super) fn command(&mut self, now: Now, ticket: Ticket, command: Command, fx: &mut Effects) {
        let id = self.open_call(ticket, Vec::new());
        self.home.joins.insert(ticket, Join::Metadata(id));
        self.send(now, ShardId(0), Message::Command(id, command), fx);
    }

    pub(super) fn ask_group(
        &mut self,
        now: Now,
        ticket: Ticket,
        call: Box<GroupCall>,
        fx: &mut Effects,
    ) {
        let id = self.open_call(ticket, Vec::new());
        let to = owner(call.partition, self.shards);
        self.home.joins.insert(ticket, Join::Group(to, id));
        self.send(now, to, Message::Group(id, call), fx);
    }

    pub(super) fn open_call(&mut self, ticket: Ticket, indexes: Vec<u32>) -> CallId {
        let id = self.home.name_call();
        self.home.calls.insert(id, OpenCall { ticket, indexes });
        id
    }

    /// Sends a call as soon as there is a credit for it.
    pub(super) fn call(&mut self, now: Now, to: ShardId, id: CallId, call: Call, fx: &mut Effects) {
        if to == self.id {
            return self.on_call(now, to, id, call, fx);
        }
        let Some(line) = self.home.lines.get_mut(usize::from(to.0)) else { return };
        if line.credits == 0 {
            return line.waiting.push_back((id, call));
        }
        line.credits -= 1;
        fx.messages.push((to, Message::Call(id, call)));
    }

    fn return_credit(&mut self, from: ShardId, fx: &mut Effects) {
        let Some(line) = self.home.lines.get_mut(usize::from(from.0)) else { return };
        match line.waiting.pop_front() {
            Some((id, call)) => fx.messages.push((from, Message::Call(id, call))),
            None => line.credits += 1,
        }
    }

    pub(super) fn on_answer(
        &mut self,
        now: Now,
        from: ShardId,
        id: CallId,
        answer: Answer,
        fx: &mut Effects,
    ) {
        let free = matches!(answer, Answer::Metadata(_) | Answer::Group(_));
        if from != self.id && !free {
            self.return_credit(from, fx);
        }
        match answer {
            Answer::Append(results) => self.join_produce(id, results, fx),
            Answer::Lookup(results) => self.join_lookup(id, results, fx),
            Answer::Read(mut results) => {
                if !self.on_load(now, id, &mut results, fx) {
                    self.join_fetch(now, id, results, fx);
                }
            }
            Answer::Metadata(result) => self.join_one(id, Reply::Metadata(result), fx),
            Answer::Group(result) => self.join_one(id, Reply::Group(result), fx),
        }
    }

    fn join_produce(
        &mut self,
        id: CallId,
        results: Vec<Result<Appended, AppendError>>,
        fx: &mut Effects,
    ) {
        let Some(call) = self.home.calls.remove(&id) else { return };
        let Some(Join::Produce(parts)) = self.home.joins.get_mut(&call.ticket) else { return };
        if parts.put(&call.indexes, results) {
            let results = parts.take();
            self.home.joins.remove(&call.ticket);
            fx.reply(call.ticket, Reply::Produce(results));
        }
    }

    fn join_lookup(
        &mut self,
        id: CallId,
        results: Vec<Result<Found, ReadError>>,
        fx: &mut Effects,
    ) {
        let Some(call) = self.home.calls.remove(&id) else { return };
        let Some(Join::Lookup(join)) = self.home.joins.get_mut(&call.ticket) else { return };
        if join.parts.put(&call.indexes, results) {
            let results = join.parts.take();
            self.home.joins.remove(&call.ticket);
            fx.reply(call.ticket, Reply::Lookup(results));
        }
    }

    fn join_one(&mut self, id: CallId, reply: Reply, fx: &mut Effects) {
        let Some(call) = self.home.calls.remove(&id) else { return };
        if self.home.joins.remove(&call.ticket).is_some() {
            fx.reply(call.ticket, reply);
        }
    }

    /// Nobody waits for this request any more. What it appends is appended all the same; other
    /// things that have not begun by then do not.
    pub(super) fn cancel(&mut self, now: Now, ticket: Ticket, fx: &mut Effects) {
        match self.home.joins.remove(&ticket) {
            Some(Join::Fetch(fetch)) => self.cancel_fetch(now, ticket, fetch, fx),
            Some(Join::Lookup(LookupJoin { calls, .. })) => {
                calls.into_iter().for_each(|(to, id)| self.cancel_call(now, to, id, fx));
            }
            Some(Join::Metadata(id)) => self.cancel_call(now, ShardId(0), id, fx),
            Some(Join::Group(to, id)) => self.cancel_call(now, to, id, fx),
            Some(Join::Produce(_)) | None => {}
        }
    }

    fn cancel_call(&mut self, now: Now, to: ShardId, id: CallId, fx: &mut Effects) {
        let is_answered = self.home.calls.remove(&id).is_none();
        if !is_answered && !self.home.withdraw(to, id) {
            self.send(now, to, Message::Cancel(id), fx);
        }
    }
}
