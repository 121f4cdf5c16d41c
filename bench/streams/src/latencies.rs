//! Latencies: every value counted, none averaged away, three significant digits kept.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longer ones are counted as an hour.
const LONGEST: Duration = Duration::from_secs(3600);

/// Latencies of one kind of event.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// What is told of them, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// The whole distribution: quantile, the latency that it does not exceed, events up to it.
    pub(crate) distribution: Vec<(f64, f64, u64)>,
}

impl Latencies {
    pub(crate) fn new() -> Latencies {
        let histogram = Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3);
        // The bounds are constants that the histogram accepts.
        Latencies(histogram.expect("valid bounds"))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that `quantile` (0 to 1) of the events do not exceed, in microseconds.
    pub(crate) fn at(&self, quantile: f64) -> f64 {
        us(self.0.value_at_quantile(quantile))
    }

    pub(crate) fn summary(&self) -> Summary {
        let mut seen = 0;
        let points = self.0.iter_quantiles(2).map(|point| {
            seen += point.count_since_last_iteration();
            (point.quantile_iterated_to(), us(point.value_iterated_to()), seen)
        });
        Summary {
            distribution: if self.0.is_empty() { Vec::new() } else { points.collect() },
            count: self.0.len(),
            mean_us: self.0.mean() / 1e3,
            p50_us: self.at(0.5),
            p90_us: self.at(0.9),
            p99_us: self.at(0.99),
            p999_us: self.at(0.999),
            max_us: self.at(1.0),
        }
    }
}

fn us(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equal to three significant digits.
    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= b * 1e-3
    }

    #[test]
    fn percentiles_of_known_values() {
        let mut latencies = Latencies::new();
        (1..=10_000).for_each(|us| latencies.record(Duration::from_micros(us)));
        let summary = latencies.summary();
        for (told, expected) in [
            (summary.p50_us, 5_000.0),
            (summary.p90_us, 9_000.0),
            (summary.p99_us, 9_900.0),
            (summary.p999_us, 9_990.0),
            (summary.max_us, 10_000.0),
            (summary.mean_us, 5_000.5),
        ] {
            assert!(near(told, expected), "{told} for {expected}");
        }
        assert_eq!(summary.distribution.last().map(|point| point.2), Some(10_000));
        assert_eq!(Latencies::new().summary().distribution, []);
    }
}
