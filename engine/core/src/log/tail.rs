//! A partition's recent bytes in memory: what consumers at the tail read, and what segments are
//! written from. A chain of aligned slabs; each belongs to one segment and starts on a block of it.

use std::collections::VecDeque;

use bytes::Bytes;
use corelog_mem::{BLOCK, SlabSlice, SlabWriter};

use crate::id::{Instant, Offset, Timestamp};
use crate::log::place::Place;

/// Bytes of the smallest slab; all are powers of two.
const SMALLEST: usize = BLOCK;

/// Bytes of the largest slab.
const LARGEST: usize = 1 << 20;

/// The same when memory is short.
const LARGEST_WHEN_SHORT: usize = 64 << 10;

/// A slab that fills within this time is followed by one of twice its size: so slabs hold about as
/// much as comes in this time.
const BUSY_MS: u64 = 1000;

/// Whether there is memory for slabs that may stay half empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// There is.
    Free,
    /// There is little: slabs stay small.
    Bounded,
    /// There is next to none: slabs are no larger than what is put into them.
    Least,
}

/// Where a batch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: Offset,
    pub(crate) place: Place,
    /// The greatest timestamp of the segment before it.
    pub(crate) max_before: Timestamp,
}

#[derive(Debug)]
struct Chunk {
    /// A whole block of the segment.
    start: Place,
    slab: SlabWriter,
    opened: Instant,
    /// No more will be appended: its segment has been rolled.
    closed: bool,
}

impl Chunk {
    fn end(&self) -> Place {
        self.start.plus(self.slab.len() as u64)
    }
}

/// The bytes from some block up to the end of the log, with the places where batches start.
#[derive(Debug)]
pub(crate) struct Tail {
    growth: Growth,
    chunks: VecDeque<Chunk>,
    marks: VecDeque<Mark>,
    /// Capacity of all slabs, in bytes.
    memory: usize,
}

impl Default for Tail {
    fn default() -> Tail {
        let (chunks, marks) = (VecDeque::new(), VecDeque::new());
        Tail { growth: Growth::Free, chunks, marks, memory: 0 }
    }
}

impl Tail {
    /// From now on slabs are large, or not.
    pub(crate) fn set_growth(&mut self, growth: Growth) {
        self.growth = growth;
    }

    /// Bytes of memory that its slabs take.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// The first byte that is in memory.
    pub(crate) fn start(&self) -> Option<Place> {
        self.chunks.front().map(|chunk| chunk.start)
    }

    /// Whether the block that starts at `place` is in memory.
    pub(crate) fn holds(&self, place: Place) -> bool {
        self.start().is_some_and(|start| start <= place)
    }

    /// Notes that a batch starts at the end of what has been pushed.
    pub(crate) fn mark(&mut self, offset: Offset, place: Place, max_before: Timestamp) {
        self.marks.push_back(Mark { offset, place, max_before });
    }

    /// Appends bytes, in parts, that belong at `place`, the end of what is here (or a block start,
    /// when there is nothing of that segment yet).
    pub(crate) fn push(&mut self, now: Instant, mut place: Place, parts: &[&[u8]]) {
        let mut left = parts.iter().map(|part| part.len()).sum();
        for mut bytes in parts.iter().copied() {
            while !bytes.is_empty() {
                if !self.chunks.back().is_some_and(|c| c.end() == place && c.slab.room() > 0) {
                    self.open(now, place, left);
                }
                let Some(chunk) = self.chunks.back_mut() else { return };
                let count = chunk.slab.append(bytes);
                place = place.plus(count as u64);
                left -= count;
                bytes = &bytes[count..];
            }
        }
    }

    fn open(&mut self, now: Instant, place: Place, wanted: usize) {
        debug_assert_eq!(place, place.block_start(), "slabs start on blocks");
        let size = self.next_size(now, place, wanted);
        self.memory += size;
        let slab = SlabWriter::new(size);
        self.chunks.push_back(Chunk { start: place, slab, opened: now, closed: false });
    }

    /// Grows with the rate: twice the last one when that has filled fast, else little more than
    /// what is wanted.
    fn next_size(&self, now: Instant, place: Place, wanted: usize) -> usize {
        let largest = match self.growth {
            Growth::Free => LARGEST,
            Growth::Bounded | Growth::Least => LARGEST_WHEN_SHORT,
        };
        let fits = wanted.next_power_of_two().clamp(SMALLEST, largest);
        let Some(last) = self.chunks.back().filter(|c| c.start.segment == place.segment) else {
            return fits;
        };
        let busy = self.growth != Growth::Least && now.ms_since(last.opened) < BUSY_MS;
        let grown = (last.slab.capacity() * 2).min(largest);
        if busy { grown.max(fits) } else { fits }
    }

    /// The segment of the last slab is finished.
    pub(crate) fn close(&mut self) {
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.closed = true;
        }
    }

    /// The slices that hold `from..to`, which is in memory and in one segment.
    pub(crate) fn slices(&self, from: Place, to: Place) -> Vec<SlabSlice> {
        debug_assert_eq!(from.segment, to.segment);
        let first = self.chunks.partition_point(|chunk| chunk.end() <= from);
        let chunks = self.chunks.iter().skip(first).take_while(|chunk| chunk.start < to);
        chunks
            .map(|chunk| {
                let start = from.at.max(chunk.start.at) - chunk.start.at;
                let end = to.min(chunk.end()).at - chunk.start.at;
                chunk.slab.slice(start as usize..end as usize)
            })
            .collect()
    }

    /// The same as shared bytes.
    pub(crate) fn bytes(&self, from: Place, to: Place) -> Vec<Bytes> {
        self.slices(from, to).into_iter().map(Bytes::from_owner).collect()
    }

    /// The last, unfinished block `from..to` as a private copy, zero-padded.
    pub(crate) fn padded_block(&self, from: Place, to: Place) -> SlabSlice {
        let mut copy = SlabWriter::new(BLOCK);
        for slice in self.slices(from, to) {
            copy.append(&slice);
        }
        copy.pad_to_block();
        copy.slice(0..BLOCK)
    }

    /// The batch that holds `offset`, when its first byte is in memory.
    pub(crate) fn find(&self, offset: Offset) -> Option<Mark> {
        let behind = self.marks.partition_point(|mark| mark.offset <= offset);
        behind.checked_sub(1).map(|at| self.marks[at])
    }

    /// The first batch that starts at `place` or later.
    pub(crate) fn first_mark_from(&self, place: Place) -> Option<Mark> {
        self.marks.get(self.marks.partition_point(|mark| mark.place < place)).copied()
    }

    /// The last batch start that is not behind `place`.
    pub(crate) fn last_mark_to(&self, place: Place) -> Option<Mark> {
        let behind = self.marks.partition_point(|mark| mark.place <= place);
        behind.checked_sub(1).map(|at| self.marks[at])
    }

    /// Lets go of all slabs; says how much memory came free.
    pub(crate) fn clear(&mut self) -> usize {
        self.chunks.clear();
        self.marks.clear();
        std::mem::take(&mut self.memory)
    }

    /// Lets go of the first slab if all of it lies before `flushed`; says how much memory came
    /// free. A slab whose last block is unfinished goes only when that block is on disk padded.
    pub(crate) fn evict_front(&mut self, flushed: Place) -> Option<usize> {
        let front = self.chunks.front()?;
        if front.end() > flushed {
            return None;
        }
        let chunk = self.chunks.pop_front()?;
        let keep = self.chunks.front().map_or(chunk.end(), |next| next.start);
        let gone = self.marks.partition_point(|mark| mark.place < keep);
        self.marks.drain(..gone);
        self.memory -= chunk.slab.capacity();
        Some(chunk.slab.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(at: u64) -> Place {
        Place { segment: Offset(0), at }
    }

    fn filled(sizes: &[usize]) -> Tail {
        let mut tail = Tail::default();
        let mut at = 0;
        for (i, size) in sizes.iter().enumerate() {
            tail.mark(Offset(i as i64), place(at), Timestamp::NONE);
            tail.push(Instant(0), place(at), &[&vec![i as u8; *size]]);
            at += *size as u64;
        }
        tail
    }

    fn read(tail: &Tail, from: u64, to: u64) -> Vec<u8> {
        tail.bytes(place(from), place(to)).concat()
    }

    #[test]
    fn what_was_pushed_is_read_back_across_slabs() {
        let tail = filled(&[100, 5000, 70_000, 10]);
        assert!(tail.chunks.len() > 1);
        let expected = [vec![0u8; 100], vec![1; 5000], vec![2; 70_000], vec![3; 10]].concat();
        assert_eq!(read(&tail, 0, 75_110), expected);
        assert_eq!(read(&tail, 99, 101), [0, 1]);
        for chunk in &tail.chunks {
            assert_eq!(chunk.start.at % BLOCK as u64, 0);
        }
    }

    #[test]
    fn offsets_and_places_find_their_batches() {
        let tail = filled(&[100, 200, 300]);
        let at = |mark: Option<Mark>| mark.map(|m| (m.offset.0, m.place.at));
        assert_eq!(at(tail.find(Offset(1))), Some((1, 100)));
        assert_eq!(at(tail.find(Offset(9))), Some((2, 300)));
        assert_eq!(at(tail.last_mark_to(place(299))), Some((1, 100)));
        assert_eq!(at(tail.last_mark_to(place(300))), Some((2, 300)));
        assert_eq!(at(tail.first_mark_from(place(101))), Some((2, 300)));
        assert_eq!(at(tail.first_mark_from(place(301))), None);
    }

    #[test]
    fn a_slab_goes_only_when_it_is_flushed() {
        let mut tail = filled(&[4096, 4096, 100]);
        let memory = tail.memory();
        assert_eq!(tail.evict_front(place(4095)), None);
        let freed = tail.evict_front(place(4096)).expect("the first slab is flushed");
        assert_eq!(tail.memory(), memory - freed);
        assert_eq!(tail.find(Offset(0)), None);
        assert_eq!(tail.start(), Some(place(4096)));
    }

    #[test]
    fn slabs_grow_with_the_rate_and_shrink_again() {
        let mut tail = Tail::default();
        let mut at = 0;
        let mut push = |tail: &mut Tail, now: u64, size: usize| {
            tail.push(Instant(now), place(at), &[&vec![0; size]]);
            at += size as u64;
            tail.chunks.back().map(|c| c.slab.capacity())
        };
        let sizes: Vec<_> =
            (0..10).filter_map(|turn| push(&mut tail, turn * 10, 4096 << turn)).collect();
        let expected: Vec<_> = (0..10).map(|turn| (4096 << turn).min(LARGEST)).collect();
        assert_eq!(sizes, expected, "twice as large each time, to a point");
        tail.set_growth(Growth::Bounded);
        assert_eq!(push(&mut tail, 100, 1 << 20), Some(LARGEST_WHEN_SHORT));
        tail.set_growth(Growth::Least);
        assert_eq!(push(&mut tail, 110, 5_000), Some(8192));
        assert_eq!(push(&mut tail, 120, 3_192 + 10), Some(4096), "no more than is wanted");
        tail.set_growth(Growth::Free);
        assert_eq!(push(&mut tail, 130, 5_000), Some(8192));
        assert_eq!(push(&mut tail, 5_000_000, 8192), Some(4096));
    }

    #[test]
    fn an_unfinished_block_is_padded_with_zeros() {
        let tail = filled(&[4096, 100]);
        let block = tail.padded_block(place(4096), place(4196));
        assert_eq!(block.len(), BLOCK);
        assert!(block.is_aligned());
        assert!(block[..100].iter().all(|b| *b == 1) && block[100..].iter().all(|b| *b == 0));
    }
}
