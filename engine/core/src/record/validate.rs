//! What a broker checks of the bytes a producer sends for one partition, as Kafka's newest release
//! does for an append by a client, in the same order:
//!
//! 1. `ProduceRequest.validateRecords`: one batch, format v2, no zstd before Produce 7
//! 2. `UnifiedLog.analyzeAndValidateRecords`: base offset 0, size, CRC
//! 3. `LogValidator`: the header's counts and flags, then every record, decompressed if need be
//!
//! Each cause has a name here; which error code it becomes is the caller's table.
//!
//! Nothing that Kafka refuses is accepted. Refused here and accepted there, because readers would
//! fail later: an uncompressed record whose offset delta is not its place in the batch (compressed,
//! it is refused there too), and a compressed record that is not as long as it says.

use std::fmt;
use std::ops::ControlFlow;

use super::batch::{
    BatchHeader, FRAME_LEN, FrameError, MAGIC, TimestampType, crc, stamp, stamp_timestamps,
};
use super::compress::{Codec, MAX_DECOMPRESSED, UnknownCodec};
use super::parse::RecordFault;
use super::walk::{Facts, RecordsError, walk};
use crate::id::{LeaderEpoch, Offset, Timestamp};

/// The most rejected records that are listed; the others are rejected all the same.
pub const MAX_REJECTIONS: usize = 1000;

/// What a topic demands of a batch.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `max.message.bytes`: the largest batch, as compressed, header included.
    pub max_batch_bytes: usize,
    /// `message.timestamp.type` and what belongs to it.
    pub timestamps: TimestampRule,
    /// Whether `cleanup.policy` has `compact`, so that a record needs a key.
    pub compacted: bool,
    /// Whether the client's Produce version knows zstd: 7 or later.
    pub zstd_allowed: bool,
    /// The most bytes the records may decompress to. Bounds the time a hostile batch takes.
    pub max_decompressed: u64,
}

/// Whose timestamps the records get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampRule {
    /// The producer's, if they are near the broker's clock.
    Create {
        /// `message.timestamp.before.max.ms`.
        before_max_ms: i64,
        /// `message.timestamp.after.max.ms`.
        after_max_ms: i64,
    },
    /// The time of the append.
    LogAppend,
}

impl Default for Rules {
    /// Kafka's defaults for a topic.
    fn default() -> Rules {
        Rules {
            max_batch_bytes: (1 << 20) + FRAME_LEN,
            timestamps: TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: 3_600_000 },
            compacted: false,
            zstd_allowed: true,
            max_decompressed: MAX_DECOMPRESSED,
        }
    }
}

/// A batch that may be appended, and what the log must know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The header as the producer wrote it.
    pub header: BatchHeader,
    /// How the records are compressed.
    pub codec: Codec,
    /// The timestamp type to store: the topic's.
    pub timestamps: TimestampType,
    /// The max timestamp to store: the latest of the records, [`Timestamp::NONE`] if all are older,
    /// or the time of the append. Kafka's time index pairs it with the batch's last offset.
    pub max_timestamp: Timestamp,
}

impl Validated {
    /// The batch's size in bytes; what the producer sent after it is not part of it.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.header.total_len()
    }

    /// How many offsets the batch takes.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.header.count()
    }

    /// Turns a copy of the producer's batch into the leader's: offset, epoch, and the timestamps if
    /// the producer's header differs from what is to be stored (which renews the CRC). `batch` is
    /// exactly the batch that was validated. Returns the header as it is stored.
    pub fn stamp(
        &self,
        batch: &mut [u8],
        base_offset: Offset,
        leader_epoch: LeaderEpoch,
    ) -> BatchHeader {
        stamp(batch, base_offset, leader_epoch);
        stamp_timestamps(batch, self.timestamps, self.max_timestamp);
        BatchHeader::decode(batch)
    }
}

/// Why a batch is refused. The code named is Kafka's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The bytes do not hold a whole batch. `INVALID_RECORD`.
    NoBatch,
    /// The bytes are not framed as batches of any format. `CORRUPT_MESSAGE`.
    Frame(FrameError),
    /// A batch of format v0 or v1. `INVALID_RECORD`.
    OldFormat(i8),
    /// zstd from a client whose Produce version does not know it. `UNSUPPORTED_COMPRESSION_TYPE`.
    ZstdNotAllowed,
    /// A second batch follows. `INVALID_RECORD`.
    SeveralBatches,
    /// The base offset is not 0. `INVALID_RECORD`.
    BaseOffset(Offset),
    /// The batch exceeds `max.message.bytes`. `MESSAGE_TOO_LARGE`.
    TooLarge {
        /// The batch's size in bytes.
        size: usize,
        /// The largest that is allowed.
        max: usize,
    },
    /// The CRC does not match the bytes. `CORRUPT_MESSAGE`.
    Crc {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// A codec that does not exist. Kafka fails inside: `UNKNOWN_SERVER_ERROR`.
    UnknownCodec(UnknownCodec),
    /// The header contradicts itself, or claims what a client may not. `INVALID_RECORD`.
    Header(HeaderFault),
    /// The records cannot be read. `INVALID_RECORD`; when it is the decompression that fails, Kafka
    /// fails inside: `UNKNOWN_SERVER_ERROR`.
    Records(RecordsError),
    /// Some records break the topic's rules, none of them by its timestamp. `INVALID_RECORD`, with
    /// the records listed.
    Rejected(Vec<Rejection>),
    /// Some records break the topic's rules, at least one by its timestamp. `INVALID_TIMESTAMP`,
    /// with the records listed.
    RejectedTimestamp(Vec<Rejection>),
}

/// What is wrong with a header whose CRC is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The last offset is before the base offset.
    OffsetRange(i32),
    /// The record count is not positive.
    Count(i32),
    /// The record count is not that of the offsets.
    CountMismatch {
        /// The count in the header.
        count: i32,
        /// What the header says of the last offset.
        last_offset_delta: i32,
    },
    /// Only brokers write control records.
    Control,
    /// A batch with a producer needs sequences.
    Sequence(i32),
}

/// A record that breaks a rule of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The record's place in the batch.
    pub index: u32,
    /// Which rule.
    pub rule: BrokenRule,
}

/// A rule of a topic about its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenRule {
    /// Compaction needs keys.
    NullKey,
    /// Too far from the broker's clock.
    Timestamp {
        /// The record's.
        timestamp: Timestamp,
        /// The earliest allowed.
        earliest: Timestamp,
        /// The latest allowed.
        latest: Timestamp,
    },
    /// The producer claims the broker's timestamp type.
    TimestampType,
}

/// Checks what a producer sent for one partition, at the broker's time `now`.
///
/// # Errors
/// [`Invalid`] names the first thing that is wrong, or all records that break the topic's rules.
pub fn validate(bytes: &[u8], rules: &Rules, now: Timestamp) -> Result<Validated, Invalid> {
    let (header, batch) = only_batch(bytes, rules)?;
    if header.base_offset != Offset::ZERO {
        return Err(Invalid::BaseOffset(header.base_offset));
    }
    if batch.len() > rules.max_batch_bytes {
        return Err(Invalid::TooLarge { size: batch.len(), max: rules.max_batch_bytes });
    }
    let computed = crc(batch);
    if computed != header.crc {
        return Err(Invalid::Crc { stored: header.crc, computed });
    }
    let codec = header.codec().map_err(Invalid::UnknownCodec)?;
    check_header(&header).map_err(Invalid::Header)?;
    let latest = check_records(&header, batch, rules, now)?;
    let (timestamps, max_timestamp) = match rules.timestamps {
        TimestampRule::Create { .. } => (TimestampType::Create, latest),
        TimestampRule::LogAppend => (TimestampType::LogAppend, now),
    };
    Ok(Validated { header, codec, timestamps, max_timestamp })
}

/// The one batch a producer may send. What follows it and is no whole batch is ignored, as Kafka
/// does.
fn only_batch<'a>(bytes: &'a [u8], rules: &Rules) -> Result<(BatchHeader, &'a [u8]), Invalid> {
    let len = framed(bytes)?.ok_or(Invalid::NoBatch)?;
    let (batch, rest) = bytes.split_at(len);
    let header = BatchHeader::parse(batch).map_err(|error| match error {
        FrameError::Magic(magic) => Invalid::OldFormat(magic),
        error => Invalid::Frame(error),
    })?;
    if header.codec() == Ok(Codec::Zstd) && !rules.zstd_allowed {
        return Err(Invalid::ZstdNotAllowed);
    }
    match framed(rest)? {
        None => Ok((header, batch)),
        Some(_) => Err(Invalid::SeveralBatches),
    }
}

/// The size of the batch of any format at the start of `bytes`; `None` when it is not there whole.
fn framed(bytes: &[u8]) -> Result<Option<usize>, Invalid> {
    /// What the smallest record of format v0 has after its length.
    const LEN_MIN: i32 = 14;
    let Some(&[.., a, b, c, d]) = bytes.first_chunk::<FRAME_LEN>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes([a, b, c, d]);
    if length < LEN_MIN {
        return Err(Invalid::Frame(FrameError::Length(length)));
    }
    let Some(&[.., magic]) = bytes.first_chunk::<{ FRAME_LEN + 5 }>() else {
        return Ok(None);
    };
    if !(0..=MAGIC).contains(&(magic as i8)) {
        return Err(Invalid::Frame(FrameError::Magic(magic as i8)));
    }
    let total = FRAME_LEN + length as usize;
    Ok((bytes.len() >= total).then_some(total))
}

fn check_header(header: &BatchHeader) -> Result<(), HeaderFault> {
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if last_offset_delta < 0 {
        return Err(HeaderFault::OffsetRange(last_offset_delta));
    }
    if count <= 0 {
        return Err(HeaderFault::Count(count));
    }
    if last_offset_delta != count - 1 {
        return Err(HeaderFault::CountMismatch { count, last_offset_delta });
    }
    if header.is_control() {
        return Err(HeaderFault::Control);
    }
    match header.producer() {
        Some(producer) if producer.first.0 < 0 => Err(HeaderFault::Sequence(producer.first.0)),
        _ => Ok(()),
    }
}

/// Walks the records and returns their latest timestamp, or none.
fn check_records(
    header: &BatchHeader,
    batch: &[u8],
    rules: &Rules,
    now: Timestamp,
) -> Result<Timestamp, Invalid> {
    let mut latest = Timestamp::NONE;
    let mut rejected = Vec::new();
    let mut by_timestamp = false;
    let misplaced = walk(header, batch, rules.max_decompressed, |record| {
        if i64::from(record.offset_delta) != i64::from(record.index) {
            return ControlFlow::Break(record.index);
        }
        let timestamp = header.timestamp_of(record.timestamp_delta);
        latest = latest.max(timestamp);
        if let Err(rule) = check_record(header, record, timestamp, rules, now) {
            by_timestamp |= rule != BrokenRule::NullKey;
            if rejected.len() < MAX_REJECTIONS {
                rejected.push(Rejection { index: record.index, rule });
            }
        }
        ControlFlow::Continue(())
    });
    match misplaced.map_err(Invalid::Records)? {
        Some(index) => {
            let fault = RecordFault::OffsetDelta;
            Err(Invalid::Records(RecordsError::Record { index, fault }))
        }
        None if rejected.is_empty() => Ok(latest),
        None if by_timestamp => Err(Invalid::RejectedTimestamp(rejected)),
        None => Err(Invalid::Rejected(rejected)),
    }
}

fn check_record(
    header: &BatchHeader,
    record: Facts,
    timestamp: Timestamp,
    rules: &Rules,
    now: Timestamp,
) -> Result<(), BrokenRule> {
    if rules.compacted && !record.has_key {
        return Err(BrokenRule::NullKey);
    }
    match rules.timestamps {
        TimestampRule::Create { before_max_ms, after_max_ms } if timestamp != Timestamp::NONE => {
            // Wraps as Kafka's arithmetic does, so that the largest limits mean none.
            let age = now.0.wrapping_sub(timestamp.0);
            if age > before_max_ms || age.wrapping_neg() > after_max_ms {
                return Err(BrokenRule::Timestamp {
                    timestamp,
                    earliest: Timestamp(now.0.saturating_sub(before_max_ms)),
                    latest: Timestamp(now.0.saturating_add(after_max_ms)),
                });
            }
            Ok(())
        }
        _ if header.timestamp_type() == TimestampType::LogAppend => Err(BrokenRule::TimestampType),
        _ => Ok(()),
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::NoBatch => f.write_str("no whole record batch was sent"),
            Invalid::Frame(error) => error.fmt(f),
            Invalid::OldFormat(magic) => write!(f, "record format {magic} is no longer accepted"),
            Invalid::ZstdNotAllowed => f.write_str("zstd needs Produce version 7 or later"),
            Invalid::SeveralBatches => f.write_str("only one record batch a partition is accepted"),
            Invalid::BaseOffset(offset) => write!(f, "base offset is {offset}, should be 0"),
            Invalid::TooLarge { size, max } => {
                write!(f, "batch of {size} bytes exceeds the largest allowed, {max}")
            }
            Invalid::Crc { stored, computed } => {
                write!(f, "CRC is {stored:08x}, but the bytes have {computed:08x}")
            }
            Invalid::UnknownCodec(error) => error.fmt(f),
            Invalid::Header(fault) => fault.fmt(f),
            Invalid::Records(error) => error.fmt(f),
            Invalid::Rejected(records) => write!(f, "{} records were rejected", records.len()),
            Invalid::RejectedTimestamp(records) => {
                write!(f, "{} records were rejected, timestamps among the reasons", records.len())
            }
        }
    }
}

impl std::error::Error for Invalid {}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderFault::OffsetRange(delta) => write!(f, "last offset delta is {delta}"),
            HeaderFault::Count(count) => write!(f, "record count is {count}"),
            HeaderFault::CountMismatch { count, last_offset_delta } => {
                write!(f, "{count} records end at offset delta {last_offset_delta}")
            }
            HeaderFault::Control => f.write_str("clients may not write control records"),
            HeaderFault::Sequence(first) => write!(f, "base sequence of a producer is {first}"),
        }
    }
}

impl fmt::Display for BrokenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokenRule::NullKey => f.write_str("a compacted topic needs a key in every record"),
            BrokenRule::Timestamp { timestamp, earliest, latest } => {
                write!(f, "timestamp {} is not within [{}, {}]", timestamp.0, earliest.0, latest.0)
            }
            BrokenRule::TimestampType => {
                f.write_str("producers may not set the timestamp type to LogAppendTime")
            }
        }
    }
}
