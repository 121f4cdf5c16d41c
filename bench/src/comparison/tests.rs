//! Small comparisons whose outcome is known.

use super::*;
use crate::results;
use crate::scenario::Scenario;

const SCENARIO: &str = r#"
title = "T"
claim = "C"
systems = ["kafka", "nats"]
[[goal]]
metric = "throughput"
against = "kafka"
at_least = 1.5
[[goal]]
metric = "answer p99"
against = "nats"
at_most = 0.5
[load]
command = "produce"
"#;

fn line(system: &str, round: u32, throughput: f64) -> String {
    format!(
        r#"{{"test":"produce","scenario":"s","system":"{system}","round":{round},
        "readings":[{{"name":"throughput","value":{throughput},"unit":"MB/s"}}]}}"#
    )
    .replace('\n', " ")
}

fn compare(lines: &[String]) -> Result<Comparison, ComparisonError> {
    let scenario = Scenario::parse("s.toml".as_ref(), SCENARIO.to_owned()).expect("a scenario");
    let lines = results::parse(&lines.join("\n")).expect("lines");
    Comparison::new(lines, vec![scenario.claim()])
}

#[test]
fn medians_and_extremes() {
    let spread = |min, median, max| Some(Spread { min, median, max });
    for (values, expected) in [
        (&[][..], None),
        (&[3.0], spread(3.0, 3.0, 3.0)),
        (&[9.0, 1.0, 2.0], spread(1.0, 2.0, 9.0)),
        (&[4.0, 1.0, 2.0, 8.0], spread(1.0, 3.0, 8.0)),
    ] {
        assert_eq!(Spread::of(values.iter().copied()), expected, "{values:?}");
    }
}

#[test]
fn ratios_are_of_the_same_round() {
    // The ratio of the medians would be 1, the median of the ratios is 2.
    let rounds = [("corelog", [2.0, 8.0, 4.0]), ("kafka", [1.0, 4.0, 8.0])];
    let lines = rounds.iter().flat_map(|(system, values)| {
        (1..).zip(values).map(move |(round, value)| line(system, round, *value))
    });
    let unpaired = line("kafka", 4, 1000.0);
    let compared = compare(&lines.chain([unpaired]).collect::<Vec<_>>()).expect("comparable");
    let ratio = compared.contests[0].ratio("throughput", "kafka");
    assert_eq!(ratio, Some(Spread { min: 0.5, median: 2.0, max: 2.0 }));
}

#[test]
fn goals_are_met_missed_spoilt_or_unmeasured() {
    let erring = line("kafka", 1, 1.0).replace("\"readings\"", r#""errors":{"E":1},"readings""#);
    for (own, rival, verdict) in [
        (Some(1.5), Some(line("kafka", 1, 1.0)), Verdict::Met),
        (Some(1.4), Some(line("kafka", 1, 1.0)), Verdict::Missed),
        (Some(1.5), Some(erring.clone()), Verdict::Beyond),
        (Some(1.4), Some(erring), Verdict::Errors),
        (Some(1.5), Some(line("kafka", 2, 1.0)), Verdict::Unmeasured),
        (Some(1.5), Some(line("kafka", 1, 0.0)), Verdict::Unmeasured),
        (Some(1.5), None, Verdict::Unmeasured),
        (None, Some(line("kafka", 1, 1.0)), Verdict::Unmeasured),
    ] {
        let lines: Vec<_> =
            own.map(|own| line("corelog", 1, own)).into_iter().chain(rival).collect();
        let compared = compare(&lines).expect("comparable");
        let contest = &compared.contests[0];
        assert_eq!(contest.judge(&contest.claim.goals[0]).verdict, verdict, "{lines:?}");
        assert_eq!(contest.judge(&contest.claim.goals[1]).verdict, Verdict::Unmeasured);
    }
}

#[test]
fn limits_help_where_a_rival_demands_too_much() {
    let raw = r#"{"test":"raw","system":"raw","round":1,"readings":[
        {"name":"sequential write","value":10,"unit":"MB/s"},
        {"name":"durable write p50","value":200,"unit":"us"}]}"#
        .replace('\n', " ");
    let echo = line("echo", 1, 20.0);
    let kafka = line("kafka", 1, 4.0);
    let goal = |text: &str| toml::from_str(&format!("metric = \"throughput\"\n{text}"));
    for (text, verdict, reached, limit) in [
        ("against = \"kafka\"\nat_least = 2", Verdict::Missed, 1.5, None),
        (
            "against = \"kafka\"\nat_least = 2\nlimit = { of = \"disk-write\", times = 0.5 }",
            Verdict::Met,
            1.5,
            Some(1.2),
        ),
        (
            "against = \"kafka\"\nat_least = 1\nlimit = { of = \"echo\" }",
            Verdict::Met,
            1.5,
            Some(0.3),
        ),
        (
            "against = \"kafka\"\nat_least = 2\nlimit = { of = \"echo\" }",
            Verdict::Missed,
            1.5,
            Some(0.3),
        ),
        ("at_least = 0.6\nlimit = { of = \"disk-write\" }", Verdict::Met, 0.6, Some(0.6)),
        ("at_most = 5", Verdict::Missed, 6.0, None),
        (
            "at_most = 1\nlimit = { of = \"cores\", times = 1, plus = 2 }",
            Verdict::Missed,
            1.5,
            Some(1.5),
        ),
        (
            "against = \"kafka\"\nat_most = 1\n\
             limit = { of = \"disk-latency\", times = 0.01, plus = 4 }",
            Verdict::Met,
            1.5,
            Some(1.0),
        ),
    ] {
        let own = line("corelog", 1, 6.0).replace("\"round\"", "\"cores\":2,\"round\"");
        let lines = [raw.clone(), own, kafka.clone(), echo.clone()];
        let compared = compare(&lines).expect("comparable");
        let judgement = compared.contests[0].judge(&goal(text).expect("a goal"));
        let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
        assert_eq!(judgement.verdict, verdict, "{text}");
        assert_eq!(median(judgement.reached), Some(reached), "{text}");
        assert_eq!(median(judgement.limit), limit, "{text}");
    }
}

#[test]
fn no_goal_is_met_by_what_failed_in_another_round() {
    let failed = r#"{"test":"absent","system":"corelog","scenario":"s","round":2,"why":"crash"}"#;
    let lines = [line("corelog", 1, 9.0), line("kafka", 1, 1.0), failed.to_owned()];
    let compared = compare(&lines).expect("comparable");
    let contest = &compared.contests[0];
    assert_eq!(contest.judge(&contest.claim.goals[0]).verdict, Verdict::Errors);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let twice = || ComparisonError::Twice {
        scenario: "s".to_owned(),
        system: "kafka".to_owned(),
        round: 1,
    };
    for (lines, error) in [
        (vec![line("kafka", 1, 1.0), line("kafka", 2, 1.0)], None),
        (vec![line("kafka", 1, 1.0), line("kafka", 1, 1.0)], Some(twice())),
        (
            vec![line("kafka", 1, 1.0).replace("\"s\"", "\"other\"")],
            Some(ComparisonError::UnknownScenario("other".to_owned())),
        ),
        (vec![line("kafka", 1, 1.0).replace("\"s\"", "null")], None),
    ] {
        assert_eq!(compare(&lines).err(), error, "{lines:?}");
    }
}

#[test]
fn the_absent_and_the_disk_are_told_where_they_belong() {
    let lines = [
        r#"{"test":"absent","system":"nats","why":"no network"}"#,
        r#"{"test":"absent","system":"stranger","why":"nobody asked"}"#,
        r#"{"test":"absent","system":"kafka","scenario":"s","round":1,"why":"crash"}"#,
        r#"{"test":"absent","system":"kafka","scenario":"s","round":3,"why":"crash"}"#,
        r#"{"test":"raw","system":"raw","readings":[]}"#,
        r#"{"test":"raw","system":"raw","scenario":"s","readings":[]}"#,
        r#"{"test":"produce","system":"corelog"}"#,
    ];
    let compared = compare(&lines.map(str::to_owned)).expect("comparable");
    let contest = &compared.contests[0];
    let absence = |system: &str, why: &str| Absence { system: system.into(), why: why.into() };
    let absences =
        [(absence("kafka", "crash"), vec![1, 3]), (absence("nats", "no network"), Vec::new())];
    assert_eq!(contest.absences, BTreeMap::from(absences));
    assert_eq!((compared.disk.runs.len(), contest.disk.runs.len()), (1, 1));
    assert_eq!(contest.systems.len(), 0, "a run by hand is of no scenario");
}

#[test]
fn corelog_comes_first_and_the_others_as_the_scenario_says() {
    let systems = ["stranger", "nats", "kafka", "corelog"];
    let compared = compare(&systems.map(|system| line(system, 1, 1.0))).expect("comparable");
    assert_eq!(compared.systems(), ["corelog", "kafka", "nats", "stranger"]);
}
