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
        // Three digits, and no larger than what it has seen: there are some for each connection.
        let mut histogram = Histogram::new(3).expect("three digits are enough");
        histogram.auto(true);
        Latencies(histogram)
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = latency.min(LONGEST).as_nanos() as u64;
        self.0.record(nanos).expect("it grows");
    }

    pub(crate) fn merge(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("it grows");
    }

    /// The latency that `quantile` (0 to 1) of the events do not exceed.
    pub(crate) fn at(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }

    pub(crate) fn summary(&self) -> Summary {
        let us = |nanos: u64| nanos as f64 / 1e3;
        let at = |quantile| us(self.0.value_at_quantile(quantile));
        let mut seen = 0;
        let points = self.0.iter_quantiles(2).map(|point| {
            seen += point.count_since_last_iteration();
            (point.quantile_iterated_to(), us(point.value_iterated_to()), seen)
        });
        Summary {
            distribution: if self.0.is_empty() { Vec::new() } else { points.collect() },
            count: self.0.len(),
            mean_us: self.0.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: us(self.0.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        micros.into_iter().for_each(|us| latencies.record(Duration::from_micros(us)));
        latencies
    }

    /// Equal to three significant digits.
    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= b * 1e-3
    }

    #[test]
    fn percentiles_of_known_values() {
        let summary = of(1..=10_000).summary();
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
        assert_eq!(summary.count, 10_000);
    }

    #[test]
    fn one_outlier_shows_only_where_it_belongs() {
        let summary = of((0..999).map(|_| 100).chain([1_000_000])).summary();
        assert!(near(summary.p99_us, 100.0) && near(summary.max_us, 1e6));
    }

    #[test]
    fn merging_is_recording_together() {
        let (mut evens, odds) = (of((2..=1000).step_by(2)), of((1..=1000).step_by(2)));
        evens.merge(&odds);
        let (merged, together) = (evens.summary(), of(1..=1000).summary());
        assert_eq!(merged.distribution, together.distribution);
        assert_eq!(merged.count, 1000);
    }

    #[test]
    fn the_distribution_ends_with_every_event_at_the_maximum() {
        let summary = of(1..=777).summary();
        let (quantile, value, count) = *summary.distribution.last().expect("a point");
        assert_eq!((quantile, count), (1.0, 777));
        assert!(near(value, 777.0));
        assert!(summary.distribution.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1));
    }

    #[test]
    fn nothing_and_too_much_are_no_error() {
        assert_eq!(Latencies::new().summary().distribution, []);
        let summary = of([u64::MAX / 1000]).summary();
        assert!(near(summary.max_us, 3.6e9), "{}", summary.max_us);
    }
}
