//! The fields of one record, read in order from wherever its bytes are.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//! key length varint | key | value length varint | value
//! header count varint | { name length varint | name | value length varint | value }*
//! ```
//!
//! A negative length of a key or value means null. The same parser yields slices of records that
//! lie in memory and only checks those that pass by in a decompressor's window.

use std::fmt;

use super::compress::DecompressError;
use super::varint::{self, Unterminated};

/// The bytes of one record, without its length.
pub(super) trait Source {
    /// A run of bytes: a slice where the source is memory, nothing where it is a stream.
    type Span: Copy;

    /// Takes one byte.
    fn byte(&mut self) -> Result<u8, ParseError>;

    /// Takes `len` bytes.
    fn span(&mut self, len: usize) -> Result<Self::Span, ParseError>;

    /// Bytes of the record that were not taken yet.
    fn remaining(&self) -> usize;
}

impl<'a> Source for &'a [u8] {
    type Span = &'a [u8];

    #[inline]
    fn byte(&mut self) -> Result<u8, ParseError> {
        let (byte, rest) = self.split_first().ok_or(RecordFault::Truncated)?;
        *self = rest;
        Ok(*byte)
    }

    #[inline]
    fn span(&mut self, len: usize) -> Result<&'a [u8], ParseError> {
        Ok(self.split_off(..len).ok_or(RecordFault::Truncated)?)
    }

    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }
}

/// What is wrong with a record's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// A field goes past the end of the record, or the record past the end of the batch.
    Truncated,
    /// The record is longer than its fields.
    Length,
    /// A variable-length integer does not end.
    Varint,
    /// The number of headers is negative, or more than the record has bytes for.
    HeaderCount,
    /// A header's name has a negative length.
    HeaderName,
    /// The offset delta is not the record's place in the batch.
    OffsetDelta,
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordFault::Truncated => "ends before its fields do",
            RecordFault::Length => "is longer than its fields",
            RecordFault::Varint => "has an integer without an end",
            RecordFault::HeaderCount => "has an impossible number of headers",
            RecordFault::HeaderName => "has a header without a name",
            RecordFault::OffsetDelta => "has the offset of another record",
        })
    }
}

impl From<Unterminated> for RecordFault {
    fn from(_: Unterminated) -> RecordFault {
        RecordFault::Varint
    }
}

/// Why a record could not be read: its own bytes, or those of the compressed stream around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ParseError {
    Record(RecordFault),
    Stream(DecompressError),
}

impl From<RecordFault> for ParseError {
    fn from(fault: RecordFault) -> ParseError {
        ParseError::Record(fault)
    }
}

impl From<Unterminated> for ParseError {
    fn from(fault: Unterminated) -> ParseError {
        ParseError::Record(fault.into())
    }
}

impl From<DecompressError> for ParseError {
    fn from(error: DecompressError) -> ParseError {
        ParseError::Stream(error)
    }
}

/// A record's fields up to its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<S> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<S>,
    pub(super) value: Option<S>,
    pub(super) header_count: usize,
}

/// Reads everything before the headers.
#[inline]
pub(super) fn fields<S: Source>(source: &mut S) -> Result<Fields<S::Span>, ParseError> {
    let _attributes = source.byte()?;
    let timestamp_delta = varint::get_i64(|| source.byte())?;
    let offset_delta = varint::get_i32(|| source.byte())?;
    let key = nullable(source)?;
    let value = nullable(source)?;
    let count = varint::get_i32(|| source.byte())?;
    let header_count = usize::try_from(count).map_err(|_| RecordFault::HeaderCount)?;
    if header_count > source.remaining() {
        return Err(RecordFault::HeaderCount.into());
    }
    Ok(Fields { timestamp_delta, offset_delta, key, value, header_count })
}

/// Reads one header: its name and value.
pub(super) fn header<S: Source>(source: &mut S) -> Result<(S::Span, Option<S::Span>), ParseError> {
    let name = nullable(source)?.ok_or(RecordFault::HeaderName)?;
    Ok((name, nullable(source)?))
}

/// Reads the headers, and demands that the record ends with them.
#[inline]
pub(super) fn finish<S: Source>(source: &mut S, header_count: usize) -> Result<(), ParseError> {
    for _ in 0..header_count {
        header(source)?;
    }
    match source.remaining() {
        0 => Ok(()),
        _ => Err(RecordFault::Length.into()),
    }
}

/// Takes the length that precedes a record, and returns it.
#[inline]
pub(super) fn length(next: impl FnMut() -> Result<u8, ParseError>) -> Result<usize, ParseError> {
    let length = varint::get_i32(next)?;
    Ok(usize::try_from(length).map_err(|_| RecordFault::Length)?)
}

#[inline]
fn nullable<S: Source>(source: &mut S) -> Result<Option<S::Span>, ParseError> {
    let len = varint::get_i32(|| source.byte())?;
    match usize::try_from(len) {
        Ok(len) => source.span(len).map(Some),
        Err(_) => Ok(None),
    }
}
