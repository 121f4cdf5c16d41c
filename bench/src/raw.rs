//! `raw`: what the disk does without a broker, to hold a broker's figures against.
//!
//! A durable write is one aligned block, written over zeros that are there already, with
//! O_DIRECT|O_DSYNC: nothing a broker can do to make a record durable is cheaper on that disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::thread::set_current_timer_slack;
use serde::Serialize;

use crate::failure::Failure;
use crate::held::Temporary;
use crate::histogram::Latencies;
use crate::pace::Schedule;
use crate::random::xorshift;
use crate::report::{Report, ResultArgs};
use crate::results::RAW;
use crate::units::{self, mb_per_second};

/// What O_DIRECT asks of memory, positions and lengths.
const BLOCK: usize = 4096;
/// A sequential write or read.
const PIECE: usize = 1 << 20;

/// Flags of `raw`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct RawArgs {
    /// Where the broker's data would be; a file is made there and removed
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The file that durable writes go round
    #[arg(long, default_value = "128MiB", value_parser = units::bytes)]
    file_bytes: u64,
    /// How many durable writes
    #[arg(long, default_value_t = 20_000)]
    writes: u64,
    /// Durable writes per second, in place of one after the other
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How much to write and read in sequence
    #[arg(long, default_value = "2GiB", value_parser = units::bytes)]
    sequential_bytes: u64,
    #[command(flatten)]
    result: ResultArgs,
}

/// Measures the disk and reports.
///
/// # Errors
/// A file cannot be written there, or not with O_DIRECT.
pub(crate) fn run(args: &RawArgs) -> Result<(), Failure> {
    let mut report = Report::new(RAW, args, &args.result);
    let durable = durable_writes(&args.dir, args.file_bytes, args.writes, args.rate)?;
    report.latencies("4 KiB durable write", &durable);
    report.reading("durable write p50", durable.at(0.5).as_nanos() as f64 / 1e3, "us");
    let bandwidth = bandwidth(&args.dir, args.sequential_bytes)?;
    report.reading("sequential write", bandwidth.best_write(), "MB/s");
    report.reading("sequential read", bandwidth.best_read(), "MB/s");
    report.reading("sequential write, depth 1", bandwidth.write[0], "MB/s");
    report.reading("sequential write, depth 4", bandwidth.write[1], "MB/s");
    report.reading("sequential read, depth 1", bandwidth.read[0], "MB/s");
    report.reading("sequential read, depth 4", bandwidth.read[1], "MB/s");
    report.publish()
}

/// How long each of `writes` durable writes takes, from the call to its return.
///
/// # Errors
/// As [`run`].
fn durable_writes(
    dir: &Path,
    file_bytes: u64,
    writes: u64,
    rate: Option<u32>,
) -> Result<Latencies, Failure> {
    let scratch = Scratch::zeroed(dir, file_bytes.max(BLOCK as u64))?;
    scratch.attempt(|| {
        let file = scratch.open(libc::O_DIRECT | libc::O_DSYNC)?;
        set_current_timer_slack(NonZeroU64::new(1))?;
        write_blocks(&file, scratch.bytes / BLOCK as u64, writes, rate)
    })
}

fn write_blocks(file: &File, blocks: u64, writes: u64, rate: Option<u32>) -> io::Result<Latencies> {
    let mut buffer = Aligned::noise(BLOCK);
    let mut latencies = Latencies::new();
    let start = Instant::now();
    for number in 0..writes {
        if let Some(rate) = rate {
            let due = Schedule { start, rate, connections: 1, place: 0 }.due(number);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        buffer.bytes()[..8].copy_from_slice(&number.to_be_bytes());
        let before = Instant::now();
        file.write_all_at(buffer.bytes(), (number % blocks) * BLOCK as u64)?;
        latencies.record(before.elapsed());
    }
    Ok(latencies)
}

/// MB/s of a sequential write and read, with one and with four pieces under way.
#[derive(Clone, Copy, Debug)]
struct Bandwidth {
    write: [f64; 2],
    read: [f64; 2],
}

impl Bandwidth {
    /// The most that was written.
    fn best_write(&self) -> f64 {
        self.write[0].max(self.write[1])
    }

    /// The most that was read.
    fn best_read(&self) -> f64 {
        self.read[0].max(self.read[1])
    }
}

/// Measures the bandwidth over `bytes`. The write is complete when a sync behind it is.
///
/// # Errors
/// As [`run`].
fn bandwidth(dir: &Path, bytes: u64) -> Result<Bandwidth, Failure> {
    let scratch = Scratch::zeroed(dir, bytes.max(PIECE as u64))?;
    scratch.attempt(|| {
        let file = scratch.open(libc::O_DIRECT)?;
        let run = |depth, direction| in_sequence(&file, scratch.bytes, depth, direction);
        Ok(Bandwidth {
            write: [run(1, Direction::Write)?, run(4, Direction::Write)?],
            read: [run(1, Direction::Read)?, run(4, Direction::Read)?],
        })
    })
}

#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

fn in_sequence(file: &File, bytes: u64, depth: usize, direction: Direction) -> io::Result<f64> {
    let pieces = bytes / PIECE as u64;
    let next = AtomicU64::new(0);
    let work = || -> io::Result<()> {
        let mut buffer = Aligned::noise(PIECE);
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                return Ok(());
            }
            let at = piece * PIECE as u64;
            match direction {
                Direction::Write => file.write_all_at(buffer.bytes(), at)?,
                Direction::Read => file.read_exact_at(buffer.bytes(), at)?,
            }
        }
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..depth).map(|_| scope.spawn(work)).collect();
        let results = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        results.collect::<io::Result<()>>()
    })?;
    if let Direction::Write = direction {
        file.sync_data()?;
    }
    Ok(mb_per_second(pieces * PIECE as u64, start.elapsed().max(Duration::from_nanos(1))))
}

/// Memory that O_DIRECT accepts.
struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` bytes that no device can compress.
    fn noise(len: usize) -> Aligned {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let memory: Vec<u8> = (0..len + BLOCK).map(|_| xorshift(&mut state) as u8).collect();
        let start = memory.as_ptr().align_offset(BLOCK);
        Aligned { memory, start, len }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

/// A file that is removed in the end.
struct Scratch {
    file: Temporary,
    bytes: u64,
}

impl Scratch {
    /// A file of so many zeros, all of them on the disk.
    fn zeroed(dir: &Path, bytes: u64) -> Result<Scratch, Failure> {
        let path = dir.join(format!("corelog-bench-{}.raw", std::process::id()));
        let scratch = Scratch { file: Temporary::new(path), bytes };
        scratch.attempt(|| {
            let file = File::create(scratch.file.path())?;
            let zeros = vec![0; PIECE];
            for at in (0..bytes).step_by(PIECE) {
                let left = usize::try_from(bytes - at).unwrap_or(PIECE).min(PIECE);
                file.write_all_at(&zeros[..left], at)?;
            }
            file.sync_all()
        })?;
        Ok(scratch)
    }

    /// The flags are libc's: rustix's DSYNC has the bits of O_SYNC.
    fn open(&self, flags: i32) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(self.file.path())
    }

    fn attempt<T>(&self, work: impl FnOnce() -> io::Result<T>) -> Result<T, Failure> {
        work().map_err(|source| Failure::File { path: self.file.path().into(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn memory_is_aligned_and_not_uniform() {
        for len in [BLOCK, PIECE] {
            let mut memory = Aligned::noise(len);
            assert_eq!((memory.bytes().len(), memory.bytes().as_ptr().addr() % BLOCK), (len, 0));
            let zeros = memory.bytes().iter().filter(|byte| **byte == 0).count();
            assert!(zeros * 64 < len, "{zeros}");
        }
    }

    #[test]
    fn writes_go_round_the_file_and_are_all_counted() {
        let scratch = Scratch::zeroed(&std::env::temp_dir(), 3 * BLOCK as u64).expect("a file");
        let file = scratch.open(0).expect("a file");
        let latencies = write_blocks(&file, 3, 5, Some(10_000)).expect("a disk");
        assert_eq!(latencies.summary().count, 5);
        let numbers = [0, 1, 2].map(|block| {
            let mut number = [0; 8];
            file.read_exact_at(&mut number, block * BLOCK as u64).expect("written");
            u64::from_be_bytes(number)
        });
        assert_eq!(numbers, [3, 4, 2]);
        assert_eq!(file.metadata().expect("a file").len(), 3 * BLOCK as u64);
    }

    #[test]
    fn the_file_is_removed() {
        let dir = std::env::temp_dir().join(format!("corelog-bench-raw-{}", std::process::id()));
        fs::create_dir(&dir).expect("a directory");
        drop(Scratch::zeroed(&dir, BLOCK as u64).expect("a file"));
        fs::remove_dir(&dir).expect("nothing is left in it");
    }
}
