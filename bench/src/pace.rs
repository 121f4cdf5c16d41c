//! When requests are sent.
//!
//! *Closed loop*: a fixed number is kept under way, each answer lets the next one go; this finds
//! how much a broker can do. *Open loop*: each request has its time, whatever became of those
//! before it; this finds how long clients wait that come as they please. Its latencies count from
//! that time, so a broker that stalls for a second is charged with every request that was due in
//! that second, although the connection may have been too full to send them (a closed loop would
//! have sent, and counted, a single one: "coordinated omission").

use std::time::{Duration, Instant};

/// Times at equal distances, dealt in turn to a number of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) start: Instant,
    /// Requests per second of all connections together.
    pub(crate) rate: u32,
    /// How many connections there are.
    pub(crate) connections: u32,
    /// Which of them this one is, from 0.
    pub(crate) place: u32,
}

impl Schedule {
    /// When the request with this number, from 0, is due.
    pub(crate) fn due(&self, number: u64) -> Instant {
        let number_of_all = u128::from(number) * u128::from(self.connections);
        let nanos =
            (number_of_all + u128::from(self.place)) * 1_000_000_000 / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// When a connection sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As long as fewer than `in_flight` requests are unanswered.
    Closed { in_flight: usize, until: Until },
    /// Each at its time, or as soon as fewer than `in_flight` are unanswered, for all that are due
    /// before `stop`. What could not be sent before `give_up` is not sent.
    Open { schedule: Schedule, in_flight: usize, stop: Instant, give_up: Instant },
}

/// How long a closed loop goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Instant(Instant),
    /// So many requests of this connection.
    Requests(u64),
}

/// What a connection does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Send the request that was meant to be sent at that time, which is not later than now.
    Send(Instant),
    /// Nothing before that time.
    At(Instant),
    /// Nothing before an answer comes.
    Answer,
    /// Nothing any more.
    Over,
}

impl Pace {
    /// What to do after `sent` requests of which `unanswered` are under way.
    pub(crate) fn turn(&self, now: Instant, sent: u64, unanswered: usize) -> Turn {
        match *self {
            Pace::Closed { in_flight, until } => {
                let over = match until {
                    Until::Instant(stop) => now >= stop,
                    Until::Requests(count) => sent >= count,
                };
                match () {
                    () if over => Turn::Over,
                    () if unanswered < in_flight => Turn::Send(now),
                    () => Turn::Answer,
                }
            }
            Pace::Open { schedule, in_flight, stop, give_up } => match schedule.due(sent) {
                due if due >= stop || now >= give_up => Turn::Over,
                due if due > now => Turn::At(due),
                _ if unanswered >= in_flight => Turn::Answer,
                due => Turn::Send(due),
            },
        }
    }
}

impl Pace {
    /// When those requests were due that an open loop, which is over, did not send.
    pub(crate) fn missed(&self, sent: u64) -> impl Iterator<Item = Instant> {
        let open = match *self {
            Pace::Closed { .. } => None,
            Pace::Open { schedule, stop, .. } => Some((schedule, stop)),
        };
        open.into_iter().flat_map(move |(schedule, stop)| {
            (sent..).map(move |number| schedule.due(number)).take_while(move |due| *due < stop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn schedule(start: Instant, rate: u32, connections: u32, place: u32) -> Schedule {
        Schedule { start, rate, connections, place }
    }

    #[test]
    fn connections_interleave_without_drift() {
        let start = Instant::now();
        let own = |place| schedule(start, 2000, 4, place);
        let mut times: Vec<_> =
            (0..4).flat_map(|place| (0..500).map(move |n| own(place).due(n))).collect();
        times.sort_unstable();
        let expected: Vec<_> = (0..2000).map(|n| start + n * MS / 2).collect();
        assert_eq!(times, expected);
        // Thirds of a nanosecond do not add up.
        assert_eq!(schedule(start, 3, 1, 0).due(3_000_000), start + 1_000_000 * 1000 * MS);
    }

    #[test]
    fn turns() {
        let start = Instant::now();
        let stop = start + 10 * MS;
        let timed = Pace::Closed { in_flight: 2, until: Until::Instant(stop) };
        let counted = Pace::Closed { in_flight: 2, until: Until::Requests(5) };
        let give_up = stop + 10 * MS;
        let schedule = schedule(start, 1000, 1, 0);
        let open = Pace::Open { schedule, in_flight: 2, stop, give_up };
        let now = start + 3 * MS;
        for (pace, now, sent, unanswered, expected) in [
            (timed, now, 100, 1, Turn::Send(now)),
            (timed, now, 100, 2, Turn::Answer),
            (timed, stop, 100, 0, Turn::Over),
            (counted, now, 4, 0, Turn::Send(now)),
            (counted, now, 5, 0, Turn::Over),
            (open, now, 3, 0, Turn::Send(now)),
            (open, now, 4, 0, Turn::At(start + 4 * MS)),
            (open, now, 1, 1, Turn::Send(start + MS)),
            (open, now, 1, 2, Turn::Answer),
            (open, stop + MS, 9, 1, Turn::Send(start + 9 * MS)),
            (open, now, 10, 0, Turn::Over),
            (open, give_up, 9, 0, Turn::Over),
        ] {
            assert_eq!(pace.turn(now, sent, unanswered), expected, "{pace:?} {sent} {unanswered}");
        }
        let missed = |pace: Pace, sent| pace.missed(sent).collect::<Vec<_>>();
        assert_eq!(missed(open, 8), [start + 8 * MS, start + 9 * MS]);
        assert_eq!([missed(open, 10), missed(timed, 0)], [[], []]);
    }

    /// Latencies of a connection whose broker answers in no time, except that it stands still
    /// from 100 ms to 200 ms; by the clock of a simulation.
    fn latencies(pace: impl Fn(Instant) -> Pace) -> Vec<Duration> {
        let start = Instant::now();
        let (pace, stall) = (pace(start), start + 100 * MS..start + 200 * MS);
        let (mut now, mut latencies) = (start, Vec::new());
        loop {
            match pace.turn(now, latencies.len() as u64, 0) {
                Turn::Send(intended) => {
                    now = if stall.contains(&now) { stall.end } else { now };
                    latencies.push(now - intended);
                    now += MS / 100;
                }
                Turn::At(due) => now = due,
                Turn::Answer | Turn::Over => return latencies,
            }
        }
    }

    #[test]
    fn a_stalled_broker_is_charged_with_all_that_was_due_meanwhile() {
        let open = latencies(|start| Pace::Open {
            schedule: schedule(start, 1000, 1, 0),
            in_flight: 1,
            stop: start + 400 * MS,
            give_up: start + 800 * MS,
        });
        assert_eq!(open.len(), 400);
        let late = open.iter().filter(|latency| **latency > 10 * MS).count();
        assert!((89..=91).contains(&late), "{late}");
        assert_eq!(open.iter().max(), Some(&(100 * MS)));
        let half = open.iter().filter(|latency| **latency > 50 * MS).count();
        assert!((49..=51).contains(&half), "the wait shrinks one by one: {half}");

        let closed = latencies(|start| Pace::Closed {
            in_flight: 1,
            until: Until::Instant(start + 400 * MS),
        });
        let late = closed.iter().filter(|latency| **latency > 10 * MS).count();
        assert_eq!(late, 1, "what the closed loop omits");
    }
}
