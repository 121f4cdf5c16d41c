//! A plot of lines: for each series its rounds, thin, and a thick line that stands for them.

use std::fmt::Write;

use super::axis::Axis;
use super::markup::{Element, Tenth};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 68.0;
const RIGHT: f64 = 518.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 288.0;
/// Between the labels of two lines.
const LABEL_GAP: f64 = 16.0;

/// A plot.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
}

/// One system's lines.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    /// The class that gives it its colour.
    pub(super) colour: String,
    pub(super) thick: Line,
    pub(super) thin: Vec<Line>,
}

/// Points from left to right.
pub(super) type Line = Vec<(f64, f64)>;

impl Lines {
    /// The plot as SVG.
    pub(super) fn svg(&self) -> Element {
        let svg = Element::new("svg")
            .with("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
            .with("role", "img")
            .with("aria-label", &self.title);
        let thin = self.series.iter().flat_map(|series| {
            series.thin.iter().map(|line| self.path(line).class(format!("thin {}", series.colour)))
        });
        let thick = self.series.iter().rev().map(|series| {
            let name = Element::new("title").text(&series.name);
            self.path(&series.thick).class(format!("thick {}", series.colour)).and(name)
        });
        svg.and(self.frame()).and(thin).and(thick).and(self.labels())
    }

    fn across(&self, x: f64) -> f64 {
        LEFT + self.x.place(x) * (RIGHT - LEFT)
    }

    fn up(&self, y: f64) -> f64 {
        BOTTOM - self.y.place(y) * (BOTTOM - TOP)
    }

    fn frame(&self) -> Vec<Element> {
        let mut frame = Vec::new();
        for (value, name) in &self.y.ticks {
            let y = self.up(*value);
            frame.push(rule([LEFT, y], [RIGHT, y]).class("rule"));
            frame.push(label(LEFT - 8.0, y + 4.0, name).class("end"));
        }
        for (value, name) in &self.x.ticks {
            let x = self.across(*value);
            frame.push(rule([x, TOP], [x, BOTTOM]).class("rule"));
            frame.push(label(x, BOTTOM + 18.0, name).class("middle"));
        }
        frame.push(rule([LEFT, BOTTOM], [RIGHT, BOTTOM]).class("base"));
        let (middle, centre) = (f64::midpoint(LEFT, RIGHT), f64::midpoint(TOP, BOTTOM));
        frame.push(label(middle, BOTTOM + 40.0, &self.x.caption).class("middle caption"));
        let turn = format!("rotate(-90 14 {centre})");
        let caption = label(14.0, centre, &self.y.caption).class("middle caption");
        frame.push(caption.with("transform", turn));
        frame
    }

    fn path(&self, line: &Line) -> Element {
        let mut path = String::new();
        for (nth, (x, y)) in line.iter().enumerate() {
            let step = if nth == 0 { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _ = write!(path, "{step}{} {}", Tenth(self.across(*x)), Tenth(self.up(*y)));
        }
        Element::new("path").with("d", path)
    }

    /// Names at the ends of the lines, moved apart where they would touch.
    fn labels(&self) -> Vec<Element> {
        let ends = self.series.iter().filter_map(|series| {
            let (x, y) = series.thick.last()?;
            Some((series, self.across(*x), self.up(*y)))
        });
        let mut ends: Vec<_> = ends.collect();
        ends.sort_by(|a, b| a.2.total_cmp(&b.2));
        let places = apart(&ends.iter().map(|(.., y)| *y).collect::<Vec<_>>());
        let labels = ends.iter().zip(places).flat_map(|((series, x, y), place)| {
            let colour = &series.colour;
            let lead = rule([*x, *y], [RIGHT + 10.0, place]).class(format!("lead {colour}"));
            let dot = Element::new("circle").at("cx", RIGHT + 14.0).at("cy", place).with("r", 4);
            let name = label(RIGHT + 22.0, place + 4.0, &series.name).class("name");
            [lead, dot.class(format!("dot {colour}")), name]
        });
        labels.collect()
    }
}

/// Heights, from the top, that keep a gap between each other and stay within the plot.
fn apart(heights: &[f64]) -> Vec<f64> {
    let mut places = heights.to_vec();
    for nth in 1..places.len() {
        places[nth] = places[nth].max(places[nth - 1] + LABEL_GAP);
    }
    let mut limit = BOTTOM;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - LABEL_GAP;
    }
    places
}

/// A straight line.
pub(super) fn rule(from: [f64; 2], to: [f64; 2]) -> Element {
    let line = Element::new("line").at("x1", from[0]).at("y1", from[1]);
    line.at("x2", to[0]).at("y2", to[1])
}

/// Text at a place.
pub(super) fn label(x: f64, y: f64, text: &str) -> Element {
    Element::new("text").at("x", x).at("y", y).text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_touch() {
        for (heights, expected) in [
            (&[][..], &[][..]),
            (&[20.0, 100.0], &[20.0, 100.0]),
            (&[100.0, 100.0, 105.0], &[100.0, 116.0, 132.0]),
            (&[280.0, 288.0], &[272.0, 288.0]),
        ] {
            assert_eq!(apart(heights), expected, "{heights:?}");
        }
    }

    #[test]
    fn lines_go_through_their_points() {
        let series = Series {
            name: "a<b".to_owned(),
            colour: "c0".to_owned(),
            thick: vec![(0.0, 0.0), (10.0, 5.0)],
            thin: vec![vec![(0.0, 5.0)]],
        };
        let (x, y) = (Axis::seconds(10.0), Axis::linear("MB/s", 5.0));
        let svg = Lines { title: "t".to_owned(), x, y, series: vec![series] }.svg().to_string();
        for part in ["M68 288L518 14", "M68 14\"", "a&lt;b", "class=\"thick c0\"", ">MB/s<"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
    }
}
