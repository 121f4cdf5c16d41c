//! A shard: one core's share of the broker, as a state machine. `step` takes one event,
//! `end_of_turn` builds the commit for everything that happened since the last one; both only fill
//! [`Effects`].
//!
//! Two halves share it. As **home** it serves the connections of its core: it splits requests by
//! owner, joins the answers and waits for long polls (`home`, `fetch`). As **owner** it keeps the
//! partitions placed on it: appends, commits, flushes, reads (`owner`, `commit`, `flusher`, `read`,
//! `lookup`). Home and owner talk in messages, even within one shard. Shard 0 also keeps the
//! cluster's metadata (`controller`).

mod apply;
mod commit;
mod controller;
pub mod disk;
pub mod effect;
pub mod event;
mod fetch;
mod flusher;
mod groups;
pub mod holdings;
mod home;
mod index;
pub mod job;
pub mod label;
mod lookup;
pub mod message;
mod offline;
mod owner;
mod partition;
mod pieces;
mod pressure;
mod queue;
mod read;
mod release;
pub mod request;
mod search;
pub mod setup;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::id::{Instant, LeaderEpoch, Now, ShardId, TopicPartition};
use crate::log::{Log, LogConfig, LogVersion, Place};
use crate::shard::apply::Applying;
use crate::shard::commit::Commits;
use crate::shard::controller::ControllerSeat;
use crate::shard::disk::{DiskNews, DiskRoom};
use crate::shard::effect::Effects;
use crate::shard::event::{Adopted, EffectId, Event, Outcome};
use crate::shard::flusher::Flusher;
use crate::shard::groups::Groups;
use crate::shard::home::Home;
use crate::shard::index::Indexes;
use crate::shard::job::Finished;
use crate::shard::message::Message;
use crate::shard::offline::DirectoryHealth;
use crate::shard::owner::OwnerCalls;
use crate::shard::partition::{Partition, Slot};
use crate::shard::pieces::Pieces;
pub use crate::shard::pressure::Pressure;
use crate::shard::read::Look;
use crate::shard::request::{Reply, Request};
use crate::shard::search::{Search, Searches};
use crate::shard::setup::{ShardLimits, ShardSetup, leader_epoch};

/// A map whose order depends on nothing but what is put in.
pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

/// What an effect in flight is for.
#[derive(Debug)]
enum Pending {
    Commit,
    Segment(Slot),
    Seal(Slot),
    Format(crate::journal::ring::Slot),
    /// Pages of an index file, before a barrier.
    Index(Slot),
    Barrier,
    Manifest,
    Look(Look),
    Rescue(Slot),
    /// Bytes of a partition whose groups are loaded.
    Load(Slot),
    /// A job that decides commands.
    Decide,
    /// A job that reads a batch; the search goes on behind it.
    Find(Search, Place),
    /// A job that looks up a pattern of a group of this partition.
    Match(Slot),
    /// Nothing depends on it.
    Nothing,
}

/// One core's share of the broker.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    shards: u16,
    epoch: LeaderEpoch,
    version: LogVersion,
    limits: ShardLimits,
    defaults: Arc<LogConfig>,
    slots: Map<TopicPartition, Slot>,
    partitions: BTreeMap<Slot, Partition>,
    next_slot: u32,
    pending: Map<EffectId, Pending>,
    next_effect: u64,
    home: Home,
    calls: OwnerCalls,
    commits: Commits,
    flusher: Flusher,
    controller: Option<ControllerSeat>,
    disk: DiskRoom,
    /// On shard 0.
    disk_news: DiskNews,
    directory: DirectoryHealth,
    /// Partitions whose rescue files the disk had no room for.
    unrescued: BTreeSet<Slot>,
    indexes: Indexes,
    groups: Groups,
    searches: Searches,
    applying: Applying,
    pieces: Pieces,
    /// Reads of other shards that are to be woken at the end of this turn.
    wakes: BTreeSet<partition::OwnerCall>,
    /// When those are woken that were too many for a turn.
    wakes_due: Option<Instant>,
    /// What the others were told of this shard's pressure.
    told: Pressure,
    /// Other shards that are full.
    crowded: BTreeSet<ShardId>,
}

impl Shard {
    /// A shard with its partitions; call [`start`](Self::start) before the first event.
    #[must_use]
    pub fn new(setup: ShardSetup) -> Shard {
        let epoch = leader_epoch(setup.start);
        let mut shard = Shard {
            id: setup.id,
            shards: setup.shards,
            epoch,
            version: LogVersion { start: setup.start, change: 0 },
            slots: Map::default(),
            partitions: BTreeMap::new(),
            next_slot: 0,
            pending: Map::default(),
            next_effect: 0,
            home: Home::new(setup.shards),
            calls: OwnerCalls::default(),
            commits: Commits::new(&setup),
            flusher: Flusher::new(setup.manifest_bytes, setup.rescues),
            controller: setup.controller.map(ControllerSeat::new),
            disk: DiskRoom::new(&setup.limits, setup.shards),
            disk_news: DiskNews::default(),
            directory: DirectoryHealth::default(),
            unrescued: BTreeSet::new(),
            indexes: Indexes::default(),
            groups: Groups::new(setup.limits.groups.clone()),
            searches: Searches::default(),
            applying: Applying::default(),
            pieces: Pieces::default(),
            wakes: BTreeSet::new(),
            wakes_due: None,
            told: Pressure::Open,
            crowded: BTreeSet::new(),
            limits: setup.limits,
            defaults: setup.defaults,
        };
        for adopted in setup.partitions {
            shard.adopt(adopted);
        }
        shard
    }

    /// Wants what must happen before and beside the first request: journal files formatted.
    pub fn start(&mut self, effects: &mut Effects) {
        self.make_journal(effects);
    }

    /// Which shard this is.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Takes in one event.
    pub fn step(&mut self, now: Now, event: Event, effects: &mut Effects) {
        match event {
            Event::Request(ticket, request) => self.on_request(now, ticket, request, effects),
            Event::Cancel(ticket) => self.cancel(now, ticket, effects),
            Event::Message(from, message) => self.on_message(now, from, message, effects),
            Event::Done(id, outcome) => self.on_done(now, id, outcome, effects),
            Event::Finished(id, finished) => self.on_finished(now, id, finished, effects),
            Event::DiskFree(bytes) => self.on_disk_free(bytes, effects),
            Event::Tick => self.on_tick(now, effects),
            Event::Stop(ticket) => self.flusher.stop(ticket),
        }
    }

    /// Closes a turn: builds the commit, starts what has become due, wakes readers.
    pub fn end_of_turn(&mut self, now: Now, effects: &mut Effects) {
        self.build_commits(now, effects);
        self.flush(now, effects);
        self.wake_readers(now, effects);
        self.tell_pressure(effects);
        self.tell_disk(now, effects);
    }

    /// When [`Event::Tick`] is wanted.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let home = self.home.next_deadline();
        let seal = self.commits.seal_at();
        let housekeeping = self.flusher.housekeeping_at();
        let groups = self.groups.next_deadline();
        let (searches, applying) = (self.searches.next_deadline(), self.applying.next_deadline());
        let (pieces, disk) = (self.pieces.next_deadline(), self.disk_news.next_deadline());
        let others = [searches, applying, pieces, disk, self.wakes_due];
        [home, seal, housekeeping, groups].into_iter().chain(others).flatten().min()
    }

    fn on_request(&mut self, now: Now, ticket: event::Ticket, request: Request, fx: &mut Effects) {
        match request {
            Request::Produce(parts) => self.produce(now, ticket, parts, fx),
            Request::Fetch(fetch) => self.fetch(now, ticket, fetch, fx),
            Request::Lookup(parts) => self.look_up(now, ticket, parts, fx),
            Request::Metadata(command) => self.command(now, ticket, command, fx),
            Request::Group(call) => self.ask_group(now, ticket, call, fx),
        }
    }

    fn on_message(&mut self, now: Now, from: ShardId, message: Message, fx: &mut Effects) {
        match message {
            Message::Call(id, call) => self.on_call(now, from, id, call, fx),
            Message::Answer(id, answer) => self.on_answer(now, from, id, answer, fx),
            Message::Wake(id) => self.on_wake(now, id, fx),
            Message::Cancel(id) => self.on_cancel(now, partition::OwnerCall { from, id }, fx),
            Message::Publish(delta) => self.on_publish(now, delta, fx),
            Message::Applied(version) => self.on_applied(now, from, version, fx),
            Message::DirectoryOffline => self.go_offline(now, fx),
            Message::Pressure(Pressure::Full) => drop(self.crowded.insert(from)),
            Message::Pressure(Pressure::Open) => drop(self.crowded.remove(&from)),
            Message::Disk(intake) => self.on_disk_news(now, from, intake, fx),
            Message::Weigh => self.on_weigh(now, fx),
            Message::Weighed(topics) => self.on_weighed(now, topics, fx),
            Message::Command(id, command) => self.on_command(now, from, id, command, fx),
            Message::Group(id, call) => self.on_group_request(now, from, id, *call, fx),
        }
    }

    fn on_done(&mut self, now: Now, id: EffectId, outcome: Outcome, fx: &mut Effects) {
        match self.pending.remove(&id) {
            Some(Pending::Commit) => self.on_commit(now, id, &outcome, fx),
            Some(Pending::Segment(slot)) => self.on_segment(now, slot, &outcome, fx),
            Some(Pending::Seal(slot)) => self.on_seal(now, slot, &outcome, fx),
            Some(Pending::Format(slot)) => self.on_format(now, slot, &outcome, fx),
            Some(Pending::Index(slot)) => self.on_pages(slot, &outcome),
            Some(Pending::Barrier) => self.on_barrier(now, &outcome, fx),
            Some(Pending::Manifest) => self.on_manifest(now, &outcome, fx),
            Some(Pending::Look(look)) => self.on_look(now, look, outcome, fx),
            Some(Pending::Rescue(slot)) => self.on_rescue(now, slot, &outcome, fx),
            Some(Pending::Load(slot)) => self.on_loaded_bytes(now, slot, outcome, fx),
            Some(Pending::Decide | Pending::Find(..) | Pending::Match(_) | Pending::Nothing)
            | None => {}
        }
    }

    fn on_finished(&mut self, now: Now, id: EffectId, finished: Finished, fx: &mut Effects) {
        match (self.pending.remove(&id), finished) {
            (Some(Pending::Decide), Finished::Decided(decided)) => {
                self.on_decided(now, decided, fx);
            }
            (Some(Pending::Find(search, behind)), Finished::Found(found)) => {
                self.on_found(now, search, behind, found, fx);
            }
            (Some(Pending::Match(slot)), Finished::Matched(matched)) => {
                self.on_matched(now, slot, matched, fx);
            }
            _ => {}
        }
    }

    fn on_tick(&mut self, now: Now, fx: &mut Effects) {
        self.expire_fetches(now, fx);
        self.seal_journal(now, fx);
        self.tick_groups(now, fx);
        self.go_on_with_groups(now, fx);
        self.go_on_searching(now, fx);
        self.go_on_applying(now, fx);
        self.go_on_with_pieces(now, fx);
        self.housekeep(now);
        self.tell_operator(now, fx);
    }

    fn effect(&mut self, pending: Pending) -> EffectId {
        self.next_effect += 1;
        let id = EffectId(self.next_effect);
        self.pending.insert(id, pending);
        id
    }

    fn adopt(&mut self, adopted: Adopted) {
        let Adopted { partition, log, config, health, known } = adopted;
        let slot = Slot(self.next_slot);
        self.next_slot += 1;
        let log = Log::new(partition, log, config, self.epoch, known);
        if health == event::Health::Online && log.next_sync().is_some() {
            self.flusher.wants_sync(slot);
        }
        self.slots.insert(partition, slot);
        self.partitions.insert(slot, Partition::new(log, health));
    }

    fn partition(&mut self, partition: TopicPartition) -> Option<(Slot, &mut Partition)> {
        let slot = *self.slots.get(&partition)?;
        self.partitions.get_mut(&slot).map(|partition| (slot, partition))
    }

    /// Sends a message; to this shard itself it is delivered at once.
    fn send(&mut self, now: Now, to: ShardId, message: Message, fx: &mut Effects) {
        if to == self.id {
            self.on_message(now, to, message, fx);
        } else {
            fx.messages.push((to, message));
        }
    }
}

impl Effects {
    fn file(&mut self, id: EffectId, action: effect::FileAction) {
        self.files.push(effect::FileEffect { id, action });
    }

    fn reply(&mut self, ticket: event::Ticket, reply: Reply) {
        self.replies.push((ticket, reply));
    }

    fn notice(&mut self, notice: effect::Notice) {
        self.notices.push(notice);
    }
}
