//! DescribeConfigs: values, sources, synonyms.

use std::collections::BTreeSet;

use super::super::broker::Config;
use super::super::describe::{
    ConfigType, Described, describe_broker, describe_cluster, describe_topic,
};
use super::super::settings::Source;
use super::super::table;
use super::{map, properties, toml};

fn find(entries: Vec<Described>, name: &str) -> Described {
    entries.into_iter().find(|entry| entry.name == name).unwrap()
}

/// `value source [name=value/source ...]`
fn line(entry: &Described) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms: Vec<String> = entry
        .synonyms
        .iter()
        .map(|s| format!("{}={}/{}", s.name, text(&s.value), s.source as i8))
        .collect();
    format!("{} {} [{}]", text(&entry.value), entry.source as i8, synonyms.join(" "))
}

fn dynamic(all: &[(&str, &str)], this: &[(&str, &str)], file: &str) -> Config {
    properties(file).config.with_dynamic(&map(all), &map(this)).unwrap()
}

#[test]
fn a_broker_setting() {
    let table = [
        ("", "num.partitions", "1 5 [num.partitions=1/5]"),
        ("num.partitions=3", "num.partitions", "3 4 [num.partitions=3/4 num.partitions=1/5]"),
        ("", "log.retention.ms", "null 5 []"),
        ("", "log.retention.hours", "168 5 [log.retention.hours=168/5]"),
        (
            "log.retention.minutes=1",
            "log.retention.minutes",
            "1 4 [log.retention.minutes=1/4 log.retention.hours=168/5]",
        ),
        ("log.retention.ms=1", "log.retention.hours", "168 5 [log.retention.hours=168/5]"),
        (
            "log.retention.ms=1\nlog.retention.hours=2",
            "log.retention.ms",
            "1 4 [log.retention.ms=1/4 log.retention.hours=2/4 log.retention.hours=168/5]",
        ),
        ("", "broker.id", "1 5 [broker.id=1/5]"),
        ("node.id=7", "broker.id", "7 4 [broker.id=7/4 broker.id=1/5]"),
        ("log.dirs=/d", "data.dir", "/d 4 [data.dir=/d/4 data.dir=./corelog-data/5]"),
        ("log.dirs=/d", "log.dir", "/d 4 [log.dir=/d/4 log.dir=./corelog-data/5]"),
        ("", "broker.rack", "null 5 []"),
        (
            "log.segment.bytes=64MiB",
            "log.segment.bytes",
            "67108864 4 [log.segment.bytes=67108864/4 log.segment.bytes=1073741824/5]",
        ),
    ];
    for (file, name, expected) in table {
        let entry = find(describe_broker(&properties(file).config), name);
        assert_eq!(line(&entry), expected, "{file}: {name}");
    }
}

#[test]
fn a_broker_setting_that_was_set_over_the_protocol() {
    let config = dynamic(
        &[("log.retention.ms", "2"), ("log.segment.bytes", "2000000")],
        &[("log.retention.ms", "3")],
        "log.retention.ms=1",
    );
    let found = line(&find(describe_broker(&config), "log.retention.ms"));
    assert_eq!(
        found,
        "3 2 [log.retention.ms=3/2 log.retention.ms=2/3 log.retention.ms=1/4 \
         log.retention.hours=168/5]"
    );
    let cluster: Vec<String> = describe_cluster(&config)
        .iter()
        .map(|entry| format!("{} {}", entry.name, line(entry)))
        .collect();
    assert_eq!(
        cluster,
        [
            "log.retention.ms 2 3 [log.retention.ms=2/3]",
            "log.segment.bytes 2000000 3 [log.segment.bytes=2000000/3]",
        ]
    );
    assert_eq!(describe_cluster(&toml("")), []);
}

#[test]
fn a_topic_setting() {
    let table = [
        // Kafka shows no synonyms here, because log.retention.ms itself is not set.
        ("", "", "retention.ms", "604800000 5 []"),
        ("log.retention.hours=1", "", "retention.ms", "3600000 5 []"),
        (
            "log.retention.ms=1",
            "",
            "retention.ms",
            "1 4 [log.retention.ms=1/4 log.retention.hours=168/5]",
        ),
        ("", "5", "retention.ms", "5 1 [retention.ms=5/1]"),
        (
            "log.retention.ms=1",
            "5",
            "retention.ms",
            "5 1 [retention.ms=5/1 log.retention.ms=1/4 log.retention.hours=168/5]",
        ),
        ("", "", "max.message.bytes", "1048588 5 [message.max.bytes=1048588/5]"),
        ("", "", "flush.ms", "9223372036854775807 5 []"),
        (
            "",
            " compact ,delete",
            "cleanup.policy",
            "compact,delete 1 [cleanup.policy=compact,delete/1 log.cleanup.policy=delete/5]",
        ),
        ("", "", "remote.storage.enable", "false 5 []"),
        ("", "true", "write.caching", "true 1 [write.caching=true/1]"),
        (
            "",
            "1",
            "min.cleanable.dirty.ratio",
            "1.0 1 [min.cleanable.dirty.ratio=1.0/1 log.cleaner.min.cleanable.ratio=0.5/5]",
        ),
    ];
    for (file, own, name, expected) in table {
        let overrides = if own.is_empty() { map(&[]) } else { map(&[(name, own)]) };
        let entry = find(describe_topic(&properties(file).config, &overrides), name);
        assert_eq!(line(&entry), expected, "{file}: {name}={own}");
        assert!(!entry.read_only);
    }
    let config = dynamic(&[("min.insync.replicas", "2")], &[], "");
    let entry = find(describe_topic(&config, &map(&[])), "min.insync.replicas");
    assert_eq!(line(&entry), "2 3 [min.insync.replicas=2/3 min.insync.replicas=1/5]");
}

#[test]
fn every_setting_and_alias_is_described_once() {
    let entries = describe_broker(&toml(""));
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), entries.len());
    assert_eq!(entries.len(), table::broker().map(|row| 1 + row.aliases.len()).sum::<usize>());
    let topic: Vec<&str> =
        describe_topic(&toml(""), &map(&[])).iter().map(|entry| entry.name).collect();
    assert_eq!(topic, table::topic().map(|row| row.name).collect::<Vec<_>>());
}

#[test]
fn types_and_read_only() {
    let table = [
        ("listeners", ConfigType::List, true),
        ("num.partitions", ConfigType::Int, true),
        ("log.retention.ms", ConfigType::Long, false),
        ("log.retention.hours", ConfigType::Int, true),
        ("log.cleaner.min.cleanable.ratio", ConfigType::Double, false),
        ("delete.topic.enable", ConfigType::Boolean, true),
        ("compression.type", ConfigType::String, false),
        ("message.max.bytes", ConfigType::Int, false),
    ];
    for (name, config_type, read_only) in table {
        let entry = find(describe_broker(&toml("")), name);
        assert_eq!((entry.config_type, entry.read_only), (config_type, read_only), "{name}");
        assert_eq!(entry.source, Source::Default);
        assert!(!entry.sensitive);
        assert!(!entry.documentation.is_empty());
    }
}
