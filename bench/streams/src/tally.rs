//! What came of the requests, in all and for each second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::latencies::Latencies;

/// How often each kind of error was answered.
pub(crate) type Errors = BTreeMap<String, u64>;

/// What happened from the end of the warm-up on: to requests that were meant to be sent after it.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The end of the warm-up.
    pub(crate) from: Instant,
    /// From when a request should have been sent to its answer.
    pub(crate) answers: Latencies,
    /// From when a request should have been sent until the client library had it.
    pub(crate) lags: Latencies,
    pub(crate) errors: Errors,
    /// When the last answer came.
    pub(crate) end: Instant,
    seconds: Vec<Latencies>,
}

/// One second of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Second {
    /// Its end.
    at_ms: u64,
    /// Answers.
    events: u64,
    /// Of the messages that were acknowledged.
    bytes: u64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
}

impl Tally {
    pub(crate) fn new(from: Instant) -> Tally {
        Tally {
            from,
            answers: Latencies::new(),
            lags: Latencies::new(),
            errors: Errors::new(),
            end: from,
            seconds: Vec::new(),
        }
    }

    pub(crate) fn sent(&mut self, intended: Instant, now: Instant) {
        if intended >= self.from {
            self.lags.record(now.saturating_duration_since(intended));
        }
    }

    /// All messages of a request are acknowledged.
    pub(crate) fn answered(&mut self, intended: Instant, now: Instant) {
        if intended < self.from {
            return;
        }
        let latency = now.saturating_duration_since(intended);
        self.answers.record(latency);
        self.end = self.end.max(now);
        let second = (now - self.from).as_secs() as usize;
        if self.seconds.len() <= second {
            self.seconds.resize_with(second + 1, Latencies::new);
        }
        self.seconds[second].record(latency);
    }

    pub(crate) fn refused(&mut self, intended: Instant, error: String) {
        if intended >= self.from {
            *self.errors.entry(error).or_default() += 1;
        }
    }

    /// What was never sent has waited until now, at least.
    pub(crate) fn missed(&mut self, intended: Instant, now: Instant) {
        if intended >= self.from {
            self.answers.record(now.saturating_duration_since(intended));
            self.refused(intended, "not sent in time".to_owned());
        }
    }

    /// Requests that were acknowledged.
    pub(crate) fn requests(&self) -> u64 {
        self.seconds.iter().map(Latencies::count).sum()
    }

    /// From the end of the warm-up to the last answer.
    pub(crate) fn elapsed(&self) -> Duration {
        self.end - self.from
    }

    /// What happened in each second, of requests with so many bytes.
    pub(crate) fn timeline(&self, request_bytes: u64) -> Vec<Second> {
        let tell = |(number, latencies): (u64, &Latencies)| Second {
            at_ms: number * 1000,
            events: latencies.count(),
            bytes: latencies.count() * request_bytes,
            p50_us: latencies.at(0.5),
            p99_us: latencies.at(0.99),
            max_us: latencies.at(1.0),
        };
        (1..).zip(&self.seconds).map(tell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_in_the_second_they_come() {
        let from = Instant::now();
        let ms = Duration::from_millis(1);
        let mut tally = Tally::new(from);
        for (intended, answered) in [(0, 10), (0, 2_500), (2_400, 2_500)] {
            tally.answered(from + intended * ms, from + answered * ms);
        }
        tally.answered(from - ms, from + ms);
        tally.refused(from - ms, "early".to_owned());
        tally.refused(from, "E".to_owned());
        let timeline = tally.timeline(7);
        let told: Vec<_> = timeline.iter().map(|s| (s.at_ms, s.events, s.bytes)).collect();
        assert_eq!(told, [(1000, 1, 7), (2000, 0, 0), (3000, 2, 14)]);
        assert!(timeline[2].max_us > 2_490_000.0 && timeline[1].max_us == 0.0);
        assert_eq!((tally.requests(), tally.elapsed()), (3, 2_500 * ms));
        assert_eq!(tally.errors, Errors::from([("E".to_owned(), 1)]));
    }

    #[test]
    fn what_was_not_sent_has_a_latency_and_is_an_error() {
        let from = Instant::now();
        let mut tally = Tally::new(from);
        tally.missed(from, from + Duration::from_secs(9));
        assert!(tally.answers.at(1.0) > 8_990_000.0);
        assert_eq!((tally.requests(), tally.errors["not sent in time"]), (0, 1));
    }
}
