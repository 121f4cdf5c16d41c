//! Takes values off a frame that anyone may have sent.
//!
//! Nothing is believed: a length is compared with the bytes that are left before anything is done
//! with it, and arrays draw on a budget of memory. Strings and byte fields are slices of the
//! frame and keep it alive; nothing is copied.

use bytes::Bytes;

use crate::error::{DecodeError, Malformed};
use crate::text::Str;

/// Memory for arrays that [`Reader::new`] allows.
///
/// Several times what Kafka's largest honest requests need (one of 200,000 partitions takes 11 MB),
/// and far below what a frame of 100 MB full of empty strings would otherwise take.
pub const ARRAY_MEMORY: usize = 64 << 20;

/// A position in a frame.
#[derive(Debug, Clone)]
pub struct Reader {
    frame: Bytes,
    at: usize,
    /// End of what may be read: of the frame, or of the tagged field being read.
    end: usize,
    /// Bytes of memory that arrays may still take.
    array_memory: usize,
    spent: Spent,
}

/// What reading has taken so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Bytes of memory, all of it for arrays.
    pub memory: usize,
    /// Elements of arrays.
    pub elements: usize,
}

impl Reader {
    /// Reads a frame (without its size prefix), with [`ARRAY_MEMORY`] for arrays.
    #[must_use]
    pub fn new(frame: Bytes) -> Self {
        Self::with_array_memory(frame, ARRAY_MEMORY)
    }

    /// Reads a frame, spending at most `array_memory` bytes on arrays.
    #[must_use]
    pub fn with_array_memory(frame: Bytes, array_memory: usize) -> Self {
        Reader { at: 0, end: frame.len(), frame, array_memory, spent: Spent::default() }
    }

    /// What reading has taken so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// From now on arrays may take that much, whatever they have taken.
    pub fn set_array_memory(&mut self, bytes: usize) {
        self.array_memory = bytes;
    }

    /// Bytes not read yet. Kafka ignores those that follow a message, and so do we.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    fn truncated(&self, needed: usize) -> DecodeError {
        Malformed::Truncated { needed, left: self.remaining() }.into()
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.frame[self.at..self.end].first_chunk() {
            Some(&chunk) => {
                self.at += N;
                Ok(chunk)
            }
            None => Err(self.truncated(N)),
        }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        if len > self.remaining() {
            return Err(self.truncated(len));
        }
        let start = self.at;
        self.at += len;
        Ok(self.frame.slice(start..self.at))
    }

    pub(crate) fn text(&mut self, len: usize) -> Result<Str, DecodeError> {
        if len > i16::MAX as usize {
            return Err(Malformed::StringTooLong(len).into());
        }
        Str::try_from(self.bytes(len)?).map_err(|_| Malformed::NotUtf8.into())
    }

    /// At most 5 bytes of 7 bits, least significant first.
    pub(crate) fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Varint.into())
    }

    /// Length of a string or array in a flexible version; `None` is null.
    pub(crate) fn compact_len(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }

    /// Length of a string before flexible versions. Any negative number is null, as in Kafka.
    pub(crate) fn short_len(&mut self) -> Result<Option<usize>, DecodeError> {
        self.take().map(|len| i16::from_be_bytes(len).try_into().ok())
    }

    /// Length of bytes or an array before flexible versions. Any negative number is null.
    pub(crate) fn long_len(&mut self) -> Result<Option<usize>, DecodeError> {
        self.take().map(|len| i32::from_be_bytes(len).try_into().ok())
    }

    /// Whether an array may be reserved: of `count` elements, each at least `min_size` bytes of
    /// the frame and `in_memory` bytes large.
    pub(crate) fn admit_array(
        &mut self,
        count: usize,
        min_size: usize,
        in_memory: usize,
    ) -> Result<(), DecodeError> {
        let left = self.remaining();
        if count > left / min_size.max(1) {
            return Err(Malformed::ArrayTooLong { count, left }.into());
        }
        let memory = count.saturating_mul(in_memory);
        self.array_memory = self.array_memory.checked_sub(memory).ok_or(Malformed::ArrayMemory)?;
        self.spent.memory += memory;
        self.spent.elements += count;
        Ok(())
    }

    /// The tagged fields that end a struct. `known` reads the field of a tag, or says that the
    /// version has no such tag; those are skipped.
    pub(crate) fn tagged(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut next = 0;
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            if u64::from(tag) < next {
                return Err(Malformed::TagOrder(tag).into());
            }
            next = u64::from(tag) + 1;
            self.tagged_field(tag, &mut known)?;
        }
        Ok(())
    }

    fn tagged_field(
        &mut self,
        tag: u32,
        known: &mut impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let size = self.uvarint()? as usize;
        if size > self.remaining() {
            return Err(self.truncated(size));
        }
        let outer = std::mem::replace(&mut self.end, self.at + size);
        if !known(self, tag)? {
            self.at = self.end;
        }
        if self.at < self.end {
            return Err(Malformed::TagSize(tag).into());
        }
        self.end = outer;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &'static [u8]) -> Reader {
        Reader::new(Bytes::from_static(bytes))
    }

    #[test]
    fn uvarints() {
        let cut = |left| Err(Malformed::Truncated { needed: 1, left }.into());
        for (bytes, expected) in [
            (&[0][..], Ok(0)),
            (&[0x7f], Ok(127)),
            (&[0x80, 0x01], Ok(128)),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], Ok(u32::MAX)),
            (&[0x80, 0x80, 0x80, 0x80, 0x00], Ok(0)),
            (&[0xff, 0xff, 0xff, 0xff, 0x1f], Err(Malformed::Varint.into())),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Err(Malformed::Varint.into())),
            (&[], cut(0)),
            (&[0x80], cut(0)),
        ] {
            assert_eq!(reader(bytes).uvarint(), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn lengths_below_zero_are_null() {
        assert_eq!(reader(&[0]).compact_len(), Ok(None));
        assert_eq!(reader(&[1]).compact_len(), Ok(Some(0)));
        for len in [-1, i16::MIN] {
            let mut reader = Reader::new(Bytes::copy_from_slice(&len.to_be_bytes()));
            assert_eq!(reader.short_len(), Ok(None));
        }
        for len in [-1, i32::MIN] {
            let mut reader = Reader::new(Bytes::copy_from_slice(&len.to_be_bytes()));
            assert_eq!(reader.long_len(), Ok(None));
        }
        assert_eq!(reader(&[0x7f, 0xff]).short_len(), Ok(Some(32767)));
    }

    #[test]
    fn text_has_kafkas_limit() {
        let frame = Bytes::from(vec![b'a'; 32768]);
        assert_eq!(Reader::new(frame.clone()).text(32767).unwrap().len(), 32767);
        let error = Reader::new(frame).text(32768).unwrap_err();
        assert_eq!(error.cause, Malformed::StringTooLong(32768));
    }

    #[test]
    fn slices_share_the_frame() {
        let frame = Bytes::from(b"..abc".to_vec());
        let mut reader = Reader::new(frame.clone());
        reader.bytes(2).unwrap();
        assert_eq!(reader.text(3).unwrap().as_ptr(), frame[2..].as_ptr());
    }

    #[test]
    fn arrays_are_bounded_by_the_frame_and_by_memory() {
        let mut reader = Reader::with_array_memory(Bytes::from_static(&[0; 12]), 100);
        let too_long = |count| Err(Malformed::ArrayTooLong { count, left: 12 }.into());
        assert_eq!(reader.admit_array(4, 4, 1), too_long(4));
        assert_eq!(reader.admit_array(usize::MAX, 1, usize::MAX), too_long(usize::MAX));
        // A struct without fields still counts as one byte an element.
        assert_eq!(reader.admit_array(13, 0, 1), too_long(13));
        assert_eq!(reader.admit_array(3, 4, 20), Ok(()));
        assert_eq!(reader.admit_array(3, 4, 20), Err(Malformed::ArrayMemory.into()));
        assert_eq!(reader.admit_array(2, 4, 20), Ok(()));
        assert_eq!(reader.spent(), Spent { memory: 100, elements: 5 }, "of what was admitted");
    }

    #[test]
    fn tags_ascend_and_unknown_ones_are_skipped() {
        let order = |tag| Err(Malformed::TagOrder(tag).into());
        let cut = |needed, left| Err(Malformed::Truncated { needed, left }.into());
        for (bytes, expected) in [
            (&[0][..], Ok(vec![])),
            (&[2, 0, 1, 0xaa, 5, 0], Ok(vec![0, 5])),
            (&[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0], Ok(vec![u32::MAX])),
            (&[2, 3, 0, 3, 0], order(3)),
            (&[2, 3, 0, 2, 0], order(2)),
            (&[1, 0, 2, 0xaa], cut(2, 1)),
            (&[2, 0, 0], cut(1, 0)),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], cut(1, 0)),
        ] {
            let mut seen = Vec::new();
            let result = reader(bytes).tagged(|_, tag| {
                seen.push(tag);
                Ok(false)
            });
            assert_eq!(result.map(|()| seen), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn a_tagged_field_ends_where_its_size_says() {
        // Two bytes of content, then two that belong to what follows.
        let mut reader = reader(&[1, 0, 2, 1, 2, 3, 4]);
        let result = reader.tagged(|reader, _| reader.bytes(3).map(|_| true));
        assert_eq!(result, Err(Malformed::Truncated { needed: 3, left: 2 }.into()));
    }
}
