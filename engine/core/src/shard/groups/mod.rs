//! As owner: the coordinators of the partitions of `__consumer_offsets` that this shard owns. A
//! coordinator begins with the first request to its partition, which waits until the partition is
//! read; what it decides is appended like any other batch.

mod backlog;
mod load;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::group::coordinator::{BatchNumber, Coordinator, Output};
use crate::group::lookup::Matched;
use crate::group::record::Record;
use crate::group::request::{Asker, GroupError, Request};
use crate::group::settings::GroupSettings;
use crate::id::{Instant, Now, Offset, ShardId, Timestamp, TopicPartition};
use crate::metadata::Image;
use crate::record::{BatchBuilder, BatchHeader, Codec, NewRecord};
use crate::shard::effect::{Effects, Notice};
use crate::shard::event::Health;
use crate::shard::job::{Job, RunJob};
use crate::shard::message::{Answer, CallId, Message};
use crate::shard::partition::{OwnerCall, Slot, Waiter};
use crate::shard::request::{Append, AppendError, GroupCall};
use crate::shard::{Map, Pending, Shard};
use backlog::Backlog;
use load::Loading;

/// Timers of groups that one turn attends to.
const TICKS: usize = 100;

/// Requests that have waited for a partition, of which one turn attends to so many.
const REQUESTS: usize = if cfg!(test) { 2 } else { 100 };

/// The coordinators of a shard.
#[derive(Debug)]
pub(crate) struct Groups {
    settings: GroupSettings,
    hosts: Map<Slot, Host>,
    /// What has come while partitions were loaded, and is not attended to yet.
    backlog: Backlog,
    /// Reads that load partitions.
    loads: Map<CallId, Slot>,
    next_asker: u64,
    /// Those that are loaded further, or have requests that have waited for that, in later turns.
    unfinished: VecDeque<Slot>,
    /// When those go on, if there are any.
    due: Option<Instant>,
    /// When coordinators have something to do, those of them that do.
    deadlines: BTreeSet<(Instant, Slot)>,
    /// The topics that there are, as far as anyone has told.
    image: Arc<Image>,
}

/// A coordinator, and who has asked it.
#[derive(Debug)]
struct Host {
    partition: TopicPartition,
    coordinator: Coordinator,
    stage: Stage,
    askers: Map<Asker, OwnerCall>,
    /// Where it is among the deadlines.
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Stage {
    /// Nobody has asked it.
    Fresh,
    Loading(Loading),
    Active,
    /// Its partition cannot be read; that is tried again from then on.
    Failed(Instant),
}

impl Host {
    fn new(partition: TopicPartition, settings: &GroupSettings) -> Host {
        Host {
            partition,
            coordinator: Coordinator::new(settings.clone()),
            stage: Stage::Fresh,
            askers: Map::default(),
            deadline: None,
        }
    }
}

impl Groups {
    pub(crate) fn new(settings: GroupSettings) -> Groups {
        Groups {
            settings,
            hosts: Map::default(),
            backlog: Backlog::default(),
            loads: Map::default(),
            unfinished: VecDeque::new(),
            due: None,
            next_asker: 0,
            deadlines: BTreeSet::new(),
            image: Arc::default(),
        }
    }

    /// Reads that load partitions and are not answered.
    pub(crate) fn loads_open(&self) -> usize {
        self.loads.len()
    }

    /// Requests that wait for their partitions.
    pub(crate) fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// The shard has stopped: nothing happens of itself any more.
    pub(crate) fn end_timers(&mut self) {
        self.deadlines.clear();
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let timers = self.deadlines.first().map(|(at, _)| *at);
        [timers, self.due].into_iter().flatten().min()
    }

    /// This one goes on in another turn.
    fn go_on_later(&mut self, now: Now, slot: Slot) {
        self.unfinished.push_back(slot);
        self.due = Some(now.instant);
    }

    fn note_deadline(&mut self, slot: Slot) {
        let Some(host) = self.hosts.get_mut(&slot) else { return };
        let next = host.coordinator.next_deadline();
        if let Some(before) = std::mem::replace(&mut host.deadline, next) {
            self.deadlines.remove(&(before, slot));
        }
        self.deadlines.extend(next.map(|at| (at, slot)));
    }
}

impl Shard {
    /// A request to the coordinator of a partition.
    pub(super) fn on_group_request(
        &mut self,
        now: Now,
        from: ShardId,
        id: CallId,
        GroupCall { partition, image, request }: GroupCall,
        fx: &mut Effects,
    ) {
        let call = OwnerCall { from, id };
        let Some(slot) = self.online(partition) else {
            return self.refuse_group(now, call, GroupError::NotCoordinator, fx);
        };
        if image.version() > self.groups.image.version() {
            self.groups.image = image;
        }
        let settings = &self.groups.settings;
        let host = self.groups.hosts.entry(slot).or_insert_with(|| Host::new(partition, settings));
        if matches!(host.stage, Stage::Failed(until) if now.instant >= until) {
            *host = Host::new(partition, settings);
        }
        host.coordinator.learn(&self.groups.image);
        match &host.stage {
            Stage::Active if self.groups.backlog.is_empty(slot) => {
                self.ask_coordinator(now, slot, call, request, fx);
            }
            Stage::Failed(_) => self.refuse_group(now, call, GroupError::NotCoordinator, fx),
            Stage::Active | Stage::Loading(_) => self.postpone(now, slot, call, request, fx),
            Stage::Fresh => {
                host.stage = Stage::Loading(Loading::default());
                self.postpone(now, slot, call, request, fx);
                self.load(now, slot, fx);
            }
        }
    }

    /// Has a request wait for its partition, if there is room for it.
    fn postpone(
        &mut self,
        now: Now,
        slot: Slot,
        call: OwnerCall,
        request: Request,
        fx: &mut Effects,
    ) {
        if !self.groups.backlog.push(slot, call, request) {
            self.refuse_group(now, call, GroupError::LoadInProgress, fx);
        }
    }

    /// Nobody waits for a request any more. One that the coordinator has goes on.
    pub(super) fn withdraw_group_request(&mut self, now: Now, call: OwnerCall, fx: &mut Effects) {
        if self.groups.backlog.remove(call) {
            self.refuse_group(now, call, GroupError::LoadInProgress, fx);
        }
    }

    fn online(&self, partition: TopicPartition) -> Option<Slot> {
        let slot = *self.slots.get(&partition)?;
        let online = self.partitions.get(&slot).is_some_and(|p| p.health == Health::Online);
        (online && !self.directory.is_offline()).then_some(slot)
    }

    fn refuse_group(&mut self, now: Now, call: OwnerCall, error: GroupError, fx: &mut Effects) {
        self.send(now, call.from, Message::Answer(call.id, Answer::Group(Err(error))), fx);
    }

    fn ask_coordinator(
        &mut self,
        now: Now,
        slot: Slot,
        call: OwnerCall,
        request: Request,
        fx: &mut Effects,
    ) {
        self.groups.next_asker += 1;
        let asker = Asker(self.groups.next_asker);
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        host.askers.insert(asker, call);
        let output = host.coordinator.request(now, asker, request);
        self.follow(now, slot, output, fx);
    }

    /// Sends what a coordinator answers, and appends what it wants to remember.
    fn follow(&mut self, now: Now, slot: Slot, output: Output, fx: &mut Effects) {
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        let partition = host.partition;
        let told: Vec<_> = output
            .replies
            .into_iter()
            .filter_map(|(asker, reply)| Some((host.askers.remove(&asker)?, reply)))
            .collect();
        self.groups.note_deadline(slot);
        for (group, rebalance) in output.rebalances {
            fx.notice(Notice::Rebalanced(group, Box::new(rebalance)));
        }
        for (call, reply) in told {
            self.send(now, call.from, Message::Answer(call.id, Answer::Group(Ok(reply))), fx);
        }
        for lookup in output.lookups {
            let id = self.effect(Pending::Match(slot));
            fx.jobs.push(RunJob { id, job: Job::Match(lookup) });
        }
        if let Some((number, records)) = output.batch {
            let waiter = Waiter::Group { slot, number };
            match encode(&records, now.wall) {
                Some((header, batch)) => {
                    let append_time = Timestamp::NONE;
                    self.append(now, Append { partition, header, batch, append_time }, waiter, fx);
                }
                None => {
                    let error = AppendError::TooLarge { max: i32::MAX as u32 };
                    self.appended(now, waiter, Err(error), fx);
                }
            }
        }
    }

    /// What a coordinator wants to remember is durable, or will not be.
    pub(super) fn on_group_batch(
        &mut self,
        now: Now,
        slot: Slot,
        number: BatchNumber,
        result: Result<(), AppendError>,
        fx: &mut Effects,
    ) {
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        let output = match result {
            Ok(()) => host.coordinator.durable(now, number),
            Err(error) => host.coordinator.failed(now, number, why(&error)),
        };
        self.follow(now, slot, output, fx);
    }

    /// A pattern was looked up for a group of this partition.
    pub(super) fn on_matched(&mut self, now: Now, slot: Slot, matched: Matched, fx: &mut Effects) {
        let Some(host) = self.groups.hosts.get_mut(&slot) else { return };
        let output = host.coordinator.matched(now, matched);
        self.follow(now, slot, output, fx);
    }

    /// A partition is no more, or cannot be written: nor is its coordinator. Whoever waits for it
    /// is told.
    pub(super) fn unload_groups(&mut self, now: Now, slot: Slot, fx: &mut Effects) {
        let Some(host) = self.groups.hosts.remove(&slot) else { return };
        self.groups.deadlines.retain(|(_, other)| *other != slot);
        let mut calls: Vec<OwnerCall> = host.askers.into_values().collect();
        calls.extend(self.groups.backlog.take(slot));
        for call in calls {
            self.refuse_group(now, call, GroupError::NotCoordinator, fx);
        }
    }

    /// Topics are gone: so is what groups have committed for them, where groups are loaded. Others
    /// look when they are.
    pub(super) fn forget_offsets(&mut self, now: Now, image: &Arc<Image>) {
        self.groups.image = image.clone();
        let active =
            |(slot, host): (&Slot, &Host)| matches!(host.stage, Stage::Active).then_some(*slot);
        for slot in self.groups.hosts.iter().filter_map(active).collect::<Vec<_>>() {
            let Some(host) = self.groups.hosts.get_mut(&slot) else { continue };
            host.coordinator.learn(image);
            host.coordinator.topics_deleted(now);
            self.groups.note_deadline(slot);
        }
    }

    /// Loads one partition further, or attends to what has waited for one.
    pub(super) fn go_on_with_groups(&mut self, now: Now, fx: &mut Effects) {
        let Some(slot) = self.groups.unfinished.pop_front() else { return };
        let left = !self.groups.unfinished.is_empty();
        self.groups.due = left.then_some(now.instant);
        match self.groups.hosts.get(&slot).map(|host| &host.stage) {
            Some(Stage::Loading(_)) => self.load(now, slot, fx),
            Some(Stage::Active) => self.attend(now, slot, fx),
            Some(Stage::Fresh | Stage::Failed(_)) | None => {}
        }
    }

    /// Attends to requests that have waited for a partition to be loaded.
    fn attend(&mut self, now: Now, slot: Slot, fx: &mut Effects) {
        for _ in 0..REQUESTS {
            let Some((call, request)) = self.groups.backlog.pop(slot) else { return };
            self.ask_coordinator(now, slot, call, request, fx);
        }
        if !self.groups.backlog.is_empty(slot) {
            self.groups.go_on_later(now, slot);
        }
    }

    /// Lets coordinators do what is due; what is left is due in the next turn.
    pub(super) fn tick_groups(&mut self, now: Now, fx: &mut Effects) {
        for _ in 0..TICKS {
            let Some(&(at, slot)) = self.groups.deadlines.first() else { return };
            if at > now.instant {
                return;
            }
            self.groups.deadlines.remove(&(at, slot));
            let Some(host) = self.groups.hosts.get_mut(&slot) else { continue };
            host.deadline = None;
            let output = host.coordinator.tick(now);
            self.follow(now, slot, output, fx);
        }
    }
}

fn encode(records: &[Record], now: Timestamp) -> Option<(BatchHeader, Bytes)> {
    let mut builder = BatchBuilder::new(Codec::None).base_offset(Offset::ZERO);
    for record in records {
        let stored = record.encode();
        let (key, value) = (Some(&stored.key[..]), stored.value.as_deref());
        builder.append(NewRecord { timestamp: now, key, value, headers: &[] });
    }
    let batch = builder.build().ok()?;
    let header = BatchHeader::parse(&batch).ok()?;
    Some((header, batch))
}

/// Kafka's errors of writes, as clients of groups are told them
/// (`CoordinatorOperationExceptionHelper`).
fn why(error: &AppendError) -> GroupError {
    match error {
        AppendError::UnknownPartition | AppendError::Offline => GroupError::NotCoordinator,
        AppendError::Busy | AppendError::DiskFull => GroupError::CoordinatorNotAvailable,
        AppendError::TooLarge { .. }
        | AppendError::OutOfOrder { .. }
        | AppendError::Fenced { .. } => GroupError::Unknown,
    }
}
