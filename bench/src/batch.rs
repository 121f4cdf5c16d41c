//! Record batches, made once before the load, and what is changed in them for each request.
//!
//! Values are hexadecimal digits of a seeded generator, which codecs compress about twofold:
//! between the noise that they cannot compress and the zeros that they reduce to nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use corelog_engine::id::Timestamp;
use corelog_engine::record::builder::BatchTooLarge;
use corelog_engine::record::{BatchBuilder, Codec, NewRecord};
use serde::Serialize;

use crate::random::xorshift;
use crate::units;

// Places in a v2 batch, as `corelog_engine::record::batch` draws it.
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
const PRODUCER_AT: usize = 43;
pub(crate) const HEADER_LEN: usize = 61;

/// What the batches consist of.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct BatchArgs {
    /// Bytes of a record's value
    #[arg(long, default_value = "1KiB", value_parser = units::bytes)]
    record_size: u64,
    /// Bytes of a batch before compression: as many records as fit, at least one
    #[arg(long, value_parser = units::bytes, conflicts_with = "records_per_batch")]
    batch_bytes: Option<u64>,
    /// Records of a batch, in place of --batch-bytes
    #[arg(long)]
    records_per_batch: Option<u32>,
    /// How batches are compressed, before the measurement
    #[arg(long, value_enum, default_value_t = Compression::None)]
    compression: Compression,
}

/// A batch to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSpec {
    /// Bytes of a record's value.
    pub(crate) record_size: u64,
    pub(crate) fill: Fill,
    pub(crate) compression: Compression,
}

/// When a batch is full. It has at least one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// No further record fits into so many bytes, before compression.
    Bytes(u64),
    Records(u32),
}

/// Kafka's names of its codecs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Codec {
        match compression {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::Gzip,
            Compression::Snappy => Codec::Snappy,
            Compression::Lz4 => Codec::Lz4,
            Compression::Zstd => Codec::Zstd,
        }
    }
}

/// A batch with the number of its records.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) records: u64,
}

impl BatchArgs {
    /// The batch that the flags describe; `default` is when it is full if they do not say.
    pub(crate) fn spec(&self, default: Fill) -> BatchSpec {
        let fill = match (self.records_per_batch, self.batch_bytes) {
            (Some(records), _) => Fill::Records(records),
            (None, Some(bytes)) => Fill::Bytes(bytes),
            (None, None) => default,
        };
        BatchSpec { record_size: self.record_size, fill, compression: self.compression }
    }
}

impl BatchSpec {
    /// An uncompressed batch.
    pub(crate) fn plain(record_size: u64, fill: Fill) -> BatchSpec {
        BatchSpec { record_size, fill, compression: Compression::None }
    }

    /// Whether records can be changed in the batch.
    pub(crate) fn is_plain(&self) -> bool {
        self.compression == Compression::None
    }

    /// Makes the batch.
    ///
    /// # Errors
    /// It would exceed 2 GiB.
    pub(crate) fn build(&self) -> Result<Batch, BatchTooLarge> {
        self.build_with(&[])
    }

    /// The same, whose records have these keys in turn.
    ///
    /// # Errors
    /// As [`BatchSpec::build`].
    pub(crate) fn build_with(&self, keys: &[Vec<u8>]) -> Result<Batch, BatchTooLarge> {
        let size = usize::try_from(self.record_size).map_err(|_| BatchTooLarge)?;
        let mut builder = BatchBuilder::new(self.compression.into());
        let mut digits = Digits::new();
        let mut value = Vec::new();
        let timestamp = now();
        while !self.is_full(&builder) {
            value.clear();
            value.extend(digits.by_ref().take(size));
            let key = keys.get(builder.count() % keys.len().max(1)).map(Vec::as_slice);
            let value = Some(value.as_slice());
            let record = NewRecord { timestamp, key, value, ..NewRecord::default() };
            builder.append(record);
        }
        let records = builder.count() as u64;
        Ok(Batch { bytes: builder.build()?, records })
    }

    fn is_full(&self, builder: &BatchBuilder) -> bool {
        let (count, len) = (builder.count(), builder.uncompressed_len());
        match self.fill {
            _ if count == 0 => false,
            _ if len > i32::MAX as usize => true,
            Fill::Records(records) => count >= records as usize,
            // The numbers of the next record may take a few bytes more.
            Fill::Bytes(bytes) => (len + (len - HEADER_LEN) / count + 4) as u64 > bytes,
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(since.as_millis() as i64)
}

/// Pseudo-random hexadecimal digits, the same ones in every run.
#[derive(Debug)]
struct Digits {
    state: u64,
    left: u32,
}

impl Digits {
    fn new() -> Digits {
        Digits { state: 0x9e37_79b9_7f4a_7c15, left: 0 }
    }
}

impl Iterator for Digits {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.left == 0 {
            xorshift(&mut self.state);
            self.left = 16;
        }
        self.left -= 1;
        Some(b"0123456789abcdef"[(self.state >> (4 * self.left) & 15) as usize])
    }
}

/// Who an idempotent producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// Writes the producer and the sequence of the first record into a batch, and renews its CRC.
pub(crate) fn set_sequence(batch: &mut [u8], producer: Producer, first: i32) {
    let fields = &mut batch[PRODUCER_AT..PRODUCER_AT + 14];
    fields[..8].copy_from_slice(&producer.id.to_be_bytes());
    fields[8..10].copy_from_slice(&producer.epoch.to_be_bytes());
    fields[10..].copy_from_slice(&first.to_be_bytes());
    renew_crc(batch);
}

/// Bytes at the start of a value that [`set_mark`] writes.
pub(crate) const MARK_LEN: usize = 16;

/// Says in which run and when, in nanoseconds of that run, a record should have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) run: u64,
    pub(crate) at_nanos: u64,
}

impl Mark {
    /// Reads the mark that a value starts with.
    pub(crate) fn read(value: &[u8]) -> Option<Mark> {
        let (run, rest) = value.split_first_chunk()?;
        let at_nanos = rest.first_chunk()?;
        Some(Mark { run: u64::from_be_bytes(*run), at_nanos: u64::from_be_bytes(*at_nanos) })
    }
}

/// Writes the mark into the last record of an uncompressed batch, which has no headers and a value
/// of `value_len` bytes, and renews the CRC.
pub(crate) fn set_mark(batch: &mut [u8], value_len: usize, mark: Mark) {
    // It ends with its value and the number of its headers, a zero.
    let start = batch.len() - 1 - value_len;
    let value = &mut batch[start..start + MARK_LEN];
    value[..8].copy_from_slice(&mark.run.to_be_bytes());
    value[8..].copy_from_slice(&mark.at_nanos.to_be_bytes());
    renew_crc(batch);
}

fn renew_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_engine::record::batch::crc_matches;
    use corelog_engine::record::{BatchHeader, Records, Rules, validate};

    fn spec(record_size: u64, batch_bytes: u64) -> BatchSpec {
        BatchSpec::plain(record_size, Fill::Bytes(batch_bytes))
    }

    #[test]
    fn batches_are_as_large_as_asked_and_valid() {
        for (record_size, batch_bytes, records) in
            [(1024, 102_400, 98..=99), (100, 1000, 8..=8), (1024, 0, 1..=1), (0, 200, 15..=20)]
        {
            let batch = spec(record_size, batch_bytes).build().expect("a batch");
            assert!(records.contains(&batch.records), "{} of {record_size}", batch.records);
            assert!(batch.records == 1 || batch.bytes.len() as u64 <= batch_bytes);
            check(&batch.bytes);
        }
        let counted = BatchSpec::plain(10, Fill::Records(7));
        assert_eq!(counted.build().expect("a batch").records, 7);
    }

    #[test]
    fn codecs_halve_the_values() {
        let plain = spec(1000, 50_000).build().expect("a batch").bytes.len();
        for (compression, tenths) in [
            (Compression::Gzip, 5..=6),
            (Compression::Zstd, 5..=6),
            (Compression::Lz4, 5..=10),
            (Compression::Snappy, 5..=10),
        ] {
            let spec = BatchSpec { compression, ..spec(1000, 50_000) };
            let batch = spec.build().expect("a batch").bytes;
            assert!(tenths.contains(&(batch.len() * 10 / plain)), "{compression:?}");
            check(&batch);
        }
    }

    fn check(batch: &Bytes) {
        if let Err(invalid) = validate(batch, &Rules::default(), now()) {
            panic!("{invalid}");
        }
    }

    #[test]
    fn a_sequence_is_where_brokers_look_for_it() {
        let mut batch = spec(100, 1000).build().expect("a batch").bytes.to_vec();
        for first in [0, 7, i32::MAX] {
            set_sequence(&mut batch, Producer { id: 1 << 40, epoch: 3 }, first);
            let header = BatchHeader::parse(&batch).expect("a header");
            let producer = header.producer().expect("a producer");
            assert_eq!((producer.id.0, producer.epoch.0, producer.first.0), (1 << 40, 3, first));
            assert!(crc_matches(&header, &batch));
            check(&Bytes::copy_from_slice(&batch));
        }
    }

    #[test]
    fn a_mark_is_read_from_the_value() {
        for size in [16, 100, 1024, 100_000] {
            let spec = BatchSpec::plain(size, Fill::Records(1));
            let mut batch = spec.build().expect("a batch").bytes.to_vec();
            let mark = Mark { run: 77, at_nanos: 1 << 50 };
            set_mark(&mut batch, size as usize, mark);
            let header = BatchHeader::parse(&batch).expect("a header");
            assert!(crc_matches(&header, &batch));
            let records = Records::open(&header, &batch, 1 << 20).expect("records");
            let record = records.iter().next().expect("one").expect("a record");
            let value = record.value.expect("a value");
            assert_eq!((value.len(), Mark::read(value)), (size as usize, Some(mark)));
        }
        assert_eq!(Mark::read(&[0; MARK_LEN - 1]), None);
    }
}
