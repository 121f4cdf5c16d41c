//! `ramp`: the highest rate at which clients do not wait longer than a bound.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::batch::Fill;
use crate::failure::Failure;
use crate::load::Order;
use crate::open::tell;
use crate::produce::{Outcome, Pacing, ProduceArgs};
use crate::report::Report;
use crate::topic::Topic;
use crate::units;

/// Batches of this size unless the flags say otherwise.
const BATCH: Fill = Fill::Records(1);
/// A lower rate is not looked for: a hundredth of it would be no request at all.
const LOWEST: u32 = 100;
/// A rate holds only if so much of it is achieved.
const ACHIEVED: f64 = 0.99;

/// Flags of `ramp`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct RampArgs {
    #[command(flatten)]
    produce: ProduceArgs,
    /// Requests per second to begin with, of all connections together
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// How long one request of a hundred may take, at most
    #[arg(long, default_value = "2ms", value_parser = units::time)]
    p99: Duration,
    /// How often the distance between a rate that holds and one that does not is halved
    #[arg(long, default_value_t = 4)]
    halvings: u32,
    /// How long to measure each rate
    #[arg(long, default_value = "3s", value_parser = units::time)]
    seconds: Duration,
}

/// Raises the rate, and reports the highest one that held.
///
/// # Errors
/// As [`ProduceArgs::run`].
pub(crate) fn run(args: &RampArgs) -> Result<(), Failure> {
    let topic = Topic::prepare(&args.produce.topic)?;
    let supply = args.produce.supply(&args.produce.batch.spec(BATCH), &topic)?;
    let mut report = Report::new("ramp", args, &args.produce.result);
    let mut search = Search::new(args.rate, args.halvings);
    let mut best = None;
    while let Some(rate) = search.next {
        let (order, time) = (Order::InTurn, args.seconds);
        let pacing = Pacing::Open { rate, order, time, in_flight: usize::MAX };
        let outcome = args.produce.plan(&topic, &supply, pacing).run()?;
        let holds = holds(&outcome, rate, args.p99);
        let p99 = outcome.tally.answers.at(0.99).as_secs_f64() * 1e3;
        println!("  {rate:>9}/s  p99 {p99:>9.3} ms  {}", if holds { "holds" } else { "too much" });
        if holds {
            best = Some(outcome);
        }
        search.tried(rate, holds);
    }
    report.reading("highest rate", f64::from(search.held), "/s");
    if let Some(outcome) = best {
        tell(&mut report, outcome);
    }
    report.publish()
}

fn holds(outcome: &Outcome, rate: u32, bound: Duration) -> bool {
    let achieved = outcome.tally.requests as f64 / outcome.elapsed.as_secs_f64();
    let errors = outcome.tally.errors.is_empty();
    errors && achieved >= f64::from(rate) * ACHIEVED && outcome.tally.answers.at(0.99) <= bound
}

/// Doubles while rates hold, halves while none does, then halves the distance between the two. The
/// first rate is tried once more if it does not hold: it meets a system that is cold.
#[derive(Clone, Copy, Debug)]
struct Search {
    held: u32,
    broken: Option<u32>,
    halvings: u32,
    /// Whether the first rate has another try.
    again: bool,
    /// The rate to be tried.
    next: Option<u32>,
}

impl Search {
    fn new(first: u32, halvings: u32) -> Search {
        Search { held: 0, broken: None, halvings, again: true, next: Some(first) }
    }

    /// Rates that hold are tried in rising order, so the last one is the highest.
    fn tried(&mut self, rate: u32, holds: bool) {
        if std::mem::take(&mut self.again) && !holds {
            return;
        }
        match holds {
            true => self.held = rate,
            false => self.broken = Some(rate),
        }
        self.next = match (self.held, self.broken) {
            (held, None) => held.checked_mul(2),
            (0, Some(broken)) => Some(broken / 2).filter(|rate| *rate >= LOWEST),
            (held, Some(broken)) => {
                let middle = held + (broken - held) / 2;
                let left = self.halvings.checked_sub(1).filter(|_| middle > held);
                self.halvings = left.unwrap_or_default();
                left.map(|_| middle)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which rates are tried where all up to `limit` hold, and which one is found.
    fn search(first: u32, halvings: u32, limit: u32) -> (Vec<u32>, u32) {
        let (mut search, mut tried) = (Search::new(first, halvings), Vec::new());
        while let Some(rate) = search.next {
            tried.push(rate);
            search.tried(rate, rate <= limit);
        }
        (tried, search.held)
    }

    #[test]
    fn only_the_first_rate_is_tried_again() {
        let mut search = Search::new(1000, 1);
        let told = [(false, Some(1000)), (true, Some(2000)), (false, Some(1500)), (false, None)];
        for (holds, next) in told {
            search.tried(search.next.unwrap_or_default(), holds);
            assert_eq!(search.next, next);
        }
        assert_eq!(search.held, 1000);
    }

    #[test]
    fn the_highest_rate_that_holds_is_found() {
        for (first, halvings, limit, tried, found) in [
            (1000, 2, 3500, vec![1000, 2000, 4000, 3000, 3500], 3500),
            (1000, 3, 3100, vec![1000, 2000, 4000, 3000, 3500, 3250], 3000),
            (1000, 0, 3500, vec![1000, 2000, 4000], 2000),
            (1000, 1, 300, vec![1000, 1000, 500, 250, 375], 250),
            (500, 9, 0, vec![500, 500, 250, 125], 0),
            (1, 9, 2, vec![1, 2, 4, 3], 2),
            (1 << 31, 4, u32::MAX, vec![1 << 31], 1 << 31),
        ] {
            assert_eq!(search(first, halvings, limit), (tried, found), "{first} {limit}");
        }
    }
}
