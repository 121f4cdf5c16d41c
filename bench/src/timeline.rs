//! What happened in each second of a run: counted by every thread for itself, gathered once a
//! second by the thread that waits for them, and told at once where somebody looks on.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

const SECOND: Duration = Duration::from_secs(1);
/// A second that ended by so much too early was whole: nothing was due any more.
const NEARLY: Duration = Duration::from_millis(50);
/// Longer latencies, in nanoseconds, are counted as an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// A whole second since the warm-up ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    /// The end of the second.
    at_ms: u64,
    /// Answers.
    events: u64,
    /// Of record batches.
    bytes: u64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
}

#[derive(Debug)]
struct Count {
    latencies: Histogram<u64>,
    bytes: u64,
    errors: u64,
}

impl Count {
    fn new() -> Count {
        // Two digits, and no larger than what it has seen: there is one for each connection.
        let mut latencies = Histogram::new(2).expect("two digits are enough");
        latencies.auto(true);
        Count { latencies, bytes: 0, errors: 0 }
    }

    /// Takes all of `other`, and leaves nothing in it.
    fn take(&mut self, other: &mut Count) {
        self.latencies.add(&other.latencies).expect("it grows");
        self.bytes += other.bytes;
        self.errors += other.errors;
        other.clear();
    }

    fn clear(&mut self) {
        self.latencies.reset();
        (self.bytes, self.errors) = (0, 0);
    }

    fn point(&self, seconds: u32) -> Point {
        let us = |nanos: u64| nanos as f64 / 1e3;
        Point {
            at_ms: u64::from(seconds) * 1000,
            events: self.latencies.len(),
            bytes: self.bytes,
            p50_us: us(self.latencies.value_at_quantile(0.5)),
            p99_us: us(self.latencies.value_at_quantile(0.99)),
            max_us: us(self.latencies.max()),
        }
    }
}

/// Where one thread counts.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Arc<Mutex<Count>>);

impl Recorder {
    /// One that nobody gathers from, or will later.
    pub(crate) fn new() -> Recorder {
        Recorder(Arc::new(Mutex::new(Count::new())))
    }

    /// An answer that came now.
    pub(crate) fn answer(&self, latency: Duration, bytes: u64) {
        self.with(|count| {
            let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            count.latencies.record(nanos.clamp(1, LONGEST)).expect("it grows");
            count.bytes += bytes;
        });
    }

    /// A refusal that came now.
    pub(crate) fn error(&self) {
        self.with(|count| count.errors += 1);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Count) -> T) -> T {
        // Counting does not panic halfway.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the seconds of a run are told while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// To the terminal behind standard error, if it is one.
    Shown,
    Quiet,
}

impl Progress {
    fn tell(self, point: &Point, errors: u64) {
        if self == Progress::Shown && io::stderr().is_terminal() {
            eprintln!("{}", line(point, errors));
        }
    }
}

fn line(point: &Point, errors: u64) -> String {
    let megabytes = point.bytes as f64 / 1e6;
    format!(
        "{:>5} s {:>9}/s {megabytes:>9.1} MB/s  p50 {:>9.3} ms  p99 {:>9.3} ms  errors {errors}",
        point.at_ms / 1000,
        point.events,
        point.p50_us / 1e3,
        point.p99_us / 1e3,
    )
}

/// Gathers from `recorders` each second after `start`, until all senders to `over` are gone, and
/// tells of the whole seconds. What was counted before `start` is thrown away; `begin` is called
/// then.
pub(crate) fn watch(
    recorders: &[Recorder],
    start: Instant,
    over: &Receiver<Infallible>,
    progress: Progress,
    begin: impl FnOnce(),
) -> Vec<Point> {
    let mut points = Vec::new();
    let lasts_until = |time: Instant| {
        let left = time.saturating_duration_since(Instant::now());
        matches!(over.recv_timeout(left), Err(RecvTimeoutError::Timeout))
    };
    if !lasts_until(start) {
        return points;
    }
    recorders.iter().for_each(|recorder| recorder.with(Count::clear));
    begin();
    let mut goes_on = true;
    for seconds in 1.. {
        let end = start + SECOND * seconds;
        goes_on = goes_on && lasts_until(end);
        if !goes_on && Instant::now() + NEARLY < end {
            break;
        }
        let mut all = Count::new();
        recorders.iter().for_each(|recorder| recorder.with(|count| all.take(count)));
        let point = all.point(seconds);
        progress.tell(&point, all.errors);
        points.push(point);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn whole_seconds_are_told_with_what_happened_in_them() {
        let recorders = [Recorder::new(), Recorder::new()];
        let (running, over) = mpsc::channel::<Infallible>();
        recorders[0].answer(7 * MS, 7);
        let start = Instant::now() + 50 * MS;
        let points = thread::scope(|scope| {
            scope.spawn(|| {
                let _running = running;
                let at = |time| thread::sleep((start + time).duration_since(Instant::now()));
                at(500 * MS);
                recorders[0].answer(MS, 100);
                recorders[1].answer(3000 * MS, 50);
                at(1500 * MS);
                recorders[1].answer(2 * MS, 25);
                recorders[1].error();
                at(2970 * MS);
                recorders[0].answer(MS, 1);
            });
            watch(&recorders, start, &over, Progress::Quiet, || {})
        });
        let told: Vec<_> = points.iter().map(|p| (p.at_ms, p.events, p.bytes)).collect();
        assert_eq!(told, [(1000, 2, 150), (2000, 1, 25), (3000, 1, 1)]);
        assert!((points[0].p50_us - 1e3).abs() < 10.0, "{points:?}");
        assert!((points[0].max_us - 3e6).abs() < 3e4, "{points:?}");
    }

    #[test]
    fn a_run_that_ends_in_its_warm_up_has_no_seconds() {
        let (running, over) = mpsc::channel();
        drop(running);
        let start = Instant::now() + 3600 * SECOND;
        let begin = || panic!("nothing begins");
        assert_eq!(watch(&[], start, &over, Progress::Quiet, begin), []);
    }

    #[test]
    fn people_read_a_second_as_a_line() {
        let mut count = Count::new();
        count.latencies.record(2_000_000).expect("it grows");
        count.bytes = 3_500_000;
        let line = line(&count.point(4), 9);
        for part in ["4 s", " 1/s", "3.5 MB/s", "p99     2.0", "errors 9"] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}
