//! When requests are due in an open loop.
//!
//! Tokio's timer counts milliseconds, which would be charged to the broker. So a thread of its own
//! sleeps until each request is due, and says so to the connection that sends it.

use std::num::NonZeroU64;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::set_current_timer_slack;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// When a connection sends.
#[derive(Debug)]
pub(crate) enum Pace {
    /// As soon as it may, until then.
    Closed(Instant),
    /// At these times.
    Open(UnboundedReceiver<Instant>),
}

impl Pace {
    /// When the next request is meant to be sent, once that time has come; `None` when there is
    /// none any more. May be dropped and asked again.
    pub(crate) async fn next(&mut self) -> Option<Instant> {
        match self {
            Pace::Closed(stop) => Some(Instant::now()).filter(|now| now < stop),
            Pace::Open(due) => due.recv().await,
        }
    }

    /// When those requests were due that were not asked for.
    pub(crate) fn missed(&mut self) -> Vec<Instant> {
        match self {
            Pace::Closed(_) => Vec::new(),
            Pace::Open(due) => std::iter::from_fn(|| due.try_recv().ok()).collect(),
        }
    }
}

/// Times at equal distances, dealt in turn to a number of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) start: Instant,
    pub(crate) stop: Instant,
    /// Requests per second of all connections together.
    pub(crate) rate: u32,
}

impl Schedule {
    fn due(&self, number: u64) -> Instant {
        let nanos = u128::from(number) * 1_000_000_000 / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn times(self) -> impl Iterator<Item = Instant> {
        (0..).map(move |number| self.due(number)).take_while(move |due| *due < self.stop)
    }

    /// A thread that follows the schedule, and its share for each connection.
    pub(crate) fn follow(self, connections: usize) -> (JoinHandle<()>, Vec<Pace>) {
        let (senders, paces): (Vec<UnboundedSender<Instant>>, Vec<Pace>) = (0..connections)
            .map(|_| unbounded_channel())
            .map(|(sender, due)| (sender, Pace::Open(due)))
            .unzip();
        let thread = thread::spawn(move || {
            // Otherwise the kernel may wake this thread 50 us late; without it, it may.
            let _ = set_current_timer_slack(NonZeroU64::new(1));
            for (due, sender) in self.times().zip(senders.iter().cycle()) {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                // A connection that is gone has said why.
                let _ = sender.send(due);
            }
        });
        (thread, paces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn times_do_not_drift() {
        let start = Instant::now();
        let schedule = |rate, millis| Schedule { start, stop: start + millis * MS, rate };
        let times: Vec<_> = schedule(2000, 3).times().collect();
        assert_eq!(times, (0..6).map(|n| start + n * MS / 2).collect::<Vec<_>>());
        // Thirds of a nanosecond do not add up.
        assert_eq!(schedule(3, 1).due(3_000_000), start + 1_000_000 * 1000 * MS);
    }

    #[test]
    fn what_is_due_waits_for_its_connection() {
        let start = Instant::now();
        let (thread, mut paces) = Schedule { start, stop: start + 4 * MS, rate: 1000 }.follow(2);
        thread.join().expect("a thread");
        assert!(start.elapsed() >= 3 * MS);
        assert_eq!(paces[0].missed(), [start, start + 2 * MS]);
        assert_eq!(paces[1].missed(), [start + MS, start + 3 * MS]);
        assert!(Pace::Closed(start).missed().is_empty());
    }
}
