//! `produce`: as much as the broker takes from a fixed number of requests under way.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::batch::Fill;
use crate::failure::Failure;
use crate::produce::{Extent, Pacing, ProduceArgs};
use crate::report::Report;
use crate::units;

/// Batches of this size unless the flags say otherwise.
const BATCH: Fill = Fill::Bytes(100 << 10);

/// Flags of `produce`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct ClosedArgs {
    #[command(flatten)]
    produce: ProduceArgs,
    /// Requests of each connection that wait for their answers
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    /// How long to measure
    #[arg(long, default_value = "10s", value_parser = units::time)]
    seconds: Duration,
    /// Send so many bytes of batches, in place of --seconds, without a warm-up
    #[arg(long, value_parser = units::bytes, conflicts_with = "seconds")]
    bytes: Option<u64>,
}

/// Runs the load and reports.
///
/// # Errors
/// As [`ProduceArgs::run`].
pub(crate) fn run(args: &ClosedArgs) -> Result<(), Failure> {
    let extent = args.bytes.map_or(Extent::Time(args.seconds), Extent::Bytes);
    let pacing = Pacing::Closed { in_flight: args.in_flight.max(1), extent };
    let mut report = Report::new("produce", args, &args.produce.result);
    let outcome = args.produce.run(BATCH, pacing)?;
    let tally = outcome.tally;
    report.throughput(tally.bytes, outcome.elapsed, outcome.usage);
    report.rate("records", tally.records, outcome.elapsed);
    report.rate("requests", tally.requests, outcome.elapsed);
    report.request_cost(outcome.usage, tally.requests);
    report.footprint(outcome.usage, outcome.elapsed);
    report.latencies("answer", &tally.answers);
    report.timeline(outcome.timeline);
    report.errors(&tally.errors);
    report.publish()
}
