//! Visits the records of a batch one by one in bounded memory, compressed or not: what validation
//! and the searches by time are made of.

use std::fmt;
use std::ops::ControlFlow;

use super::batch::{BatchHeader, HEADER_LEN};
use super::compress::{Codec, Decoder, DecompressError, UnknownCodec};
use super::parse::{self, ParseError, RecordFault, Source};

/// Decompressed bytes held at a time, at most; fewer for a small payload, which then costs less
/// memory to clear.
const WINDOW_MAX: usize = 32 << 10;
/// The same, at least.
const WINDOW_MIN: usize = 1 << 10;

/// What the walk tells of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The record's place in the batch.
    pub(super) index: u32,
    pub(super) offset_delta: i32,
    pub(super) timestamp_delta: i64,
    pub(super) has_key: bool,
}

/// Why the records of a batch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordsError {
    /// The header names a codec that does not exist.
    Codec(UnknownCodec),
    /// The compressed stream is damaged or too long.
    Decompress(DecompressError),
    /// One record is not well formed.
    Record {
        /// Its place in the batch.
        index: u32,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// Bytes are left after as many records as the header counts.
    Trailing,
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordsError::Codec(error) => error.fmt(f),
            RecordsError::Decompress(error) => error.fmt(f),
            RecordsError::Record { index, fault } => write!(f, "record {index} {fault}"),
            RecordsError::Trailing => f.write_str("bytes are left after the last record"),
        }
    }
}

impl std::error::Error for RecordsError {}

impl RecordsError {
    pub(super) fn at(index: u32, error: ParseError) -> RecordsError {
        match error {
            ParseError::Record(fault) => RecordsError::Record { index, fault },
            ParseError::Stream(error) => RecordsError::Decompress(error),
        }
    }
}

/// Visits the records of `batch` in order until `visit` breaks; the whole batch is checked when it
/// does not. At most `limit` bytes are decompressed.
pub(super) fn walk<B>(
    header: &BatchHeader,
    batch: &[u8],
    limit: u64,
    visit: impl FnMut(Facts) -> ControlFlow<B>,
) -> Result<Option<B>, RecordsError> {
    match open(header, batch, limit)? {
        Opened::Plain(records) => walk_records(records, header.count(), visit),
        Opened::Compressed(decoder) => {
            let window = (8 * batch.len()).clamp(WINDOW_MIN, WINDOW_MAX);
            walk_records(Window::new(decoder, window), header.count(), visit)
        }
    }
}

/// What follows the header of a batch.
pub(super) enum Opened<'a> {
    Plain(&'a [u8]),
    Compressed(Decoder<'a>),
}

/// Starts reading the records of `batch`. Of a batch that the cleaner emptied nothing is read.
pub(super) fn open<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    limit: u64,
) -> Result<Opened<'a>, RecordsError> {
    let payload = batch.get(HEADER_LEN..).unwrap_or_default();
    match header.codec().map_err(RecordsError::Codec)? {
        _ if header.count() == 0 => Ok(Opened::Plain(&[])),
        Codec::None => Ok(Opened::Plain(payload)),
        codec => Decoder::new(codec, payload, limit)
            .map(Opened::Compressed)
            .map_err(RecordsError::Decompress),
    }
}

fn walk_records<B>(
    mut payload: impl Payload,
    count: u32,
    mut visit: impl FnMut(Facts) -> ControlFlow<B>,
) -> Result<Option<B>, RecordsError> {
    for index in 0..count {
        let facts = payload.next_record(index).map_err(|e| RecordsError::at(index, e))?;
        if let ControlFlow::Break(found) = visit(facts) {
            return Ok(Some(found));
        }
    }
    match payload.at_end() {
        Ok(true) => Ok(None),
        Ok(false) => Err(RecordsError::Trailing),
        Err(error) => Err(RecordsError::at(count, error)),
    }
}

/// Records one after another.
trait Payload {
    fn next_record(&mut self, index: u32) -> Result<Facts, ParseError>;
    fn at_end(&mut self) -> Result<bool, ParseError>;
}

impl Payload for &[u8] {
    #[inline]
    fn next_record(&mut self, index: u32) -> Result<Facts, ParseError> {
        let len = parse::length(|| self.byte())?;
        let mut body = self.span(len)?;
        facts(index, &mut body)
    }

    fn at_end(&mut self) -> Result<bool, ParseError> {
        Ok(self.is_empty())
    }
}

impl Payload for Window<'_> {
    fn next_record(&mut self, index: u32) -> Result<Facts, ParseError> {
        let left = parse::length(|| self.byte())?;
        facts(index, &mut Body { window: self, left })
    }

    fn at_end(&mut self) -> Result<bool, ParseError> {
        Ok(self.held()?.is_empty())
    }
}

#[inline]
fn facts(index: u32, body: &mut impl Source) -> Result<Facts, ParseError> {
    let fields = parse::fields(body)?;
    parse::finish(body, fields.header_count)?;
    Ok(Facts {
        index,
        offset_delta: fields.offset_delta,
        timestamp_delta: fields.timestamp_delta,
        has_key: fields.key.is_some(),
    })
}

/// The decompressed bytes at hand.
struct Window<'a> {
    decoder: Decoder<'a>,
    bytes: Vec<u8>,
    taken: usize,
    end: usize,
}

impl<'a> Window<'a> {
    fn new(decoder: Decoder<'a>, len: usize) -> Window<'a> {
        Window { decoder, bytes: vec![0; len], taken: 0, end: 0 }
    }

    /// The bytes decompressed and not yet taken; none only at the end of the stream.
    fn held(&mut self) -> Result<&[u8], ParseError> {
        if self.taken == self.end {
            self.end = self.decoder.read(&mut self.bytes)?;
            self.taken = 0;
        }
        Ok(&self.bytes[self.taken..self.end])
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, ParseError> {
        let byte = *self.held()?.first().ok_or(RecordFault::Truncated)?;
        self.taken += 1;
        Ok(byte)
    }

    fn skip(&mut self, mut len: usize) -> Result<(), ParseError> {
        while len > 0 {
            let step = self.held()?.len().min(len);
            if step == 0 {
                return Err(RecordFault::Truncated.into());
            }
            self.taken += step;
            len -= step;
        }
        Ok(())
    }
}

/// One record's share of the window.
struct Body<'w, 'a> {
    window: &'w mut Window<'a>,
    left: usize,
}

impl Source for Body<'_, '_> {
    type Span = ();

    #[inline]
    fn byte(&mut self) -> Result<u8, ParseError> {
        self.left = self.left.checked_sub(1).ok_or(RecordFault::Truncated)?;
        self.window.byte()
    }

    fn span(&mut self, len: usize) -> Result<(), ParseError> {
        self.left = self.left.checked_sub(len).ok_or(RecordFault::Truncated)?;
        self.window.skip(len)
    }

    fn remaining(&self) -> usize {
        self.left
    }
}
