//! The plots of a scenario: how long answers take, how it goes over time, who is ahead.

use std::collections::BTreeMap;

use super::axis::{Axis, time};
use super::bars::{Bar, bars};
use super::lines::{Line, Lines, Series};
use super::markup::Element;
use crate::comparison::{Contest, Spread, System};
use crate::results;
use crate::scale::digits;

/// Percentiles beyond this many nines are not drawn.
const MOST_NINES: f64 = 5.0;
/// A latency of the load generator, not of the systems: told among the numbers alone.
const SENDING_LAG: &str = "sending lag";
/// Points of a line of percentiles for each nine.
const POINTS_PER_NINE: f64 = 20.0;

/// A picture with what it shows.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) svg: Element,
}

/// Which class gives a system its colour, the same one in all plots.
pub(super) type Colours<'a> = BTreeMap<&'a str, String>;

/// All plots for which there are results: lines, then bars of what matters always and of what
/// there are goals for.
pub(super) fn plots(contest: &Contest, colours: &Colours<'_>) -> Vec<Plot> {
    let latencies = latencies(contest);
    let percentiles = latencies.iter().map(|name| percentiles(contest, name, colours));
    let lines = percentiles.chain([over_time(contest, colours)]);
    let mut metrics = vec!["throughput".to_owned()];
    metrics.extend(latencies.first().map(|name| format!("{name} p99")));
    for goal in &contest.claim.goals {
        if !metrics.contains(&goal.metric) {
            metrics.push(goal.metric.clone());
        }
    }
    let bars = metrics.iter().map(|metric| compared(contest, metric, colours));
    lines.chain(bars).flatten().collect()
}

/// Names of the latencies that any system has, as reports order them.
fn latencies(contest: &Contest) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let runs = contest.systems.iter().flat_map(|system| &system.runs);
    let latencies = runs.flat_map(|run| &run.latencies);
    for (name, latency) in latencies.filter(|(name, _)| name != SENDING_LAG) {
        if latency.count > 0 && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Latency by percentile.
fn percentiles(contest: &Contest, name: &str, colours: &Colours<'_>) -> Option<Plot> {
    let series = |system: &System| {
        let latencies = system.runs.iter().filter_map(|run| run.latency(name));
        let thin: Vec<Line> = latencies.map(by_nines).filter(|line| !line.is_empty()).collect();
        let shortest = thin.iter().map(Vec::len).min()?;
        let medians = (0..shortest).filter_map(|nth| {
            let median = Spread::of(thin.iter().map(|line| line[nth].1))?.median;
            Some((thin[0][nth].0, median))
        });
        Some(series_of(system, colours, medians.collect(), thin.clone()))
    };
    let series: Vec<Series> = contest.systems.iter().filter_map(series).collect();
    let thin = || series.iter().flat_map(|series| &series.thin).flatten();
    let extent = Spread::of(thin().map(|(_, latency)| *latency))?;
    let nines = Spread::of(thin().map(|(nines, _)| *nines))?.max;
    let (x, y) = (Axis::nines(nines), Axis::times("latency", extent.min, extent.max));
    let title = format!("Latency by percentile: {name}");
    Some(Plot { svg: Lines { title: title.clone(), x, y, series }.svg(), title })
}

/// Points at the same percentiles for all runs, between those that the histogram has.
fn by_nines(latency: &results::Latency) -> Line {
    let known: Line = latency.by_nines().collect();
    let most = known.last().map_or(0.0, |(nines, _)| nines.min(MOST_NINES));
    let points = (most * POINTS_PER_NINE).floor() as u32;
    let nines = (0..=points).map(|point| f64::from(point) / POINTS_PER_NINE);
    nines.filter_map(|nines| Some((nines, between(&known, nines)?))).collect()
}

/// The value at `x` on the line through the points.
fn between(points: &[(f64, f64)], x: f64) -> Option<f64> {
    let after = points.partition_point(|point| point.0 < x);
    let (right, left) = (points.get(after)?, points[after.saturating_sub(1)]);
    let way = if right.0 > left.0 { (x - left.0) / (right.0 - left.0) } else { 1.0 };
    Some(left.1 + (right.1 - left.1) * way)
}

/// Throughput second by second.
fn over_time(contest: &Contest, colours: &Colours<'_>) -> Option<Plot> {
    let runs = || contest.systems.iter().flat_map(|system| &system.runs);
    let bytes = runs().flat_map(|run| &run.timeline).any(|second| second.bytes > 0.0);
    let (measure, unit): (fn(&results::Second) -> f64, _) =
        if bytes { (|second| second.bytes / 1e6, "MB/s") } else { (|s| s.events, "requests/s") };
    let series = |system: &System| {
        let line = |run: &results::Line| -> Line {
            run.timeline.iter().map(|second| (second.at_ms / 1e3, measure(second))).collect()
        };
        let thin: Vec<Line> = system.runs.iter().map(line).filter(|l| !l.is_empty()).collect();
        Some(series_of(system, colours, middle_line(&thin)?, thin))
    };
    let series: Vec<Series> = contest.systems.iter().filter_map(series).collect();
    let points = || series.iter().flat_map(|series| &series.thin).flatten();
    let most = Spread::of(points().map(|(_, value)| *value))?.max;
    let seconds = Spread::of(points().map(|(at, _)| *at))?.max;
    let title = "Throughput over time".to_owned();
    let (x, y) = (Axis::seconds(seconds), Axis::linear(unit, most));
    Some(Plot { svg: Lines { title: title.clone(), x, y, series }.svg(), title })
}

/// The round whose mean is in the middle.
fn middle_line(rounds: &[Line]) -> Option<Line> {
    let mean = |line: &Line| line.iter().map(|(_, value)| value).sum::<f64>() / line.len() as f64;
    let mut rounds: Vec<&Line> = rounds.iter().collect();
    rounds.sort_by(|a, b| mean(a).total_cmp(&mean(b)));
    rounds.get(rounds.len().checked_sub(1)? / 2).map(|line| (*line).clone())
}

fn series_of(system: &System, colours: &Colours<'_>, thick: Line, thin: Vec<Line>) -> Series {
    Series { name: system.name.clone(), colour: colour(system, colours), thick, thin }
}

fn colour(system: &System, colours: &Colours<'_>) -> String {
    colours.get(system.name.as_str()).cloned().unwrap_or_default()
}

/// A metric of all systems side by side.
fn compared(contest: &Contest, metric: &str, colours: &Colours<'_>) -> Option<Plot> {
    let metrics = contest.metrics();
    let unit = &metrics.iter().find(|known| known.name == metric)?.unit;
    let told = |value: f64| match unit.as_str() {
        "us" => time(value),
        unit => format!("{} {unit}", digits(value)),
    };
    let rows = contest.systems.iter().filter_map(|system| {
        let value = system.spread(metric)?;
        let (name, told) = (system.name.clone(), told(value.median));
        Some(Bar { name, colour: colour(system, colours), value, told })
    });
    let rows: Vec<Bar> = rows.collect();
    let first = metric.chars().next()?.to_uppercase().to_string();
    let title = format!("{first}{}", metric.get(1..).unwrap_or_default());
    (!rows.is_empty()).then(|| Plot { svg: bars(&title, &rows), title })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_points_the_line_is_straight() {
        let points = [(0.0, 10.0), (1.0, 20.0), (1.0, 30.0), (3.0, 50.0)];
        for (x, y) in [
            (0.0, Some(10.0)),
            (0.5, Some(15.0)),
            (1.0, Some(20.0)),
            (2.0, Some(40.0)),
            (3.0, Some(50.0)),
            (3.1, None),
        ] {
            assert_eq!(between(&points, x), y, "{x}");
        }
        assert_eq!(between(&[], 0.0), None);
    }

    #[test]
    fn the_middle_of_the_rounds_stands_for_them() {
        let rounds = [1.0, 9.0, 2.0].map(|value| vec![(1.0, value), (2.0, value)]);
        assert_eq!(middle_line(&rounds), Some(rounds[2].clone()));
        assert_eq!(middle_line(&rounds[..2]), Some(rounds[0].clone()), "the lower of two");
        assert_eq!(middle_line(&[]), None);
    }
}
