//! Axes: where a value lies between their ends, and which values are marked.

use crate::scale::{Scale, brief};

/// An axis with its marks.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) caption: String,
    spacing: Spacing,
    from: f64,
    to: f64,
    pub(super) ticks: Vec<(f64, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Spacing {
    Linear,
    Logarithmic,
}

impl Axis {
    /// From zero to a round number that is not below `to`.
    pub(super) fn linear(caption: &str, to: f64) -> Axis {
        let to = if to > 0.0 { to } else { 1.0 };
        let step = round_step(to / 5.0);
        let steps = (to / step - 1e-9).ceil().max(1.0) as u32;
        let ticks = (0..=steps).map(|nth| f64::from(nth) * step).map(|at| (at, brief(at)));
        let to = f64::from(steps) * step;
        let (caption, ticks) = (caption.to_owned(), ticks.collect());
        Axis { caption, spacing: Spacing::Linear, from: 0.0, to, ticks }
    }

    /// Seconds from 0 to `to`, marked at whole ones.
    pub(super) fn seconds(to: f64) -> Axis {
        let step = round_step(to / 8.0).max(1.0);
        let marks = (0..=(to / step) as u32).map(|nth| f64::from(nth) * step);
        let ticks = marks.map(|at| (at, brief(at))).collect();
        Axis { caption: "seconds".to_owned(), spacing: Spacing::Linear, from: 0.0, to, ticks }
    }

    /// Microseconds, logarithmic, between round numbers around `from` and `to`.
    pub(super) fn times(caption: &str, from: f64, to: f64) -> Axis {
        let (from, to) = (from.max(1e-3), to.max(1e-3));
        let decades = |at: f64| at.log10().floor() as i32;
        let marks = (decades(from)..=decades(to))
            .flat_map(|decade| [1.0, 2.0, 5.0, 10.0].map(|digit| digit * 10.0_f64.powi(decade)));
        let mut marks: Vec<f64> = marks.collect();
        marks.dedup_by(|a, b| (*a / *b - 1.0).abs() < 1e-9);
        let below = marks.iter().copied().filter(|at| *at <= from).fold(marks[0], f64::max);
        let last = marks[marks.len() - 1];
        let above = marks.iter().copied().filter(|at| *at >= to).fold(last, f64::min);
        let above = if above > below { above } else { below * 10.0 };
        marks.retain(|at| (below..=above).contains(at));
        if above / below > 200.0 {
            marks.retain(|at| (at.log10() - at.log10().round()).abs() < 1e-9);
        }
        let ticks = marks.iter().map(|at| (*at, time(*at))).collect();
        let caption = caption.to_owned();
        Axis { caption, spacing: Spacing::Logarithmic, from: below, to: above, ticks }
    }

    /// Percentiles as their number of nines.
    pub(super) fn nines(to: f64) -> Axis {
        let names = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"];
        let ticks = (0..).map(f64::from).zip(names).take_while(|(nines, _)| *nines <= to);
        let ticks = ticks.map(|(nines, name)| (nines, name.to_owned())).collect();
        let caption = "percentile of requests".to_owned();
        Axis { caption, spacing: Spacing::Linear, from: 0.0, to, ticks }
    }

    /// Where between the ends: 0 is the start, 1 is the end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = match self.spacing {
            Spacing::Linear => (value - self.from) / (self.to - self.from),
            Spacing::Logarithmic => (value / self.from).ln() / (self.to / self.from).ln(),
        };
        place.clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 of some power of ten, not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10.0_f64.powf(step.max(1e-9).log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    digits.into_iter().find(|round| *round >= step * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// Microseconds, in the unit that fits.
pub(super) fn time(micros: f64) -> String {
    let Scale { factor, unit } = Scale::fitting("us", micros * 1.000_001);
    format!("{} {unit}", brief(micros * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn marks_are_round() {
        for (axis, expected) in [
            (Axis::linear("", 0.0), &["0", "0.2", "0.4", "0.6", "0.8", "1"][..]),
            (Axis::linear("", 1.0), &["0", "0.2", "0.4", "0.6", "0.8", "1"]),
            (Axis::linear("", 430.0), &["0", "100", "200", "300", "400", "500"]),
            (Axis::seconds(10.0), &["0", "2", "4", "6", "8", "10"]),
            (Axis::seconds(3.0), &["0", "1", "2", "3"]),
            (
                Axis::times("", 30.0, 900.0),
                &["20 µs", "50 µs", "100 µs", "200 µs", "500 µs", "1 ms"],
            ),
            (Axis::times("", 100.0, 2e6), &["100 µs", "1 ms", "10 ms", "100 ms", "1 s"]),
            (Axis::times("", 100.0, 100.0), &["100 µs", "200 µs", "500 µs", "1 ms"]),
            (Axis::nines(3.2), &["0 %", "90 %", "99 %", "99.9 %"]),
        ] {
            assert_eq!(names(&axis), expected);
        }
    }

    #[test]
    fn places_go_from_0_to_1() {
        let linear = Axis::linear("", 10.0);
        let times = Axis::times("", 10.0, 1000.0);
        for (axis, value, place) in [
            (&linear, 0.0, 0.0),
            (&linear, 5.0, 0.5),
            (&linear, 99.0, 1.0),
            (&times, 10.0, 0.0),
            (&times, 100.0, 0.5),
            (&times, 1000.0, 1.0),
            (&times, 0.0, 0.0),
        ] {
            assert!((axis.place(value) - place).abs() < 1e-9, "{axis:?} {value}");
        }
    }
}
