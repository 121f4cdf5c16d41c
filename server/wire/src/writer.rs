//! Builds a frame around payloads that are not copied, or not there yet.
//!
//! Everything small goes into one buffer. A large payload, or a hole that the sender fills, is
//! noted beside the offset where it belongs; lengths count it like bytes of the buffer. At the end
//! the buffer is cut at these offsets: a frame without payloads is a single piece.

use bytes::{Bytes, BytesMut};

use crate::error::EncodeError;

/// Payloads from this size on are pieces of their own instead of being copied.
pub const COPY_BELOW: usize = 4096;

const SIZE_PREFIX: usize = 4;
/// Unused room from which on a buffer is copied to be rid of it.
const SLACK: usize = 64 << 10;
/// Room for nearly every response that carries no records.
const FIRST_RESERVE: usize = 512;

/// A run of bytes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes to send.
    Bytes(Bytes),
    /// Bytes that the sender has to provide.
    Hole {
        /// As given in [`Records::Hole`](crate::records::Records::Hole).
        id: u32,
        /// How many bytes exactly.
        len: u32,
    },
}

impl Piece {
    /// Bytes it takes in the frame.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Hole { len, .. } => *len as usize,
        }
    }
}

/// A whole frame, its size prefix included, to be sent piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    head: Bytes,
    rest: Vec<Piece>,
    size: usize,
}

impl Frame {
    /// Bytes of all pieces.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The pieces in order; none is empty, and a hole of no bytes is none.
    pub fn into_pieces(self) -> impl Iterator<Item = Piece> {
        std::iter::once(Piece::Bytes(self.head)).chain(self.rest)
    }

    /// The frame in one run of bytes, without a copy if it is one piece; `None` if it has holes.
    #[must_use]
    pub fn into_bytes(self) -> Option<Bytes> {
        if self.rest.is_empty() {
            return Some(self.head);
        }
        let mut whole = BytesMut::with_capacity(self.size);
        for piece in self.into_pieces() {
            match piece {
                Piece::Bytes(bytes) => whole.extend_from_slice(&bytes),
                Piece::Hole { .. } => return None,
            }
        }
        Some(whole.freeze())
    }
}

/// A frame being written. The first value that its version cannot carry spoils the frame, which
/// shows in [`Writer::finish`].
#[derive(Debug)]
pub struct Writer {
    small: BytesMut,
    /// Payloads, each after the given number of small bytes.
    payloads: Vec<(usize, Piece)>,
    payload_size: usize,
    error: Option<EncodeError>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// Begins a frame; its size prefix is written at the end.
    #[must_use]
    pub fn new() -> Self {
        let mut small = BytesMut::with_capacity(FIRST_RESERVE);
        small.extend_from_slice(&[0; SIZE_PREFIX]);
        Writer { small, payloads: Vec::new(), payload_size: 0, error: None }
    }

    /// Ends the frame.
    ///
    /// # Errors
    /// The first value that could not be written.
    pub fn finish(mut self) -> Result<Frame, EncodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let size = self.size();
        let prefix = i32::try_from(size - SIZE_PREFIX)
            .map_err(|_| EncodeError::FrameTooLong(size - SIZE_PREFIX))?;
        self.small[..SIZE_PREFIX].copy_from_slice(&prefix.to_be_bytes());
        Ok(cut(without_slack(self.small), self.payloads, size))
    }

    fn size(&self) -> usize {
        self.small.len() + self.payload_size
    }

    pub(crate) fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.small.extend_from_slice(bytes);
    }

    pub(crate) fn put_text(&mut self, text: &str) {
        if text.len() > i16::MAX as usize {
            self.fail(EncodeError::StringTooLong(text.len()));
        }
        self.put(text.as_bytes());
    }

    pub(crate) fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BELOW {
            self.put(bytes);
        } else {
            self.put_payload(Piece::Bytes(bytes.clone()));
        }
    }

    pub(crate) fn put_hole(&mut self, id: u32, len: u32) {
        if len > 0 {
            self.put_payload(Piece::Hole { id, len });
        }
    }

    fn put_payload(&mut self, payload: Piece) {
        self.payload_size += payload.size();
        self.payloads.push((self.small.len(), payload));
    }

    pub(crate) fn put_uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.put(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.put(&[value as u8]);
    }

    /// See [`Reader::compact_len`](crate::reader::Reader). A length that does not fit is written
    /// as any other: the frame is then too long, or the string, and fails for that.
    pub(crate) fn put_compact_len(&mut self, len: Option<usize>) {
        self.put_uvarint(len.map_or(0, |len| u32::try_from(len + 1).unwrap_or(u32::MAX)));
    }

    pub(crate) fn put_short_len(&mut self, len: Option<usize>) {
        let len = len.map_or(-1, |len| i16::try_from(len).unwrap_or(i16::MAX));
        self.put(&len.to_be_bytes());
    }

    pub(crate) fn put_long_len(&mut self, len: Option<usize>) {
        let len = len.map_or(-1, |len| i32::try_from(len).unwrap_or(i32::MAX));
        self.put(&len.to_be_bytes());
    }

    /// A tagged field: its size is known once it is written, so the content is moved up by the
    /// few bytes of the size. The fields that are tagged are small.
    pub(crate) fn put_tagged(&mut self, tag: u32, content: impl FnOnce(&mut Self)) {
        self.put_uvarint(tag);
        let (start, size, payloads) = (self.small.len(), self.size(), self.payloads.len());
        content(self);
        let content_end = self.small.len();
        self.put_uvarint(u32::try_from(self.size() - size).unwrap_or(u32::MAX));
        let shift = self.small.len() - content_end;
        self.small[start..].rotate_right(shift);
        for (offset, _) in &mut self.payloads[payloads..] {
            *offset += shift;
        }
    }
}

/// The buffer without the room that it grew for, if that is much: it may be held for long.
fn without_slack(small: BytesMut) -> Bytes {
    if small.capacity() - small.len() < SLACK {
        return small.freeze();
    }
    Bytes::copy_from_slice(&small)
}

/// Cuts the buffer where payloads belong.
fn cut(mut small: Bytes, payloads: Vec<(usize, Piece)>, size: usize) -> Frame {
    let first = payloads.first().map_or(small.len(), |(offset, _)| *offset);
    let head = small.split_to(first);
    let mut rest = Vec::with_capacity(payloads.len() * 2);
    let mut done = first;
    for (offset, payload) in payloads {
        push_bytes(&mut rest, small.split_to(offset - done));
        done = offset;
        rest.push(payload);
    }
    push_bytes(&mut rest, small);
    Frame { head, rest, size }
}

fn push_bytes(pieces: &mut Vec<Piece>, bytes: Bytes) {
    if !bytes.is_empty() {
        pieces.push(Piece::Bytes(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large() -> Bytes {
        Bytes::from(vec![b'x'; COPY_BELOW])
    }

    fn bytes(bytes: &[u8]) -> Piece {
        Piece::Bytes(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn small_bytes_are_one_piece_behind_the_size() {
        let mut writer = Writer::new();
        writer.put(b"ab");
        writer.put_bytes(&Bytes::from_static(b"c"));
        writer.put_hole(1, 0);
        let frame = writer.finish().unwrap();
        assert_eq!(frame.size(), 7);
        assert_eq!(frame.into_pieces().collect::<Vec<_>>(), [bytes(b"\0\0\0\x03abc")]);
    }

    #[test]
    fn payloads_are_pieces_where_they_belong_and_counted() {
        let payload = large();
        let mut writer = Writer::new();
        writer.put(b"a");
        writer.put_bytes(&payload);
        writer.put_hole(7, 0x0010_0000);
        writer.put(b"b");
        let frame = writer.finish().unwrap();
        assert_eq!(frame.size(), 4 + 1 + 4096 + 0x0010_0000 + 1);
        let pieces: Vec<_> = frame.into_pieces().collect();
        let hole = Piece::Hole { id: 7, len: 0x0010_0000 };
        let expected =
            [bytes(b"\0\x10\x10\x02a"), Piece::Bytes(payload.clone()), hole, bytes(b"b")];
        assert_eq!(pieces, expected);
        let Piece::Bytes(shared) = &pieces[1] else { unreachable!() };
        assert_eq!(shared.as_ptr(), payload.as_ptr());
    }

    #[test]
    fn tagged_fields_carry_the_size_of_what_they_hold() {
        let mut writer = Writer::new();
        writer.put_tagged(1, |writer| writer.put(b"abc"));
        writer.put_tagged(2, |writer| {
            writer.put(b"d");
            writer.put_bytes(&large());
            writer.put_tagged(3, |writer| writer.put(b"e"));
        });
        let pieces: Vec<_> = writer.finish().unwrap().into_pieces().collect();
        // 4100 = 1 + 4096 + 3, as a varint 0x84 0x20.
        let head = bytes(b"\0\0\x10\x0c\x01\x03abc\x02\x84\x20d");
        assert_eq!(pieces, [head, Piece::Bytes(large()), bytes(b"\x03\x01e")]);
    }

    #[test]
    fn a_frame_with_holes_is_not_bytes() {
        let frame = |write: fn(&mut Writer)| {
            let mut writer = Writer::new();
            write(&mut writer);
            writer.finish().unwrap().into_bytes()
        };
        assert_eq!(frame(|writer| writer.put(b"a")), Some(Bytes::from_static(b"\0\0\0\x01a")));
        let prefix = Bytes::from_static(b"\0\0\x10\0");
        let expected = Bytes::from([prefix, large()].concat());
        assert_eq!(frame(|writer| writer.put_bytes(&large())), Some(expected));
        assert_eq!(frame(|writer| writer.put_hole(1, 1)), None);
    }

    #[test]
    fn the_first_error_spoils_the_frame() {
        let mut writer = Writer::new();
        writer.put_text(&"a".repeat(32767));
        writer.put_text(&"a".repeat(32768));
        writer.put_text(&"a".repeat(32769));
        assert_eq!(writer.finish(), Err(EncodeError::StringTooLong(32768)));
    }

    #[test]
    fn frames_end_at_two_gibibytes() {
        for (len, expected) in [(0x7fff_ffff, Ok(0x8000_0003)), (0x8000_0000, Err(0x8000_0000))] {
            let mut writer = Writer::new();
            writer.put_hole(0, len);
            let size = writer.finish().map(|frame| frame.size());
            assert_eq!(size, expected.map_err(EncodeError::FrameTooLong));
        }
    }
}
