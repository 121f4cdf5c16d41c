//! How one value of each type lies on the wire.
//!
//! A message is a sequence of fields, so its codec is the sequence of its fields' codecs: the
//! table (`table.rs`) generates [`Field`] for structs, this file has it for everything else.
//! Whatever depends on the version reads it from [`Version`]; "flexible" versions write lengths as
//! unsigned varints of length + 1 (0 is null) and end every struct with its tagged fields.

use bytes::Bytes;

use crate::error::{DecodeError, Malformed};
use crate::error_code::ErrorCode;
use crate::reader::Reader;
use crate::records::Records;
use crate::text::Str;
use crate::uuid::Uuid;
use crate::writer::Writer;

/// The version a message is read or written in.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    pub(crate) number: i16,
    pub(crate) flexible: bool,
}

/// A value with a place in a message.
pub trait Field: Sized {
    /// A lower bound of the bytes any value takes in this version; arrays are refused by it.
    fn min_size(version: Version) -> usize;

    /// Takes one value off the reader.
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError>;

    /// Appends the value.
    fn write(&self, writer: &mut Writer, version: Version);

    /// Some value, drawn from the source, that this version can carry.
    #[cfg(feature = "populate")]
    fn populate<S: crate::populate::Source>(seed: &mut S, version: Version) -> Self;
}

/// A value whose absence has a form of its own on the wire.
pub trait Nullable: Field {
    /// As [`Field::min_size`], of a field that may be null.
    fn min_size_nullable(version: Version) -> usize;
    /// As [`Field::read`], where null is allowed.
    fn read_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>, DecodeError>;
    /// As [`Field::write`], where null is allowed.
    fn write_nullable(value: Option<&Self>, writer: &mut Writer, version: Version);
}

impl<T: Nullable> Field for Option<T> {
    fn min_size(version: Version) -> usize {
        T::min_size_nullable(version)
    }

    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        T::read_nullable(reader, version)
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        T::write_nullable(self.as_ref(), writer, version);
    }

    #[cfg(feature = "populate")]
    fn populate<S: crate::populate::Source>(seed: &mut S, version: Version) -> Self {
        (!seed.is_absent()).then(|| T::populate(seed, version))
    }
}

macro_rules! big_endian {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn min_size(_: Version) -> usize {
                size_of::<$number>()
            }

            fn read(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
                reader.take().map(<$number>::from_be_bytes)
            }

            fn write(&self, writer: &mut Writer, _: Version) {
                writer.put(&self.to_be_bytes());
            }

            #[cfg(feature = "populate")]
            fn populate<S: crate::populate::Source>(seed: &mut S, _: Version) -> Self {
                <$number>::from_be_bytes(seed.array())
            }
        }
    )*};
}

big_endian!(i8, i16, i32, i64);

/// Any byte but 0 is true, as in Kafka.
impl Field for bool {
    fn min_size(_: Version) -> usize {
        1
    }

    fn read(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
        reader.take().map(|[byte]| byte != 0)
    }

    fn write(&self, writer: &mut Writer, _: Version) {
        writer.put(&[u8::from(*self)]);
    }

    #[cfg(feature = "populate")]
    fn populate<S: crate::populate::Source>(seed: &mut S, _: Version) -> Self {
        seed.flag()
    }
}

impl Field for Uuid {
    fn min_size(_: Version) -> usize {
        16
    }

    fn read(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
        reader.take().map(Uuid)
    }

    fn write(&self, writer: &mut Writer, _: Version) {
        writer.put(&self.0);
    }

    #[cfg(feature = "populate")]
    fn populate<S: crate::populate::Source>(seed: &mut S, _: Version) -> Self {
        Uuid(seed.array())
    }
}

/// A code this crate does not know reads as `UNKNOWN_SERVER_ERROR`, as in Kafka's clients.
impl Field for ErrorCode {
    fn min_size(_: Version) -> usize {
        2
    }

    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        i16::read(reader, version).map(ErrorCode::from_i16)
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        self.code().write(writer, version);
    }

    #[cfg(feature = "populate")]
    fn populate<S: crate::populate::Source>(seed: &mut S, _: Version) -> Self {
        ErrorCode::ALL[seed.index(ErrorCode::ALL.len())]
    }
}

/// The three types that are a length and then content share everything but the content.
macro_rules! never_null {
    () => {
        fn min_size(version: Version) -> usize {
            Self::min_size_nullable(version)
        }

        fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
            Self::read_nullable(reader, version)?.ok_or(Malformed::Null.into())
        }

        fn write(&self, writer: &mut Writer, version: Version) {
            Self::write_nullable(Some(self), writer, version);
        }
    };
}

impl Field for Str {
    never_null!();

    #[cfg(feature = "populate")]
    fn populate<S: crate::populate::Source>(seed: &mut S, _: Version) -> Self {
        seed.text().into()
    }
}

impl Nullable for Str {
    fn min_size_nullable(version: Version) -> usize {
        if version.flexible { 1 } else { 2 }
    }

    fn read_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>, DecodeError> {
        let len = match version.flexible {
            true => reader.compact_len()?,
            false => reader.short_len()?,
        };
        len.map(|len| reader.text(len)).transpose()
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) {
        match version.flexible {
            true => writer.put_compact_len(value.map(|text| text.len())),
            false => writer.put_short_len(value.map(|text| text.len())),
        }
        writer.put_text(value.map_or("", |text| text));
    }
}

impl Field for Bytes {
    never_null!();

    #[cfg(feature = "populate")]
    fn populate<S: crate::populate::Source>(seed: &mut S, _: Version) -> Self {
        seed.bytes().into()
    }
}

impl Nullable for Bytes {
    fn min_size_nullable(version: Version) -> usize {
        min_size_of_len(version)
    }

    fn read_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>, DecodeError> {
        read_len(reader, version)?.map(|len| reader.bytes(len)).transpose()
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) {
        write_len(writer, version, value.map(Bytes::len));
        if let Some(bytes) = value {
            writer.put_bytes(bytes);
        }
    }
}

impl Field for Records {
    never_null!();

    #[cfg(feature = "populate")]
    fn populate<S: crate::populate::Source>(seed: &mut S, version: Version) -> Self {
        Records::Bytes(Bytes::populate(seed, version))
    }
}

impl Nullable for Records {
    fn min_size_nullable(version: Version) -> usize {
        min_size_of_len(version)
    }

    fn read_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>, DecodeError> {
        Ok(Bytes::read_nullable(reader, version)?.map(Records::Bytes))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) {
        match value {
            None => Bytes::write_nullable(None, writer, version),
            Some(Records::Bytes(bytes)) => Bytes::write_nullable(Some(bytes), writer, version),
            Some(&Records::Hole { id, len }) => {
                write_len(writer, version, Some(len as usize));
                writer.put_hole(id, len);
            }
        }
    }
}

impl<T: Field> Field for Vec<T> {
    never_null!();

    #[cfg(feature = "populate")]
    fn populate<S: crate::populate::Source>(seed: &mut S, version: Version) -> Self {
        seed.array_of(|seed| T::populate(seed, version))
    }
}

impl<T: Field> Nullable for Vec<T> {
    fn min_size_nullable(version: Version) -> usize {
        min_size_of_len(version)
    }

    fn read_nullable(reader: &mut Reader, version: Version) -> Result<Option<Self>, DecodeError> {
        let Some(count) = read_len(reader, version)? else { return Ok(None) };
        reader.admit_array(count, T::min_size(version), size_of::<T>())?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(reader, version)?);
        }
        Ok(Some(elements))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer, version: Version) {
        write_len(writer, version, value.map(Vec::len));
        for element in value.into_iter().flatten() {
            element.write(writer, version);
        }
    }
}

fn min_size_of_len(version: Version) -> usize {
    if version.flexible { 1 } else { 4 }
}

fn read_len(reader: &mut Reader, version: Version) -> Result<Option<usize>, DecodeError> {
    match version.flexible {
        true => reader.compact_len(),
        false => reader.long_len(),
    }
}

fn write_len(writer: &mut Writer, version: Version, len: Option<usize>) {
    match version.flexible {
        true => writer.put_compact_len(len),
        false => writer.put_long_len(len),
    }
}
