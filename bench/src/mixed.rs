//! `mixed`: producers at a given rate, consumers that follow them, and others that catch up from
//! the start meanwhile.

use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::batch::{BatchSpec, Fill};
use crate::failure::Failure;
use crate::fetch::{Check, FetchOutcome, FetchPlan, ReadExtent, Sizes};
use crate::histogram::Latencies;
use crate::load::Order;
use crate::memory::MemoryArgs;
use crate::open::tell;
use crate::produce::{Extent, FILL_BATCH, Identity, Outcome, Pacing, Plan, ProduceArgs, fill};
use crate::report::Report;
use crate::request::Marking;
use crate::supply::Supply;
use crate::tail::{Consumer, Received, follow};
use crate::timeline::Progress;
use crate::topic::Topic;
use crate::units::{self, mb_per_second};

/// Batches of this size unless the flags say otherwise.
const BATCH: Fill = FILL_BATCH;
/// How a peak is measured: with so many requests of each connection, for so long.
const PEAK_IN_FLIGHT: usize = 5;
const PEAK_TIME: Duration = Duration::from_secs(3);

/// Flags of `mixed`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct MixedArgs {
    #[command(flatten)]
    produce: ProduceArgs,
    /// Requests per second, of all producers together
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// In place of --rate: so much of what the producers reach alone, which is measured first
    #[arg(long, conflicts_with = "rate")]
    of_peak: Option<f64>,
    /// How long to measure
    #[arg(long, default_value = "10s", value_parser = units::time)]
    seconds: Duration,
    /// Produce so many bytes first, for those who catch up
    #[arg(long, value_parser = units::bytes)]
    fill: Option<u64>,
    /// Connections that read what was there at the beginning, over and over
    #[arg(long, default_value_t = 1)]
    readers: usize,
    /// Consumers that each read all that is new
    #[arg(long, default_value_t = 0)]
    tails: usize,
    /// First measure the producers at that rate alone, and report how much longer they wait then
    #[arg(long)]
    alone_first: bool,
    #[command(flatten)]
    memory: MemoryArgs,
}

/// Runs all of them, and reports.
///
/// # Errors
/// A connection or the reading fails, or consumers are to follow records that bear no mark.
pub(crate) fn run(args: &MixedArgs) -> Result<(), Failure> {
    let spec = args.produce.batch.spec(BATCH);
    let topic = Topic::prepare(&args.produce.topic)?;
    let supply = args.produce.supply(&spec, &topic)?;
    let mut report = Report::new("mixed", args, &args.produce.result);
    if let Some(bytes) = args.fill {
        let filled = fill(&topic, &spec.build()?, bytes)?;
        report.reading("filled at", filled, "MB/s");
    }
    let rate = match args.of_peak {
        Some(share) => {
            let Outcome { tally, elapsed, .. } = args.peak(&topic, &supply)?;
            report.errors(&tally.errors);
            let peak = tally.requests as f64 / elapsed.as_secs_f64();
            report.reading("peak", peak, "/s");
            // A rate of less than one is none.
            (peak * share).max(1.0) as u32
        }
        None => args.rate,
    };
    let alone = args.alone_first.then(|| args.alone(&topic, &supply, rate)).transpose()?;
    args.memory.settle()?;
    let (outcome, received, caught_up) = args.all(&topic, &supply, &spec, rate)?;
    report.reading("intended rate", f64::from(rate), "/s");
    if let Some(FetchOutcome { tally, elapsed, .. }) = caught_up {
        report.reading("catch-up throughput", mb_per_second(tally.bytes, elapsed), "MB/s");
        report.latencies("fetch", &tally.answers);
    }
    if let Some(alone) = alone {
        let p99 = |latencies: &Latencies| latencies.at(0.99).as_secs_f64();
        report.errors(&alone.tally.errors);
        report.latencies("answer alone", &alone.tally.answers);
        let rise = p99(&outcome.tally.answers) / p99(&alone.tally.answers);
        report.reading("rise of answer p99", rise, "x");
    }
    if args.tails > 0 {
        let measured = received.measured(outcome.measure_from);
        let due = outcome.tally.batches * args.tails as u64;
        let lost = due.saturating_sub(measured.summary().count);
        report.lost(lost);
        report.latencies("receipt", &measured);
    }
    tell(&mut report, outcome);
    report.publish()
}

impl MixedArgs {
    /// What the producers reach alone.
    fn peak(&self, topic: &Topic, supply: &Supply) -> Result<Outcome, Failure> {
        let extent = Extent::Time(PEAK_TIME);
        let pacing = Pacing::Closed { in_flight: PEAK_IN_FLIGHT, extent };
        let plan = self.produce.plan(topic, supply, pacing);
        Plan { progress: Progress::Quiet, ..plan }.run()
    }

    /// What the producers wait for when nobody reads.
    fn alone(&self, topic: &Topic, supply: &Supply, rate: u32) -> Result<Outcome, Failure> {
        let plan = self.produce.plan(topic, supply, self.pacing(rate));
        Plan { progress: Progress::Quiet, ..plan }.run()
    }

    fn pacing(&self, rate: u32) -> Pacing {
        let (order, time) = (Order::InTurn, self.seconds);
        Pacing::Open { rate, order, time, in_flight: usize::MAX }
    }

    fn all(
        &self,
        topic: &Topic,
        supply: &Supply,
        spec: &BatchSpec,
        rate: u32,
    ) -> Result<(Outcome, Received, Option<FetchOutcome>), Failure> {
        let mut plan = self.produce.plan(topic, supply, self.pacing(rate));
        let mut consumers = Vec::new();
        if self.tails > 0 {
            if self.produce.idempotent || !spec.is_plain() {
                return Err(Failure::NoMark);
            }
            let marking = Marking::new(spec.record_size)?;
            plan.identity = Identity::Mark(marking);
            for _ in 0..self.tails {
                consumers.push(Consumer::open(topic, marking)?);
            }
        }
        let reading = FetchPlan {
            topic,
            connections: self.readers,
            sizes: Sizes::CONSUMER,
            extent: ReadExtent::Time(self.seconds),
            check: Check::Frames,
            warm_up: self.produce.warm_up,
            broker: None,
            progress: Progress::Quiet,
        };
        thread::scope(|scope| {
            let reading = (self.readers > 0).then(|| scope.spawn(|| reading.run()));
            let followed = follow(&plan, consumers);
            let read = reading.map(thread::ScopedJoinHandle::join).transpose();
            let read = read.map_err(|_| Failure::Thread)?.transpose()?;
            let (outcome, received) = followed?;
            Ok((outcome, received, read))
        })
    }
}
