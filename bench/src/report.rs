//! What a run found: the same numbers for people, as text, and for programs, as a line of JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::histogram::{Latencies, Summary};
use crate::process::{Pid, Usage};
use crate::timeline::Point;
use crate::units::mb_per_second;

/// How often each kind of error was answered, by Kafka's name of it.
pub(crate) type Errors = BTreeMap<&'static str, u64>;

/// The error where there is nothing to divide by.
const NOTHING: &str = "nothing was answered";
const LOST: &str = "acknowledged, not received";

/// Whose result it is and where it goes: flags of every test.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub(crate) struct ResultArgs {
    /// Process of the broker, to account for its processor time
    #[arg(long)]
    broker_pid: Option<u32>,
    /// Append the result to this file as a line of JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fail if anything was answered with an error
    #[arg(long)]
    no_errors: bool,
    #[command(flatten)]
    #[serde(skip)]
    labels: Labels,
}

impl ResultArgs {
    pub(crate) fn broker(&self) -> Option<Pid> {
        self.broker_pid.map(Pid)
    }
}

/// What a result is filed under.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub(crate) struct Labels {
    /// Name of the scenario, for the result
    #[arg(long)]
    pub(crate) scenario: Option<String>,
    /// Name of what is measured, for the result
    #[arg(long)]
    pub(crate) system: Option<String>,
    /// Which repetition this is, for the result
    #[arg(long)]
    pub(crate) round: Option<u32>,
}

/// The result of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    test: &'static str,
    #[serde(flatten)]
    labels: Labels,
    /// When the run began, in milliseconds of the wall clock.
    started_ms: u64,
    /// The flags of the run.
    settings: Value,
    kernel: String,
    cores: usize,
    readings: Vec<Reading>,
    latencies: Vec<(&'static str, Summary)>,
    timeline: Vec<Point>,
    errors: Errors,
    #[serde(skip)]
    result: ResultArgs,
}

#[derive(Debug, Serialize)]
struct Reading {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

impl Report {
    /// A report without results of a run that begins now. `settings` are its flags.
    pub(crate) fn new(
        test: &'static str,
        settings: &impl Serialize,
        result: &ResultArgs,
    ) -> Report {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Report {
            test,
            labels: result.labels.clone(),
            started_ms: now_ms(),
            // Flags are maps of plain values, which JSON has.
            settings: serde_json::to_value(settings).unwrap_or_default(),
            kernel: kernel.trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            readings: Vec::new(),
            latencies: Vec::new(),
            timeline: Vec::new(),
            errors: Errors::new(),
            result: result.clone(),
        }
    }

    /// A number, or, where it is none because it would be a share of nothing, an error.
    pub(crate) fn reading(&mut self, name: &'static str, value: f64, unit: &'static str) {
        match value.is_finite() {
            true => self.readings.push(Reading { name, value, unit }),
            false => drop(self.errors.insert(NOTHING, 1)),
        }
    }

    pub(crate) fn latencies(&mut self, name: &'static str, latencies: &Latencies) {
        self.latencies.push((name, latencies.summary()));
    }

    pub(crate) fn timeline(&mut self, timeline: Vec<Point>) {
        self.timeline = timeline;
    }

    /// Adds errors to those that are told already.
    pub(crate) fn errors(&mut self, errors: &Errors) {
        for (name, count) in errors {
            *self.errors.entry(name).or_default() += count;
        }
    }

    /// How many records were acknowledged and did not come: an error, unless there are none.
    pub(crate) fn lost(&mut self, records: u64) {
        self.reading(LOST, records as f64, "");
        if records > 0 {
            self.errors(&Errors::from([(LOST, records)]));
        }
    }

    /// Bytes per second, and the processor time that a gigabyte of them took.
    pub(crate) fn throughput(&mut self, bytes: u64, elapsed: Duration, usage: Usage) {
        self.reading("throughput", mb_per_second(bytes, elapsed), "MB/s");
        let gigabytes = bytes as f64 / 1e9;
        if let Some(broker) = usage.broker.filter(|_| bytes > 0) {
            let both = (usage.client.cpu + broker.cpu).as_secs_f64();
            self.reading("cpu per GB", both / gigabytes, "s");
        }
        self.cost(usage, gigabytes, ["client cpu per GB", "broker cpu per GB"]);
    }

    /// Events of a kind per second.
    pub(crate) fn rate(&mut self, name: &'static str, count: u64, elapsed: Duration) {
        self.reading(name, count as f64 / elapsed.as_secs_f64(), "/s");
    }

    /// Processor time for a million requests.
    pub(crate) fn request_cost(&mut self, usage: Usage, requests: u64) {
        let millions = requests as f64 / 1e6;
        self.cost(usage, millions, ["client cpu per 1M requests", "broker cpu per 1M requests"]);
    }

    fn cost(&mut self, usage: Usage, amount: f64, [client, broker]: [&'static str; 2]) {
        if amount == 0.0 {
            return;
        }
        self.reading(client, usage.client.cpu.as_secs_f64() / amount, "s");
        if let Some(used) = usage.broker {
            self.reading(broker, used.cpu.as_secs_f64() / amount, "s");
        }
    }

    /// Context switches per second of both sides, and the most memory that they ever had.
    pub(crate) fn footprint(&mut self, usage: Usage, elapsed: Duration) {
        self.rate("client context switches", usage.client.switches, elapsed);
        if let Some(used) = usage.broker {
            self.rate("broker context switches", used.switches, elapsed);
        }
        let broker = self.result.broker().map(|process| (process, "broker peak memory"));
        for (process, name) in [(Pid::own(), "client peak memory")].into_iter().chain(broker) {
            // The account was read before; whoever has ended since then has no memory.
            if let Ok(bytes) = process.peak() {
                self.reading(name, bytes as f64 / f64::from(1 << 20), "MiB");
            }
        }
    }

    /// Prints the text, and appends a line to the JSON file if there is one.
    ///
    /// # Errors
    /// It cannot be written, or there were errors and there should be none.
    pub(crate) fn publish(&self) -> Result<(), Failure> {
        io::stdout().write_all(self.to_string().as_bytes()).map_err(Failure::Output)?;
        if let Some(path) = &self.result.json {
            append_json(path, self).map_err(Failure::Output)?;
        }
        match self.errors.first_key_value().filter(|_| self.result.no_errors) {
            Some((&error, &count)) => Err(Failure::Refused { error, count }),
            None => Ok(()),
        }
    }
}

/// Milliseconds of the wall clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Appends `value` as one line of JSON to a file that is made if need be.
///
/// # Errors
/// What opening or writing says.
pub(crate) fn append_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    OpenOptions::new().append(true).create(true).open(path)?.write_all(&line)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.test)?;
        for Reading { name, value, unit } in &self.readings {
            writeln!(f, "  {name:<28}{value:>14.3} {unit}")?;
        }
        for (name, s) in &self.latencies {
            writeln!(
                f,
                "  {name:<12} n={} mean={:.1} p50={:.1} p90={:.1} p99={:.1} p99.9={:.1} \
                 max={:.1} us",
                s.count, s.mean_us, s.p50_us, s.p90_us, s.p99_us, s.p999_us, s.max_us
            )?;
        }
        for (name, count) in &self.errors {
            writeln!(f, "  error {name}: {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Taken;

    fn report() -> Report {
        let labels =
            Labels { scenario: Some("s".into()), system: Some("x".into()), round: Some(2) };
        let broker_pid = Some(Pid::own().0);
        let result = ResultArgs { broker_pid, labels, ..ResultArgs::default() };
        let mut report = Report::new("produce", &BTreeMap::from([("acks", 1)]), &result);
        let taken = |millis| Taken { cpu: Duration::from_millis(millis), switches: millis };
        let usage = Usage { client: taken(1000), broker: Some(taken(500)) };
        report.throughput(500_000_000, Duration::from_secs(2), usage);
        report.footprint(usage, Duration::from_secs(2));
        report.rate("requests", 100, Duration::from_secs(2));
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_micros(10));
        report.latencies("ack", &latencies);
        report.errors(&Errors::from([("NOT_LEADER_OR_FOLLOWER", 1)]));
        report.errors(&Errors::from([("NOT_LEADER_OR_FOLLOWER", 2)]));
        report
    }

    #[test]
    fn programs_read_it_as_json() {
        let value = serde_json::to_value(report()).expect("JSON");
        assert_eq!(value["settings"]["acks"], 1);
        let readings: Vec<_> = (0..6).map(|i| value["readings"][i]["value"].as_f64()).collect();
        assert_eq!(readings, [250.0, 3.0, 2.0, 1.0, 500.0, 250.0].map(Some));
        assert_eq!((&value["scenario"], &value["round"]), (&"s".into(), &2.into()));
        assert!(value["started_ms"].as_u64() > Some(1_600_000_000_000));
        assert_eq!((&value["timeline"], &value["result"]), (&Value::Array(vec![]), &Value::Null));
        assert_eq!(value["latencies"][0][1]["count"], 1);
        assert_eq!(value["errors"]["NOT_LEADER_OR_FOLLOWER"], 3);
    }

    #[test]
    fn people_read_it_as_text() {
        let text = report().to_string();
        for part in [
            "250.000 MB/s",
            "broker cpu",
            "broker peak memory",
            "p99.9=10.0",
            "error NOT_LEADER_OR_FOLLOWER: 3",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn what_is_no_number_and_what_is_lost_are_errors() {
        type Tell = fn(&mut Report);
        for (tell, errors, readings) in [
            ((|report| report.reading("x", 0.0, "x")) as Tell, None, 1),
            (|report| report.reading("x", f64::NAN, "x"), Some((NOTHING, 1)), 0),
            (|report| report.rate("x", 7, Duration::ZERO), Some((NOTHING, 1)), 0),
            (|report| report.lost(0), None, 1),
            (|report| report.lost(5), Some((LOST, 5)), 1),
        ] {
            let result = ResultArgs { no_errors: true, ..ResultArgs::default() };
            let mut report = Report::new("tail", &(), &result);
            tell(&mut report);
            assert_eq!(report.errors, errors.into_iter().collect());
            assert_eq!(report.readings.len(), readings);
            assert_eq!(report.publish().is_ok(), errors.is_none(), "{errors:?}");
        }
    }

    #[test]
    fn nothing_done_costs_nothing() {
        let mut report = report();
        let before = report.readings.len();
        report.request_cost(Usage { client: Taken::default(), broker: None }, 0);
        assert_eq!(report.readings.len(), before);
    }
}
