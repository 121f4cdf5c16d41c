//! The records inside a batch that was validated: read one by one, or searched by time.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::batch::BatchHeader;
use super::compress::MAX_DECOMPRESSED;
use super::parse::{self, ParseError, Source};
use super::walk::{Opened, RecordsError, open, walk};
use crate::id::{Offset, Timestamp};

/// The records of one batch, in memory: borrowed from the batch, or decompressed.
#[derive(Debug)]
pub struct Records<'a> {
    header: BatchHeader,
    payload: Cow<'a, [u8]>,
}

/// One record, borrowed from its [`Records`].
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its place in the partition.
    pub offset: Offset,
    /// When it was made or appended, as the batch says.
    pub timestamp: Timestamp,
    /// `None` is null.
    pub key: Option<&'a [u8]>,
    /// `None` is null: a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values.
    pub headers: RecordHeaders<'a>,
}

/// The headers of one record, in order. Iterates over names and values; names should be UTF-8, but
/// no broker checks it.
#[derive(Clone, Copy, Debug)]
pub struct RecordHeaders<'a> {
    left: usize,
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    /// Opens `batch`, which is exactly one batch, and decompresses at most `limit` bytes.
    ///
    /// # Errors
    /// [`RecordsError`] when the codec is unknown or the stream damaged or longer than `limit`.
    pub fn open(
        header: &BatchHeader,
        batch: &'a [u8],
        limit: u64,
    ) -> Result<Records<'a>, RecordsError> {
        let payload = match open(header, batch, limit)? {
            Opened::Plain(records) => Cow::Borrowed(records),
            Opened::Compressed(decoder) => {
                Cow::Owned(decoder.read_to_end().map_err(RecordsError::Decompress)?)
            }
        };
        Ok(Records { header: *header, payload })
    }

    /// The records in order. Ends after the first error; bytes left after the last record are one.
    pub fn iter(&self) -> impl Iterator<Item = Result<Record<'_>, RecordsError>> {
        let mut rest: &[u8] = &self.payload;
        let mut left = 0..self.header.count();
        std::iter::from_fn(move || {
            let Some(index) = left.next() else {
                let trailing = std::mem::take(&mut rest);
                return (!trailing.is_empty()).then_some(Err(RecordsError::Trailing));
            };
            let record = self.record(&mut rest).map_err(|e| RecordsError::at(index, e));
            if record.is_err() {
                (left, rest) = (0..0, &[]);
            }
            Some(record)
        })
    }

    fn record<'r>(&self, rest: &mut &'r [u8]) -> Result<Record<'r>, ParseError> {
        let len = parse::length(|| rest.byte())?;
        let mut body = rest.span(len)?;
        let fields = parse::fields(&mut body)?;
        let headers = RecordHeaders { left: fields.header_count, bytes: body };
        parse::finish(&mut body, fields.header_count)?;
        Ok(Record {
            offset: self.header.offset_of(fields.offset_delta),
            timestamp: self.header.timestamp_of(fields.timestamp_delta),
            key: fields.key,
            value: fields.value,
            headers,
        })
    }
}

impl<'a> Iterator for RecordHeaders<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // The record was parsed to its end before it was handed out.
        parse::header(&mut self.bytes).ok()
    }
}

/// The first record of `batch` at or after `from` whose timestamp is `target` or later, as Kafka's
/// `FileRecords.searchForTimestamp` finds it within a batch.
///
/// # Errors
/// [`RecordsError`] when the records up to the answer cannot be read.
pub fn first_at_or_after(
    header: &BatchHeader,
    batch: &[u8],
    target: Timestamp,
    from: Offset,
) -> Result<Option<(Offset, Timestamp)>, RecordsError> {
    if header.max_timestamp < target {
        return Ok(None);
    }
    find(header, batch, |offset, timestamp| timestamp >= target && offset >= from)
}

/// The first record that has the batch's max timestamp, as Kafka's
/// `RecordBatch.offsetOfMaxTimestamp`; `None` when the header is wrong about it, or after the
/// cleaner removed that record.
///
/// # Errors
/// [`RecordsError`] when the records up to the answer cannot be read.
pub fn offset_of_max_timestamp(
    header: &BatchHeader,
    batch: &[u8],
) -> Result<Option<Offset>, RecordsError> {
    let found = find(header, batch, |_, timestamp| timestamp == header.max_timestamp)?;
    Ok(found.map(|(offset, _)| offset))
}

fn find(
    header: &BatchHeader,
    batch: &[u8],
    wanted: impl Fn(Offset, Timestamp) -> bool,
) -> Result<Option<(Offset, Timestamp)>, RecordsError> {
    walk(header, batch, MAX_DECOMPRESSED, |record| {
        let offset = header.offset_of(record.offset_delta);
        let timestamp = header.timestamp_of(record.timestamp_delta);
        match wanted(offset, timestamp) {
            true => ControlFlow::Break((offset, timestamp)),
            false => ControlFlow::Continue(()),
        }
    })
}
