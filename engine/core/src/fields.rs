//! Fields of the formats that Kafka stores: big-endian numbers; in the flexible formats unsigned
//! varints, compact strings and lists (length plus one; zero is null) and tagged fields; in the
//! older ones lengths of fixed size. Memory grows with the bytes that are there, never with a
//! length that they claim.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::codec::length_of;

/// The longest string, in bytes, that Kafka's readers accept.
pub(crate) const MAX_STRING: usize = i16::MAX as usize;

/// Bytes that are no metadata record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The position in the record's value at which reading stopped, in bytes.
    pub position: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a record's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The value ends inside a field.
    Ended,
    /// This many bytes follow the end of a record or of a tagged field.
    Trailing(usize),
    /// A variable-length number has more than 32 bits.
    Varint,
    /// Null where the format allows none.
    Null,
    /// A string of this many bytes.
    StringLength(usize),
    /// A string that is not UTF-8.
    Utf8,
    /// A frame other than version 1.
    FrameVersion(u32),
    /// An API key or a version above 32,767.
    HeaderNumber(u32),
    /// A version of a known record that this program cannot read.
    RecordVersion {
        /// The record's API key.
        key: u16,
        /// Its version.
        version: u16,
    },
    /// A tagged field that the record's version does not have.
    Tag(u32),
    /// A partition number below zero.
    Partition(i32),
    /// A leader recovery state other than 0 and 1.
    LeaderRecovery(i8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed metadata record at byte {}: ", self.position)?;
        match &self.fault {
            Fault::Ended => write!(f, "it ends inside a field"),
            Fault::Trailing(count) => write!(f, "{count} bytes follow its end"),
            Fault::Varint => write!(f, "a variable-length number has more than 32 bits"),
            Fault::Null => write!(f, "null where a value is required"),
            Fault::StringLength(len) => write!(f, "a string of {len} bytes, over {MAX_STRING}"),
            Fault::Utf8 => write!(f, "a string is not UTF-8"),
            Fault::FrameVersion(version) => write!(f, "frame version {version}, not 1"),
            Fault::HeaderNumber(number) => write!(f, "type or version {number}, over 32767"),
            Fault::RecordVersion { key, version } => {
                write!(f, "unknown version {version} of record type {key}")
            }
            Fault::Tag(tag) => write!(f, "tagged field {tag} is not of this record version"),
            Fault::Partition(index) => write!(f, "partition number {index}"),
            Fault::LeaderRecovery(state) => write!(f, "leader recovery state {state}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads fields in order.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// An error at the current position.
    pub(crate) fn fault<T>(&self, fault: Fault) -> Result<T, DecodeError> {
        Err(DecodeError { position: self.at, fault })
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    /// Fails unless everything has been read.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => self.fault(Fault::Trailing(left)),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        if count > self.bytes.len() - self.at {
            return self.fault(Fault::Ended);
        }
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    /// A field of exactly `N` bytes; also a UUID.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u64;
        for place in 0..5 {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return u32::try_from(value).or_else(|_| self.fault(Fault::Varint));
            }
        }
        self.fault(Fault::Varint)
    }

    /// The length of a string or list; `None` is null.
    fn length(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok(self.varint()?.checked_sub(1).map(|length| length as usize))
    }

    pub(crate) fn nullable_string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        let Some(length) = self.length()? else { return Ok(None) };
        if length > MAX_STRING {
            return self.fault(Fault::StringLength(length));
        }
        match std::str::from_utf8(self.take(length)?) {
            Ok(text) => Ok(Some(text)),
            Err(_) => self.fault(Fault::Utf8),
        }
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        self.nullable_string()?.map_or_else(|| self.fault(Fault::Null), Ok)
    }

    /// A byte string behind its length as a variable-length number.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.length()? {
            Some(length) => self.take(length),
            None => self.fault(Fault::Null),
        }
    }

    pub(crate) fn nullable_list<T>(
        &mut self,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(length) = self.length()? else { return Ok(None) };
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(item(self)?);
        }
        Ok(Some(items))
    }

    pub(crate) fn list<T>(
        &mut self,
        item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_list(item)?.map_or_else(|| self.fault(Fault::Null), Ok)
    }

    /// The tagged fields: `field` reads one whole, given its tag and a reader that ends where the
    /// field does.
    pub(crate) fn tagged(
        &mut self,
        mut field: impl FnMut(u32, &mut Reader<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            let start = self.at;
            self.take(size)?;
            let mut inner = Reader { bytes: &self.bytes[..self.at], at: start };
            field(tag, &mut inner)?;
            inner.end()?;
        }
        Ok(())
    }

    /// Tagged fields of a record that has none; later ones of other writers are passed over.
    pub(crate) fn no_tagged(&mut self) -> Result<(), DecodeError> {
        self.tagged(|_, field| {
            field.rest();
            Ok(())
        })
    }
}

/// The older formats: lengths are whole numbers of fixed size, -1 is null.
impl<'a> Reader<'a> {
    pub(crate) fn nullable_fixed_string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        match self.i16()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => match std::str::from_utf8(self.take(length)?) {
                    Ok(text) => Ok(Some(text)),
                    Err(_) => self.fault(Fault::Utf8),
                },
                Err(_) => self.fault(Fault::Null),
            },
        }
    }

    pub(crate) fn fixed_string(&mut self) -> Result<&'a str, DecodeError> {
        self.nullable_fixed_string()?.map_or_else(|| self.fault(Fault::Null), Ok)
    }

    pub(crate) fn nullable_fixed_bytes(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.i32()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => self.take(length).map(Some),
                Err(_) => self.fault(Fault::Null),
            },
        }
    }

    pub(crate) fn fixed_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        self.nullable_fixed_bytes()?.map_or_else(|| self.fault(Fault::Null), Ok)
    }

    pub(crate) fn fixed_list<T>(
        &mut self,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.i32()?;
        if count < 0 {
            return self.fault(Fault::Null);
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

pub(crate) fn put_fixed_string(out: &mut BytesMut, text: &str) {
    out.put_i16(length_of(text.len()));
    out.put_slice(text.as_bytes());
}

pub(crate) fn put_nullable_fixed_string(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_fixed_string(out, text),
        None => out.put_i16(-1),
    }
}

pub(crate) fn put_fixed_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(length_of(bytes.len()));
    out.put_slice(bytes);
}

pub(crate) fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn put_length(out: &mut BytesMut, length: usize) {
    put_varint(out, length_of(length + 1));
}

pub(crate) fn put_string(out: &mut BytesMut, text: &str) {
    put_length(out, text.len());
    out.put_slice(text.as_bytes());
}

pub(crate) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.put_slice(bytes);
}

pub(crate) fn put_nullable_string(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_string(out, text),
        None => put_varint(out, 0),
    }
}

pub(crate) fn put_list<T>(out: &mut BytesMut, items: &[T], mut put: impl FnMut(&mut BytesMut, &T)) {
    put_length(out, items.len());
    for item in items {
        put(out, item);
    }
}

/// The tagged fields of a record, by ascending tag, each with its bytes.
pub(crate) fn put_tagged(out: &mut BytesMut, fields: &[(u32, BytesMut)]) {
    put_varint(out, length_of(fields.len()));
    for (tag, bytes) in fields {
        put_varint(out, *tag);
        put_varint(out, length_of(bytes.len()));
        out.put_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_spelled_as_kafka_spells_them() {
        let table: [(u32, &[u8]); 6] = [
            (0, &[0]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (1 << 28, &[0x80, 0x80, 0x80, 0x80, 1]),
            (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (value, bytes) in table {
            let mut out = BytesMut::new();
            put_varint(&mut out, value);
            assert_eq!(out[..], *bytes);
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
        }
    }

    #[test]
    fn what_cannot_be_a_field_is_refused_where_it_stands() {
        type Read = fn(&mut Reader<'_>) -> Result<(), DecodeError>;
        let varint: Read = |r| r.varint().map(|_| ());
        let string: Read = |r| r.string().map(|_| ());
        let list: Read = |r| r.list(Reader::i32).map(|_| ());
        let tagged: Read = |r| r.tagged(|_, field| field.i8().map(|_| ()));
        let table: [(Read, &[u8], usize, Fault); 11] = [
            (varint, &[0xff, 0xff, 0xff, 0xff, 0x1f], 5, Fault::Varint),
            (varint, &[0x80, 0x80, 0x80, 0x80, 0x80, 0], 5, Fault::Varint),
            (varint, &[0x80], 1, Fault::Ended),
            (string, &[0], 1, Fault::Null),
            (string, &[3, b'a'], 1, Fault::Ended),
            (string, &[3, 0xc3, 0x28], 3, Fault::Utf8),
            (string, &[0x81, 0x80, 2], 3, Fault::StringLength(MAX_STRING + 1)),
            (list, &[0], 1, Fault::Null),
            (list, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1], 9, Fault::Ended),
            (tagged, &[1, 0, 2, 7, 7], 4, Fault::Trailing(1)),
            (tagged, &[1, 0, 3, 7, 7], 3, Fault::Ended),
        ];
        for (read, bytes, position, fault) in table {
            assert_eq!(read(&mut Reader::new(bytes)), Err(DecodeError { position, fault }));
        }
    }
}
