//! Shards, a disk and clients in virtual time, under one seed.
//!
//! Everything that happens is in one queue, by time. A shard takes some of the events that have
//! come for it, ends its turn, and has its effects carried out in their order; the world may end
//! between any two of them. Messages of a pair of shards arrive in order, everything else in any.

mod boot;
mod files;
mod perform;
mod replies;
mod run;
mod verify;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use corelog_engine::boot::effect::ManifestName;
use corelog_engine::id::{Instant, Now, ShardId, Timestamp};
use corelog_engine::log::SegmentId;
use corelog_engine::shard::effect::{Effects, FileEffect, Notice};
use corelog_engine::shard::event::{EffectId, Event, Failure, Outcome, Ticket};
use corelog_engine::shard::{Pressure, Shard};

use self::files::Doing;
use self::replies::Delivery;
use crate::sim::disk::{Cover, Disk, Landing, Name, Op};
use crate::sim::model::{Excuses, Model};
use crate::sim::rng::Rng;
use crate::sim::scenario::{Faults, Geometry, Plan, Scenario};
use crate::sim::trace::{Detail, Trace};
use crate::sim::workload::{Answer, Setting, Workload};

pub use self::run::{Broken, Summary, run};

/// The time of day at the start of the world, in milliseconds.
const WALL: i64 = 1_800_000_000_000;

/// Microseconds between two looks at the free space.
const SPACE_EVERY: u64 = 1_000_000;

/// Events of one run after which it is taken to hang.
const MOST_EVENTS: u64 = 5_000_000;

/// Why a life of the broker has ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Halt {
    /// The world has ended it.
    Crash,
    /// A promise is broken.
    Broken(String),
}

type Step<T> = Result<T, Halt>;

fn broken<T>(why: impl Into<String>) -> Step<T> {
    Err(Halt::Broken(why.into()))
}

fn check(result: Result<(), String>) -> Step<()> {
    result.map_err(Halt::Broken)
}

/// Something that will happen.
#[derive(Debug)]
enum Due {
    Turn(ShardId),
    Tick(ShardId),
    Arrive(ShardId, Event),
    Written(Written),
    Read(ShardId, EffectId, Name, u64, u64),
    File(ShardId),
    Deliver(Ticket, Delivery),
    Space,
    Client,
    /// The disk fills, or is freed.
    Fill,
}

/// A journal or segment write that ends.
#[derive(Debug)]
struct Written {
    shard: ShardId,
    id: EffectId,
    op: Op,
    landing: Landing,
    segment: Option<SegmentId>,
    /// Whether it fails with an I/O error.
    fails: bool,
    /// Bytes by which it makes its file longer.
    grows: u64,
}

/// An event that has come for a shard.
#[derive(Debug)]
struct Arrived {
    event: Event,
    /// What of the disk it reports complete.
    reports: Vec<Op>,
}

/// A shard and what belongs to it.
#[derive(Debug)]
struct Host {
    shard: Shard,
    manifest: ManifestName,
    /// Where the next append to the manifest goes.
    manifest_end: u64,
    inbox: VecDeque<Arrived>,
    turn: bool,
    tick: Option<Instant>,
    files: VecDeque<(FileEffect, Cover)>,
    doing: Option<Doing>,
    /// Journal writes in flight: file, from, to.
    journal: Vec<(EffectId, u16, u64, u64)>,
    /// Segments that are being written.
    writing: BTreeSet<SegmentId>,
    stopped: bool,
}

/// The world.
#[derive(Debug)]
struct World {
    plan: Plan,
    faults: Faults,
    geometry: Geometry,
    /// Bytes of the smallest journal file of any life.
    journal_file: u64,
    now: u64,
    order: u64,
    events: u64,
    queue: BTreeMap<(u64, u64), Due>,
    /// When the last message of each pair arrives.
    lines: BTreeMap<(ShardId, ShardId), u64>,
    hosts: Vec<Host>,
    disk: Disk,
    model: Model,
    workload: Workload,
    trace: Trace,
    rng: Streams,
    /// Effects and events until the world ends.
    fuse: Option<u64>,
    /// What clients still do in this life.
    steps: u64,
    /// Microseconds between what clients do.
    pace: u64,
    /// When an operator restarts a broker that is ill.
    restart_at: Option<u64>,
    /// A barrier has failed in this life, on any shard.
    barrier_failed: bool,
    direct: Option<Answer>,
    asked: u64,
    notices: u64,
    /// The last start whose manifests were all durable, as a broker would note it.
    settled: u32,
}

/// Randomness, by concern.
#[derive(Debug)]
struct Streams {
    schedule: Rng,
    disk: Rng,
    faults: Rng,
    crash: Rng,
    setup: Rng,
    verify: Rng,
}

impl World {
    fn new(seed: u64, scenario: Scenario, detail: Detail) -> World {
        let mut setup = Rng::stream(seed, "setup");
        let plan = Plan::draw(scenario, &mut setup);
        let journal_file = setup.pick(&[64, 64, 96, 128, 256]) << 10;
        let geometry = Geometry::draw(journal_file, &mut setup);
        let largest = journal_file / 4 - 8192;
        let full = plan.faults.fills;
        let errors = plan.faults.errors.any();
        World {
            settled: 0,
            faults: plan.faults,
            geometry,
            journal_file,
            now: 0,
            order: 0,
            events: 0,
            queue: BTreeMap::new(),
            lines: BTreeMap::new(),
            hosts: Vec::new(),
            disk: Disk::default(),
            model: Model::new(Excuses { offline: errors, full, ..Excuses::default() }),
            workload: Workload::new(seed, largest),
            trace: Trace::new(detail),
            rng: Streams {
                schedule: Rng::stream(seed, "schedule"),
                disk: Rng::stream(seed, "disk"),
                faults: Rng::stream(seed, "faults"),
                crash: Rng::stream(seed, "crash"),
                setup,
                verify: Rng::stream(seed, "verify"),
            },
            fuse: None,
            steps: 0,
            pace: 1000,
            restart_at: None,
            barrier_failed: false,
            direct: None,
            asked: 0,
            notices: 0,
            plan,
        }
    }

    fn time(&self) -> Now {
        let wall = Timestamp(WALL + (self.now / 1000) as i64);
        Now { instant: Instant(self.now), wall }
    }

    fn host(&mut self, shard: ShardId) -> &mut Host {
        &mut self.hosts[usize::from(shard.0)]
    }

    fn schedule(&mut self, at: u64, due: Due) {
        self.order += 1;
        self.queue.insert((at.max(self.now), self.order), due);
    }

    fn later(&mut self, from: u64, to: u64) -> u64 {
        self.now + self.rng.schedule.spread(from..=to)
    }

    /// One more effect or event; the world may end here.
    fn burn(&mut self) -> Step<()> {
        match &mut self.fuse {
            Some(0) => Err(Halt::Crash),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Lets happen what happens next.
    fn advance(&mut self) -> Step<()> {
        let Some(((at, _), due)) = self.queue.pop_first() else {
            return broken("nothing will ever happen again");
        };
        self.now = at;
        self.events += 1;
        if self.events > MOST_EVENTS {
            return broken("it goes on and on");
        }
        match due {
            Due::Turn(shard) => self.turn(shard),
            Due::Tick(shard) => {
                self.host(shard).tick = None;
                self.arrive(shard, Event::Tick, Vec::new());
                Ok(())
            }
            Due::Arrive(shard, event) => {
                self.arrive(shard, event, Vec::new());
                Ok(())
            }
            Due::Written(written) => self.written(&written),
            Due::Read(shard, id, segment, at, len) => self.read(shard, id, segment, at, len),
            Due::File(shard) => self.file_done(shard),
            Due::Deliver(ticket, delivery) => self.deliver(ticket, delivery),
            Due::Space => self.tell_space(),
            Due::Client => self.client(),
            Due::Fill => self.fill(),
        }
    }

    fn arrive(&mut self, shard: ShardId, event: Event, reports: Vec<Op>) {
        let at = self.later(1, 200);
        let host = self.host(shard);
        host.inbox.push_back(Arrived { event, reports });
        if !std::mem::replace(&mut host.turn, true) {
            self.schedule(at, Due::Turn(shard));
        }
    }

    /// A shard takes some events and ends its turn.
    fn turn(&mut self, id: ShardId) -> Step<()> {
        let now = self.time();
        let ready = self.host(id).inbox.len() as u64;
        let count = self.rng.schedule.within(1..=ready.max(1));
        let mut effects = Effects::default();
        for _ in 0..count {
            let Some(arrived) = self.host(id).inbox.pop_front() else { break };
            self.burn()?;
            arrived.reports.into_iter().for_each(|op| self.disk.report(op));
            self.note_event(id, &arrived.event);
            self.host(id).shard.step(now, arrived.event, &mut effects);
        }
        self.host(id).shard.end_of_turn(now, &mut effects);
        self.perform(id, effects)?;
        let again = self.later(1, 200);
        let host = self.host(id);
        host.turn = !host.inbox.is_empty();
        let deadline = host.shard.next_deadline();
        let ticks = deadline.filter(|at| host.tick.is_none_or(|tick| *at < tick));
        if let Some(at) = ticks {
            host.tick = Some(at);
            self.schedule(at.0, Due::Tick(id));
        }
        if self.host(id).turn {
            self.schedule(again, Due::Turn(id));
        }
        Ok(())
    }

    fn note_event(&mut self, id: ShardId, event: &Event) {
        let shard = u64::from(id.0);
        let (what, facts) = match event {
            Event::Request(ticket, _) => ("request", [shard, ticket.0]),
            Event::Cancel(ticket) => ("cancel", [shard, ticket.0]),
            Event::Message(from, _) => ("message", [shard, u64::from(from.0)]),
            Event::Done(id, Outcome::Failed(_)) => ("failed", [shard, id.0]),
            Event::Done(id, _) => ("done", [shard, id.0]),
            Event::Finished(id, _) => ("finished", [shard, id.0]),
            Event::DiskFree(bytes) => ("free", [shard, *bytes]),
            Event::Tick => ("tick", [shard, 0]),
            Event::Stop(ticket) => ("stop", [shard, ticket.0]),
        };
        self.trace.note(self.now, what, &facts, event);
    }

    fn tell_space(&mut self) -> Step<()> {
        let free = self.disk.free();
        for shard in (0..self.hosts.len() as u16).map(ShardId) {
            self.arrive(shard, Event::DiskFree(free), Vec::new());
        }
        self.schedule(self.now + SPACE_EVERY, Due::Space);
        Ok(())
    }

    /// One client does something.
    fn client(&mut self) -> Step<()> {
        self.steps = self.steps.saturating_sub(1);
        let open = self.hosts.iter().all(|host| host.shard.pressure() == Pressure::Open);
        let setting = Setting {
            now: self.now,
            wall: self.time().wall,
            shards: self.hosts.len() as u16,
            bytes: open || !self.plan.heeds_pressure,
        };
        if let Some(asking) = self.workload.next(&mut self.model, setting) {
            let event = match asking.request {
                Some(request) => Event::Request(asking.ticket, request),
                None => Event::Cancel(asking.ticket),
            };
            self.arrive(asking.home, event, Vec::new());
        }
        if self.rng.schedule.one_in(50) {
            self.pace = self.rng.schedule.pick(&[100, 300, 3_000, 50_000]);
        }
        let rests = self.rng.schedule.one_in(300);
        let gap = if rests { 7_000_000 } else { self.rng.schedule.spread(1..=2 * self.pace) };
        if self.steps > 0 {
            self.schedule(self.now + gap, Due::Client);
        }
        Ok(())
    }

    /// The disk is almost full for a while, then has room again.
    fn fill(&mut self) -> Step<()> {
        let used = self.disk.used();
        let next = match self.disk.capacity {
            None => {
                let room = self.rng.faults.spread(1..=256 << 10);
                self.disk.capacity = Some(used + room);
                self.rng.faults.spread(100_000..=8_000_000)
            }
            Some(_) => {
                self.disk.capacity = None;
                self.rng.faults.spread(500_000..=20_000_000)
            }
        };
        self.trace.note(self.now, "capacity", &[used], &self.disk.capacity);
        self.schedule(self.now + next, Due::Fill);
        Ok(())
    }

    /// A journal that finds no room at the start keeps its shard offline.
    fn excuse_errors(&mut self, notice: &Notice) {
        let excuses = &mut self.model.excuses;
        match notice {
            Notice::ShardOffline(_, Failure::Full) => excuses.offline |= excuses.full,
            Notice::PartitionOffline(segment, _) => {
                excuses.rescued.insert(segment.partition);
            }
            _ => {}
        }
    }

    fn notice(&mut self, shard: ShardId, notice: &Notice) -> Step<()> {
        self.notices += 1;
        self.trace.note(self.now, "notice", &[u64::from(shard.0)], notice);
        let excused = match notice {
            Notice::ShardOffline(..)
            | Notice::DirectoryOffline(..)
            | Notice::PartitionOffline(..) => {
                let at = self.now + self.rng.crash.spread(1_000..=8_000_000);
                self.restart_at.get_or_insert(at);
                self.model.excuses.offline
            }
            Notice::DiskFull(_) => self.model.excuses.full,
            Notice::DiskFreed { .. } => true,
            Notice::IndexRebuilt(..) => true,
            Notice::Damaged(..) => self.model.excuses.lost,
            Notice::Rebalanced(..) => true,
            Notice::GroupsUnreadable(..) => {
                self.model.excuses.groups = true;
                self.model.excuses.offline
                    || self.model.excuses.lost
                    || !self.model.excuses.rescued.is_empty()
            }
        };
        if excused { Ok(()) } else { broken(format!("{notice:?} of shard {}", shard.0)) }
    }
}
