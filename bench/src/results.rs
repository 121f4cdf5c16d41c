//! Results that were written down: the JSON lines of a comparison, read back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::failure::Failure;

/// One run of one load against one system, or why there was none.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Line {
    pub(crate) test: String,
    #[serde(default)]
    pub(crate) scenario: Option<String>,
    #[serde(default)]
    pub(crate) system: Option<String>,
    #[serde(default)]
    pub(crate) round: Option<u32>,
    #[serde(default)]
    pub(crate) started_ms: Option<u64>,
    #[serde(default)]
    pub(crate) kernel: Option<String>,
    #[serde(default)]
    pub(crate) cores: Option<usize>,
    #[serde(default)]
    pub(crate) readings: Vec<Reading>,
    #[serde(default)]
    pub(crate) latencies: Vec<(String, Latency)>,
    #[serde(default)]
    pub(crate) timeline: Vec<Second>,
    #[serde(default)]
    pub(crate) errors: BTreeMap<String, u64>,
    /// Why there is no result.
    #[serde(default)]
    pub(crate) why: Option<String>,
}

/// The `test` of a line that says why a rival has no results.
pub(crate) const ABSENT: &str = "absent";
/// The `test` of a line about the disk alone.
pub(crate) const RAW: &str = "raw";

/// A number with its name.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Reading {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// Latencies of one kind of event, in microseconds.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    mean_us: f64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    distribution: Vec<(f64, f64, u64)>,
}

/// What was answered within a second.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Second {
    pub(crate) at_ms: f64,
    pub(crate) events: f64,
    #[serde(default)]
    pub(crate) bytes: f64,
}

impl Line {
    /// The number that a metric names: a reading by its name, or a latency by its name and which
    /// of its percentiles, as in `answer p99`.
    pub(crate) fn number(&self, metric: &str) -> Option<f64> {
        let reading = self.readings.iter().find(|reading| reading.name == metric);
        reading.map(|reading| reading.value).or_else(|| {
            let (name, part) = metric.rsplit_once(' ')?;
            self.latency(name)?.part(part)
        })
    }

    pub(crate) fn latency(&self, name: &str) -> Option<&Latency> {
        self.latencies.iter().find(|(own, _)| own == name).map(|(_, latency)| latency)
    }
}

impl Latency {
    fn part(&self, name: &str) -> Option<f64> {
        match name {
            "mean" => Some(self.mean_us),
            "p50" => Some(self.p50_us),
            "p90" => Some(self.p90_us),
            "p99" => Some(self.p99_us),
            "p99.9" | "p999" => Some(self.p999_us),
            "max" => Some(self.max_us),
            _ => None,
        }
    }

    /// The latency of percentiles as their number of nines, as far as there are events for them:
    /// the longest of all has as many nines as the count has zeros.
    pub(crate) fn by_nines(&self) -> impl Iterator<Item = (f64, f64)> {
        let most = (self.count as f64).log10();
        let nines = move |quantile: f64| (-(1.0 - quantile).log10()).min(most);
        self.distribution.iter().map(move |(quantile, value, _)| (nines(*quantile), *value))
    }
}

/// Reads all lines of a file.
///
/// # Errors
/// The file cannot be read, or one of its lines is no result.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>, Failure> {
    let file = |source| Failure::File { path: path.to_owned(), source };
    parse(&fs::read_to_string(path).map_err(file)?).map_err(|(line, source)| Failure::Line {
        path: path.to_owned(),
        line,
        source,
    })
}

/// All lines of the text, or the number of the first that is no result.
pub(crate) fn parse(text: &str) -> Result<Vec<Line>, (usize, serde_json::Error)> {
    let parse = |(number, line)| serde_json::from_str(line).map_err(|error| (number, error));
    (1..).zip(text.lines()).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Latencies;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn what_a_report_writes_is_read_back() {
        let mut latencies = Latencies::new();
        (1..=1000).for_each(|us| latencies.record(Duration::from_micros(us)));
        let report = json!({
            "test": "produce",
            "settings": {"acks": 1},
            "readings": [{"name": "requests", "value": 50.0, "unit": "/s"}],
            "latencies": [["answer", latencies.summary()]],
        });
        let lines = parse(&report.to_string()).expect("a line");
        let near = |metric, expected: f64| {
            let number = lines[0].number(metric).expect("a number");
            assert!((number - expected).abs() < expected * 2e-3, "{metric}: {number}");
        };
        near("requests", 50.0);
        near("answer p50", 500.0);
        near("answer p99", 990.0);
        near("answer p999", 999.0);
        near("answer max", 1000.0);
        assert_eq!([lines[0].number("answer p1"), lines[0].number("p99")], [None, None]);
        let by_nines: Vec<_> = lines[0].latency("answer").expect("one").by_nines().collect();
        assert!(by_nines.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "{by_nines:?}");
        let (nines, longest) = by_nines[by_nines.len() - 1];
        assert!(nines == 3.0 && (999.0..1002.0).contains(&longest), "{nines} {longest}");
    }

    #[test]
    fn a_broken_line_is_told_by_its_number() {
        let good = r#"{"test":"absent","system":"nats","why":"no network"}"#;
        for (second, broken) in [
            (good, None),
            ("{", Some(2)),
            ("", Some(2)),
            (r#"{"system":"kafka"}"#, Some(2)),
            (r#"{"test":"produce","readings":[{"name":"requests"}]}"#, Some(2)),
        ] {
            let text = format!("{good}\n{second}\n{good}\n");
            assert_eq!(parse(&text).err().map(|(line, _)| line), broken, "{second}");
        }
    }
}
