//! What a topic's settings mean to its logs.

use std::collections::BTreeMap;

use crate::log::points::POINT_SPACING;

/// When a produce is acknowledged (`write.caching`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// When it is on disk.
    #[default]
    Durable,
    /// When it is in memory, as Kafka does; the same journal write follows at once.
    Cached,
}

/// What a log remembers of idempotent producers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerMemory {
    /// How many; the one that wrote longest ago goes first (`producers.per.partition.max`).
    pub most: usize,
    /// Milliseconds without a batch after which one is forgotten (`producer.id.expiration.ms`).
    pub expiration_ms: i64,
}

/// How one log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment is rolled before it would exceed this (`segment.bytes`).
    pub segment_bytes: u64,
    /// A segment is rolled when its first record is this much older than the next (`segment.ms`).
    pub segment_ms: u64,
    /// When a produce is acknowledged (`write.caching`).
    pub acknowledge: Acknowledge,
    /// What is remembered of its producers.
    pub producers: ProducerMemory,
    /// Bytes between two points of an index; no setting, small in tests.
    pub index_spacing: u64,
}

impl Default for LogConfig {
    /// Kafka's defaults.
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            acknowledge: Acknowledge::Durable,
            producers: ProducerMemory { most: 10_000, expiration_ms: 24 * 3600 * 1000 },
            index_spacing: POINT_SPACING,
        }
    }
}

impl LogConfig {
    /// These defaults with a topic's own settings over them. The settings were checked when they
    /// were given; one that does not parse keeps the default.
    #[must_use]
    pub fn with(&self, topic: &BTreeMap<String, String>) -> LogConfig {
        let number = |key: &str, default| {
            topic.get(key).and_then(|value| value.trim().parse().ok()).unwrap_or(default)
        };
        let caching = topic.get("write.caching").map(|value| value.trim().to_ascii_lowercase());
        let acknowledge = match caching.as_deref() {
            Some("true") => Acknowledge::Cached,
            Some("false") => Acknowledge::Durable,
            _ => self.acknowledge,
        };
        LogConfig {
            segment_bytes: number("segment.bytes", self.segment_bytes),
            segment_ms: number("segment.ms", self.segment_ms),
            acknowledge,
            producers: self.producers,
            index_spacing: self.index_spacing,
        }
    }
}
