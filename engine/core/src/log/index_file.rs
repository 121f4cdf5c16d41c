//! A segment's index as a file beside it, of pages that are found by where they are.
//!
//! ```text
//! page     magic u32 | checksum u32 | base offset i64 | until u64 | count u32 | point …, 512 bytes
//! point    offset i64 | position u64 | greatest timestamp before it i64
//! ```
//! Little-endian; the checksum is CRC-32C over what follows it in the page, zeros at its end too.
//! The page `k` has the points of the segment's `k`th megabyte; `until` is where that ends, or the
//! segment. Pages are written once what they say is in the segment; what is missing or does not
//! match is made anew from the segment. Closed segments of earlier versions have a file of the
//! first format: magic, checksum, segment bytes u64, and all points.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{Fields, put_list};
use crate::id::Offset;
use crate::log::points::{POINT_SPACING, Points};
use crate::log::{Log, Place};
use crate::manifest::record::{get_point, put_point};

const MAGIC: u32 = u32::from_le_bytes(*b"CLX2");
const FIRST_MAGIC: u32 = u32::from_le_bytes(*b"CLX1");

/// The most points of a page.
pub(super) const PAGE_POINTS: usize = 16;

/// Bytes of a segment whose points are in one page, unless a test has other ones.
pub const PAGE_SPAN: u64 = PAGE_POINTS as u64 * POINT_SPACING;

/// Bytes of a page.
const PAGE_BYTES: usize = 512;

/// Pages of an index file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Bytes from the start of the file.
    pub at: u64,
    /// Whole pages.
    pub bytes: Bytes,
}

/// What can be believed of an index file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Points from the start of the segment on.
    pub points: Points,
    /// They are all up to this position.
    pub until: u64,
}

/// Why an index file does not have a page that it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The page was never written, as after a crash: it is not there, zeros, or an earlier one.
    Unfinished,
    /// It is not what was written.
    Damaged,
}

impl Log {
    /// Why an index file of a segment has no more than what was decoded.
    #[must_use]
    pub fn lack_of_index(&self, base: Offset, file: &[u8], decoded: &Decoded) -> Lack {
        let span = self.segment(base).map_or(PAGE_SPAN, |segment| segment.index.page_span());
        let page = usize::try_from(decoded.until / span).unwrap_or(usize::MAX);
        file.chunks_exact(PAGE_BYTES).nth(page).map_or(Lack::Unfinished, lack)
    }

    /// The pages that its index file does not have yet of a segment that has its bytes up to
    /// `place`; `None` when there are none. Only the last page of a closed segment is no whole one.
    #[must_use]
    pub fn new_pages(&self, place: Place) -> Option<Pages> {
        let segment = self.segment(place.segment)?;
        let closed = segment.end.is_some_and(|end| end.bytes == place.at);
        let until = if closed { place.at } else { segment.index.pages_until(place.at) };
        let from = segment.index.stored();
        let span = segment.index.page_span();
        (until > from).then(|| pages(segment.base, segment.index.recent(), span, from..until))
    }

    /// The index file of a segment as far as it can be, if its points are in memory.
    #[must_use]
    pub fn all_pages(&self, base: Offset) -> Option<Pages> {
        let index = &self.segment(base)?.index;
        let points = index.loaded().filter(|_| index.stored() > 0)?;
        Some(pages(base, points, index.page_span(), 0..index.stored()))
    }

    /// What an index file has of a segment's points before `until`.
    #[must_use]
    pub fn decode_index(&self, base: Offset, file: &[u8], until: u64) -> Decoded {
        let Some(segment) = self.segment(base) else { return Decoded::default() };
        let closed = segment.end.filter(|end| end.bytes == until);
        match closed.and_then(|end| decode_first(file, end.bytes)) {
            Some(points) => Decoded { points, until },
            None => decode(base, file, segment.index.page_span(), until),
        }
    }
}

/// The pages of a range of the segment, `span` bytes of it in each; one starts where it starts.
fn pages(base: Offset, points: &Points, span: u64, of: Range<u64>) -> Pages {
    debug_assert!(of.start.is_multiple_of(span));
    let mut out = BytesMut::new();
    let mut start = of.start;
    while start < of.end {
        let end = (start + span).min(of.end);
        let page = out.len();
        out.put_u32_le(MAGIC);
        out.put_u32_le(0);
        out.put_i64_le(base.0);
        out.put_u64_le(end);
        let points = points.between(start, end);
        // Points have their distances, so that there are never more.
        let points = &points[..points.len().min(PAGE_POINTS)];
        put_list(&mut out, points, put_point);
        out.resize(page + PAGE_BYTES, 0);
        let checksum = crc32c::crc32c(&out[page + 8..]);
        out[page + 4..page + 8].copy_from_slice(&checksum.to_le_bytes());
        start = end;
    }
    Pages { at: of.start / span * PAGE_BYTES as u64, bytes: out.freeze() }
}

fn decode(base: Offset, file: &[u8], span: u64, until: u64) -> Decoded {
    let mut decoded = Decoded::default();
    for page in file.chunks_exact(PAGE_BYTES) {
        let end = (decoded.until + span).min(until);
        if decoded.until == end || decode_page(base, page, end, &mut decoded.points).is_none() {
            break;
        }
        decoded.until = end;
    }
    decoded
}

/// Takes in the points of the page that ends at `until`, if it can be believed.
fn decode_page(base: Offset, page: &[u8], until: u64, into: &mut Points) -> Option<()> {
    let mut fields = Fields::new(page);
    let (magic, checksum) = (fields.u32()?, fields.u32()?);
    let valid = magic == MAGIC && crc32c::crc32c(fields.rest()) == checksum;
    let named = valid && fields.i64()? == base.0 && fields.u64()? == until;
    if !named {
        return None;
    }
    for point in fields.list(get_point)? {
        if point.at >= until || !into.restore(point) {
            return None;
        }
    }
    Some(())
}

/// What is wrong with a page that cannot be used.
fn lack(page: &[u8]) -> Lack {
    let mut fields = Fields::new(page);
    let (magic, checksum) = (fields.u32(), fields.u32());
    let whole = magic == Some(MAGIC) && checksum == Some(crc32c::crc32c(fields.rest()));
    let written = page.iter().any(|byte| *byte != 0) && magic != Some(FIRST_MAGIC);
    if written && !whole { Lack::Damaged } else { Lack::Unfinished }
}

fn decode_first(file: &[u8], segment_bytes: u64) -> Option<Points> {
    let mut fields = Fields::new(file);
    let (magic, checksum) = (fields.u32()?, fields.u32()?);
    let valid = magic == FIRST_MAGIC && crc32c::crc32c(fields.rest()) == checksum;
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

    const BASE: Offset = Offset(7);
    /// Of the segment: two whole pages, one without a point, and part of one.
    const BYTES: u64 = 3 * PAGE_SPAN + 1000;

    fn points() -> Points {
        let mut points = Points::default();
        for batch in 0..40 {
            let at = batch as u64 * 60_000;
            if !(2 * PAGE_SPAN..3 * PAGE_SPAN).contains(&at) {
                points.offer(Offset(7 + batch), at, Timestamp(batch), POINT_SPACING);
            }
        }
        points.offer(Offset(99), 3 * PAGE_SPAN + 10, Timestamp(70), POINT_SPACING);
        points
    }

    fn file() -> Vec<u8> {
        // As it comes to be: page by page, the last one when the segment is sealed.
        let points = points();
        let parts = [(0, PAGE_SPAN), (PAGE_SPAN, 3 * PAGE_SPAN), (3 * PAGE_SPAN, BYTES)];
        let mut file = Vec::new();
        for (from, until) in parts {
            let pages = pages(BASE, &points, PAGE_SPAN, from..until);
            assert_eq!(pages.at, file.len() as u64);
            file.extend_from_slice(&pages.bytes);
        }
        file
    }

    #[test]
    fn pages_are_read_back_as_far_as_they_go() {
        let (file, all) = (file(), points());
        let whole = Decoded { points: all.clone(), until: BYTES };
        assert_eq!(file.len(), 4 * PAGE_BYTES);
        assert_eq!(decode(BASE, &file, PAGE_SPAN, BYTES), whole);
        assert_eq!(pages(BASE, &all, PAGE_SPAN, 0..BYTES).bytes, file, "made anew it is the same");
        for until in [0, PAGE_SPAN, 2 * PAGE_SPAN, 3 * PAGE_SPAN] {
            let points = all.clone().take_before(until);
            assert_eq!(
                decode(BASE, &file, PAGE_SPAN, until),
                Decoded { points, until },
                "until {until}"
            );
        }
        assert_eq!(
            decode(BASE, &file, PAGE_SPAN, BYTES - 1).until,
            3 * PAGE_SPAN,
            "of a longer segment"
        );
        assert_eq!(
            decode(BASE, &file, PAGE_SPAN, BYTES + 1).until,
            3 * PAGE_SPAN,
            "of a shorter segment"
        );
        assert_eq!(
            decode(Offset(8), &file, PAGE_SPAN, BYTES),
            Decoded::default(),
            "of another segment"
        );
    }

    #[test]
    fn what_a_crash_leaves_is_told_from_damage() {
        let page = &file()[..PAGE_BYTES];
        let other = pages(Offset(8), &points(), PAGE_SPAN, 0..PAGE_SPAN).bytes;
        let broken = |at: usize| {
            let mut page = page.to_vec();
            page[at] ^= 1;
            page
        };
        let first = [&FIRST_MAGIC.to_le_bytes()[..], &[7; PAGE_BYTES - 4]].concat();
        for (name, page, expected) in [
            ("zeros", vec![0; PAGE_BYTES], Lack::Unfinished),
            ("of another segment", other.to_vec(), Lack::Unfinished),
            ("of the first format", first, Lack::Unfinished),
            ("another magic", broken(0), Lack::Damaged),
            ("another checksum", broken(5), Lack::Damaged),
            ("another point", broken(100), Lack::Damaged),
        ] {
            assert_eq!(lack(&page), expected, "{name}");
        }
    }

    #[test]
    fn what_is_missing_or_damaged_ends_what_is_believed() {
        let (file, all) = (file(), points());
        for len in 0..file.len() {
            let until = (len / PAGE_BYTES) as u64 * PAGE_SPAN;
            assert_eq!(decode(BASE, &file[..len], PAGE_SPAN, BYTES).until, until, "cut at {len}");
        }
        for at in 0..file.len() {
            let mut broken = file.clone();
            broken[at] ^= 1;
            let until = (at / PAGE_BYTES) as u64 * PAGE_SPAN;
            let points = all.clone().take_before(until);
            assert_eq!(
                decode(BASE, &broken, PAGE_SPAN, BYTES),
                Decoded { points, until },
                "byte {at}"
            );
        }
        let mut hole = file;
        hole[PAGE_BYTES..2 * PAGE_BYTES].fill(0);
        assert_eq!(decode(BASE, &hole, PAGE_SPAN, BYTES).until, PAGE_SPAN);
    }

    #[test]
    fn files_of_the_first_format_are_read() {
        let mut file = BytesMut::new();
        file.put_u32_le(FIRST_MAGIC);
        file.put_u32_le(0);
        file.put_u64_le(BYTES);
        points().all().iter().for_each(|point| put_point(&mut file, point));
        let checksum = crc32c::crc32c(&file[8..]);
        file[4..8].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(decode_first(&file, BYTES), Some(points()));
        assert_eq!(decode_first(&file, BYTES + 1), None, "of another length of the segment");
        for at in 0..file.len() {
            let mut broken = file.to_vec();
            broken[at] ^= 1;
            assert_eq!(decode_first(&broken, BYTES), None, "byte {at}");
        }
    }
}
