//! A topic's settings: what it sets itself, over the broker's defaults.
//!
//! Two ways in: `validate`, for what a client asks for, refuses as Kafka does; `restore`, for what
//! was accepted once and is read back, never fails, because the broker has to start.

use std::collections::BTreeMap;

use super::broker::Config;
use super::conflict::BatchLimit;
use super::table;
use super::topic_values::{TopicValues, own_value};
use super::value::{Invalid, Value};

/// What a topic's settings mean. Those that have no effect are not here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TopicConfig {
    /// What happens to old records.
    pub cleanup: Cleanup,
    /// When segments are dropped; meant for `Cleanup` that deletes.
    pub retention: Retention,
    /// How batches are stored.
    pub compression: Compression,
    /// When records may be compacted.
    pub compaction: Compaction,
    /// The largest record batch, in bytes.
    pub max_message_bytes: u32,
    /// Whose clock stamps records.
    pub timestamps: Timestamps,
    /// With `acks=all`, refuse while fewer replicas are in sync.
    pub min_insync_replicas: u32,
    /// When a segment is closed.
    pub segment: Segment,
    /// The most log bytes between two index entries.
    pub index_interval_bytes: u32,
    /// What an acknowledgement says.
    pub acknowledge: Acknowledge,
    /// Let a replica that is behind become leader.
    pub unclean_leader_election: bool,
}

/// What happens to old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cleanup {
    /// All are kept.
    Keep,
    /// Segments are dropped by age and size.
    Delete,
    /// The newest record of each key is kept.
    Compact,
    /// Both.
    CompactAndDelete,
}

/// When segments are dropped; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// When their newest record is so old, in milliseconds.
    pub ms: Option<u64>,
    /// When the partition is larger, in bytes.
    pub bytes: Option<u64>,
}

/// How batches are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// As the producer sent them.
    Producer,
    /// Not compressed.
    Uncompressed,
    /// With this level; -1 is the library's default.
    Gzip(i32),
    /// Snappy has no level.
    Snappy,
    /// With this level.
    Lz4(i32),
    /// With this level.
    Zstd(i32),
}

/// When records may be compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Compaction {
    /// Not before this age, in milliseconds.
    pub min_lag_ms: u64,
    /// At the latest at this age, in milliseconds.
    pub max_lag_ms: u64,
    /// When this part of the log is not compacted, 0 to 1.
    pub min_dirty_ratio: f64,
    /// The marker of a deleted key is kept for so many milliseconds.
    pub delete_retention_ms: u64,
}

/// Whose clock stamps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timestamps {
    /// The producer's; batches further from the broker's clock are refused. Milliseconds.
    CreateTime {
        /// So much earlier is allowed.
        before_max_ms: u64,
        /// So much later is allowed.
        after_max_ms: u64,
    },
    /// The broker's, at the append.
    LogAppendTime,
}

/// When a segment is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// When it would grow beyond this, in bytes.
    pub bytes: u32,
    /// When it is so old, in milliseconds.
    pub ms: u64,
    /// Earlier than that by up to this, in milliseconds.
    pub jitter_ms: u64,
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    /// The batch is on the disk.
    Durable,
    /// The batch is on its way to the disk.
    Cached,
}

/// Why a topic's settings are refused; Kafka's INVALID_CONFIG. `Display` is the error message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TopicConfigError {
    /// No such topic setting.
    #[error("Unknown topic config: {0}")]
    UnknownName(String),
    /// Settings without a value.
    #[error("No value given for topic configs: {}", .0.join(","))]
    NullValue(Vec<String>),
    /// A value that the table does not allow.
    #[error("Invalid value {value} for configuration {name}: {invalid}")]
    InvalidValue {
        /// The setting.
        name: &'static str,
        /// As it was written.
        value: String,
        /// The rule it breaks.
        invalid: Invalid,
    },
    /// A batch that this broker cannot take. Bytes.
    #[error(
        "Invalid value {value} for configuration max.message.bytes: must be at most {limit}, {} \
         of this broker", .reason.reason()
    )]
    MessageTooLarge {
        /// What was asked for.
        value: i64,
        /// The largest batch.
        limit: i64,
        /// Why it is no larger.
        reason: BatchLimit,
    },
    /// Tiered storage was asked for.
    #[error(
        "Invalid value true for configuration remote.storage.enable: there is no tiered storage"
    )]
    NoTieredStorage,
    /// Compacted at the latest before it may be compacted. Milliseconds.
    #[error(
        "Invalid value {min} for configuration min.compaction.lag.ms: more than \
         max.compaction.lag.ms, which is {max}"
    )]
    LagsCross {
        /// The earliest age.
        min: i64,
        /// The latest age.
        max: i64,
    },
}

impl TopicConfig {
    /// A topic that sets `overrides`, as a client asks for it.
    ///
    /// # Errors
    /// The first thing that Kafka would refuse, or that the journal cannot take.
    pub(crate) fn validate(
        config: &Config,
        overrides: &BTreeMap<String, String>,
    ) -> Result<TopicConfig, TopicConfigError> {
        if let Some(name) = overrides.keys().find(|name| table::find_topic(name).is_none()) {
            return Err(TopicConfigError::UnknownName(name.clone()));
        }
        let (topic, mut errors) = TopicConfig::restore(config, overrides);
        match errors.is_empty() {
            true => Ok(topic),
            false => Err(errors.swap_remove(0)),
        }
    }

    /// A topic that set `overrides` once. Those that are not allowed any more are left out and
    /// reported; the broker's defaults count in their place.
    #[must_use]
    pub(crate) fn restore(
        config: &Config,
        overrides: &BTreeMap<String, String>,
    ) -> (TopicConfig, Vec<TopicConfigError>) {
        let (values, errors) = TopicValues::new(config.settings(), overrides);
        (values.typed(), errors)
    }
}

/// Whether a topic may set this, as far as one value alone can tell.
#[must_use]
pub(crate) fn accepts(config: &Config, name: &str, text: &str) -> bool {
    own_value(config.settings(), name, text).is_ok()
}

/// The entries of a request, or the names of those that have no value.
///
/// # Errors
/// Names without a value.
pub(crate) fn without_nulls(
    entries: &BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, String>, TopicConfigError> {
    let nulls: Vec<String> =
        entries.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.clone()).collect();
    if !nulls.is_empty() {
        return Err(TopicConfigError::NullValue(nulls));
    }
    let pair = |(name, value): (&String, &Option<String>)| Some((name.clone(), value.clone()?));
    Ok(entries.iter().filter_map(pair).collect())
}

impl TopicValues<'_> {
    fn value(&self, name: &'static str) -> Option<Value> {
        self.effective(table::find_topic(name)?)
    }

    // As in `Settings`, every accessor is called with literal names whenever a `TopicConfig` is
    // made, so that a name or type that is not in the table fails the first test that makes one.

    fn number(&self, name: &'static str) -> i64 {
        match self.value(name) {
            Some(Value::Number(value)) => value,
            other => unreachable!("{name} is a number with a default, not {other:?}"),
        }
    }

    fn count(&self, name: &'static str) -> u64 {
        self.number(name).unsigned_abs()
    }

    fn count32(&self, name: &'static str) -> u32 {
        u32::try_from(self.number(name)).unwrap_or(u32::MAX)
    }

    fn bool(&self, name: &'static str) -> bool {
        match self.value(name) {
            Some(Value::Bool(value)) => value,
            other => unreachable!("{name} is a bool with a default, not {other:?}"),
        }
    }

    fn text(&self, name: &'static str) -> String {
        self.value(name).map(|value| value.to_string()).unwrap_or_default()
    }

    fn typed(&self) -> TopicConfig {
        TopicConfig {
            cleanup: self.cleanup(),
            retention: Retention {
                ms: u64::try_from(self.number("retention.ms")).ok(),
                bytes: u64::try_from(self.number("retention.bytes")).ok(),
            },
            compression: self.compression(),
            compaction: self.compaction(),
            max_message_bytes: self.count32("max.message.bytes"),
            timestamps: self.timestamps(),
            min_insync_replicas: self.count32("min.insync.replicas"),
            segment: Segment {
                bytes: self.count32("segment.bytes"),
                ms: self.count("segment.ms"),
                jitter_ms: self.count("segment.jitter.ms"),
            },
            index_interval_bytes: self.count32("index.interval.bytes"),
            acknowledge: match self.bool("write.caching") {
                true => Acknowledge::Cached,
                false => Acknowledge::Durable,
            },
            unclean_leader_election: self.bool("unclean.leader.election.enable"),
        }
    }

    fn cleanup(&self) -> Cleanup {
        let policy = self.text("cleanup.policy");
        let has = |word: &str| policy.split(',').any(|item| item == word);
        match (has("compact"), has("delete")) {
            (false, false) => Cleanup::Keep,
            (false, true) => Cleanup::Delete,
            (true, false) => Cleanup::Compact,
            (true, true) => Cleanup::CompactAndDelete,
        }
    }

    fn compression(&self) -> Compression {
        let level = |name| i32::try_from(self.number(name)).unwrap_or_default();
        match self.text("compression.type").as_str() {
            "uncompressed" => Compression::Uncompressed,
            "gzip" => Compression::Gzip(level("compression.gzip.level")),
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4(level("compression.lz4.level")),
            "zstd" => Compression::Zstd(level("compression.zstd.level")),
            _ => Compression::Producer,
        }
    }

    fn compaction(&self) -> Compaction {
        let ratio = match self.value("min.cleanable.dirty.ratio") {
            Some(Value::Double(ratio)) => ratio,
            other => unreachable!("the ratio is a double with a default, not {other:?}"),
        };
        Compaction {
            min_lag_ms: self.count("min.compaction.lag.ms"),
            max_lag_ms: self.count("max.compaction.lag.ms"),
            min_dirty_ratio: ratio,
            delete_retention_ms: self.count("delete.retention.ms"),
        }
    }

    fn timestamps(&self) -> Timestamps {
        match self.text("message.timestamp.type").as_str() {
            "LogAppendTime" => Timestamps::LogAppendTime,
            _ => Timestamps::CreateTime {
                before_max_ms: self.count("message.timestamp.before.max.ms"),
                after_max_ms: self.count("message.timestamp.after.max.ms"),
            },
        }
    }
}
