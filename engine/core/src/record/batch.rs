//! The 61 bytes before the records of a v2 batch, and the few of them that a broker writes.
//!
//! ```text
//!  0 base offset i64         the broker's; outside the CRC
//!  8 length i32              of all that follows this field
//! 12 leader epoch i32        the broker's; outside the CRC
//! 16 magic i8 = 2
//! 17 crc u32                 CRC-32C of everything from 21 on
//! 21 attributes i16          bits 0-2 codec, 3 log append time, 4 transactional, 5 control,
//!                            6 base timestamp is a delete horizon
//! 23 last offset delta i32
//! 27 base timestamp i64
//! 35 max timestamp i64
//! 43 producer id i64         -1: none
//! 51 producer epoch i16
//! 53 base sequence i32
//! 57 record count i32
//! 61 records, compressed as a whole when a codec is named
//! ```
//!
//! Integers are big-endian. Parsing looks at the frame only (length and magic), so that it costs
//! the same for any batch; `validate` is what makes a client's batch trustworthy.

use std::fmt;

use bytes::Bytes;

use super::compress::{Codec, UnknownCodec};
use super::sequence::Sequence;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// The header's size in bytes; records start here.
pub const HEADER_LEN: usize = 61;
/// Base offset and length: what must be read to know a batch's size.
pub const FRAME_LEN: usize = 12;
/// The magic of the only format that is stored.
pub const MAGIC: i8 = 2;

const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
/// Where the bytes covered by the CRC begin.
pub(super) const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

/// Where a record's timestamp comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer: each record has its own.
    #[default]
    Create,
    /// The broker, at the append: the batch's max timestamp is that of every record.
    LogAppend,
}

/// The batch's flags. Bits 7 to 15 are unused; they are kept as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;
    const USED: i16 = 0x7f;

    /// Attributes of a batch with this codec and no other flag.
    #[must_use]
    pub fn of(codec: Codec) -> Attributes {
        Attributes(i16::from(codec.id()))
    }

    /// The same, marked as part of a transaction.
    #[must_use]
    pub fn transactional(self) -> Attributes {
        Attributes(self.0 | Attributes::TRANSACTIONAL)
    }

    /// The same, marked as holding control records.
    #[must_use]
    pub fn control(self) -> Attributes {
        Attributes(self.0 | Attributes::CONTROL)
    }

    /// The same, with this timestamp type and, as Kafka does when it rewrites them, without the
    /// unused bits.
    fn rewritten(self, timestamps: TimestampType) -> Attributes {
        let used = self.0 & Attributes::USED & !Attributes::LOG_APPEND;
        match timestamps {
            TimestampType::Create => Attributes(used),
            TimestampType::LogAppend => Attributes(used | Attributes::LOG_APPEND),
        }
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// [`UnknownCodec`] for the ids 5 to 7, which name none.
    pub fn codec(self) -> Result<Codec, UnknownCodec> {
        Codec::from_id((self.0 & Attributes::CODEC) as u8)
    }

    fn has(self, flag: i16) -> bool {
        self.0 & flag != 0
    }
}

/// The producer of an idempotent or transactional batch, and which of its records these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerFields {
    /// Who sent it; never negative.
    pub id: ProducerId,
    /// The incarnation of that producer.
    pub epoch: ProducerEpoch,
    /// The sequence of the first record.
    pub first: Sequence,
    /// The sequence of the last record; wraps at `i32::MAX`.
    pub last: Sequence,
}

/// A batch's header, decoded. Fields are as found, none is checked but length and magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record, which compaction may have removed since.
    pub base_offset: Offset,
    /// Bytes after the length field; at least 49.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; -1 in a producer's request.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C of the bytes from the attributes to the end.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Offset of the last record, less the base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas are added to, or the delete horizon.
    pub base_timestamp: Timestamp,
    /// The latest timestamp of the records, or the time of the append.
    pub max_timestamp: Timestamp,
    /// The producer's id; -1 when it is not idempotent.
    pub producer_id: ProducerId,
    /// The producer's epoch; -1 when it is not idempotent.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record; -1 when the producer is not idempotent.
    pub base_sequence: Sequence,
    /// Records in the batch; compaction lowers it.
    pub record_count: i32,
}

impl BatchHeader {
    /// Decodes the header at the start of `bytes`, which may hold less or more than the batch.
    ///
    /// # Errors
    /// [`FrameError`]: no whole header, a length that cannot hold one, or another magic.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, FrameError> {
        let total = total_len(bytes)?;
        if bytes.len() < HEADER_LEN {
            return Err(FrameError::Truncated { have: bytes.len(), need: total });
        }
        Ok(BatchHeader::decode(bytes))
    }

    /// Decodes a header that the caller knows to be there whole.
    pub(super) fn decode(header: &[u8]) -> BatchHeader {
        BatchHeader {
            base_offset: Offset(i64::from_be_bytes(field(header, 0))),
            batch_length: i32::from_be_bytes(field(header, LENGTH_AT)),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(header, LEADER_EPOCH_AT))),
            crc: u32::from_be_bytes(field(header, CRC_AT)),
            attributes: Attributes(i16::from_be_bytes(field(header, ATTRIBUTES_AT))),
            last_offset_delta: i32::from_be_bytes(field(header, 23)),
            base_timestamp: Timestamp(i64::from_be_bytes(field(header, 27))),
            max_timestamp: Timestamp(i64::from_be_bytes(field(header, MAX_TIMESTAMP_AT))),
            producer_id: ProducerId(i64::from_be_bytes(field(header, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(header, 51))),
            base_sequence: Sequence(i32::from_be_bytes(field(header, 53))),
            record_count: i32::from_be_bytes(field(header, 57)),
        }
    }

    /// Writes the header over the first 61 bytes of `bytes`, which the caller knows to be there.
    /// The CRC is what the field says.
    pub(super) fn write(&self, bytes: &mut [u8]) {
        let fields: [&[u8]; 13] = [
            &self.base_offset.0.to_be_bytes(),
            &self.batch_length.to_be_bytes(),
            &self.leader_epoch.0.to_be_bytes(),
            &MAGIC.to_be_bytes(),
            &self.crc.to_be_bytes(),
            &self.attributes.0.to_be_bytes(),
            &self.last_offset_delta.to_be_bytes(),
            &self.base_timestamp.0.to_be_bytes(),
            &self.max_timestamp.0.to_be_bytes(),
            &self.producer_id.0.to_be_bytes(),
            &self.producer_epoch.0.to_be_bytes(),
            &self.base_sequence.0.to_be_bytes(),
            &self.record_count.to_be_bytes(),
        ];
        let mut at = 0;
        for field in fields {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
    }

    /// The batch's size in bytes, header included.
    #[must_use]
    pub fn total_len(&self) -> usize {
        // Parsing refused negative lengths.
        FRAME_LEN + self.batch_length as usize
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.offset_of(self.last_offset_delta)
    }

    /// The offset after the last record: the base of the batch that follows.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// How many records the batch says it holds; 0 when it claims a negative number.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.record_count).unwrap_or_default()
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// [`UnknownCodec`] for the ids 5 to 7, which name none.
    pub fn codec(&self) -> Result<Codec, UnknownCodec> {
        self.attributes.codec()
    }

    /// Where the records' timestamps come from.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes.has(Attributes::LOG_APPEND) {
            true => TimestampType::LogAppend,
            false => TimestampType::Create,
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes.has(Attributes::TRANSACTIONAL)
    }

    /// Whether the records are markers, invisible to consumers.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes.has(Attributes::CONTROL)
    }

    /// When the cleaner may drop the batch's tombstones and markers, once it has decided.
    #[must_use]
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        self.attributes.has(Attributes::DELETE_HORIZON).then_some(self.base_timestamp)
    }

    /// The producer's identity and sequences, when the batch has a producer.
    #[must_use]
    pub fn producer(&self) -> Option<ProducerFields> {
        (self.producer_id.0 >= 0).then(|| ProducerFields {
            id: self.producer_id,
            epoch: self.producer_epoch,
            first: self.base_sequence,
            last: self.last_sequence(),
        })
    }

    /// The sequence of the last record, or none.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        match self.base_sequence {
            Sequence::NONE => Sequence::NONE,
            first => first.plus(self.last_offset_delta),
        }
    }

    /// The offset of a record whose delta is `delta`.
    #[must_use]
    pub fn offset_of(&self, delta: i32) -> Offset {
        Offset(self.base_offset.0.saturating_add(i64::from(delta)))
    }

    /// The timestamp of a record whose delta is `delta`. Wraps as Kafka's arithmetic does.
    #[must_use]
    pub fn timestamp_of(&self, delta: i64) -> Timestamp {
        match self.timestamp_type() {
            TimestampType::Create => Timestamp(self.base_timestamp.0.wrapping_add(delta)),
            TimestampType::LogAppend => self.max_timestamp,
        }
    }
}

/// Why bytes are not framed as a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The bytes end before the batch does.
    Truncated {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be; of the frame or header alone while the length is not known.
        need: usize,
    },
    /// The length field is smaller than a header, or negative.
    Length(i32),
    /// Another format, or no batch at all.
    Magic(i8),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Truncated { have, need } => {
                write!(f, "batch ends after {have} of {need} bytes")
            }
            FrameError::Length(length) => write!(f, "batch length {length} cannot hold a header"),
            FrameError::Magic(magic) => write!(f, "record format {magic} is not supported"),
        }
    }
}

impl std::error::Error for FrameError {}

/// The size of the batch at the start of `bytes`, which must hold its first 17 bytes.
///
/// # Errors
/// As [`BatchHeader::parse`].
pub fn total_len(bytes: &[u8]) -> Result<usize, FrameError> {
    let Some(prefix) = bytes.first_chunk::<{ MAGIC_AT + 1 }>() else {
        return Err(FrameError::Truncated { have: bytes.len(), need: HEADER_LEN });
    };
    let magic = i8::from_be_bytes(field(prefix, MAGIC_AT));
    if magic != MAGIC {
        return Err(FrameError::Magic(magic));
    }
    let length = i32::from_be_bytes(field(prefix, LENGTH_AT));
    match usize::try_from(length) {
        Ok(length) if length >= HEADER_LEN - FRAME_LEN => Ok(FRAME_LEN + length),
        _ => Err(FrameError::Length(length)),
    }
}

/// Walks batches that lie end to end, without copying. Ends after the first error.
pub fn split(bytes: &Bytes) -> impl Iterator<Item = Result<(BatchHeader, Bytes), FrameError>> {
    let mut rest = bytes.clone();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = split_first(&mut rest);
        if next.is_err() {
            rest = Bytes::new();
        }
        Some(next)
    })
}

fn split_first(rest: &mut Bytes) -> Result<(BatchHeader, Bytes), FrameError> {
    let header = BatchHeader::parse(rest)?;
    let need = header.total_len();
    if rest.len() < need {
        return Err(FrameError::Truncated { have: rest.len(), need });
    }
    Ok((header, rest.split_to(need)))
}

/// Whether the CRC in the header is that of `batch`, which must be exactly one batch.
#[must_use]
pub fn crc_matches(header: &BatchHeader, batch: &[u8]) -> bool {
    header.crc == crc(batch)
}

/// The CRC-32C that belongs into the header of `batch`.
pub(super) fn crc(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default())
}

/// Writes what the leader decides and the CRC does not cover. `batch` starts with a header that
/// was parsed.
pub fn stamp(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    batch[..LENGTH_AT].copy_from_slice(&base_offset.0.to_be_bytes());
    batch[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&leader_epoch.0.to_be_bytes());
}

/// Makes `now` the timestamp of every record, as a topic with `LogAppendTime` asks, and renews the
/// CRC. `batch` is exactly one batch whose header was parsed.
pub fn stamp_log_append_time(batch: &mut [u8], now: Timestamp) {
    stamp_timestamps(batch, TimestampType::LogAppend, now);
}

/// Writes timestamp type and max timestamp, and renews the CRC if either changed, as Kafka's
/// `DefaultRecordBatch.setMaxTimestamp` does.
pub(super) fn stamp_timestamps(batch: &mut [u8], timestamps: TimestampType, max: Timestamp) {
    let attributes = Attributes(i16::from_be_bytes(field(batch, ATTRIBUTES_AT)));
    let current = i64::from_be_bytes(field(batch, MAX_TIMESTAMP_AT));
    let same_type =
        attributes.has(Attributes::LOG_APPEND) == (timestamps == TimestampType::LogAppend);
    if same_type && current == max.0 {
        return;
    }
    let attributes = attributes.rewritten(timestamps).0.to_be_bytes();
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes);
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max.0.to_be_bytes());
    let crc = crc(batch).to_be_bytes();
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc);
}

/// The `N` bytes at `at`, which the caller knows to be there.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}
