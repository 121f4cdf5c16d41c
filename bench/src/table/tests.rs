//! A comparison with everything in it, as text and as Markdown.

use super::*;
use crate::claims::Claim;

const SCENARIO: &str = r#"
title = "One partition"
claim = "Corelog takes more."
systems = ["kafka", "nats"]
[[goal]]
metric = "throughput"
against = "kafka"
at_least = 1.5
limit = { of = "disk-write", times = 0.5 }
[[goal]]
metric = "answer p99"
against = "kafka"
at_most = 0.5
[[goal]]
metric = "throughput"
against = "nats"
at_least = 2
[load]
command = "produce"
"#;

fn claim() -> Claim {
    let scenario = Scenario::parse("one.toml".as_ref(), SCENARIO.to_owned());
    scenario.expect("a scenario").claim()
}

/// A comparison of two rounds in which a rival is absent.
pub(crate) fn comparison() -> Comparison {
    let run = |system: &str, round: u32, throughput: f64, p99: f64| {
        format!(
            r#"{{"test":"produce","scenario":"one","system":"{system}","round":{round},
            "started_ms":{round}760000000000,"kernel":"6.1","cores":2,
            "readings":[{{"name":"broker peak memory","value":64,"unit":"MiB"}},
            {{"name":"throughput","value":{throughput},"unit":"MB/s"}}],
            "latencies":[["answer",{{"count":1000,"mean_us":1,"p50_us":900,"p90_us":1000,
            "p99_us":{p99},"p999_us":2000,"max_us":3000,
            "distribution":[[0.5,900,500],[0.99,{p99},990],[1,3000,1000]]}}]],
            "timeline":[{{"at_ms":1000,"events":10,"bytes":400000000}},
            {{"at_ms":2000,"events":11,"bytes":410000000}}],"errors":{{}}}}"#
        )
        .replace('\n', " ")
    };
    let lines = [
        run("kafka", 1, 200.0, 2000.0),
        run("corelog", 1, 400.0, 1200.0),
        run("corelog", 2, 420.0, 1400.0),
        run("kafka", 2, 300.0, 2000.0),
        r#"{"test":"absent","system":"nats","why":"<no> network"}"#.to_owned(),
        r#"{"test":"raw","round":1,
            "readings":[{"name":"sequential write","value":900,"unit":"MB/s"}]}"#
            .replace('\n', " "),
    ];
    let lines = results::parse(&lines.join("\n")).expect("lines");
    Comparison::new(lines, vec![claim()]).expect("comparable")
}

fn shown(style: &Style) -> String {
    blocks(&comparison()).iter().map(|block| style.show(block)).collect()
}

#[test]
fn people_read_it_as_text() {
    let text = shown(&Style::Text);
    let start = "2025-10-09 to 2057-06-17. Kernel 6.1, 2 cores. Medians, and in parentheses the";
    assert!(text.starts_with(start), "{text}");
    for line in [
        "throughput: at least 1.5 × kafka, or 0.5 × the disk's writing  1.70 (1.40..2.00)     \
         0.889 ×       met",
        "answer p99: at most 0.5 × kafka                                0.650 (0.600..0.700)  \
         -             NOT MET",
        "throughput: at least 2 × nats                                  -                     \
         -             not measured",
        "                         corelog            kafka",
        "rounds                   2                  2",
        "throughput, MB/s         410 (400..420)     250 (200..300)",
        "answer p50, µs           900                900",
        "answer p99, ms           1.30 (1.20..1.40)  2.00",
        "broker peak memory, MiB  64.0               64.0",
        "throughput          1.70 (1.40..2.00)",
        "nats is absent: <no> network.",
    ] {
        assert!(text.lines().any(|told| told == line), "`{line}` in\n{text}");
    }
}

#[test]
fn markdown_has_the_same_numbers() {
    let text = shown(&Style::Markdown);
    for line in [
        "## One partition (one)",
        "| throughput, MB/s | 410 (400..420) | 250 (200..300) |",
        "| answer p99: at most 0.5 × kafka | 0.650 (0.600..0.700) | - | NOT MET |",
        "|  | corelog / kafka |",
        "| sequential write, MB/s | 900 |",
        "nats is absent: \\<no> network.",
    ] {
        assert!(text.lines().any(|told| told == line), "`{line}` in\n{text}");
    }
}

#[test]
fn a_scenario_without_results_says_so() {
    let comparison = Comparison::new(Vec::new(), vec![claim()]).expect("comparable");
    let text: String = blocks(&comparison).iter().map(|b| Style::Text.show(b)).collect();
    assert!(text.contains("Not measured: one.") && !text.contains("throughput"), "{text}");
}
