//! A sealed segment's index as a file beside it.
//!
//! ```text
//! file     magic u32 | checksum u32 | segment bytes u64 | point (24 bytes) …
//! ```
//! Little-endian; the checksum is CRC-32C over what follows it. A file that does not match is made
//! anew from the segment.

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::Fields;
use crate::id::Offset;
use crate::log::{Log, Points};
use crate::manifest::record::{get_point, put_point};

const MAGIC: u32 = u32::from_le_bytes(*b"CLX1");

impl Log {
    /// The index file of a closed segment.
    #[must_use]
    pub fn encode_index(&self, segment: Offset) -> Bytes {
        let Some(segment) = self.segment(segment) else { return Bytes::new() };
        let bytes = segment.end.map_or(0, |end| end.bytes);
        encode(segment.points().unwrap_or(&Points::default()), bytes)
    }

    /// The points of an index file, if it is whole and this segment's.
    #[must_use]
    pub fn decode_index(&self, segment: Offset, file: &[u8]) -> Option<Points> {
        let bytes = self.segment(segment)?.end?.bytes;
        decode(file, bytes)
    }
}

fn encode(points: &Points, segment_bytes: u64) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u32_le(MAGIC);
    out.put_u32_le(0);
    out.put_u64_le(segment_bytes);
    for point in points.all() {
        put_point(&mut out, point);
    }
    let checksum = crc32c::crc32c(&out[8..]);
    out[4..8].copy_from_slice(&checksum.to_le_bytes());
    out.freeze()
}

fn decode(file: &[u8], segment_bytes: u64) -> Option<Points> {
    let mut fields = Fields::new(file);
    let magic = fields.u32()?;
    let checksum = fields.u32()?;
    let valid = magic == MAGIC && crc32c::crc32c(fields.rest()) == checksum;
    if !valid || fields.u64()? != segment_bytes {
        return None;
    }
    let mut points = Points::default();
    while !fields.rest().is_empty() {
        if !points.restore(get_point(&mut fields)?) {
            return None;
        }
    }
    Some(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Timestamp;

    #[test]
    fn an_index_is_read_back_or_refused() {
        let mut points = Points::default();
        for batch in 0..9 {
            points.offer(Offset(batch), batch as u64 * 70_000, Timestamp(batch));
        }
        let file = encode(&points, 700_000);
        assert_eq!(decode(&file, 700_000), Some(points));
        assert_eq!(decode(&file, 700_001), None, "of another length of the segment");
        for at in 0..file.len() {
            let mut broken = file.to_vec();
            broken[at] ^= 1;
            assert_eq!(decode(&broken, 700_000), None, "byte {at}");
            assert_eq!(decode(&file[..at], 700_000), None, "cut at {at}");
        }
    }
}
