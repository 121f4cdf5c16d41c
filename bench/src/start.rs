//! `start`: how long a broker takes to serve, on what is in its directory and after `kill -9`, and
//! what it uses when it is idle.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::batch::{BatchSpec, Fill};
use crate::broker::{Broker, Idle, Launch, Timings, is_empty, typed};
use crate::client::Address;
use crate::failure::Failure;
use crate::fetch::answer_fetches;
use crate::produce::{FILL_BATCH, FILL_BYTES, fill};
use crate::report::{Report, ResultArgs};
use crate::topic::{Topic, TopicArgs};
use crate::units;

/// Time for a broker to come to rest.
const SETTLE: Duration = Duration::from_secs(3);
/// Time for a broker to bring to the disk, in its own time, what it was filled with.
const FLUSH: Duration = Duration::from_secs(30);
/// Bytes of the records that partitions are filled with.
const RECORD: u64 = 1024;
/// What is produced immediately before a broker is killed.
const LAST_BYTES: u64 = 50_000_000;
const PROBE_TOPIC: &str = "bench-start";
/// The topic that is filled before a restart.
const FILL_TOPIC: &str = "bench-fill";

/// Flags of `start`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct StartArgs {
    /// The broker's command; {dir}, {address} and {port} are replaced. Blanks divide its words; or
    /// each is told with a flag of its own
    #[arg(long, required = true)]
    broker: Vec<String>,
    /// The broker's data directory; its log goes beside it
    #[arg(long)]
    dir: PathBuf,
    /// Where the broker will listen; a free port of loopback if the command asks for {port}
    #[arg(long)]
    bootstrap: Option<Address>,
    /// Partitions that there are at the restart
    #[arg(long, default_value_t = 1)]
    partitions: u32,
    /// Bytes that are in them; in each there is at least one record
    #[arg(long, default_value = "0", value_parser = units::bytes)]
    fill: u64,
    /// How long to watch the idle broker
    #[arg(long, default_value = "10s", value_parser = units::time)]
    idle: Duration,
    #[command(flatten)]
    result: ResultArgs,
}

/// Starts, watches, fills, kills, starts again, watches, stops; and reports.
///
/// # Errors
/// The broker does not serve.
pub(crate) fn run(args: &StartArgs) -> Result<(), Failure> {
    let words = match args.broker.as_slice() {
        [command] => typed(command),
        words => words.to_vec(),
    };
    let launch = Launch::new(words, &args.dir, args.bootstrap.as_ref())?;
    let probe = probe(&launch.address);
    let first = match is_empty(&args.dir)? {
        true => ["empty: ready line", "empty: first answer", "empty: first record"],
        false => ["existing: ready line", "existing: first answer", "existing: first record"],
    };
    let mut report = Report::new("start", args, &args.result);
    let (broker, timings) = launch.time(&probe)?;
    told(&mut report, first, &broker, timings);
    let idle = Idle::watch(broker.pid(), SETTLE, args.idle)?;
    idling(&mut report, ["first start: idle memory", "first start: idle cpu"], idle);
    let topic = TopicArgs::of(&launch.address, FILL_TOPIC, args.partitions);
    fill_each(&Topic::prepare(&topic)?, args.fill)?;
    let filled = Idle::watch(broker.pid(), FLUSH, args.idle)?;
    idling(&mut report, ["filled: idle memory", "filled: idle cpu"], filled);
    let each = filled.resident.saturating_sub(idle.resident) / u64::from(args.partitions.max(1));
    report.reading("filled: memory per partition", each as f64 / 1024.0, "KiB");
    // The kill follows an acknowledgement at once.
    fill(&Topic::prepare(&topic)?, &BatchSpec::plain(RECORD, FILL_BATCH).build()?, LAST_BYTES)?;
    broker.kill();

    let (broker, timings) = launch.time(&probe)?;
    let names = ["kill -9: ready line", "kill -9: first answer", "kill -9: first record"];
    answer_fetches(&Topic::prepare(&topic)?)?;
    let every = broker.since_start().as_secs_f64() * 1e3;
    told(&mut report, names, &broker, timings);
    report.reading("kill -9: every partition", every, "ms");
    let idle = Idle::watch(broker.pid(), SETTLE, args.idle)?;
    idling(&mut report, ["restarted: idle memory", "restarted: idle cpu"], idle);
    report.reading("clean stop", broker.stop().as_secs_f64() * 1e3, "ms");
    report.publish()
}

/// The topic that a start is probed with.
fn probe(address: &Address) -> TopicArgs {
    TopicArgs::of(address, PROBE_TOPIC, 1)
}

/// Puts so many bytes into a topic's partitions, into each of them as many, and at least a record.
fn fill_each(topic: &Topic, bytes: u64) -> Result<(), Failure> {
    let partitions = topic.partitions().max(1) as u64;
    let full = Fill::Bytes(FILL_BYTES.min(bytes / partitions));
    let batch = BatchSpec::plain(RECORD, full).build()?;
    let least = batch.bytes.len() as u64 * partitions;
    fill(topic, &batch, bytes.max(least)).map(drop)
}

fn told(
    report: &mut Report,
    [line, answer, record]: [&'static str; 3],
    broker: &Broker,
    timings: Timings,
) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    if let Some(time) = broker.first_line() {
        report.reading(line, ms(time), "ms");
    }
    report.reading(answer, ms(timings.answer), "ms");
    report.reading(record, ms(timings.record), "ms");
}

fn idling(report: &mut Report, [memory, cpu]: [&'static str; 2], idle: Idle) {
    report.reading(memory, idle.resident as f64 / f64::from(1 << 20), "MiB");
    report.reading(cpu, idle.cpu * 100.0, "% of a core");
}
