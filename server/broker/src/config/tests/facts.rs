//! The table against itself and against Kafka 4.3.

use std::collections::BTreeSet;

use super::super::kafka_only;
use super::super::problem::Wrong;
use super::super::setting::{Effect, Kind, Scope, Setting, row};
use super::super::table;
use super::super::value::{Dialect, Invalid, Raw, Value};

fn all() -> impl Iterator<Item = &'static Setting> {
    table::broker().chain(table::topic())
}

fn default_text(setting: &Setting) -> Option<String> {
    setting.default_value().map(|value| value.to_string())
}

#[test]
fn every_default_is_allowed() {
    for setting in all() {
        let value = setting.default_value();
        assert_eq!(value.is_some(), setting.default.is_some(), "{}", setting.name);
        if let Some(value) = value {
            let again = setting.parse(&Raw::Plain(value.to_string()), Dialect::Digits);
            assert_eq!(again, Ok(value), "{}", setting.name);
        }
    }
}

#[test]
fn names_are_unique_and_can_be_tables() {
    for rows in [table::broker().collect::<Vec<_>>(), table::topic().collect()] {
        let names: Vec<&str> = rows
            .iter()
            .flat_map(|r| [r.name].into_iter().chain(r.aliases.iter().copied()))
            .collect();
        let set: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(set.len(), names.len());
        for name in &names {
            // `[a]` cannot be a table and a value at once.
            let nested = format!("{name}.");
            assert!(!names.iter().any(|other| other.starts_with(&nested)), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.')
            );
        }
    }
}

#[test]
fn kafkas_names_are_ours_or_only_kafkas() {
    for name in kafka_only::names() {
        assert!(table::find_broker(name).is_none(), "{name}");
        assert!(kafka_only::verdict(name, "broker").is_some(), "{name}");
    }
    let names: Vec<&str> = kafka_only::names().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
fn documentation_is_sentences() {
    for setting in all() {
        let text = setting.documentation();
        assert!(text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase()), "{text}");
        assert!(!text.contains("  ") && !text.contains(".."), "{text}");
        // It stands in a cell of a Markdown table.
        assert!(!text.contains('|') && !setting.allowed().contains('|'), "{text}");
        if let Effect::Partly(why) | Effect::Later(why) | Effect::Never(why) = setting.effect {
            assert!(text.contains(why));
            assert!(!why.ends_with('.'), "{why}");
        }
    }
}

#[test]
fn a_topic_inherits_its_own_default() {
    assert!(table::topic().map(|row| row.name).is_sorted());
    for setting in table::topic() {
        let Scope::Topic(synonyms) = setting.scope else { panic!("{}", setting.name) };
        let mut inherited = None;
        for synonym in synonyms {
            let broker = table::find_broker(synonym.name).unwrap();
            assert_eq!(broker.scope, Scope::TopicDefault(setting.name), "{}", broker.name);
            let scaled = match broker.default_value() {
                Some(Value::Number(n)) if n > 0 => Some(Value::Number(n * synonym.factor)),
                other => other,
            };
            inherited = inherited.or(scaled);
        }
        if !synonyms.is_empty() {
            assert_eq!(inherited, setting.default_value(), "{}", setting.name);
        }
    }
    for setting in table::broker() {
        if let Scope::TopicDefault(topic) = setting.scope {
            let Scope::Topic(synonyms) = table::find_topic(topic).unwrap().scope else { panic!() };
            assert!(synonyms.iter().any(|s| s.name == setting.name), "{}", setting.name);
        }
    }
}

#[test]
fn a_secret_is_never_shown() {
    static SECRET: Setting = Setting { secret: true, ..row("password", Kind::Bool) };
    static OPEN: Setting = row("open", Kind::Bool);
    let value = Value::Bool(true);
    assert_eq!(SECRET.shown(&value), None);
    assert_eq!(OPEN.shown(&value).as_deref(), Some("true"));
    let raw = Raw::Plain("hunter2".to_owned());
    let wrong = Wrong::bad_value(&SECRET, "password", &raw, Invalid::NotABool);
    assert_eq!(wrong.to_string(), "password = (hidden): expected true or false");
}

/// Name, type and default of every topic setting of Kafka 4.3 that is not internal to Kafka.
const KAFKA_TOPIC: &[(&str, &str, &str)] = &[
    ("cleanup.policy", "List", "delete"),
    ("compression.gzip.level", "Int", "-1"),
    ("compression.lz4.level", "Int", "9"),
    ("compression.type", "String", "producer"),
    ("compression.zstd.level", "Int", "3"),
    ("delete.retention.ms", "Long", "86400000"),
    ("file.delete.delay.ms", "Long", "60000"),
    ("flush.messages", "Long", "9223372036854775807"),
    ("flush.ms", "Long", "9223372036854775807"),
    ("follower.replication.throttled.replicas", "List", ""),
    ("index.interval.bytes", "Int", "4096"),
    ("leader.replication.throttled.replicas", "List", ""),
    ("local.retention.bytes", "Long", "-2"),
    ("local.retention.ms", "Long", "-2"),
    ("max.compaction.lag.ms", "Long", "9223372036854775807"),
    ("max.message.bytes", "Int", "1048588"),
    ("message.timestamp.after.max.ms", "Long", "3600000"),
    ("message.timestamp.before.max.ms", "Long", "9223372036854775807"),
    ("message.timestamp.type", "String", "CreateTime"),
    ("min.cleanable.dirty.ratio", "Double", "0.5"),
    ("min.compaction.lag.ms", "Long", "0"),
    ("min.insync.replicas", "Int", "1"),
    ("preallocate", "Boolean", "false"),
    ("remote.log.copy.disable", "Boolean", "false"),
    ("remote.log.delete.on.disable", "Boolean", "false"),
    ("remote.storage.enable", "Boolean", "false"),
    ("retention.bytes", "Long", "-1"),
    ("retention.ms", "Long", "604800000"),
    ("segment.bytes", "Int", "1073741824"),
    ("segment.index.bytes", "Int", "10485760"),
    ("segment.jitter.ms", "Long", "0"),
    ("segment.ms", "Long", "604800000"),
    ("unclean.leader.election.enable", "Boolean", "false"),
];

/// The same of the broker settings that Kafka has too, where they are not defaults of topics.
const KAFKA_BROKER: &[(&str, &str, Option<&str>)] = &[
    ("advertised.listeners", "List", None),
    ("auto.create.topics.enable", "Boolean", Some("true")),
    ("broker.rack", "String", None),
    ("connections.max.idle.ms", "Long", Some("600000")),
    ("default.replication.factor", "Int", Some("1")),
    ("delete.topic.enable", "Boolean", Some("true")),
    ("fetch.max.bytes", "Int", Some("57671680")),
    ("listeners", "List", Some("PLAINTEXT://:9092")),
    ("log.flush.interval.ms", "Long", None),
    ("log.flush.scheduler.interval.ms", "Long", Some("9223372036854775807")),
    ("log.retention.check.interval.ms", "Long", Some("300000")),
    ("log.retention.hours", "Int", Some("168")),
    ("log.retention.minutes", "Int", None),
    ("log.retention.ms", "Long", None),
    ("log.roll.hours", "Int", Some("168")),
    ("log.roll.jitter.hours", "Int", Some("0")),
    ("log.roll.jitter.ms", "Long", None),
    ("log.roll.ms", "Long", None),
    ("max.connections", "Int", Some("2147483647")),
    ("max.incremental.fetch.session.cache.slots", "Int", Some("1000")),
    ("message.max.bytes", "Int", Some("1048588")),
    ("num.partitions", "Int", Some("1")),
    ("producer.id.expiration.ms", "Int", Some("86400000")),
    ("socket.request.max.bytes", "Int", Some("104857600")),
    ("transaction.max.timeout.ms", "Int", Some("900000")),
    ("transactional.id.expiration.ms", "Int", Some("604800000")),
];

#[test]
fn topic_settings_are_kafkas_and_one_of_ours() {
    let ours = table::topic()
        .map(|row| (row.name, format!("{:?}", row.kind.config_type()), default_text(row).unwrap()));
    let kafkas = KAFKA_TOPIC.iter().chain(&[("write.caching", "Boolean", "false")]);
    let kafkas =
        kafkas.map(|(name, kind, default)| (*name, (*kind).to_owned(), (*default).to_owned()));
    assert_eq!(ours.collect::<Vec<_>>(), kafkas.collect::<Vec<_>>());
}

#[test]
fn broker_settings_have_kafkas_types_and_defaults() {
    for (name, kind, default) in KAFKA_BROKER {
        let setting = table::find_broker(name).unwrap();
        assert_eq!(format!("{:?}", setting.kind.config_type()), *kind, "{name}");
        // Kafka listens on every address of the machine, and lets anybody in.
        let ours = if *name == "listeners" { Some("PLAINTEXT://127.0.0.1:9092") } else { *default };
        assert_eq!(default_text(setting).as_deref(), ours, "{name}");
    }
}
