//! A topic's settings: defaults, what Kafka allows, and what is read back.

use std::collections::BTreeMap;

use super::super::topic::{
    Acknowledge, Cleanup, Compaction, Compression, Retention, Segment, Timestamps, TopicConfig,
    without_nulls,
};
use super::{map, properties, toml};

fn topic(overrides: &[(&str, &str)]) -> TopicConfig {
    TopicConfig::validate(&toml(""), &map(overrides)).unwrap()
}

#[test]
fn a_topic_that_sets_nothing() {
    let expected = TopicConfig {
        cleanup: Cleanup::Delete,
        retention: Retention { ms: Some(604_800_000), bytes: None },
        compression: Compression::Producer,
        compaction: Compaction {
            min_lag_ms: 0,
            max_lag_ms: i64::MAX as u64,
            min_dirty_ratio: 0.5,
            delete_retention_ms: 86_400_000,
        },
        max_message_bytes: 1_048_588,
        timestamps: Timestamps::CreateTime {
            before_max_ms: i64::MAX as u64,
            after_max_ms: 3_600_000,
        },
        min_insync_replicas: 1,
        segment: Segment { bytes: 1 << 30, ms: 604_800_000, jitter_ms: 0 },
        index_interval_bytes: 4096,
        acknowledge: Acknowledge::Durable,
        unclean_leader_election: false,
    };
    assert_eq!(topic(&[]), expected);
}

#[test]
fn its_own_settings_count() {
    let set = topic(&[
        ("cleanup.policy", " compact , delete "),
        ("retention.ms", "-1"),
        ("retention.bytes", "1000"),
        ("compression.type", "gzip"),
        ("compression.gzip.level", "4"),
        ("min.compaction.lag.ms", "1"),
        ("max.compaction.lag.ms", "2"),
        ("min.cleanable.dirty.ratio", "0.1"),
        ("delete.retention.ms", "3"),
        ("max.message.bytes", "4"),
        ("message.timestamp.type", "LogAppendTime"),
        ("min.insync.replicas", "2"),
        ("segment.bytes", "1048576"),
        ("segment.ms", "5"),
        ("segment.jitter.ms", "6"),
        ("index.interval.bytes", "7"),
        ("write.caching", "TRUE"),
        ("unclean.leader.election.enable", "true"),
    ]);
    let expected = TopicConfig {
        cleanup: Cleanup::CompactAndDelete,
        retention: Retention { ms: None, bytes: Some(1000) },
        compression: Compression::Gzip(4),
        compaction: Compaction {
            min_lag_ms: 1,
            max_lag_ms: 2,
            min_dirty_ratio: 0.1,
            delete_retention_ms: 3,
        },
        max_message_bytes: 4,
        timestamps: Timestamps::LogAppendTime,
        min_insync_replicas: 2,
        segment: Segment { bytes: 1 << 20, ms: 5, jitter_ms: 6 },
        index_interval_bytes: 7,
        acknowledge: Acknowledge::Cached,
        unclean_leader_election: true,
    };
    assert_eq!(set, expected);
    assert_eq!(topic(&[("cleanup.policy", "")]).cleanup, Cleanup::Keep);
    assert_eq!(topic(&[("cleanup.policy", "compact")]).cleanup, Cleanup::Compact);
    let codecs = [
        ("producer", Compression::Producer),
        ("uncompressed", Compression::Uncompressed),
        ("gzip", Compression::Gzip(-1)),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4(9)),
        ("zstd", Compression::Zstd(3)),
    ];
    for (name, codec) in codecs {
        assert_eq!(topic(&[("compression.type", name)]).compression, codec);
    }
}

#[test]
fn the_first_synonym_that_is_set_counts() {
    let table = [
        ("", Some(604_800_000)),
        ("log.retention.hours=1", Some(3_600_000)),
        ("log.retention.hours=-1", None),
        ("log.retention.hours=1\nlog.retention.minutes=2", Some(120_000)),
        ("log.retention.hours=1\nlog.retention.minutes=2\nlog.retention.ms=3", Some(3)),
        ("log.retention.hours=1\nlog.retention.ms=-1", None),
        ("log.retention.hours=2147483647", Some(2_147_483_647 * 3_600_000)),
    ];
    for (text, expected) in table {
        let config = properties(text).config;
        let found = TopicConfig::validate(&config, &BTreeMap::new()).unwrap();
        assert_eq!(found.retention.ms, expected, "{text}");
        let own = map(&[("retention.ms", "9")]);
        assert_eq!(TopicConfig::validate(&config, &own).unwrap().retention.ms, Some(9));
    }
    let config = properties("log.roll.hours=1\nlog.roll.jitter.hours=2\n").config;
    let segment = TopicConfig::validate(&config, &BTreeMap::new()).unwrap().segment;
    assert_eq!((segment.ms, segment.jitter_ms), (3_600_000, 7_200_000));
}

/// The values at the edges of what Kafka 4.3 allows, and the first ones outside.
#[test]
fn kafkas_bounds() {
    let table: [(&str, &[&str], &[&str]); 26] = [
        (
            "cleanup.policy",
            &["", "delete", "compact,delete", "delete,delete", " compact, delete"],
            &["Delete", "delete,", "compact,,delete", "x"],
        ),
        ("compression.type", &["zstd", "producer"], &["none", "ZSTD", ""]),
        ("compression.gzip.level", &["-1", "1", "9"], &["0", "10", "-2"]),
        ("compression.lz4.level", &["1", "17"], &["0", "18"]),
        ("compression.zstd.level", &["-131072", "22"], &["-131073", "23"]),
        ("delete.retention.ms", &["0", "9223372036854775807"], &["-1", "9223372036854775808"]),
        ("file.delete.delay.ms", &["0"], &["-1"]),
        ("flush.messages", &["1"], &["0"]),
        ("flush.ms", &["0"], &["-1"]),
        (
            "follower.replication.throttled.replicas",
            &["", "*", "0:1", "0:1,1:2", "0:1,0:1"],
            &["0", "0:1,*", "a:b"],
        ),
        ("index.interval.bytes", &["0", "2147483647"], &["-1", "2147483648"]),
        ("local.retention.bytes", &["-2"], &["-3"]),
        ("local.retention.ms", &["-2"], &["-3"]),
        ("max.compaction.lag.ms", &["1"], &["0"]),
        ("max.message.bytes", &["0", " 100 ", "+1"], &["-1", "1.0", "1e3", "1MiB", ""]),
        ("message.timestamp.after.max.ms", &["0"], &["-1"]),
        ("message.timestamp.before.max.ms", &["0"], &["-1"]),
        ("message.timestamp.type", &["CreateTime", "LogAppendTime"], &["createtime"]),
        ("min.cleanable.dirty.ratio", &["0", "1", "0.5"], &["-0.1", "1.1", "NaN", "half"]),
        ("min.compaction.lag.ms", &["0"], &["-1"]),
        ("min.insync.replicas", &["1"], &["0"]),
        ("retention.bytes", &["-1", "-9223372036854775808"], &["x"]),
        ("retention.ms", &["-1", "0"], &["-2", "7d"]),
        ("segment.bytes", &["1048576", "2147483647"], &["1048575", "2147483648", "14"]),
        ("segment.ms", &["1"], &["0"]),
        ("preallocate", &["true", "False", " true "], &["yes", "1", ""]),
    ];
    let config = toml("");
    for (name, good, bad) in table {
        for text in good {
            let outcome = TopicConfig::validate(&config, &map(&[(name, text)]));
            assert!(outcome.is_ok(), "{name}={text}: {outcome:?}");
        }
        for text in bad {
            let error = TopicConfig::validate(&config, &map(&[(name, text)])).unwrap_err();
            let start = format!("Invalid value {text} for configuration {name}: ");
            assert!(error.to_string().starts_with(&start), "{error}");
        }
    }
}

#[test]
fn reasons_are_given() {
    let table: [(&[(&str, &str)], &str); 8] = [
        (&[("foo", "1")], "Unknown topic config: foo"),
        (&[("log.retention.ms", "1")], "Unknown topic config: log.retention.ms"),
        (&[("a.ms", "1"), ("retention.ms", "x")], "Unknown topic config: a.ms"),
        (
            &[("segment.bytes", "5")],
            "Invalid value 5 for configuration segment.bytes: must be at least 1MiB",
        ),
        (
            &[("retention.ms", "x")],
            "Invalid value x for configuration retention.ms: not a number of type LONG",
        ),
        (
            &[("max.message.bytes", "8388609")],
            "Invalid value 8388609 for configuration max.message.bytes: must be at most 8388608, \
             a quarter of journal.file.bytes of this broker",
        ),
        (
            &[("remote.storage.enable", "true")],
            "Invalid value true for configuration remote.storage.enable: there is no tiered \
             storage",
        ),
        (
            &[("min.compaction.lag.ms", "2"), ("max.compaction.lag.ms", "1")],
            "Invalid value 2 for configuration min.compaction.lag.ms: more than \
             max.compaction.lag.ms, which is 1",
        ),
    ];
    for (overrides, expected) in table {
        let error = TopicConfig::validate(&toml(""), &map(overrides)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_is_no_longer_allowed_is_left_out_when_it_is_read_back() {
    let overrides = map(&[
        ("foo", "1"),
        ("segment.bytes", "5"),
        ("max.message.bytes", "100000000"),
        ("min.compaction.lag.ms", "2"),
        ("max.compaction.lag.ms", "1"),
        ("retention.ms", "7"),
    ]);
    let (found, errors) = TopicConfig::restore(&toml(""), &overrides);
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert_eq!(found, topic(&[("retention.ms", "7")]));
}

#[test]
fn settings_without_a_value_are_named() {
    let entries = |pairs: &[(&str, Option<&str>)]| -> BTreeMap<String, Option<String>> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
    };
    assert_eq!(without_nulls(&entries(&[("a", Some("1"))])), Ok(map(&[("a", "1")])));
    let error = without_nulls(&entries(&[("b", None), ("a", None), ("c", Some(""))])).unwrap_err();
    assert_eq!(error.to_string(), "No value given for topic configs: a,b");
}
