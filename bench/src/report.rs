//! What a run found: the same numbers for people, as text, and for programs, as a line of JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::histogram::{Latencies, Summary};
use crate::process::CpuUse;
use crate::units::mb_per_second;

/// How often each kind of error was answered, by Kafka's name of it.
pub(crate) type Errors = BTreeMap<&'static str, u64>;

/// The result of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    test: &'static str,
    /// The flags of the run.
    settings: Value,
    kernel: String,
    cores: usize,
    readings: Vec<Reading>,
    latencies: Vec<(&'static str, Summary)>,
    errors: Errors,
}

#[derive(Debug, Serialize)]
struct Reading {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

impl Report {
    /// A report without results. `settings` are the flags of the run.
    pub(crate) fn new(test: &'static str, settings: &impl Serialize) -> Report {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Report {
            test,
            // Flags are maps of plain values, which JSON has.
            settings: serde_json::to_value(settings).unwrap_or_default(),
            kernel: kernel.trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            readings: Vec::new(),
            latencies: Vec::new(),
            errors: Errors::new(),
        }
    }

    pub(crate) fn reading(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.readings.push(Reading { name, value, unit });
    }

    pub(crate) fn latencies(&mut self, name: &'static str, latencies: &Latencies) {
        self.latencies.push((name, latencies.summary()));
    }

    pub(crate) fn errors(&mut self, errors: Errors) {
        self.errors = errors;
    }

    /// Bytes per second, and the processor time that a gigabyte of them took.
    pub(crate) fn throughput(&mut self, bytes: u64, elapsed: Duration, cpu: CpuUse) {
        self.reading("throughput", mb_per_second(bytes, elapsed), "MB/s");
        let gigabytes = bytes as f64 / 1e9;
        self.cost(cpu, gigabytes, ["client cpu per GB", "broker cpu per GB"]);
    }

    /// Events of a kind per second.
    pub(crate) fn rate(&mut self, name: &'static str, count: u64, elapsed: Duration) {
        self.reading(name, count as f64 / elapsed.as_secs_f64(), "/s");
    }

    /// Processor time for a million requests.
    pub(crate) fn request_cost(&mut self, cpu: CpuUse, requests: u64) {
        let millions = requests as f64 / 1e6;
        self.cost(cpu, millions, ["client cpu per 1M requests", "broker cpu per 1M requests"]);
    }

    fn cost(&mut self, cpu: CpuUse, amount: f64, [client, broker]: [&'static str; 2]) {
        if amount == 0.0 {
            return;
        }
        self.reading(client, cpu.client.as_secs_f64() / amount, "s");
        if let Some(used) = cpu.broker {
            self.reading(broker, used.as_secs_f64() / amount, "s");
        }
    }

    /// Prints the text, and appends a line to the JSON file if there is one.
    ///
    /// # Errors
    /// What writing says.
    pub(crate) fn publish(&self, json: Option<&Path>) -> io::Result<()> {
        io::stdout().write_all(self.to_string().as_bytes())?;
        json.map_or(Ok(()), |path| append_json(path, self))
    }
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

    fn report() -> Report {
        let mut report = Report::new("produce", &BTreeMap::from([("acks", 1)]));
        let cpu =
            CpuUse { client: Duration::from_secs(1), broker: Some(Duration::from_millis(500)) };
        report.throughput(500_000_000, Duration::from_secs(2), cpu);
        report.rate("requests", 100, Duration::from_secs(2));
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_micros(10));
        report.latencies("ack", &latencies);
        report.errors(Errors::from([("NOT_LEADER_OR_FOLLOWER", 3)]));
        report
    }

    #[test]
    fn programs_read_it_as_json() {
        let value = serde_json::to_value(report()).expect("JSON");
        assert_eq!(value["settings"]["acks"], 1);
        let readings: Vec<_> = (0..4).map(|i| value["readings"][i]["value"].as_f64()).collect();
        assert_eq!(readings, [Some(250.0), Some(2.0), Some(1.0), Some(50.0)]);
        assert_eq!(value["latencies"][0][1]["count"], 1);
        assert_eq!(value["errors"]["NOT_LEADER_OR_FOLLOWER"], 3);
    }

    #[test]
    fn people_read_it_as_text() {
        let text = report().to_string();
        for part in ["250.000 MB/s", "broker cpu", "p99.9=10.0", "error NOT_LEADER_OR_FOLLOWER: 3"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn nothing_done_costs_nothing() {
        let mut report = report();
        let before = report.readings.len();
        report.request_cost(CpuUse { client: Duration::ZERO, broker: None }, 0);
        assert_eq!(report.readings.len(), before);
    }
}
