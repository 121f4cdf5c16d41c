//! `kill -9` at random moments under load, again and again on the same directory; after each
//! restart everything is held against the ledgers.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use corelog_tests::live::process::{Broker, Launch};
use corelog_tests::live::report::{NotPassed, Outcome, Report};
use corelog_wire::populate::Seed;

use crate::load::{self, load};
use crate::options::Options;
use crate::verify::{Compared, verify};
use crate::world::{Phase, World};
use crate::writer::Writer;

/// A start that takes longer has failed.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);
/// For one answer to the checks.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const LOAD_MS_MIN: usize = 100;
const LOAD_MS_MAX: usize = 3_000;
/// A start is killed once in so many times, within this time; then it is started again.
const KILLED_START_ODDS: usize = 3;
const KILLED_START_MS_MAX: usize = 250;
/// Small journals go round within a round. The smallest takes the largest default batch.
const JOURNAL_FILE_BYTES: [&str; 2] = ["6MiB", "32MiB"];
const CORES: [&str; 3] = ["0", "1", "0,1"];

/// One directory with its brokers, one after the other.
struct Campaign {
    dir: PathBuf,
    launch: Launch,
    broker: Option<Broker>,
    cores: &'static str,
    world: World,
    writers: Vec<Writer>,
    seed: Seed,
}

/// Runs the rounds, each a test. After a failure the directory is left as evidence, and the next
/// round begins with an empty one.
pub(crate) fn run(options: &Options, report: &mut Report) {
    let mut seed = Seed(options.seed);
    let mut campaign = None;
    for round in 1..=options.rounds {
        let passed = report.test(&format!("kill/round-{round}"), || {
            let mut current = match campaign.take() {
                Some(campaign) => campaign,
                None => {
                    let dir = options.dir.join(format!("kill-from-round-{round}"));
                    Campaign::begin(options, dir, seed.next_u64())?
                }
            };
            let line = current.round()?;
            campaign = Some(current);
            Ok(line)
        });
        if !passed {
            println!("  the data and the log of the broker are kept in {}", options.dir.display());
        }
    }
    if let Some(Campaign { broker, dir, .. }) = campaign {
        drop(broker);
        // Nobody needs it; a rest of it does no harm.
        let _ = fs::remove_dir_all(dir);
    }
}

impl Campaign {
    fn begin(options: &Options, dir: PathBuf, seed: u64) -> io::Result<Campaign> {
        let mut seed = Seed(seed);
        // What an earlier run has kept there for somebody to look at.
        let _ = fs::remove_dir_all(&dir);
        let mut launch = Launch::new(&options.broker, &dir)?;
        let journal = JOURNAL_FILE_BYTES[seed.below(JOURNAL_FILE_BYTES.len())];
        launch = launch.set(format!("journal.file.bytes={journal}"));
        let cores = CORES[seed.below(CORES.len())];
        let (broker, _) = launch.ready(cores, READY_WITHIN)?;
        let world = World::new(&mut seed);
        let writers = load::writers(&mut seed);
        Ok(Campaign { dir, launch, broker: Some(broker), cores, world, writers, seed })
    }

    fn round(&mut self) -> Outcome {
        let cores = self.cores;
        let lived = self.load_and_kill()?;
        let acknowledged = self.world.acknowledged.load(Ordering::Relaxed);
        let unanswered: usize = self.writers.iter().map(Writer::unanswered).sum();
        let starts_killed = self.kill_starts()?;
        self.cores = CORES[self.seed.below(CORES.len())];
        let (broker, ready) = self.launch.ready(self.cores, READY_WITHIN)?;
        let mut client = broker.connect(PATIENCE)?;
        self.broker = Some(broker);
        let compared = verify(&mut client, &self.world).map_err(NotPassed::Failed)?;
        let Compared { topics, batches, unanswered: found, bytes } = compared;
        let (lived, ready, on) = (lived.as_secs_f64(), ready.as_secs_f64(), self.cores);
        Ok(format!(
            "killed on {cores} after {lived:.2} s, {starts_killed} starts killed, ready on {on} in \
             {ready:.3} s; {acknowledged} batches acknowledged, {unanswered} kept to send again, \
             {found} found that nobody was told of; {topics} topics, {batches} batches, {} MiB \
             compared",
            bytes >> 20
        ))
    }

    /// Lets everybody work for a while, then kills the broker under them.
    fn load_and_kill(&mut self) -> Result<Duration, NotPassed> {
        let time = LOAD_MS_MIN + self.seed.below(LOAD_MS_MAX - LOAD_MS_MIN);
        let topics = Seed(self.seed.next_u64());
        let Some(mut broker) = self.broker.take() else {
            return Err(NotPassed::Failed("there is no broker".into()));
        };
        let (world, address) = (&self.world, broker.address);
        let (time, began) = (Duration::from_millis(time as u64), Instant::now());
        load(address, world, &mut self.writers, Some(topics), time, || {
            let alive = broker.check_alive();
            world.enter(Phase::Killed);
            alive.and_then(|()| broker.kill())
        })?;
        Ok(began.elapsed())
    }

    /// Sometimes kills starts at whatever they are doing; gives how many.
    fn kill_starts(&mut self) -> io::Result<usize> {
        let mut killed = 0;
        while self.seed.one_in(KILLED_START_ODDS) {
            let mut broker = self.launch.start(CORES[self.seed.below(CORES.len())])?;
            sleep(Duration::from_millis(self.seed.below(KILLED_START_MS_MAX) as u64));
            broker.check_alive()?;
            broker.kill()?;
            killed += 1;
        }
        Ok(killed)
    }
}
