//! A group's own settings: what is refused, and how they are shown.

use super::super::describe::describe_group;
use super::super::group::{accepts, validate};
use super::super::table;
use super::{map, properties, toml};

#[test]
fn what_a_group_may_not_set() {
    let table: [(&[(&str, &str)], &str); 8] = [
        (
            &[("consumer.session.timeout", "1")],
            "Unknown group config name: consumer.session.timeout",
        ),
        (&[("retention.ms", "1")], "Unknown group config name: retention.ms"),
        (
            &[("consumer.session.timeout.ms", "long")],
            "Invalid value long for configuration consumer.session.timeout.ms: not a number of \
             type INT",
        ),
        (
            &[("consumer.session.timeout.ms", "0")],
            "Invalid value 0 for configuration consumer.session.timeout.ms: must be at least 1ms",
        ),
        (
            &[("consumer.session.timeout.ms", "44999")],
            "Invalid value 44999 for configuration consumer.session.timeout.ms: must be from \
             45000 to 60000, the broker's bounds (group.consumer.min.* and group.consumer.max.*)",
        ),
        (
            &[("consumer.heartbeat.interval.ms", "15001")],
            "Invalid value 15001 for configuration consumer.heartbeat.interval.ms: must be from \
             5000 to 15000, the broker's bounds (group.consumer.min.* and group.consumer.max.*)",
        ),
        (
            &[("consumer.assignment.interval.ms", "15001")],
            "Invalid value 15001 for configuration consumer.assignment.interval.ms: must be from 0 \
             to 15000, the broker's bounds (group.consumer.min.* and group.consumer.max.*)",
        ),
        (
            &[("consumer.session.timeout.ms", "-1")],
            "Invalid value -1 for configuration consumer.session.timeout.ms: must be at least 1ms",
        ),
    ];
    for (overrides, expected) in table {
        let error = validate(&toml(""), &map(overrides)).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn members_are_heard_of_before_they_count_as_gone() {
    let config = properties(
        "group.consumer.min.session.timeout.ms=1000\ngroup.consumer.session.timeout.ms=6000",
    );
    let table: [(&[(&str, &str)], bool); 6] = [
        (&[], true),
        (&[("consumer.session.timeout.ms", "5001")], true),
        (&[("consumer.session.timeout.ms", "5000")], false),
        (&[("consumer.heartbeat.interval.ms", "6000")], false),
        (
            &[("consumer.heartbeat.interval.ms", "6000"), ("consumer.session.timeout.ms", "6001")],
            true,
        ),
        (
            &[("consumer.heartbeat.interval.ms", "6001"), ("consumer.session.timeout.ms", "6001")],
            false,
        ),
    ];
    for (overrides, fine) in table {
        assert_eq!(validate(&config.config, &map(overrides)).is_ok(), fine, "{overrides:?}");
    }
}

#[test]
fn a_groups_settings_are_shown_with_where_they_come_from() {
    let shown = |file: &str, overrides: &[(&str, &str)]| -> Vec<String> {
        let entries = describe_group(&properties(file).config, &map(overrides));
        assert_eq!(entries.len(), table::group().count());
        assert!(entries.is_sorted_by_key(|entry| entry.name));
        let text = |entry: &super::super::describe::Described| {
            let synonyms = entry.synonyms.iter();
            let synonyms = synonyms.map(|s| format!("{}/{}", s.name, s.source as i8));
            let value = entry.value.as_deref().unwrap_or("null");
            format!("{value} {} {}", entry.source as i8, synonyms.collect::<Vec<_>>().join(" "))
        };
        let sessions = entries.iter().filter(|entry| entry.name == "consumer.session.timeout.ms");
        sessions.map(text).collect()
    };
    let broker = "group.consumer.session.timeout.ms";
    let file = "group.consumer.session.timeout.ms=50s";
    assert_eq!(shown("", &[]), [format!("45000 5 {broker}/5")]);
    assert_eq!(shown(file, &[]), [format!("50000 4 {broker}/4 {broker}/5")]);
    let own = [("consumer.session.timeout.ms", "60000")];
    let expected = format!("60000 8 consumer.session.timeout.ms/8 {broker}/4 {broker}/5");
    assert_eq!(shown(file, &own), [expected]);
}

#[test]
fn one_value_alone_is_judged_by_its_own_bounds() {
    let table = [
        ("consumer.session.timeout.ms", "45000", true),
        ("consumer.session.timeout.ms", "44999", false),
        ("consumer.heartbeat.interval.ms", "15000", true),
        ("consumer.heartbeat.interval.ms", "x", false),
        ("share.session.timeout.ms", "45000", false),
    ];
    for (name, text, fine) in table {
        assert_eq!(accepts(&toml(""), name, text), fine, "{name}={text}");
    }
}
