//! Aligned, append-only, shareable memory.
//!
//! A [`SlabWriter`] owns a 4,096-aligned piece of memory and appends to it. What it has appended
//! never changes again, so any number of [`SlabSlice`]s may read that prefix, on any thread, while
//! the writer goes on behind it. Consumers are served from such slices and the disk is written from
//! them, without a copy.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::sync::Arc;

/// What O_DIRECT asks of memory, positions and lengths, in bytes.
pub const BLOCK: usize = 4096;

/// `bytes` rounded up to whole blocks.
#[must_use]
pub const fn align_up(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK)
}

struct Memory {
    start: NonNull<u8>,
    capacity: usize,
}

// SAFETY: `Memory` is a plain owned allocation. Bytes below a writer's length are never written
// again and bytes above it are reached by that one writer only, so sharing it between threads
// races on nothing. The length travels inside slices, which synchronise as any message does.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(capacity: usize) -> Memory {
        let layout = Self::layout(capacity);
        // SAFETY: the layout's size is not zero (`layout` asserts it).
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Memory { start, capacity }
    }

    fn layout(capacity: usize) -> Layout {
        assert!(capacity > 0 && capacity.is_multiple_of(BLOCK), "whole blocks only: {capacity}");
        Layout::from_size_align(capacity, BLOCK).expect("a slab is far smaller than isize::MAX")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this very layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.capacity)) }
    }
}

/// The one that may append to a slab.
pub struct SlabWriter {
    memory: Arc<Memory>,
    len: usize,
}

impl SlabWriter {
    /// Empty memory of `capacity` bytes, a multiple of [`BLOCK`].
    ///
    /// # Panics
    /// When `capacity` is zero or not whole blocks.
    #[must_use]
    pub fn new(capacity: usize) -> SlabWriter {
        SlabWriter { memory: Arc::new(Memory::new(capacity)), len: 0 }
    }

    /// Bytes appended so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that fit in all.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.memory.capacity
    }

    /// Bytes that still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.memory.capacity - self.len
    }

    /// Appends as much of `bytes` as fits and says how much that was.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        // SAFETY: `count` bytes fit behind `len`; no slice reaches there, so nobody reads them, and
        // `&mut self` makes this the only writer. `bytes` cannot overlap memory nobody can borrow.
        unsafe {
            let target = self.memory.start.as_ptr().add(self.len);
            target.copy_from_nonoverlapping(bytes.as_ptr(), count);
        }
        self.len += count;
        count
    }

    /// Appends `count` zeros.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn append_zeros(&mut self, count: usize) {
        assert!(count <= self.room(), "{count} zeros do not fit in {}", self.room());
        // SAFETY: as in `append`.
        unsafe { self.memory.start.as_ptr().add(self.len).write_bytes(0, count) }
        self.len += count;
    }

    /// Appends zeros up to the next whole block.
    pub fn pad_to_block(&mut self) {
        self.append_zeros(align_up(self.len) - self.len);
    }

    /// What has been appended.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised and never written again while `self` is
        // borrowed.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr(), self.len) }
    }

    /// A shared view of a range of what has been appended.
    ///
    /// # Panics
    /// When the range ends behind what has been appended.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> SlabSlice {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        SlabSlice { memory: Arc::clone(&self.memory), start: range.start, end: range.end }
    }

    /// Forgets what was appended, when no slice of it is left; says whether it did.
    pub fn reuse(&mut self) -> bool {
        let unshared = Arc::get_mut(&mut self.memory).is_some();
        if unshared {
            self.len = 0;
        }
        unshared
    }

    /// Overwrites appended bytes, when no slice of this slab exists yet; says whether it did.
    pub fn patch(&mut self, at: usize, bytes: &[u8]) -> bool {
        assert!(at + bytes.len() <= self.len, "a patch stays within what was appended");
        let Some(memory) = Arc::get_mut(&mut self.memory) else { return false };
        // SAFETY: in bounds (asserted), and `get_mut` proves that no slice shares the memory.
        unsafe {
            let target = memory.start.as_ptr().add(at);
            target.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        true
    }
}

impl fmt::Debug for SlabWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlabWriter({} of {})", self.len, self.memory.capacity)
    }
}

/// A range of a slab's appended bytes; keeps the memory alive. Cheap to clone.
#[derive(Clone)]
pub struct SlabSlice {
    memory: Arc<Memory>,
    start: usize,
    end: usize,
}

impl SlabSlice {
    /// A part of this slice.
    ///
    /// # Panics
    /// When the range ends behind this slice.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> SlabSlice {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?}");
        let (start, end) = (self.start + range.start, self.start + range.end);
        SlabSlice { memory: Arc::clone(&self.memory), start, end }
    }

    /// Whether memory and length are whole blocks, as O_DIRECT asks.
    #[must_use]
    pub fn is_aligned(&self) -> bool {
        self.start.is_multiple_of(BLOCK) && self.end.is_multiple_of(BLOCK)
    }
}

impl Deref for SlabSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start..end` was appended before this slice was made (`SlabWriter::slice` checks
        // it), and appended bytes never change while a slice exists: `append` writes behind them,
        // `reuse` and `patch` need the only reference.
        unsafe {
            let start = self.memory.start.as_ptr().add(self.start);
            std::slice::from_raw_parts(start, self.end - self.start)
        }
    }
}

impl AsRef<[u8]> for SlabSlice {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for SlabSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlabSlice({}..{})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_see_what_was_appended_and_nothing_later() {
        let mut writer = SlabWriter::new(BLOCK);
        assert_eq!(writer.append(b"hello"), 5);
        let hello = writer.slice(0..5);
        assert_eq!(writer.append(&[7; BLOCK]), BLOCK - 5);
        assert_eq!((&*hello, writer.room()), (&b"hello"[..], 0));
        assert_eq!(&*hello.slice(1..3), b"el");
        assert!(!hello.is_aligned() && writer.slice(0..BLOCK).is_aligned());
    }

    #[test]
    fn memory_is_aligned_and_padded_with_zeros() {
        let mut writer = SlabWriter::new(2 * BLOCK);
        writer.append(&[1; 10]);
        writer.pad_to_block();
        assert_eq!(writer.len(), BLOCK);
        assert!(writer.bytes()[10..].iter().all(|byte| *byte == 0));
        assert!((writer.bytes().as_ptr() as usize).is_multiple_of(BLOCK));
    }

    #[test]
    fn memory_is_reused_or_patched_only_when_nobody_reads_it() {
        let mut writer = SlabWriter::new(BLOCK);
        writer.append(b"abc");
        assert!(writer.patch(1, b"x"));
        let slice = writer.slice(0..3);
        assert!(!writer.reuse() && !writer.patch(0, b"y"));
        assert_eq!(&*slice, b"axc");
        drop(slice);
        assert!(writer.reuse() && writer.is_empty());
    }

    #[test]
    fn readers_on_other_threads_see_a_stable_prefix() {
        let mut writer = SlabWriter::new(16 * BLOCK);
        let mut readers = Vec::new();
        for round in 0..64u8 {
            writer.append(&[round; 1000]);
            let slice = writer.slice(0..writer.len());
            readers.push(std::thread::spawn(move || {
                slice.chunks(1000).enumerate().all(|(i, c)| c.iter().all(|b| *b == i as u8))
            }));
        }
        assert!(readers.into_iter().all(|reader| reader.join().expect("no panic")));
    }
}
