//! Clients: what they ask, and what they make of the answers. They know the model, and each of
//! their requests goes to a shard of its own choice.

mod batches;
mod fetches;
mod groups;
mod producers;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use corelog_engine::group::request::GroupError;
use corelog_engine::id::{Instant, LeaderEpoch, ShardId, Timestamp, TopicId, TopicPartition};
use corelog_engine::metadata::{Image, Outcome};
use corelog_engine::shard::event::Ticket;
use corelog_engine::shard::request::{
    Append, Fetch, Found, Lookup, MetadataError, ReadError, Request, Target,
};
use corelog_engine::shard::request::{AppendError, Appended};

pub use self::batches::Sizes;
use self::fetches::Consumer;
use self::groups::{Asked, Groups};
use self::producers::Producer;
use crate::sim::model::{Check, Knowledge, Known, Model, Read, TopicState, Uid};
use crate::sim::rng::Rng;

/// Microseconds after which an answer that could have been given is missing.
const PATIENCE: u64 = 5_000_000;

/// A request that is to be sent.
#[derive(Debug)]
pub struct Asking {
    /// Where to.
    pub home: ShardId,
    /// Its name.
    pub ticket: Ticket,
    /// The request, or `None` to cancel that ticket.
    pub request: Option<Request>,
}

/// An answer as a client sees it.
#[derive(Debug)]
pub enum Answer {
    /// To a produce.
    Produce(Vec<Result<Appended, AppendError>>),
    /// To a fetch, with the bytes.
    Fetch(Vec<Result<Read, ReadError>>),
    /// To a lookup.
    Lookup(Vec<Result<Found, ReadError>>),
    /// To a command.
    Metadata(Result<Outcome, MetadataError>),
    /// To a question to a group.
    Group(Result<corelog_engine::group::request::Reply, GroupError>),
}

/// What was asked.
#[derive(Debug)]
enum Wish {
    Produce(Vec<Sending>),
    Fetch { fetch: Fetch, known: Vec<Known>, consumer: Option<usize> },
    Lookup(Vec<(Lookup, Known)>),
    Create(TopicId),
    Delete(TopicId),
    ProducerIds,
    Group(Asked),
}

/// A batch on its way.
#[derive(Clone, Copy, Debug)]
struct Sending {
    uid: Uid,
    producer: Option<usize>,
    known: Known,
}

/// A request without an answer.
#[derive(Debug)]
struct Open {
    wish: Wish,
    home: ShardId,
    /// When, at the latest, it could have been answered; microseconds.
    answerable: Option<u64>,
}

/// The clients.
#[derive(Debug)]
pub struct Workload {
    rng: Rng,
    /// What the batches look like.
    pub sizes: Sizes,
    open: BTreeMap<Ticket, Open>,
    /// Cancelled while the answer may have been on its way.
    cancelled: BTreeSet<Ticket>,
    producers: Vec<Producer>,
    consumers: Vec<Consumer>,
    groups: Groups,
    tickets: u64,
    uids: u64,
    topics: u64,
    most_topics: u64,
}

/// What clients may choose from now.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Microseconds.
    pub now: u64,
    /// The time of day.
    pub wall: Timestamp,
    /// How many shards there are.
    pub shards: u16,
    /// Whether bytes are welcome.
    pub bytes: bool,
}

impl Workload {
    /// The clients of a seed; `largest` is the size of the largest batch that must be taken.
    #[must_use]
    pub fn new(seed: u64, largest: u64) -> Workload {
        let mut rng = Rng::stream(seed, "workload");
        let consumers = (0..rng.within(1..=5)).map(|_| Consumer::default()).collect();
        Workload {
            sizes: Sizes::draw(largest, &mut rng),
            open: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            producers: Vec::new(),
            consumers,
            groups: Groups::new(&mut Rng::stream(seed, "groups")),
            tickets: 0,
            uids: 0,
            topics: 0,
            most_topics: rng.within(1..=5),
            rng,
        }
    }

    /// What a client asks next; nothing when there is nothing to do for those whose turn it is.
    pub fn next(&mut self, model: &mut Model, setting: Setting) -> Option<Asking> {
        match self.rng.below(100) {
            0..30 if setting.bytes => self.produce(model, setting),
            30..55 if setting.bytes => self.produce_in_order(model, setting),
            55..75 => self.consume(model, setting),
            75..81 => self.fetch_anything(model, setting),
            81..85 => self.look_up(model, setting),
            85..91 => self.groups(model, setting),
            91..95 => self.change_topics(model, setting),
            95..97 => self.allocate_producer(setting),
            97..98 => self.cancel(model),
            _ => None,
        }
    }

    fn ask(&mut self, setting: Setting, request: Request, wish: Wish) -> Asking {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let home = ShardId(self.rng.below(u64::from(setting.shards)) as u16);
        let answerable = match &wish {
            Wish::Fetch { fetch, .. } => Some(fetch.deadline.0),
            Wish::Produce(_) | Wish::Group(_) => None,
            _ => Some(setting.now),
        };
        self.open.insert(ticket, Open { wish, home, answerable });
        Asking { home, ticket, request: Some(request) }
    }

    fn look_up(&mut self, model: &Model, setting: Setting) -> Option<Asking> {
        let parts: Vec<_> = (0..self.rng.within(1..=3))
            .filter_map(|_| {
                let partition = self.any_partition(model)?;
                let start = model.start as i32;
                let asked = start + 1 - self.rng.below(start as u64 + 4) as i32;
                let target = match self.rng.below(6) {
                    0 => Target::Earliest,
                    1 => Target::Latest,
                    2 => Target::MaxTimestamp,
                    3 => Target::EpochEnd(LeaderEpoch(asked)),
                    4 if self.rng.one_in(8) => Target::Remote,
                    _ => Target::At(self.sizes.time(setting.wall, &mut self.rng)),
                };
                let epoch = self.rng.one_in(8).then_some(LeaderEpoch(asked));
                let lookup = Lookup { partition, epoch, target };
                Some((lookup, model.known(partition)))
            })
            .collect();
        let request = Request::Lookup(parts.iter().map(|(lookup, _)| *lookup).collect());
        Some(self.ask(setting, request, Wish::Lookup(parts)))
    }

    fn any_partition(&mut self, model: &Model) -> Option<TopicPartition> {
        let state = if self.rng.one_in(50) { TopicState::Gone } else { TopicState::Live };
        let partitions = model.partitions(state);
        (!partitions.is_empty()).then(|| self.rng.pick(&partitions))
    }

    fn cancel(&mut self, model: &mut Model) -> Option<Asking> {
        let tickets: Vec<Ticket> = self.open.keys().copied().collect();
        let ticket = *tickets.get(self.rng.below(tickets.len().max(1) as u64) as usize)?;
        let open = self.open.get(&ticket)?;
        let home = open.home;
        match &open.wish {
            Wish::Create(_) | Wish::Delete(_) | Wish::ProducerIds | Wish::Group(_) => return None,
            Wish::Lookup(_) => {}
            Wish::Fetch { consumer, .. } => {
                if let Some(consumer) = consumer {
                    self.consumers[*consumer].idle();
                }
            }
            Wish::Produce(parts) => {
                let parts = parts.clone();
                for sending in parts {
                    model.lose(sending.uid);
                    self.unanswered(model, sending);
                }
            }
        }
        self.open.remove(&ticket);
        self.cancelled.insert(ticket);
        Some(Asking { home, ticket, request: None })
    }

    /// A request is answered.
    pub fn answered(
        &mut self,
        model: &mut Model,
        now: u64,
        ticket: Ticket,
        answer: Answer,
    ) -> Check {
        let Some(open) = self.open.remove(&ticket) else {
            if self.cancelled.remove(&ticket) {
                return Ok(());
            }
            return Err(format!("{ticket:?} was not asked, or is answered twice: {answer:?}"));
        };
        match (open.wish, answer) {
            (Wish::Produce(parts), Answer::Produce(results)) if parts.len() == results.len() => {
                let mut checks = parts.into_iter().zip(results);
                checks.try_for_each(|(sending, result)| self.produced(model, sending, &result, now))
            }
            (Wish::Fetch { fetch, known, consumer }, Answer::Fetch(results))
                if fetch.parts.len() == results.len() =>
            {
                self.fetched(model, &fetch, &known, consumer, &results)
            }
            (Wish::Lookup(parts), Answer::Lookup(results)) if parts.len() == results.len() => {
                let mut checks = parts.into_iter().zip(results);
                checks.try_for_each(|((lookup, known), result)| {
                    model.looked_up(&lookup, known, Knowledge::Partial, &result)
                })
            }
            (Wish::Create(id), Answer::Metadata(result)) => topics::created(model, id, &result),
            (Wish::Delete(id), Answer::Metadata(result)) => topics::deleted(model, id, &result),
            (Wish::ProducerIds, Answer::Metadata(result)) => self.allocated(model, &result),
            (Wish::Group(asked), Answer::Group(answer)) => {
                self.group_answered(model, now, asked, answer)
            }
            (wish, answer) => Err(format!("{wish:?} is answered {answer:?}")),
        }
    }

    /// The broker is gone, and with it every open request.
    pub fn restart(&mut self, model: &mut Model) {
        for (_, open) in std::mem::take(&mut self.open) {
            if let Wish::Produce(parts) = open.wish {
                for sending in parts {
                    self.unanswered(model, sending);
                }
            }
        }
        self.consumers.iter_mut().for_each(Consumer::idle);
        self.groups.restart();
    }

    /// The broker has told which topics there are.
    pub fn learn(&mut self, image: Arc<Image>) {
        self.groups.image = image;
    }

    /// Whether nothing is open.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Every answer that could have been given has been given.
    pub fn check_prompt(&self, now: u64) -> Check {
        let late = self.open.iter().find(|(_, open)| {
            open.answerable.is_some_and(|answerable| answerable + PATIENCE < now)
        });
        match late {
            Some((ticket, open)) => Err(format!("{ticket:?} is not answered: {open:?}")),
            None => Ok(()),
        }
    }

    /// What must be written cannot be yet: the patience with it starts anew.
    pub fn excuse_commands(&mut self, now: u64) {
        for open in self.open.values_mut() {
            if matches!(open.wish, Wish::Create(_) | Wish::Delete(_) | Wish::ProducerIds) {
                open.answerable = Some(now);
            }
        }
    }

    /// An append to `partition` is acknowledged: fetches that wait for it can be answered.
    fn wake_readers(&mut self, partition: TopicPartition, end: i64, now: u64) {
        for open in self.open.values_mut() {
            let Wish::Fetch { fetch, .. } = &open.wish else { continue };
            let waits = |part: &corelog_engine::shard::request::FetchPart| {
                part.partition == partition && part.offset.0 < end
            };
            if fetch.min_bytes <= 1 && fetch.parts.iter().any(waits) {
                open.answerable = open.answerable.map(|answerable| answerable.min(now));
            }
        }
    }
}

fn append(model: &mut Model, uid: Uid) -> Append {
    model.send(uid);
    let batch = &model.batches[&uid];
    Append {
        partition: batch.partition,
        header: batch.header,
        batch: batch.bytes.clone(),
        append_time: Timestamp::NONE,
    }
}

fn deadline(now: u64, ms: u64) -> Instant {
    Instant(now).plus_ms(ms)
}
