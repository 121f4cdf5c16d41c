//! Segment writes: whole blocks past the page cache, several pieces in one operation. The core has
//! at most one in flight for each segment.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use corelog_engine::id::Instant;
use corelog_engine::log::SegmentId;
use corelog_engine::shard::effect::WriteSegment;
use corelog_engine::shard::event::{EffectId, Failure, Outcome};
use corelog_mem::{BLOCK, SlabSlice};
use corelog_os::SharedFd;
use corelog_os::ring::{Op, Ring, WriteBuf};

use super::{Removed, Work};
use crate::clock::Clock;
use crate::failure::{NOT_WHOLE, failure};
use crate::fd_cache::FdCache;
use crate::layout::Layout;
use crate::mesh::{Letter, Mailbox};
use crate::segment_file;
use crate::written::{Names, Written};

/// Descriptors kept open for the next write.
const OPEN_FILES: usize = 256;

/// The kernel takes no more pieces in one call.
const MOST_PIECES: usize = 1024;

/// Writers that write no segment for so long have paused.
const PAUSE_MS: u64 = 100;

/// A write in flight, and what of it is still to come.
pub(super) struct Write {
    id: EffectId,
    segment: SegmentId,
    file: SharedFd,
    at: u64,
    pieces: VecDeque<SlabSlice>,
    /// Bytes of the pieces that the kernel has now.
    submitted: usize,
}

/// All segment writes of a shard.
pub(super) struct Segments {
    layout: Layout,
    mailbox: Arc<Mailbox>,
    written: Arc<Written>,
    files: FdCache<SegmentId>,
    in_flight: Vec<SegmentId>,
    /// When a write was last started.
    started: Instant,
    clock: Clock,
}

impl Segments {
    pub(super) fn new(
        layout: Layout,
        mailbox: Arc<Mailbox>,
        written: Arc<Written>,
        clock: Clock,
    ) -> Segments {
        let (files, in_flight) = (FdCache::new(OPEN_FILES), Vec::new());
        Segments { layout, mailbox, written, files, in_flight, started: Instant(0), clock }
    }

    /// Whether there are writes, now or just before.
    pub(super) fn are_written(&self, now: Instant) -> bool {
        !self.in_flight.is_empty() || now < self.started.plus_ms(PAUSE_MS)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn is_writing(&self, removed: Removed) -> bool {
        self.in_flight.iter().any(|segment| removed.covers(*segment))
    }

    pub(super) fn forget(&mut self, removed: Removed) {
        self.files.forget(|segment| removed.covers(segment));
    }

    pub(super) fn start(&mut self, write: WriteSegment, ring: &mut Ring<Work>) {
        let WriteSegment { id, segment, at, bytes } = write;
        match self.open(segment, at) {
            Ok(file) => {
                self.in_flight.push(segment);
                self.started = self.clock.instant();
                let pieces = bytes.into();
                let write = Write { id, segment, file, at, pieces, submitted: 0 };
                submit(write, ring);
            }
            Err(error) => {
                self.files.forget(|open| open == segment);
                self.report(id, Outcome::Failed(failure(&error)));
            }
        }
    }

    /// One operation of a write has ended: the whole write, or a part of it.
    pub(super) fn complete(
        &mut self,
        mut write: Write,
        result: io::Result<u32>,
        ring: &mut Ring<Work>,
    ) {
        match result {
            Ok(count) => match write.advance(count as usize) {
                Ok(()) if write.pieces.is_empty() => {
                    self.written.note(write.segment, write.file.clone());
                    self.end(&write, Outcome::Done);
                }
                Ok(()) => submit(write, ring),
                Err(failure) => self.end(&write, Outcome::Failed(failure)),
            },
            Err(error) => self.end(&write, Outcome::Failed(failure(&error))),
        }
    }

    fn end(&mut self, write: &Write, outcome: Outcome) {
        self.in_flight.retain(|segment| *segment != write.segment);
        if matches!(outcome, Outcome::Failed(_)) {
            self.files.forget(|segment| segment == write.segment);
        }
        self.report(write.id, outcome);
    }

    fn report(&self, id: EffectId, outcome: Outcome) {
        self.mailbox.deliver(Letter::Done(id, outcome));
    }

    fn open(&mut self, segment: SegmentId, at: u64) -> io::Result<SharedFd> {
        if let Some(file) = self.files.get(segment) {
            return segment_file::reaches(&file, at).map(|()| file);
        }
        let (file, names) = segment_file::open(&self.layout, segment, at);
        if names == Names::Changed {
            self.written.note_names();
        }
        let file = Arc::new(file?);
        self.files.insert(segment, file.clone());
        Ok(file)
    }
}

impl Write {
    /// Takes off what the kernel has written. What is left must start with a whole block.
    fn advance(&mut self, count: usize) -> Result<(), Failure> {
        let aligned = count.is_multiple_of(BLOCK);
        if count == 0 || count > self.submitted || (count < self.submitted && !aligned) {
            return Err(NOT_WHOLE);
        }
        self.at += count as u64;
        let mut left = count;
        while let Some(piece) = self.pieces.pop_front() {
            if piece.len() > left {
                self.pieces.push_front(piece.slice(left..piece.len()));
                break;
            }
            left -= piece.len();
        }
        Ok(())
    }
}

fn submit(mut write: Write, ring: &mut Ring<Work>) {
    let pieces = write.pieces.iter().take(MOST_PIECES).cloned();
    let from: Vec<_> = pieces.map(WriteBuf::Slab).collect();
    write.submitted = from.iter().map(|piece| piece.bytes().len()).sum();
    let op = Op::WriteVectored { file: write.file.clone(), at: write.at, from };
    ring.submit(op, Work::Write(write));
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_engine::id::{Offset, TopicPartition};
    use corelog_mem::SlabWriter;
    use corelog_os::event::EventFd;

    use crate::testdir::TestDir;

    const SEGMENT: SegmentId = SegmentId { partition: TopicPartition::METADATA, base: Offset(0) };

    fn write_of(blocks: &[usize]) -> Write {
        let pieces = blocks.iter().map(|blocks| {
            let mut slab = SlabWriter::new(blocks * BLOCK);
            slab.append_zeros(blocks * BLOCK);
            slab.slice(0..blocks * BLOCK)
        });
        Write {
            id: EffectId(1),
            segment: SEGMENT,
            file: EventFd::new().expect("eventfd").descriptor(),
            at: 0,
            pieces: pieces.collect(),
            submitted: blocks.iter().sum::<usize>() * BLOCK,
        }
    }

    #[test]
    fn a_short_write_goes_on_only_from_a_whole_block() {
        let rows: [(usize, Result<&[usize], Failure>); 7] = [
            (6 * BLOCK, Ok(&[])),
            (BLOCK, Ok(&[2, 3])),
            (2 * BLOCK, Ok(&[1, 3])),
            (5 * BLOCK, Ok(&[1])),
            (BLOCK + 512, Err(NOT_WHOLE)),
            (0, Err(NOT_WHOLE)),
            (7 * BLOCK, Err(NOT_WHOLE)),
        ];
        for (count, expected) in rows {
            let mut write = write_of(&[1, 2, 3]);
            let left = write.advance(count).map(|()| {
                assert_eq!(write.at, count as u64);
                write.pieces.iter().map(|piece| piece.len() / BLOCK).collect::<Vec<_>>()
            });
            assert_eq!(left, expected.map(<[usize]>::to_vec), "{count}");
        }
    }
    /// Carries out one write of `len` bytes at the segment's start.
    fn write(segments: &mut Segments, ring: &mut Ring<Work>, len: usize) {
        let mut slab = SlabWriter::new(BLOCK);
        slab.append_zeros(BLOCK);
        let (id, bytes) = (EffectId(1), vec![slab.slice(0..len)]);
        segments.start(WriteSegment { id, segment: SEGMENT, at: 0, bytes }, ring);
        while segments.in_flight() > 0 {
            ring.wait(None).expect("wait");
            for done in ring.completions().collect::<Vec<_>>() {
                let Work::Write(write) = done.payload else { panic!("only writes were ordered") };
                segments.complete(write, done.result, ring);
            }
        }
    }

    #[test]
    fn a_new_name_is_noted_though_its_first_write_fails() {
        let dir = TestDir::new();
        let mailbox = Arc::new(Mailbox::new().expect("eventfd"));
        let written = Arc::new(Written::default());
        let layout = Layout::new(dir.path());
        let mut segments = Segments::new(layout, mailbox, written.clone(), Clock::start());
        let mut ring = Ring::new(8).expect("a ring");
        // Not a whole block: the kernel refuses it, in a file that is there by now.
        write(&mut segments, &mut ring, BLOCK / 3);
        assert!(!written.covers(SEGMENT));
        write(&mut segments, &mut ring, BLOCK);
        assert!(written.covers(SEGMENT));
        assert_eq!(written.names(), Names::Changed);
    }
}
