//! `open`: how long clients wait that send at a given rate, whatever the broker does.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::batch::Fill;
use crate::failure::Failure;
use crate::load::Order;
use crate::produce::{Outcome, Pacing, ProduceArgs, SEED};
use crate::report::Report;
use crate::units;

/// Batches of this size unless the flags say otherwise.
const BATCH: Fill = Fill::Records(1);

/// Flags of `open`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct OpenArgs {
    #[command(flatten)]
    produce: ProduceArgs,
    /// Requests per second, of all connections together
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Which partition is next
    #[arg(long, value_enum, default_value_t = PartitionOrder::RoundRobin)]
    order: PartitionOrder,
    /// How long to measure
    #[arg(long, default_value = "10s", value_parser = units::time)]
    seconds: Duration,
    /// The most requests of a connection that wait for their answers; what is due meanwhile waits,
    /// and its wait counts
    #[arg(long)]
    in_flight: Option<usize>,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
enum PartitionOrder {
    RoundRobin,
    Random,
}

/// Runs the load and reports.
///
/// # Errors
/// As [`ProduceArgs::run`].
pub(crate) fn run(args: &OpenArgs) -> Result<(), Failure> {
    let order = match args.order {
        PartitionOrder::RoundRobin => Order::InTurn,
        PartitionOrder::Random => Order::Random(SEED),
    };
    let in_flight = args.in_flight.unwrap_or(usize::MAX).max(1);
    let pacing = Pacing::Open { rate: args.rate, order, time: args.seconds, in_flight };
    let mut report = Report::new("open", args, &args.produce.result);
    let outcome = args.produce.run(BATCH, pacing)?;
    report.reading("intended rate", f64::from(args.rate), "/s");
    tell(&mut report, outcome);
    report.publish()
}

/// What is told of an open loop.
pub(crate) fn tell(report: &mut Report, outcome: Outcome) {
    let Outcome { tally, elapsed, usage, timeline, .. } = outcome;
    report.rate("achieved rate", tally.requests, elapsed);
    report.throughput(tally.bytes, elapsed, usage);
    report.rate("records", tally.records, elapsed);
    report.rate("requests", tally.requests, elapsed);
    report.request_cost(usage, tally.requests);
    report.footprint(usage, elapsed);
    report.latencies("answer", &tally.answers);
    report.latencies("sending lag", &tally.lags);
    report.timeline(timeline);
    report.errors(&tally.errors);
}
