//! What a run found: for people, as text, and for programs, as the line of JSON of `corelog-bench`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::latencies::{Latencies, Summary};
use crate::load::Outcome;
use crate::scenario::{Pacing, Plan};
use crate::tally::{Errors, Second};
use crate::units::mb_per_second;

const MIB: f64 = (1 << 20) as f64;

/// Which run of a comparison a result is of.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Origin {
    scenario: String,
    system: String,
    round: u32,
    started_ms: u64,
}

impl Origin {
    /// A run that starts now, of the scenario in that file.
    pub(crate) fn new(scenario: &Path, system: &str, round: u32) -> Origin {
        let name = scenario.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_ms = since_epoch.as_millis() as u64;
        Origin { scenario: name, system: system.to_owned(), round, started_ms }
    }
}

const LOST: &str = "acknowledged, not received";

/// The result of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    test: &'static str,
    #[serde(flatten)]
    origin: Origin,
    /// The scenario's words and how they were translated.
    settings: serde_json::Map<String, Value>,
    kernel: String,
    cores: usize,
    readings: Vec<Reading>,
    latencies: Vec<(&'static str, Summary)>,
    timeline: Vec<Second>,
    errors: Errors,
}

#[derive(Debug, Serialize)]
struct Reading {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

impl Report {
    /// What every load tells.
    pub(crate) fn new(origin: Origin, plan: &Plan, outcome: &Outcome) -> Report {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let words = serde_json::to_value(&plan.words).unwrap_or_default();
        let request_bytes = plan.shape.request_bytes();
        let mut report = Report {
            test: plan.test.name(),
            origin,
            settings: words.as_object().cloned().unwrap_or_default(),
            kernel: kernel.trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            readings: Vec::new(),
            latencies: Vec::new(),
            timeline: outcome.tally.timeline(request_bytes),
            errors: outcome.tally.errors.clone(),
        };
        report.rates(plan, outcome);
        report.costs(outcome, request_bytes);
        report.latencies("answer", &outcome.tally.answers);
        report.latencies("sending lag", &outcome.tally.lags);
        report
    }

    fn rates(&mut self, plan: &Plan, outcome: &Outcome) {
        let (requests, elapsed) = (outcome.tally.requests(), outcome.tally.elapsed());
        // Nothing was acknowledged.
        if elapsed == Duration::ZERO {
            return;
        }
        let per_second = requests as f64 / elapsed.as_secs_f64();
        if let Pacing::Open { rate, .. } = plan.pacing {
            self.reading("intended rate", f64::from(rate), "/s");
            self.reading("achieved rate", per_second, "/s");
        }
        let bytes = requests * plan.shape.request_bytes();
        self.reading("throughput", mb_per_second(bytes, elapsed), "MB/s");
        self.reading("records", per_second * plan.shape.messages as f64, "/s");
        self.reading("requests", per_second, "/s");
    }

    fn costs(&mut self, outcome: &Outcome, request_bytes: u64) {
        let requests = outcome.tally.requests();
        let elapsed = outcome.tally.elapsed().as_secs_f64();
        let names = [
            ["client cpu per GB", "client cpu per 1M requests"],
            ["broker cpu per GB", "broker cpu per 1M requests"],
        ];
        let more = [
            ["client peak memory", "client context switches"],
            ["broker peak memory", "broker context switches"],
        ];
        let sides = [Some(outcome.client), outcome.broker];
        for ((used, cpu), [memory, switches]) in sides.into_iter().zip(names).zip(more) {
            let Some(used) = used else { continue };
            let seconds = used.cpu.as_secs_f64();
            if requests > 0 {
                self.reading(cpu[0], seconds / ((requests * request_bytes) as f64 / 1e9), "s");
                self.reading(cpu[1], seconds / (requests as f64 / 1e6), "s");
                self.reading(switches, used.switches as f64 / elapsed, "/s");
            }
            self.reading(memory, used.peak as f64 / MIB, "MiB");
        }
    }

    pub(crate) fn setting(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.into());
    }

    pub(crate) fn reading(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.readings.push(Reading { name, value, unit });
    }

    /// How many messages were acknowledged and did not come: an error, unless there are none.
    pub(crate) fn lost(&mut self, messages: u64) {
        self.reading(LOST, messages as f64, "");
        if messages > 0 {
            self.errors.insert(LOST.to_owned(), messages);
        }
    }

    pub(crate) fn latencies(&mut self, name: &'static str, latencies: &Latencies) {
        self.latencies.push((name, latencies.summary()));
    }

    /// Prints the text, and appends a line to the JSON file if there is one.
    ///
    /// # Errors
    /// What writing says.
    pub(crate) fn publish(&self, json: Option<&Path>) -> io::Result<()> {
        io::stdout().write_all(self.text().as_bytes())?;
        let Some(path) = json else { return Ok(()) };
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        OpenOptions::new().append(true).create(true).open(path)?.write_all(&line)
    }

    fn text(&self) -> String {
        let mut text = format!("{} of {}\n", self.test, self.origin.system);
        for Reading { name, value, unit } in &self.readings {
            text += &format!("  {name:<28}{value:>14.3} {unit}\n");
        }
        for (name, s) in &self.latencies {
            text += &format!(
                "  {name:<12} n={} mean={:.1} p50={:.1} p90={:.1} p99={:.1} p99.9={:.1} max={:.1} \
                 us\n",
                s.count, s.mean_us, s.p50_us, s.p90_us, s.p99_us, s.p999_us, s.max_us
            );
        }
        for (name, count) in &self.errors {
            text += &format!("  error {name}: {count}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Usage;
    use crate::tally::Tally;
    use std::time::Instant;

    fn report() -> Report {
        let load = "command = 'produce'\npartitions = 3".parse().expect("TOML");
        let plan = Plan::translate(&load).expect("a plan");
        let from = Instant::now();
        let mut tally = Tally::new(from);
        (0..10).for_each(|n| tally.answered(from, from + n * Duration::from_millis(222)));
        tally.refused(from, "E".to_owned());
        let usage = Usage { cpu: Duration::from_secs(1), switches: 1998, peak: 3 << 20 };
        let outcome = Outcome { tally, client: usage, broker: Some(usage) };
        Report::new(Origin::new(Path::new("a/one.toml"), "nats", 2), &plan, &outcome)
    }

    #[test]
    fn programs_read_it_as_json() {
        let value = serde_json::to_value(report()).expect("JSON");
        for (name, expected) in [
            ("test", "produce".into()),
            ("scenario", "one".into()),
            ("system", "nats".into()),
            ("round", 2.into()),
            ("errors", serde_json::json!({"E": 1})),
        ] {
            assert_eq!(value[name], expected, "{name}");
        }
        assert_eq!(value["settings"]["partitions"], 3);
        assert_eq!(value["latencies"][0][0], "answer");
        assert_eq!(value["timeline"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn readings_have_the_names_of_corelog_bench() {
        let report = report();
        for (name, expected) in [
            ("requests", 10.0 / 1.998),
            ("records", 1000.0 / 1.998),
            ("throughput", 1.024 / 1.998),
            ("broker cpu per GB", 1.0 / 0.001024),
            ("client cpu per 1M requests", 100_000.0),
            ("broker peak memory", 3.0),
            ("client context switches", 1000.0),
        ] {
            let reading = report.readings.iter().find(|reading| reading.name == name);
            let value = reading.map_or(0.0, |reading| reading.value);
            assert!((value / expected - 1.0).abs() < 1e-9, "{name}: {value} for {expected}");
        }
        assert!(report.text().contains("error E: 1"));
    }
}
