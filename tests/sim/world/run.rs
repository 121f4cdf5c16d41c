//! The lives of a broker: each starts, is looked at, works, and ends in one of many ways. The last
//! one is without faults and must bring everything to an end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use corelog_engine::boot::effect::{JournalFile, ManifestName};
use corelog_engine::boot::{BootRefusal, Recovered};
use corelog_engine::id::{ShardId, TopicPartition};
use corelog_engine::shard::Shard;
use corelog_engine::shard::effect::Effects;
use corelog_engine::shard::event::{Event, Ticket};
use corelog_engine::shard::holdings::Holdings;

use super::boot::{Booted, INJECTED};
use super::replies::DIRECT;
use super::{Due, Halt, Host, SPACE_EVERY, Step, World, broken, check};
use crate::sim::disk::Name;
use crate::sim::model::{Excuses, TopicState};
use crate::sim::scenario::{Faults, Geometry, Scenario};
use crate::sim::trace::Detail;

/// Microseconds that a stop, or the last answers, may take without faults.
const PATIENCE: u64 = 120_000_000;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The run as a number: the same for the same seed.
    pub hash: u64,
    /// Things that happened.
    pub events: u64,
    /// Starts of the broker.
    pub starts: u32,
}

/// A broken promise.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which.
    pub why: String,
    /// The run as a number.
    pub hash: u64,
    /// The last things that happened.
    pub lines: Vec<String>,
}

/// How a life has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything was written before.
    Clean,
    Sudden,
}

/// Runs a seed.
///
/// # Errors
/// A promise is broken.
pub fn run(seed: u64, scenario: Scenario, detail: Detail) -> Result<Summary, Broken> {
    let mut world = World::new(seed, scenario, detail);
    match world.live() {
        Ok(()) => Ok(Summary {
            hash: world.trace.hash(),
            events: world.events,
            starts: world.model.start,
        }),
        Err(why) => Err(Broken {
            why,
            hash: world.trace.hash(),
            lines: world.trace.lines().map(str::to_owned).collect(),
        }),
    }
}

impl World {
    fn live(&mut self) -> Result<(), String> {
        self.model.start = 1;
        let mut end = End::Sudden;
        for _ in 0..self.plan.lives {
            self.fuse = match self.faults.crash {
                0 => None,
                crash => Some(self.rng.crash.spread(1..=crash)),
            };
            end = match self.life(end) {
                Ok(end) => end,
                Err(Halt::Crash) => End::Sudden,
                Err(Halt::Broken(why)) => return Err(why),
            };
            self.end(end);
        }
        match self.last_life(end) {
            Ok(()) => Ok(()),
            Err(Halt::Crash) => Err("the world ended without a reason".to_owned()),
            Err(Halt::Broken(why)) => Err(why),
        }
    }

    /// One life; how it has ended.
    fn life(&mut self, before: End) -> Step<End> {
        if !self.start(before)? {
            return Ok(End::Sudden);
        }
        if !self.rng.crash.one_in(4) {
            self.verify()?;
        }
        self.work(self.plan.steps)?;
        match self.rng.crash.below(4) {
            0 => self.stop().map(|_| End::Sudden),
            1 | 2 if self.drain()? => self.stop(),
            _ => Ok(End::Sudden),
        }
    }

    /// Waits for the last answers, and for what was cancelled; whether all have come.
    fn drain(&mut self) -> Step<bool> {
        let until = self.now + PATIENCE;
        while !self.workload.is_idle() {
            self.advance()?;
            if self.now > until {
                return Ok(false);
            }
        }
        self.pass(SPACE_EVERY)?;
        Ok(true)
    }

    /// The end of all faults: everything succeeds, stops, and is still there afterwards.
    fn last_life(&mut self, before: End) -> Step<()> {
        self.faults = Faults::default();
        self.fuse = None;
        self.disk.capacity = None;
        self.model.excuses = Excuses::default();
        if !self.start(before)? {
            return broken("it does not start without faults");
        }
        self.verify()?;
        self.work(self.plan.steps / 2)?;
        if !self.drain()? {
            return check(self.workload.check_prompt(u64::MAX)).and(broken("no answer"));
        }
        self.append_everywhere()?;
        self.verify()?;
        if self.stop()? != End::Clean {
            return broken("it does not stop");
        }
        self.check_holdings()?;
        self.end(End::Clean);
        if !self.start(End::Clean)? {
            return broken("it does not start after a stop");
        }
        self.verify()?;
        self.check_leftovers()
    }

    /// Starts the broker; whether it runs.
    fn start(&mut self, before: End) -> Step<bool> {
        match self.boot()? {
            Booted::Ready(recovered) => {
                self.run_shards(*recovered, before)?;
                Ok(true)
            }
            Booted::Refused(BootRefusal::Io(error)) if self.may_refuse(&error) => Ok(false),
            Booted::Refused(refusal) => broken(format!("refused: {refusal}")),
        }
    }

    fn may_refuse(&self, error: &str) -> bool {
        let injected = self.faults.errors.boot > 0 && error == INJECTED;
        injected || (self.faults.fills && error == "full")
    }

    fn run_shards(&mut self, recovered: Recovered, before: End) -> Step<()> {
        let Recovered { shards, image, report } = recovered;
        self.trace.note(self.now, "recovered", &[report.replayed_entries as u64], &report);
        check(self.model.recovered(&image))?;
        self.workload.learn(image.clone());
        let excused = |why: &str| self.faults.errors.boot > 0 && why == INJECTED;
        if report.offline.iter().any(|(_, why)| !excused(why)) {
            return broken(format!("offline: {report:?}"));
        }
        let offline = report.offline.iter().map(|(partition, _)| *partition);
        self.model.excuses.rescued = offline.collect();
        if before == End::Clean && report.replayed_entries > 0 {
            return broken(format!("a stop left entries: {report:?}"));
        }
        let start = self.model.start;
        for setup in shards {
            let id = setup.id;
            let manifest_end = setup.manifest_bytes;
            let mut shard = Shard::new(setup);
            let mut effects = Effects::default();
            shard.start(&mut effects);
            self.hosts.push(Host {
                shard,
                manifest: ManifestName { start, shard: id },
                manifest_end,
                inbox: VecDeque::new(),
                turn: false,
                tick: None,
                files: VecDeque::new(),
                doing: None,
                journal: Vec::new(),
                writing: BTreeSet::new(),
                stopped: false,
            });
            self.perform(id, effects)?;
        }
        self.tell_space()
    }

    /// Clients do so many things; the end comes early for a broker that is ill.
    fn work(&mut self, steps: u64) -> Step<()> {
        self.steps = self.rng.setup.spread(1..=steps.max(1));
        self.schedule(self.now, Due::Client);
        if self.faults.fills {
            let at = self.now + self.rng.faults.spread(1..=10_000_000);
            self.schedule(at, Due::Fill);
        }
        while self.steps > 0 && self.restart_at.is_none_or(|at| self.now < at) {
            self.advance()?;
            if self.disk.capacity.is_some() && !self.has_journals() {
                self.workload.excuse_commands(self.now);
            }
            check(self.workload.check_prompt(self.now))?;
        }
        Ok(())
    }

    /// Whether every shard has found room for a journal since it started.
    fn has_journals(&self) -> bool {
        let bytes = self.geometry.limits.journal_file_bytes;
        let has = |shard: ShardId| {
            (0..self.geometry.limits.journal_files).any(|slot| {
                let len = self.disk.len(Name::Journal(JournalFile { shard, slot }));
                len == Some(bytes)
            })
        };
        (0..self.hosts.len() as u16).map(ShardId).all(has)
    }

    /// Stops the broker as an operator does.
    fn stop(&mut self) -> Step<End> {
        for shard in (0..self.hosts.len() as u16).map(ShardId) {
            let ticket = Ticket(DIRECT + u64::from(shard.0));
            self.arrive(shard, Event::Stop(ticket), Vec::new());
        }
        let until = self.now + PATIENCE;
        while self.hosts.iter().any(|host| !host.stopped) {
            if self.now > until {
                let quiet = self.restart_at.is_none() && self.disk.capacity.is_none();
                return if quiet { broken("it does not stop") } else { Ok(End::Sudden) };
            }
            self.advance()?;
        }
        let whole = self.model.excuses.rescued.is_empty();
        let healthy = self.restart_at.is_none() && !self.faults.fills && whole;
        Ok(if healthy { End::Clean } else { End::Sudden })
    }

    /// Everything in memory is gone, and what the disk had not made durable, perhaps.
    fn end(&mut self, end: End) {
        self.trace.note(self.now, "end", &[u64::from(self.model.start)], &end);
        if self.rng.crash.one_in(3) {
            self.disk.kill(&mut self.rng.disk);
        } else {
            self.disk.cut_power(&mut self.rng.disk);
        }
        self.queue = BTreeMap::new();
        self.lines = BTreeMap::new();
        self.hosts = Vec::new();
        self.restart_at = None;
        self.barrier_failed = false;
        (self.model.excuses.lost, self.model.excuses.groups) = (false, false);
        self.disk.capacity = self.disk.capacity.filter(|_| self.rng.faults.one_in(2));
        self.workload.restart(&mut self.model);
        self.model.restart(end == End::Clean, self.model.start + 1);
        if self.rng.crash.one_in(2) {
            self.geometry = Geometry::draw(self.journal_file, &mut self.rng.setup);
        }
        self.now += SPACE_EVERY;
    }

    /// With everything answered and flushed, shards hold nothing for anyone.
    fn check_holdings(&mut self) -> Step<()> {
        let tail = self.geometry.limits.tail_bytes;
        for host in &self.hosts {
            let (id, holdings) = (host.shard.id().0, host.shard.holdings());
            if holdings != Holdings::default() {
                return broken(format!("shard {id} still holds {holdings:?}"));
            }
            if host.shard.slabs() as u64 > tail {
                return broken(format!("shard {id} keeps {} bytes of slabs", host.shard.slabs()));
            }
        }
        Ok(())
    }

    /// Nothing is left on the disk that no start will use.
    fn check_leftovers(&mut self) -> Step<()> {
        let start = self.model.start;
        for name in self.disk.names() {
            let wanted = match name {
                Name::Manifest(manifest) => manifest.start == start,
                Name::Journal(file) => file.slot < self.geometry.limits.journal_files,
                Name::Rescue(_) => false,
                _ => name.partition().is_none_or(|partition| {
                    partition == TopicPartition::METADATA
                        || self.model.state(partition) == TopicState::Live
                }),
            };
            if !wanted {
                return broken(format!("{name:?} is left over"));
            }
        }
        match self.disk.orphans.first() {
            Some(topic) => broken(format!("{topic} is an orphan")),
            None => Ok(()),
        }
    }
}
