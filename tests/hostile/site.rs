//! A broker under attack, and what is watched all the while.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use corelog_tests::live::calls::{self, CallError, Limits, NewTopic, Place};
use corelog_tests::live::client::Client;
use corelog_tests::live::process::{Broker, Launch};
use corelog_tests::live::report::{NotPassed, Outcome};
use corelog_wire::populate::Seed;
use corelog_wire::uuid::Uuid;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::bystander::{Bystander, Served};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// Nobody waits longer for one batch to be produced and read, whatever others do.
const SLOWEST: Duration = Duration::from_secs(3);
/// Lines that have nothing to do with connections.
const LINES_BESIDE: usize = 20;
/// Descriptors that an attack may leave behind: segments and the like.
const DESCRIPTORS_BESIDE: usize = 32;
/// For closed connections to be gone.
const SOON: Duration = Duration::from_secs(10);
const SAMPLE: Duration = Duration::from_millis(20);
/// Of a fetch whose answer is that there is one.
const NOTHING: Limits = Limits { max_bytes: 1, max_wait_ms: 0 };

/// The topic of whoever only wants to be served.
pub(crate) const BYSTANDER: &str = "bystander";

/// What a broker is given, and what it may use.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) cores: &'static str,
    pub(crate) memory_per_core: u64,
    pub(crate) resident_max: u64,
}

/// Two cores, whose budgets may be used, and as much again as a constant.
pub(crate) const ORDINARY: Size =
    Size { cores: "0,1", memory_per_core: 128 << 20, resident_max: 512 << 20 };

/// A broker under attack.
pub(crate) struct Site {
    broker: Broker,
    size: Size,
    bystander: Bystander,
    connections: Cell<usize>,
}

/// A test: what it does, with words for its line.
pub(crate) type Attack = fn(&Site, &mut Seed) -> Outcome;

/// A test with its name.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) attack: Attack,
}

/// What could be seen from outside.
struct Seen {
    descriptors: usize,
    lines: usize,
}

impl Site {
    pub(crate) fn start(program: &Path, dir: &Path, size: Size) -> Result<Site, NotPassed> {
        raise_descriptor_limit()?;
        // What an earlier run left.
        let _ = std::fs::remove_dir_all(dir);
        let memory = format!("memory.per.core={}", size.memory_per_core);
        let (broker, _) = Launch::new(program, dir)?.set(memory).ready(size.cores, READY_WITHIN)?;
        let mut client = broker.connect(SOON)?;
        let topic = NewTopic { name: BYSTANDER, partitions: 1, configs: &[] };
        let topic = calls::create_topic(&mut client, topic)?;
        let bystander = Bystander::start(broker.address, topic);
        Ok(Site { broker, size, bystander, connections: Cell::new(0) })
    }

    /// A connection for bad use.
    pub(crate) fn connect(&self, patience: Duration) -> io::Result<Client> {
        self.connections.set(self.connections.get() + 1);
        self.broker.connect(patience)
    }

    /// A new topic that word of has gone around.
    pub(crate) fn topic(
        &self,
        name: &str,
        configs: &[(&str, &str)],
    ) -> Result<(Client, Uuid), CallError> {
        let mut client = self.connect(SOON).map_err(|error| CallError::Client(error.into()))?;
        let topic = NewTopic { name, partitions: 1, configs };
        let id = calls::create_topic(&mut client, topic)?;
        let place = Place { topic: id, partition: 0, offset: 0 };
        calls::eventually(SOON, || calls::fetch(&mut client, place, NOTHING))?;
        Ok((client, id))
    }

    /// Runs an attack, and looks what it did to the broker and to others.
    pub(crate) fn guard(&mut self, attack: impl FnOnce(&Site) -> Outcome) -> Outcome {
        self.bystander.take();
        self.connections.set(0);
        let before = self.look()?;
        let stalls = self.broker.stalls()?.len();
        let (words, peak) = self.watch_memory(attack)?;
        let words = words?;
        self.broker.check_alive()?;
        let served = self.bystander.take();
        let peak = peak.max(self.broker.resident_bytes()?);
        self.check(&served, peak)?;
        self.await_descriptors(before.descriptors + DESCRIPTORS_BESIDE)?;
        if let Some(stall) = self.broker.stalls()?.get(stalls) {
            return Err(NotPassed::Failed(stall.clone()));
        }
        let lines = self.look()?.lines - before.lines;
        let allowed = self.connections.get() + LINES_BESIDE;
        if lines > allowed {
            let why =
                format!("{lines} lines in the log, of {} connections", self.connections.get());
            return Err(NotPassed::Failed(why));
        }
        let separator = if words.is_empty() { "" } else { "; " };
        Ok(format!(
            "{words}{separator}others waited {} ms at most, {} MiB at most, {lines} lines",
            served.slowest.as_millis(),
            peak >> 20
        ))
    }

    fn check(&self, served: &Served, peak: u64) -> Result<(), NotPassed> {
        if let Some(failure) = &served.failure {
            return Err(NotPassed::Failed(format!("others were not served: {failure}")));
        }
        if served.slowest > SLOWEST {
            let why = format!("others waited {:?} for one batch", served.slowest);
            return Err(NotPassed::Failed(why));
        }
        if peak > self.size.resident_max {
            return Err(NotPassed::Failed(format!("{} MiB were resident", peak >> 20)));
        }
        Ok(())
    }

    /// Does something, and gives the most memory that was resident meanwhile.
    fn watch_memory<T>(&self, act: impl FnOnce(&Site) -> T) -> io::Result<(T, u64)> {
        let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
        let broker = &self.broker;
        let result = scope(|scope| {
            let sampler = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // Nobody is there any more: whoever acts will notice.
                    let Ok(resident) = broker.resident_bytes() else { break };
                    peak.fetch_max(resident, Ordering::Relaxed);
                    sleep(SAMPLE);
                }
            });
            let result = act(self);
            done.store(true, Ordering::Relaxed);
            sampler.join().map(|()| result)
        });
        let result = result.map_err(|_| io::Error::other("the sampler panicked"))?;
        Ok((result, peak.load(Ordering::Relaxed)))
    }

    fn look(&self) -> io::Result<Seen> {
        let (descriptors, lines) = (self.broker.descriptors()?, self.broker.log_lines()?);
        Ok(Seen { descriptors, lines })
    }

    fn await_descriptors(&self, allowed: usize) -> Result<(), NotPassed> {
        let began = Instant::now();
        while self.look()?.descriptors > allowed {
            if began.elapsed() > SOON {
                let open = self.look()?.descriptors;
                let why = format!("{open} descriptors open after {SOON:?}, {allowed} expected");
                return Err(NotPassed::Failed(why));
            }
            sleep(SAMPLE);
        }
        Ok(())
    }
}

/// Both sides need one for each connection; the broker inherits the limit.
fn raise_descriptor_limit() -> io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
