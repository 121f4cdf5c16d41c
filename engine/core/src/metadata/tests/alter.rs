//! Configs of topics and groups that change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decide::{controller, create, topic};
use crate::metadata::command::*;
use crate::metadata::controller::Controller;
use crate::metadata::delta::Fate;
use crate::metadata::image::Configs;
use crate::metadata::record::{MAX_STRING, Record};
use crate::metadata::refusal::AlterRefusal;

fn configs(pairs: &[(&str, &str)]) -> Configs {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Arc::new(pairs.iter().map(pair).collect::<BTreeMap<_, _>>())
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn topic_to(name: &str, from: Pairs<'_>, to: Pairs<'_>) -> Alteration {
    Alteration { of: Configured::Topic(name.into()), from: configs(from), to: configs(to) }
}

fn group_to(name: &str, from: Pairs<'_>, to: Pairs<'_>) -> Alteration {
    Alteration { of: Configured::Group(name.into()), from: configs(from), to: configs(to) }
}

fn alter(alterations: Vec<Alteration>, mode: Mode) -> Command {
    Command::AlterConfigs(AlterConfigs { alterations, mode, max_groups: 3 })
}

fn apply(controller: &mut Controller, alteration: Alteration) -> Result<Altered, AlterRefusal> {
    let decision = controller.decide(&alter(vec![alteration], Mode::Apply));
    controller.replay(&decision.records).unwrap();
    match decision.outcome {
        Ok(Outcome::Altered(mut results)) => results.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_who_knows_what_is_set_may_change_it() {
    let long = "v".repeat(MAX_STRING + 1);
    let length = MAX_STRING + 1;
    let table = [
        (topic_to("plain", &[], &[("a", "1")]), Ok(Altered::Done)),
        (topic_to("plain", &[("a", "1")], &[]), Ok(Altered::Overtaken)),
        (topic_to("none", &[], &[]), Err(AlterRefusal::UnknownTopic("none".into()))),
        (topic_to("none", &[], &[("a", &long)]), Err(AlterRefusal::TooLong { length })),
        (topic_to("plain", &[], &[(&long, "1")]), Err(AlterRefusal::TooLong { length })),
        (group_to("g", &[], &[("a", "1")]), Ok(Altered::Done)),
        (group_to("g", &[("a", "1")], &[]), Ok(Altered::Overtaken)),
    ];
    for (alteration, expected) in table {
        let controller = controller();
        let decision = controller.decide(&alter(vec![alteration.clone()], Mode::Apply));
        let outcome = Ok(Outcome::Altered(vec![expected.clone()]));
        assert_eq!(decision.outcome, outcome, "{alteration:?}");
        assert_eq!(
            decision.records.len(),
            usize::from(expected == Ok(Altered::Done)),
            "{alteration:?}"
        );
        let dry = controller.decide(&alter(vec![alteration], Mode::ValidateOnly));
        assert_eq!((dry.outcome, dry.records), (outcome, Vec::new()));
    }
}

/// Two who change the same at once: the second is told, and nothing of the first is lost.
#[test]
fn of_two_at_once_the_second_begins_anew() {
    let controller = controller();
    let commands =
        ["a", "b"].map(|name| alter(vec![group_to("g", &[], &[(name, "1")])], Mode::Apply));
    let decisions = controller.decide_all(&commands).unwrap();
    let outcomes: Vec<_> = decisions.into_iter().map(|decision| decision.outcome).collect();
    let altered = |result| Ok(Outcome::Altered(vec![result]));
    assert_eq!(outcomes, [altered(Ok(Altered::Done)), altered(Ok(Altered::Overtaken))]);
}

#[test]
fn what_changes_is_recorded_and_what_stays_is_not() {
    let mut controller = controller();
    let new = topic("t", 9).with_configs(&[("keep", "1"), ("drop", "2"), ("change", "3")]);
    let decision = controller.decide(&create(vec![new]));
    controller.replay(&decision.records).unwrap();
    let from = [("keep", "1"), ("drop", "2"), ("change", "3")];
    let to = [("keep", "1"), ("change", "4"), ("add", "5")];
    let alteration = topic_to("t", &from, &to);
    let decision = controller.decide(&alter(vec![alteration], Mode::Apply));
    let told: Vec<_> = decision
        .records
        .iter()
        .map(|record| match record {
            Record::Config(config) => (config.name.as_str(), config.value.as_deref()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [("drop", None), ("add", Some("5")), ("change", Some("4"))]);
    let delta = controller.replay(&decision.records).unwrap();
    assert_eq!(controller.image().topic("t").unwrap().configs, configs(&to));
    let fates: Vec<_> = delta.changes.iter().map(|change| &change.fate).collect();
    assert_eq!(fates, [&Fate::Configured(configs(&to))]);
}

/// Also of those that nobody has joined; those without any leave nothing behind.
#[test]
fn groups_have_configs() {
    let mut controller = controller();
    let topics_version = controller.image().topics_version();
    for name in ["c", "a", "b"] {
        apply(&mut controller, group_to(name, &[], &[("x", name)])).unwrap();
    }
    for name in ["a", "b", "c"] {
        assert_eq!(controller.image().group_configs(name), Some(&configs(&[("x", name)])));
    }
    assert_eq!(controller.image().group_configs("d"), None);
    let names: Vec<&str> = controller.image().configured_groups().map(AsRef::as_ref).collect();
    assert_eq!(names, ["a", "b", "c"]);
    apply(&mut controller, group_to("b", &[("x", "b")], &[])).unwrap();
    assert_eq!(controller.image().group_configs("b"), None);
    assert!(controller.image().group_configs("c").is_some());
    assert_eq!(controller.image().topics_version(), topics_version);
}

#[test]
fn so_many_groups_have_configs_and_no_more() {
    let mut controller = controller();
    let first = |name| group_to(name, &[], &[("x", "1")]);
    for name in ["a", "b"] {
        apply(&mut controller, first(name)).unwrap();
    }
    let two = vec![first("c"), first("d"), group_to("a", &[("x", "1")], &[("x", "2")])];
    let decision = controller.decide(&alter(two, Mode::Apply));
    let refused = Err(AlterRefusal::TooManyGroups(3));
    let expected = vec![Ok(Altered::Done), refused, Ok(Altered::Done)];
    assert_eq!(decision.outcome, Ok(Outcome::Altered(expected)));
    assert_eq!(decision.records.len(), 2);
}
