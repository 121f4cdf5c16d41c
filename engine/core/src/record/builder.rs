//! Makes batches: for internal topics, tests, the benchmark and the command line.

use std::fmt;

use bytes::Bytes;

use super::batch::{Attributes, BatchHeader, FRAME_LEN, HEADER_LEN, crc};
use super::compress::{Codec, compress};
use super::sequence::Sequence;
use super::varint;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// A record to append. Key and value are null when `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// When the record was made.
    pub timestamp: Timestamp,
    /// What compaction keeps the latest of.
    pub key: Option<&'a [u8]>,
    /// A tombstone when `None`.
    pub value: Option<&'a [u8]>,
    /// In order; names may repeat.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// Gathers records into one batch.
#[derive(Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    codec: Codec,
    records: Vec<u8>,
    count: usize,
}

/// The batch would need more bytes or records than its length fields can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTooLarge;

impl fmt::Display for BatchTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record batch cannot hold 2 GiB")
    }
}

impl std::error::Error for BatchTooLarge {}

impl BatchBuilder {
    /// An empty batch at offset 0, without producer or flags, whose records will be compressed
    /// with `codec`.
    #[must_use]
    pub fn new(codec: Codec) -> BatchBuilder {
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            batch_length: 0,
            leader_epoch: LeaderEpoch(-1),
            crc: 0,
            attributes: Attributes::of(codec),
            last_offset_delta: -1,
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
            producer_id: ProducerId(-1),
            producer_epoch: ProducerEpoch(-1),
            base_sequence: Sequence::NONE,
            record_count: 0,
        };
        BatchBuilder { header, codec, records: Vec::new(), count: 0 }
    }

    /// Sets the offset of the first record.
    #[must_use]
    pub fn base_offset(mut self, offset: Offset) -> BatchBuilder {
        self.header.base_offset = offset;
        self
    }

    /// Sets the epoch of the leader that appends the batch.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> BatchBuilder {
        self.header.leader_epoch = epoch;
        self
    }

    /// Names the producer and the sequence of the first record.
    #[must_use]
    pub fn producer(
        mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        first: Sequence,
    ) -> BatchBuilder {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = first;
        self
    }

    /// Marks the batch as part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> BatchBuilder {
        self.header.attributes = self.header.attributes.transactional();
        self
    }

    /// Marks the records as control records.
    #[must_use]
    pub fn control(mut self) -> BatchBuilder {
        self.header.attributes = self.header.attributes.control();
        self
    }

    /// Appends a record at the next offset.
    pub fn append(&mut self, record: NewRecord<'_>) -> &mut BatchBuilder {
        if self.count == 0 {
            self.header.base_timestamp = record.timestamp;
        }
        self.header.max_timestamp = self.header.max_timestamp.max(record.timestamp);
        let delta = record.timestamp.0.wrapping_sub(self.header.base_timestamp.0);
        put_record(&mut self.records, self.count as i64, delta, &record);
        self.count += 1;
        self
    }

    /// How many records were appended.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The batch's size in bytes if it were built now without compression.
    #[must_use]
    pub fn uncompressed_len(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// The finished batch; no bytes at all when nothing was appended.
    ///
    /// # Errors
    /// [`BatchTooLarge`] when the records, even before compression, exceed what a batch can hold.
    pub fn build(mut self) -> Result<Bytes, BatchTooLarge> {
        if self.count == 0 {
            return Ok(Bytes::new());
        }
        // So that neither a record's length nor the count can exceed its field.
        length_field(self.uncompressed_len())?;
        let mut batch = vec![0; HEADER_LEN];
        // Writing to memory cannot fail; the codecs' limits are above what was just checked.
        compress(self.codec, &self.records, &mut batch).map_err(|_| BatchTooLarge)?;
        self.header.batch_length = length_field(batch.len())?;
        self.header.record_count = self.count as i32;
        self.header.last_offset_delta = self.header.record_count - 1;
        self.header.write(&mut batch);
        self.header.crc = crc(&batch);
        self.header.write(&mut batch);
        Ok(Bytes::from(batch))
    }
}

fn length_field(total_len: usize) -> Result<i32, BatchTooLarge> {
    i32::try_from(total_len - FRAME_LEN).map_err(|_| BatchTooLarge)
}

fn put_record(out: &mut Vec<u8>, offset_delta: i64, timestamp_delta: i64, record: &NewRecord<'_>) {
    let headers = record.headers;
    let headers_len: usize = headers
        .iter()
        .map(|(name, value)| bytes_len(Some(name.as_bytes())) + bytes_len(*value))
        .sum();
    let body_len = 1
        + varint::len(timestamp_delta)
        + varint::len(offset_delta)
        + bytes_len(record.key)
        + bytes_len(record.value)
        + varint::len(headers.len() as i64)
        + headers_len;
    out.reserve(varint::len(body_len as i64) + body_len);
    varint::put(out, body_len as i64);
    out.push(0);
    varint::put(out, timestamp_delta);
    varint::put(out, offset_delta);
    put_bytes(out, record.key);
    put_bytes(out, record.value);
    varint::put(out, headers.len() as i64);
    for (name, value) in headers {
        put_bytes(out, Some(name.as_bytes()));
        put_bytes(out, *value);
    }
}

fn bytes_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(varint::len(-1), |bytes| varint::len(bytes.len() as i64) + bytes.len())
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
