//! Reading: which bytes answer a read. Whole batches of one segment, at most `max_bytes` of them
//! unless the first alone is larger. What the index in memory does not tell is learnt from a window
//! of stored bytes, which the caller fetches.

use std::borrow::Cow;

use crate::id::{LeaderEpoch, Offset, Timestamp};
use crate::log::{EpochEnd, Index, Log, NotLoaded, Place, Points, Segment, SegmentId};
use crate::record::BatchHeader;
use crate::record::batch::HEADER_LEN;
use crate::shard::request::{Piece, ReadError};

/// Bytes of a window.
const WINDOW: u32 = 64 << 10;

/// What a read wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// The first offset wanted.
    pub offset: Offset,
    /// The epoch of the last record before it that the reader has, if it says so.
    pub last_epoch: Option<LeaderEpoch>,
    /// Bytes of whole batches.
    pub max_bytes: u32,
    /// Whether a first batch larger than that comes all the same.
    pub oversize: Oversize,
}

/// What to do with a first batch that is larger than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// Answer it whole, so that the reader gets on.
    Whole,
    /// Answer nothing.
    Nothing,
}

/// Stored bytes that must be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where they start: a batch.
    pub place: Place,
    /// How many.
    pub len: u32,
    /// How many of them the file holds; what follows is in memory.
    pub stored: u32,
}

/// The next step of a read.
#[derive(Debug)]
pub enum Plan {
    /// These bytes are the answer; none when there is nothing to read.
    Ready(Vec<Piece>),
    /// What the reader has read before is in the log no more.
    Diverged(EpochEnd),
    /// Look at this window, and plan again with [`Log::plan_in`].
    Look(Window),
    /// The index of this segment must be in memory first.
    NeedIndex(SegmentId),
}

impl Log {
    /// Plans a read.
    pub fn plan(&self, want: Want) -> Result<Plan, ReadError> {
        let high = self.high_watermark();
        if let Some(end) = self.divergence(want)? {
            return Ok(Plan::Diverged(end));
        }
        self.check_range(want.offset)?;
        let nothing = want.max_bytes == 0 && want.oversize == Oversize::Nothing;
        if want.offset >= high.offset || nothing {
            return Ok(Plan::Ready(Vec::new()));
        }
        if let Some(mark) = self.tail.find(want.offset) {
            return Ok(self.answer(mark.place, want, None));
        }
        let segment = self.segment_of(want.offset);
        let Ok(point) = segment.index.find(|points| points.by_offset(want.offset)) else {
            return Ok(Plan::NeedIndex(self.segment_id(segment.base)));
        };
        let start = Place { segment: segment.base, at: point.map_or(0, |point| point.at) };
        if point.is_some_and(|point| point.offset == want.offset) || want.offset == segment.base {
            return Ok(self.answer(start, want, None));
        }
        Ok(self.look(start))
    }

    /// Goes on with a read: `bytes` were found at the window's place.
    pub fn plan_in(&self, want: Want, window: Window, bytes: &[u8]) -> Result<Plan, ReadError> {
        let Some(bytes) = self.complete(window, bytes) else {
            return Ok(self.look(window.place));
        };
        let mut at = 0;
        while let Some(header) = header_at(&bytes, at)? {
            if header.next_offset() > want.offset {
                let start = window.place.plus(at as u64);
                return Ok(self.answer(start, want, Some(&bytes[at..])));
            }
            at += header.total_len();
        }
        if at == 0 {
            return Err(ReadError::Damaged);
        }
        Ok(self.look(window.place.plus(at as u64)))
    }

    fn look(&self, place: Place) -> Plan {
        Plan::Look(self.window(place, WINDOW))
    }

    /// A window of `len` bytes. Behind what is flushed, the file holds zeros or nothing.
    #[must_use]
    pub fn window(&self, place: Place, len: u32) -> Window {
        let flushed = self.marks.flushed();
        let stored = match flushed.segment == place.segment {
            true => flushed.at.saturating_sub(place.at).min(u64::from(len)) as u32,
            false => len,
        };
        Window { place, len, stored }
    }

    /// The readable bytes of a window, of which the file has given `stored`. `None` when memory
    /// behind those was flushed and evicted meanwhile: look again.
    #[must_use]
    pub fn complete<'a>(&self, window: Window, stored: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let readable = self.readable_end(window.place).at.saturating_sub(window.place.at);
        let len = readable.min(u64::from(window.len)) as usize;
        let stored = &stored[..stored.len().min(window.stored as usize).min(len)];
        let behind = window.place.plus(stored.len() as u64);
        if stored.len() == len {
            return Some(Cow::Borrowed(stored));
        }
        if self.tail.holds(behind) {
            let memory = self.tail.bytes(behind, window.place.plus(len as u64)).concat();
            return Some(Cow::Owned([stored, &memory].concat()));
        }
        let outdated = self.window(window.place, window.len).stored > window.stored;
        (!outdated).then_some(Cow::Borrowed(stored))
    }

    /// Whether the offset is one that can be read, now or next.
    pub fn check_range(&self, offset: Offset) -> Result<(), ReadError> {
        let readable = offset >= self.marks.log_start() && offset <= self.marks.end().offset;
        if readable { Ok(()) } else { Err(self.out_of_range()) }
    }

    /// With the offsets that can be read.
    pub(super) fn out_of_range(&self) -> ReadError {
        let (start, end) = (self.marks.log_start(), self.high_watermark().offset);
        ReadError::OutOfRange { start, end }
    }

    /// The segment that holds an offset which is not before the log's start.
    pub(crate) fn segment_of(&self, offset: Offset) -> &Segment {
        let behind = self.segments.partition_point(|segment| segment.base <= offset);
        &self.segments[behind.saturating_sub(1)]
    }

    /// The answer that starts with the batch at `start`; `seen` are stored bytes from there on.
    fn answer(&self, start: Place, want: Want, seen: Option<&[u8]>) -> Plan {
        let limit = start.plus(u64::from(want.max_bytes));
        let end = self.readable_end(start);
        if end <= limit {
            return Plan::Ready(self.pieces(start, end));
        }
        if let Some(cut) = self.known_cut(start, limit) {
            return Plan::Ready(self.pieces(start, cut));
        }
        let mut gathered = Vec::new();
        let seen = seen.or_else(|| {
            let len = u64::from(WINDOW).min(end.at - start.at);
            self.tail.holds(start).then(|| {
                gathered = self.tail.bytes(start, start.plus(len)).concat();
                &gathered[..]
            })
        });
        match seen {
            Some(bytes) => Plan::Ready(self.walk(start, want, bytes)),
            None => self.look(start),
        }
    }

    /// Where what may be read of this segment ends.
    fn readable_end(&self, start: Place) -> Place {
        let high = self.high_watermark().place;
        self.closed_end(start).map_or(high, |end| end.place.min(high))
    }

    /// The last batch boundary behind `start` and not behind `limit` that the index knows.
    fn known_cut(&self, start: Place, limit: Place) -> Option<Place> {
        let high = self.high_watermark().place;
        let mark = self.tail.last_mark_to(limit.min(high)).map(|mark| mark.place);
        let at = limit.at.min(high_in(high, start));
        let segment = self.segment(start.segment);
        let point = segment.and_then(|s| s.index.find(|points| points.by_position(at)).ok());
        let point = point.flatten().map(|point| Place { segment: start.segment, at: point.at });
        mark.filter(|mark| mark.segment == start.segment).max(point).filter(|cut| *cut > start)
    }

    /// Cuts behind the last batch that fits, told by the headers in `bytes`.
    fn walk(&self, start: Place, want: Want, bytes: &[u8]) -> Vec<Piece> {
        let mut len = 0;
        while let Ok(Some(header)) = header_at(bytes, len) {
            let next = len + header.total_len();
            if next > want.max_bytes as usize {
                if len == 0 && want.oversize == Oversize::Whole {
                    len = next;
                }
                break;
            }
            len = next;
        }
        let cut = start.plus(len as u64).min(self.readable_end(start));
        if cut > start { self.pieces(start, cut) } else { Vec::new() }
    }

    /// The pieces of `from..to`: the file before memory starts, memory behind.
    fn pieces(&self, from: Place, to: Place) -> Vec<Piece> {
        let memory = self.tail.start().map_or(to, |start| start.max(from).min(to));
        let mut pieces = Vec::new();
        if from < memory {
            let segment = self.segment_id(from.segment);
            let readable = self.readable_end(from);
            let flushed = self.tail.start().map_or(readable, |start| start.min(readable)).at;
            let len = memory.at - from.at;
            pieces.push(Piece::File { segment, at: from.at, len, flushed });
        }
        if memory < to {
            pieces.extend(self.tail.bytes(memory, to).into_iter().map(Piece::Memory));
        }
        pieces
    }

    /// Up to `len` stored bytes from a place on, if they are in memory.
    #[must_use]
    pub fn in_memory(&self, place: Place, len: u32) -> Option<Vec<u8>> {
        let end = self.readable_end(place).at.min(place.at + u64::from(len));
        let to = Place { at: end.max(place.at), ..place };
        self.tail.holds(place).then(|| self.tail.bytes(place, to).concat())
    }

    /// Where a search for the first record at or after `timestamp` starts: a batch before which all
    /// records are earlier. `None` when no record is that late.
    pub fn start_by_time(&self, timestamp: Timestamp) -> Option<Result<Place, SegmentId>> {
        let segment = self.segments.iter().find(|segment| segment.max_timestamp >= timestamp)?;
        Some(self.start_in(segment, timestamp))
    }

    /// The greatest timestamp that may be read; `None` when no record has one.
    #[must_use]
    pub fn newest_readable_timestamp(&self) -> Option<Timestamp> {
        let high = self.high_watermark();
        // What is appended behind the high watermark starts with the batch there, if there is any.
        let behind = self.tail.find(high.offset).filter(|mark| mark.place == high.place);
        let newest = self.segments.iter().map(|segment| match behind {
            Some(mark) if segment.base == high.place.segment => mark.max_before,
            _ if segment.base > high.place.segment => Timestamp::NONE,
            _ => segment.max_timestamp,
        });
        newest.max().filter(|newest| *newest > Timestamp::NONE)
    }

    fn start_in(&self, segment: &Segment, timestamp: Timestamp) -> Result<Place, SegmentId> {
        match segment.index.find(|points| points.by_timestamp(timestamp)) {
            Ok(point) => {
                let at = point.map_or(0, |point| point.at);
                Ok(Place { segment: segment.base, at })
            }
            Err(NotLoaded) => Err(self.segment_id(segment.base)),
        }
    }

    /// The segment behind this one, if it may be read.
    #[must_use]
    pub fn next_segment(&self, place: Place) -> Option<Place> {
        let next = self.closed_end(place).map(|end| Place::start_of(end.offset))?;
        (next < self.high_watermark().place).then_some(next)
    }

    /// Where reading ends in the segment of `place`.
    #[must_use]
    pub fn end_of_segment(&self, place: Place) -> Place {
        self.readable_end(place)
    }

    /// Position up to which the index file of a segment has all its points.
    #[must_use]
    pub fn indexed(&self, segment: Offset) -> Option<u64> {
        self.segment(segment).map(|segment| segment.index.stored())
    }

    /// Puts the points of a segment before `until` into memory; `false` when its index file has got
    /// more meanwhile.
    #[must_use]
    pub fn load_index(&mut self, segment: Offset, points: Points, until: u64) -> bool {
        self.segment_mut(segment).is_some_and(|segment| segment.index.load(points, until))
    }

    /// Lets go of what a segment's index file has: it is read again when it is needed.
    pub fn unload_index(&mut self, segment: Offset) {
        if let Some(segment) = self.segment_mut(segment) {
            segment.index.unload();
        }
    }

    /// Bytes of memory that what has been read of a segment's index file takes.
    #[must_use]
    pub fn index_bytes(&self, segment: Offset) -> u64 {
        let index = self.segment(segment).map(|segment| &segment.index);
        index.and_then(Index::loaded).map_or(0, Points::memory)
    }
}

fn high_in(high: Place, start: Place) -> u64 {
    if high.segment == start.segment { high.at } else { u64::MAX }
}

/// The header of the batch at `at`; `None` when `bytes` end before it does.
fn header_at(bytes: &[u8], at: usize) -> Result<Option<BatchHeader>, ReadError> {
    match bytes.get(at..) {
        Some(rest) if rest.len() >= HEADER_LEN => {
            BatchHeader::parse(rest).map(Some).map_err(|_| ReadError::Damaged)
        }
        _ => Ok(None),
    }
}
