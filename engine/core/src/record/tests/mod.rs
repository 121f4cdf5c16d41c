//! Tests of the module as its users see it.

mod batch;
mod builder;
mod clients;
mod hostile;
mod records;
mod validate;

use bytes::Bytes;

use super::batch::HEADER_LEN;
use super::*;
use crate::id::Timestamp;

/// The wall clock of all tests.
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A record at `NOW` plus `offset_ms`.
fn record<'a>(offset_ms: i64, key: Option<&'a [u8]>, value: &'a [u8]) -> NewRecord<'a> {
    let timestamp = Timestamp(NOW.0 + offset_ms);
    NewRecord { timestamp, key, value: Some(value), headers: &[] }
}

/// Three records with keys, one millisecond apart, the last with headers.
fn sample(codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    builder.append(record(0, Some(b"a"), b"first"));
    builder.append(record(1, Some(b"b"), &[7; 200]));
    let headers: &[(&str, Option<&[u8]>)] = &[("h", Some(b"x")), ("n", None), ("", Some(b""))];
    builder.append(NewRecord { headers, value: None, ..record(2, Some(b"c"), b"") });
    builder.build().unwrap().to_vec()
}

/// A batch of one record per timestamp, each an offset to `NOW`, with keys.
fn at_times(codec: Codec, times_ms: &[i64]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    for time in times_ms {
        builder.append(record(*time, Some(b"k"), b"v"));
    }
    builder.build().unwrap().to_vec()
}

/// A batch whose record bytes are `payload`, and whose header says that they are `count` records.
fn raw(codec: Codec, count: i32, payload: &[u8]) -> Vec<u8> {
    let mut batch = sample(Codec::None);
    batch.truncate(HEADER_LEN);
    batch.extend_from_slice(payload);
    put(&mut batch, 8, &((HEADER_LEN - 12 + payload.len()) as i32).to_be_bytes());
    put(&mut batch, 21, &i16::from(codec.id()).to_be_bytes());
    put(&mut batch, 23, &(count - 1).to_be_bytes());
    put(&mut batch, 57, &count.to_be_bytes());
    seal(batch)
}

/// Overwrites the field at `at`.
fn put(batch: &mut [u8], at: usize, field: &[u8]) {
    batch[at..at + field.len()].copy_from_slice(field);
}

/// Makes the CRC right again.
fn seal(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&batch[21..]);
    put(&mut batch, 17, &crc.to_be_bytes());
    batch
}

fn header(batch: &[u8]) -> BatchHeader {
    BatchHeader::parse(batch).unwrap()
}

/// What a batch holds, copied out.
#[derive(Debug, PartialEq)]
struct Content {
    offset: i64,
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<(Bytes, Option<Bytes>)>,
}

fn contents(batch: &[u8]) -> Result<Vec<Content>, RecordsError> {
    let copy = Bytes::copy_from_slice;
    Records::open(&header(batch), batch, compress::MAX_DECOMPRESSED)?
        .iter()
        .map(|record| {
            let record = record?;
            Ok(Content {
                offset: record.offset.0,
                timestamp: record.timestamp.0,
                key: record.key.map(copy),
                value: record.value.map(copy),
                headers: record.headers.map(|(k, v)| (copy(k), v.map(copy))).collect(),
            })
        })
        .collect()
}
