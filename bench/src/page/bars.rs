//! Bars: systems one below the other, with the least and the most of their rounds.

use super::lines::{label, rule};
use super::markup::Element;
use crate::comparison::Spread;

const WIDTH: f64 = 640.0;
const LEFT: f64 = 140.0;
const RIGHT: f64 = 520.0;
const ROW: f64 = 34.0;
const THICKNESS: f64 = 20.0;

/// A bar.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    /// The class that gives it its colour.
    pub(super) colour: String,
    pub(super) value: Spread,
    /// The value in words.
    pub(super) told: String,
}

/// Bars from zero to their median.
pub(super) fn bars(title: &str, bars: &[Bar]) -> Element {
    let height = ROW * bars.len() as f64;
    let most = bars.iter().map(|bar| bar.value.max).fold(f64::MIN_POSITIVE, f64::max);
    let svg = Element::new("svg")
        .with("viewBox", format!("0 0 {WIDTH} {height}"))
        .with("role", "img")
        .with("aria-label", title);
    let rows = bars.iter().enumerate();
    let rows = rows.flat_map(|(nth, bar)| row(bar, ROW * (nth as f64 + 0.5), most));
    svg.and(rows).and(rule([LEFT, 0.0], [LEFT, height]).class("base"))
}

fn row(bar: &Bar, middle: f64, most: f64) -> Vec<Element> {
    let across = |value: f64| LEFT + (RIGHT - LEFT) * (value / most).clamp(0.0, 1.0);
    let Spread { min, median, max } = bar.value;
    let rect = Element::new("rect")
        .at("x", LEFT)
        .at("y", middle - THICKNESS / 2.0)
        .at("width", across(median) - LEFT)
        .at("height", THICKNESS)
        .class(format!("bar {}", bar.colour));
    let (from, to) = (across(min), across(max));
    let whisker = rule([from, middle], [to, middle]).class("whisker");
    let ends = [from, to].map(|x| rule([x, middle - 4.0], [x, middle + 4.0]).class("whisker"));
    let name = label(LEFT - 10.0, middle + 4.0, &bar.name).class("end name");
    let told = label(to.max(across(median)) + 8.0, middle + 4.0, &bar.told).class("name");
    let whiskers = (min < max).then(|| [whisker].into_iter().chain(ends)).into_iter().flatten();
    [rect, name, told].into_iter().chain(whiskers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_start_at_zero_and_are_as_long_as_their_median() {
        let bar = |min, median, max| Bar {
            name: "n".to_owned(),
            colour: "c1".to_owned(),
            value: Spread { min, median, max },
            told: "much".to_owned(),
        };
        let svg = bars("t", &[bar(1.0, 5.0, 10.0), bar(2.0, 2.0, 2.0)]).to_string();
        for part in ["width=\"190\"", "width=\"76\"", "0 0 640 68", "much"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert_eq!(svg.matches("whisker").count(), 3, "no whiskers without a spread");
    }
}
