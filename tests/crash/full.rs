//! A full disk: batches are refused with an error that clients retry, everything else goes on,
//! nothing acknowledged is lost, and service resumes by itself.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use corelog_tests::live::calls::{self, CallError, NewTopic};
use corelog_tests::live::client::Client;
use corelog_tests::live::process::{Broker, Launch};
use corelog_tests::live::report::{NotPassed, Outcome, Report};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::populate::Seed;

use crate::batch::Stored;
use crate::ledger::Delivery;
use crate::mount::Mount;
use crate::options::Options;
use crate::rounds::{PATIENCE, READY_WITHIN};
use crate::verify::verify;
use crate::world::{Partition, World};

const DISK_BYTES: u64 = 300 << 20;
/// Four files of this size, so that most of the disk is for segments.
const JOURNAL: &str = "journal.file.bytes=6MiB";
const RESERVE: &str = "16MiB";
const CORES: &str = "0";
/// The disk is full when nothing was accepted for so long.
const FULL_AFTER: Duration = Duration::from_secs(2);
/// A disk is full, and has room again, after so long at most.
const SOON: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);
/// What the log says when the disk is full, and when it is over.
const FULL: &str = "the disk is full, producers are refused: ";
const FREED: &str = "the disk has room again, producers are served: ";
/// Batches written after the disk has room again.
const AFTERWARDS: usize = 50;
const PARTITIONS: usize = 4;
/// Written by somebody else at a time.
const BALLAST_STEP: usize = 64 << 10;

/// A broker on a small disk, with what it must have.
struct Site {
    mount: Mount,
    launch: Launch,
    broker: Option<Broker>,
    client: Client,
    world: World,
    seed: Seed,
}

/// Runs the tests.
pub(crate) fn run(options: &Options, report: &mut Report) {
    report.test("full/by-topics", || Site::new(options, RESERVE)?.by_topics());
    for reserve in [RESERVE, "0"] {
        report.test(&format!("full/by-others-with-reserve-{reserve}"), || {
            Site::new(options, reserve)?.by_others()
        });
        report.test(&format!("full/by-others-and-killed-with-reserve-{reserve}"), || {
            Site::new(options, reserve)?.by_others_and_killed()
        });
    }
}

impl Site {
    fn new(options: &Options, reserve: &str) -> Result<Site, NotPassed> {
        let dir = options.dir.join("full");
        let mount = Mount::ext4(&dir, DISK_BYTES)?;
        let launch = Launch::new(&options.broker, &dir)?.data(mount.path().join("data"));
        let launch = launch.set(JOURNAL).set(format!("disk.reserve.bytes={reserve}"));
        let (broker, _) = launch.ready(CORES, READY_WITHIN)?;
        let client = broker.connect(PATIENCE)?;
        let mut seed = Seed(options.seed);
        let world = World::new(&mut seed);
        Ok(Site { mount, launch, broker: Some(broker), client, world, seed })
    }

    /// One topic fills the disk; deleting it makes room.
    fn by_topics(&mut self) -> Outcome {
        let (large, small) = (self.create("large")?, self.create("small")?);
        self.produce(&small, AFTERWARDS)?;
        let accepted = self.fill(&large)?;
        self.expect_logged(FULL, 1)?;
        self.expect_logged("; the largest topics are large (", 1)?;
        let full = self.mount.free_bytes()?;
        self.verify("while the disk is full")?;
        let ready = self.kill_and_start()?;
        self.verify("after a crash on the full disk")?;
        self.expect_full(&large)?;
        self.verify("on the full disk, after a start")?;
        let topic = large[0].topic;
        calls::delete_topic(&mut self.client, topic)?;
        self.world.topics().deleted(topic);
        let asked = Instant::now();
        self.produce(&small, 1)?;
        let resumed = asked.elapsed();
        self.produce(&small, AFTERWARDS)?;
        self.await_room(full + DISK_BYTES / 2)?;
        self.expect_logged(FULL, 2)?;
        self.expect_logged(FREED, 1)?;
        self.verify("after it has room again")?;
        self.kill_and_start()?;
        self.verify("after a crash")?;
        Ok(format!(
            "{accepted} batches until full, {} KiB left, started again in {:.3} s, resumed in \
             {:.3} s",
            full >> 10,
            ready.as_secs_f64(),
            resumed.as_secs_f64()
        ))
    }

    /// Somebody else takes all that is left, reserve or not, while batches are written.
    fn by_others(&mut self) -> Outcome {
        let (topic, ballast) = self.fill_with_ballast()?;
        let full = self.mount.free_bytes()?;
        self.verify("while the disk is full")?;
        fs::remove_file(ballast)?;
        let freed = Instant::now();
        self.produce(&topic, 1)?;
        let resumed = freed.elapsed();
        self.produce(&topic, AFTERWARDS)?;
        self.verify("after it has room again")?;
        self.kill_and_start()?;
        self.verify("after a crash")?;
        Ok(format!("{} KiB left, resumed in {:.3} s", full >> 10, resumed.as_secs_f64()))
    }

    /// The same, and the broker is killed meanwhile. It may refuse to start without any room, but
    /// not lose anything.
    fn by_others_and_killed(&mut self) -> Outcome {
        let (topic, ballast) = self.fill_with_ballast()?;
        let words = match self.kill_and_start() {
            Ok(_) => {
                self.verify("after a crash on the full disk")?;
                "started on the full disk".to_owned()
            }
            Err(NotPassed::Failed(why)) => format!("no start on the full disk ({why})"),
            Err(skipped) => return Err(skipped),
        };
        fs::remove_file(ballast)?;
        let ready = self.kill_and_start()?;
        self.verify("after it has room again")?;
        self.produce(&topic, AFTERWARDS)?;
        self.verify("at the end")?;
        Ok(format!("{words}, then in {:.3} s", ready.as_secs_f64()))
    }

    fn fill_with_ballast(&mut self) -> Result<(Vec<Partition>, PathBuf), NotPassed> {
        let topic = self.create("topic")?;
        self.produce(&topic, AFTERWARDS)?;
        let ballast = self.mount.path().join("ballast");
        self.take_all(&ballast, &topic)?;
        self.fill(&topic)?;
        Ok((topic, ballast))
    }

    fn create(&mut self, name: &str) -> Result<Vec<Partition>, CallError> {
        let configs = &[("file.delete.delay.ms", "100"), ("segment.bytes", "8388608")];
        let topic = NewTopic { name, partitions: PARTITIONS as i32, configs };
        let topic = calls::create_topic(&mut self.client, topic)?;
        self.world.topics().created(name, topic, PARTITIONS);
        Ok((0..PARTITIONS as i32).map(|index| Partition { topic, index }).collect())
    }

    /// Offers one batch; whether it was accepted, not yet, or not for lack of room.
    fn offer(&mut self, partitions: &[Partition]) -> Result<Offered, NotPassed> {
        let partition = partitions[self.seed.below(partitions.len())];
        let id = self.world.new_batch_id();
        let bytes = self.world.maker.make(id, None, &mut self.seed);
        if let Some(batch) = Stored::of(&bytes, 0) {
            self.world.sending(partition, &batch, Delivery::Plain);
        }
        match calls::produce(&mut self.client, partition.topic, partition.index, bytes) {
            Ok(offset) => {
                self.world.acknowledged(partition, id, offset);
                Ok(Offered::Accepted)
            }
            Err(CallError::Refused(ErrorCode::KafkaStorageError)) => Ok(Offered::NoRoom),
            Err(CallError::Refused(code)) if calls::is_transient(code) => Ok(Offered::NotYet),
            Err(error) => Err(NotPassed::Failed(format!("produce: {error}"))),
        }
    }

    /// Produces until no batch is accepted any more; gives how many were.
    fn fill(&mut self, partitions: &[Partition]) -> Result<usize, NotPassed> {
        let (began, mut last, mut accepted) = (Instant::now(), Instant::now(), 0);
        while last.elapsed() < FULL_AFTER {
            match self.offer(partitions)? {
                Offered::Accepted => (last, accepted) = (Instant::now(), accepted + 1),
                Offered::NotYet => {
                    last = Instant::now();
                    sleep(PAUSE);
                }
                Offered::NoRoom => sleep(PAUSE),
            }
            if began.elapsed() > SOON {
                let why = format!("after {SOON:?} and {accepted} batches the disk is not full");
                return Err(NotPassed::Failed(why));
            }
        }
        Ok(accepted)
    }

    /// The first batch after a start may still fit; soon none does.
    fn expect_full(&mut self, partitions: &[Partition]) -> Result<(), NotPassed> {
        self.fill(partitions).map(drop)
    }

    /// Produces so many batches, however often each is refused before.
    fn produce(&mut self, partitions: &[Partition], count: usize) -> Result<(), NotPassed> {
        let (mut left, mut last) = (count, Instant::now());
        while left > 0 {
            match self.offer(partitions)? {
                Offered::Accepted => (left, last) = (left - 1, Instant::now()),
                Offered::NotYet | Offered::NoRoom if last.elapsed() < SOON => sleep(PAUSE),
                Offered::NotYet | Offered::NoRoom => {
                    let why = format!("nothing was accepted for {SOON:?}");
                    return Err(NotPassed::Failed(why));
                }
            }
        }
        Ok(())
    }

    /// Writes a file until nothing is left, and batches meanwhile.
    fn take_all(&mut self, path: &Path, topic: &[Partition]) -> Result<(), NotPassed> {
        let mut ballast = File::create(path)?;
        let block = vec![0xba; BALLAST_STEP];
        loop {
            match ballast.write_all(&block).and_then(|()| ballast.sync_data()) {
                Ok(()) => self.offer(topic).map(drop)?,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn kill_and_start(&mut self) -> Result<Duration, NotPassed> {
        if let Some(broker) = self.broker.take() {
            broker.kill()?;
        }
        let (broker, ready) = self.launch.ready(CORES, READY_WITHIN)?;
        self.client = broker.connect(PATIENCE)?;
        self.broker = Some(broker);
        Ok(ready)
    }

    fn verify(&mut self, when: &str) -> Result<(), NotPassed> {
        match verify(&mut self.client, &self.world) {
            Ok(_) => Ok(()),
            Err(why) => Err(NotPassed::Failed(format!("{when}: {why}"))),
        }
    }

    /// So many lines of the log say this, of all starts together.
    fn expect_logged(&self, text: &str, count: usize) -> Result<(), NotPassed> {
        let began = Instant::now();
        loop {
            let found = self.broker.as_ref().map_or(Ok(0), |broker| broker.logged(text))?;
            if found == count {
                return Ok(());
            }
            if found > count || began.elapsed() > SOON {
                let why = format!("{found} lines of the log say '{text}', not {count}");
                return Err(NotPassed::Failed(why));
            }
            sleep(PAUSE);
        }
    }

    fn await_room(&self, bytes: u64) -> Result<(), NotPassed> {
        let began = Instant::now();
        while self.mount.free_bytes()? < bytes {
            if began.elapsed() > SOON {
                let free = self.mount.free_bytes()? >> 20;
                return Err(NotPassed::Failed(format!("{free} MiB free after the deletion")));
            }
            sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Before its disk goes.
        self.broker = None;
    }
}

/// What became of a batch.
enum Offered {
    Accepted,
    NotYet,
    NoRoom,
}
