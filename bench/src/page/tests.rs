//! The page of a comparison with everything in it.

use super::*;
use crate::comparison::OWN;
use crate::rival::ECHO;
use crate::scenario::Scenario;
use crate::table::tests::comparison;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_page_needs_nothing_else_and_its_elements_end() {
    let html = page(&comparison()).to_string();
    for foreign in ["<script", "src=", "http:", "https:", "url(", "@import"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    let mut open = Vec::new();
    for tag in html.split('<').skip(1) {
        let name: &str = tag.split([' ', '>']).next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(ended) => assert_eq!(open.pop(), Some(ended)),
            None if name == "meta" => {}
            None => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn the_page_shows_claims_verdicts_and_plots() {
    let html = page(&comparison()).to_string();
    for part in [
        "Corelog takes more.",
        "1 of 3 met",
        "throughput: at least 1.5 × kafka, or 0.5 × the disk",
        "reached 1.70 (1.40..2.00), 0.889 × the limit",
        "NOT MET",
        "not measured",
        "nats is absent: &lt;no&gt; network.",
        "Latency by percentile: answer",
        "Throughput over time",
        "410 MB/s",
        "1.3 ms",
        "90 %",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(html.matches("<svg").count(), 4);
    assert_eq!(html.matches("class=\"thin c0\"").count(), 4, "two rounds in two plots");
}

#[test]
fn every_system_has_a_colour_of_its_own() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario");
    let scenarios = Scenario::all(&folder, &[]).expect("scenarios");
    let named = scenarios.iter().flat_map(|scenario| scenario.systems());
    let systems: BTreeSet<&str> = named.map(String::as_str).chain([OWN, ECHO]).collect();
    assert!(systems.len() <= COLOURS, "{systems:?}");
    let last = format!(".c{} {{", COLOURS - 1);
    assert!(STYLE.contains(&last), "{last}");
}

#[test]
fn a_system_has_its_colour_in_all_plots() {
    let html = page(&comparison()).to_string();
    for (name, colour) in [("corelog", "c0"), ("kafka", "c1")] {
        let thick = format!("class=\"thick {colour}\"");
        let titled = html.split("<path").filter(|path| path.contains(&thick));
        let titled: Vec<&str> = titled.collect();
        assert_eq!(titled.len(), 2);
        assert!(titled.iter().all(|path| path.contains(&format!("<title>{name}</title>"))));
    }
}

#[test]
fn what_was_not_measured_is_not_missed() {
    use Verdict::{Errors, Met, Missed, Unmeasured};
    for (verdicts, class, text) in [
        (&[][..], "verdict", "no goals"),
        (&[Unmeasured, Unmeasured], "verdict", "not measured"),
        (&[Met, Met], "verdict met", "2 of 2 met"),
        (&[Met, Unmeasured], "verdict", "1 of 2 met"),
        (&[Met, Unmeasured, Missed], "verdict missed", "1 of 3 met"),
        (&[Errors], "verdict missed", "0 of 1 met"),
    ] {
        assert_eq!(summary(verdicts), (class, text.to_owned()), "{verdicts:?}");
    }
}
