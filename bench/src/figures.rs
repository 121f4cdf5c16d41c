//! `figures`: what Corelog promises, measured in one go, the disk beside the broker in the same
//! run.
//!
//! Disks differ tenfold, so where the disk decides, the goal is a multiple of what the raw disk
//! did in this run, before and after the broker.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::batch::{BatchSpec, Fill};
use crate::broker::{Broker, Idle, Launch, log_of};
use crate::client::Address;
use crate::failure::Failure;
use crate::fetch::{Check, FetchPlan, ReadExtent, Sizes};
use crate::held::Temporary;
use crate::histogram::Latencies;
use crate::load::Order;
use crate::produce::{Extent, FILL_BATCH, Identity, Outcome, Pacing, Plan, SEED, fill};
use crate::raw;
use crate::report::{Errors, append_json};
use crate::request::Acks;
use crate::start::{FILL_TOPIC, SETTLE, fill_partitions, probe};
use crate::supply::Supply;
use crate::timeline::Progress;
use crate::topic::{Topic, TopicArgs};
use crate::units::{self, mb_per_second};

const PARTITIONS: u32 = 1000;
const RATE: u32 = 2000;
const RAW_FILE: u64 = 128 << 20;
const RAW_SEQUENTIAL: u64 = 2 << 30;
const HOT_BYTES: u64 = 2_000_000_000;
const WARM_UP: Duration = Duration::from_secs(2);
const MIB: f64 = (1 << 20) as f64;

/// Flags of `figures`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct FiguresArgs {
    /// The broker's command; {dir}, {address} and {port} are replaced, blanks divide its words
    #[arg(long)]
    broker: String,
    /// Where a data directory is made, and removed in the end; on the disk to be measured
    #[arg(long)]
    parent: PathBuf,
    /// Bytes that are written to 1,000 partitions before the restart, beside those of the loads
    #[arg(long, default_value = "10GB", value_parser = units::bytes)]
    fill: u64,
    /// How long to measure each load
    #[arg(long, default_value = "10s", value_parser = units::time)]
    seconds: Duration,
    /// Append a line of JSON for each figure to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Figure {
    name: &'static str,
    unit: &'static str,
    goal: Goal,
    reached: f64,
    /// No goal is met with errors.
    errors: Errors,
    met: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    fn new(name: &'static str, unit: &'static str, goal: Goal, reached: f64) -> Figure {
        let met = match goal {
            Goal::AtMost(bound) => reached <= bound,
            Goal::AtLeast(bound) => reached >= bound,
        };
        Figure { name, unit, goal, reached, errors: Errors::new(), met }
    }

    /// The figure of a load in which there were errors.
    fn with(self, errors: &Errors) -> Figure {
        Figure { met: self.met && errors.is_empty(), errors: errors.clone(), ..self }
    }

    fn line(&self) -> String {
        let Figure { name, unit, reached, errors, .. } = self;
        let (sign, bound) = match self.goal {
            Goal::AtMost(bound) => ("<=", bound),
            Goal::AtLeast(bound) => (">=", bound),
        };
        let met = if self.met { "yes" } else { "NO" };
        let errors: String =
            errors.iter().map(|(error, count)| format!(" ({error}: {count})")).collect();
        format!("{name:<48} {sign} {bound:>8.2} {reached:>12.2} {unit:<5} {met}{errors}")
    }
}

/// Measures all figures and prints each as soon as it is known.
///
/// # Errors
/// The broker or the disk does not do its part.
pub(crate) fn run(args: &FiguresArgs) -> Result<(), Failure> {
    let dir = args.parent.join(format!("corelog-bench-{}", std::process::id()));
    println!("{:<48} {:>11} {:>12}", "figure", "goal", "reached");
    let dir = Temporary::new(dir);
    let result = Run { args, dir: dir.path() }.all();
    // The log says why a broker failed; if it cannot be removed it is in nobody's way.
    if result.is_ok() {
        let _ = fs::remove_file(log_of(dir.path()));
    }
    result
}

struct Run<'a> {
    args: &'a FiguresArgs,
    dir: &'a Path,
}

impl Run<'_> {
    fn all(&self) -> Result<(), Failure> {
        let launch = Launch::new(&self.args.broker, self.dir, None)?;
        let (broker, timings) = launch.time(&probe(&launch.address))?;
        let ready = timings.ready().as_secs_f64() * 1e3;
        let goal = Goal::AtMost(200.0);
        self.tell(&Figure::new("ready on an empty directory", "ms", goal, ready))?;
        self.idle(&broker)?;
        self.durable_latency(&launch.address)?;
        self.throughput(&launch.address)?;
        self.catch_up(&launch.address)?;
        self.restart(&launch, broker)
    }

    fn tell(&self, figure: &Figure) -> Result<(), Failure> {
        println!("{}", figure.line());
        let json = self.args.json.as_deref();
        json.map_or(Ok(()), |path| append_json(path, figure)).map_err(Failure::Output)
    }

    fn idle(&self, broker: &Broker) -> Result<(), Failure> {
        let idle = Idle::watch(broker.pid(), SETTLE, self.args.seconds)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let goal = Goal::AtMost(30.0 + 10.0 * cores as f64);
        let resident = idle.resident as f64 / MIB;
        self.tell(&Figure::new("memory when idle", "MiB", goal, resident))?;
        let goal = Goal::AtMost(2.0);
        self.tell(&Figure::new("processor when idle", "%", goal, idle.cpu * 100.0))
    }

    fn durable_latency(&self, address: &Address) -> Result<(), Failure> {
        let mut disk = self.disk_at_rate()?;
        let topic = Topic::prepare(&TopicArgs::of(address, FILL_TOPIC, PARTITIONS))?;
        let spec = BatchSpec::plain(1024, Fill::Records(1));
        let (order, time) = (Order::Random(SEED), self.args.seconds);
        let pacing = Pacing::Open { rate: RATE, order, time, in_flight: usize::MAX };
        let outcome = self.load(&topic, spec, pacing)?;
        disk.merge(&self.disk_at_rate()?);
        let (answers, errors) = (&outcome.tally.answers, &outcome.tally.errors);
        let disk = ms(disk.at(0.5));
        for (name, bound, quantile) in [
            ("durable record, 2,000/s, 1,000 partitions: p50", 3.0 * disk + 0.15, 0.5),
            ("durable record, 2,000/s, 1,000 partitions: p99", 10.0 * disk + 1.0, 0.99),
        ] {
            let figure = Figure::new(name, "ms", Goal::AtMost(bound), ms(answers.at(quantile)));
            self.tell(&figure.with(errors))?;
        }
        Ok(())
    }

    fn disk_at_rate(&self) -> Result<Latencies, Failure> {
        let writes = (self.args.seconds.as_secs_f64() * f64::from(RATE)) as u64;
        raw::durable_writes(&self.args.parent, RAW_FILE, writes, Some(RATE))
    }

    fn throughput(&self, address: &Address) -> Result<(), Failure> {
        let disk = raw::bandwidth(&self.args.parent, RAW_SEQUENTIAL)?;
        let topic = Topic::prepare(&TopicArgs::of(address, "bench-throughput", 1))?;
        let extent = Extent::Time(self.args.seconds);
        let pacing = Pacing::Closed { in_flight: 5, extent };
        let spec = BatchSpec::plain(1024, FILL_BATCH);
        let outcome = self.load(&topic, spec, pacing)?;
        let reached = mb_per_second(outcome.tally.bytes, outcome.elapsed);
        // Bytes are written twice, to the journal and to their segment.
        let goal = Goal::AtLeast(f64::min(500.0, 0.9 * disk.best_write() / 2.0));
        let figure = Figure::new("durable 100 KiB batches, one partition", "MB/s", goal, reached);
        self.tell(&figure.with(&outcome.tally.errors))
    }

    fn load(&self, topic: &Topic, spec: BatchSpec, pacing: Pacing) -> Result<Outcome, Failure> {
        let plan = Plan {
            topic,
            supply: &Supply::Same(spec.build()?),
            connections: topic.leaders(),
            partitions_per_request: 1,
            acks: Acks::All,
            identity: Identity::None,
            pacing,
            warm_up: WARM_UP,
            broker: None,
            progress: Progress::Quiet,
        };
        plan.run()
    }

    fn catch_up(&self, address: &Address) -> Result<(), Failure> {
        let topic = Topic::prepare(&TopicArgs::of(address, "bench-fetch", 1))?;
        fill(&topic, &BatchSpec::plain(1024, FILL_BATCH).build()?, HOT_BYTES)?;
        let plan = |extent| FetchPlan {
            topic: &topic,
            connections: topic.leaders(),
            sizes: Sizes::CONSUMER,
            extent,
            check: Check::Frames,
            warm_up: Duration::ZERO,
            broker: None,
            progress: Progress::Quiet,
        };
        // The first reading brings the file into memory.
        plan(ReadExtent::Once).run()?;
        let outcome = plan(ReadExtent::Time(self.args.seconds)).run()?;
        let reached = mb_per_second(outcome.tally.bytes, outcome.elapsed);
        let goal = Goal::AtLeast(2000.0);
        self.tell(&Figure::new("catch-up fetch of a hot file", "MB/s", goal, reached))
    }

    fn restart(&self, launch: &Launch, broker: Broker) -> Result<(), Failure> {
        fill_partitions(&launch.address, PARTITIONS, self.args.fill)?;
        broker.kill();
        let (broker, timings) = launch.time(&probe(&launch.address))?;
        let ready = timings.ready().as_secs_f64() * 1e3;
        let goal = Goal::AtMost(1000.0);
        self.tell(&Figure::new("ready after kill -9, 1,000 partitions", "ms", goal, ready))?;
        broker.stop();
        Ok(())
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_at_its_bound() {
        for (goal, reached, met) in [
            (Goal::AtMost(200.0), 200.0, true),
            (Goal::AtMost(200.0), 200.1, false),
            (Goal::AtLeast(500.0), 500.0, true),
            (Goal::AtLeast(500.0), 499.9, false),
        ] {
            let figure = Figure::new("f", "ms", goal, reached);
            assert_eq!(figure.met, met, "{goal:?} {reached}");
            assert!(figure.line().ends_with(if met { "yes" } else { "NO" }));
            let with_errors = figure.with(&Errors::from([("E", 3)]));
            assert!(with_errors.line().ends_with("NO (E: 3)"));
        }
    }

    #[test]
    fn programs_read_figures_as_json() {
        let figure = Figure::new("f", "ms", Goal::AtMost(2.0), 1.0);
        let value = serde_json::to_value(figure).expect("JSON");
        assert_eq!(value["goal"]["at_most"], 2.0);
        assert_eq!(value["met"], true);
    }
}
