//! The nouns that everything else counts and names with. Each number is its own type, so that an
//! offset is never added to a position.

use std::fmt;

/// A record's place in its partition: 0, 1, 2, … without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    /// The first offset of an empty partition.
    pub const ZERO: Offset = Offset(0);

    /// The offset `count` records later.
    #[must_use]
    pub fn plus(self, count: i64) -> Offset {
        Offset(self.0 + count)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Raised whenever a partition gets a new leader; here also at every start of the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(pub i32);

/// Milliseconds since 1970-01-01 UTC: record timestamps and everything that is compared to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Kafka's `RecordBatch.NO_TIMESTAMP`.
    pub const NONE: Timestamp = Timestamp(-1);
}

/// Microseconds on a clock that never goes back. Deadlines and ages; never stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// This instant, `ms` milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Instant {
        Instant(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    /// Milliseconds from `earlier` to `self`; 0 when `earlier` is later.
    #[must_use]
    pub fn ms_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }
}

/// Both clocks, read once per turn by the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and ages.
    pub instant: Instant,
    /// For record timestamps.
    pub wall: Timestamp,
}

/// A producer's identity, handed out by `InitProducerId`; -1 on the wire means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub i64);

/// Fences earlier incarnations of one producer id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerEpoch(pub i16);

/// A topic's identity for life: a re-created topic has another one. Bytes of a UUID.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// The id of `__cluster_metadata` (Kafka's `Uuid.METADATA_TOPIC_ID`).
    pub const METADATA: TopicId = TopicId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for TopicId {
    /// Kafka's spelling: URL-safe base64 without padding, 22 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.chunks(3) {
            let word = chunk.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
            let word = word << (8 * (3 - chunk.len()));
            for digit in 0..=chunk.len() {
                let index = (word >> (18 - 6 * digit)) & 63;
                write!(f, "{}", char::from(BASE64_URL[index as usize]))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TopicId {
    /// The inverse of `Display`; `None` when `text` is not 22 characters of URL-safe base64.
    #[must_use]
    pub fn parse(text: &str) -> Option<TopicId> {
        let digits = text.as_bytes();
        if digits.len() != 22 {
            return None;
        }
        let mut bits = 0u128;
        for (place, digit) in digits.iter().enumerate() {
            let value = BASE64_URL.iter().position(|d| d == digit)? as u128;
            bits = if place < 21 {
                (bits << 6) | value
            } else if value & 15 == 0 {
                (bits << 2) | (value >> 4)
            } else {
                return None;
            };
        }
        Some(TopicId(bits.to_be_bytes()))
    }
}

/// A partition's number within its topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionIndex(pub u32);

/// One partition of one topic.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition's number within it.
    pub index: PartitionIndex,
}

impl TopicPartition {
    /// `__cluster_metadata`-0.
    pub const METADATA: TopicPartition =
        TopicPartition { topic: TopicId::METADATA, index: PartitionIndex(0) };
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index.0)
    }
}

/// A core's number among those that run Corelog: 0, 1, 2, …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_are_spelled_as_kafka_spells_them() {
        let table = [
            ([0; 16], "AAAAAAAAAAAAAAAAAAAAAA"),
            (TopicId::METADATA.0, "AAAAAAAAAAAAAAAAAAAAAQ"),
            ([0xff; 16], "_____________________w"),
            (
                [0, 16, 131, 16, 81, 135, 32, 146, 139, 48, 211, 143, 65, 20, 147, 81],
                "ABCDEFGHIJKLMNOPQRSTUQ",
            ),
        ];
        for (bytes, text) in table {
            assert_eq!(TopicId(bytes).to_string(), text);
            assert_eq!(TopicId::parse(text), Some(TopicId(bytes)));
        }
        for bad in ["", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA/A"]
        {
            assert_eq!(TopicId::parse(bad), None, "{bad}");
        }
    }
}
