//! File ranges that are on the disk alone, in chunks of memory: read past the page cache, a little
//! ahead of whoever reads on.
//!
//! The page cache is for what is read more than once. What is read for the second time lately is
//! left to it, and so is the unfinished end of a segment; a consumer that catches up once costs
//! neither pages nor the disk's time in large pieces, behind which journal writes would wait.

use std::collections::{HashSet, VecDeque};
use std::io;

use corelog_engine::log::SegmentId;
use corelog_os::SharedFd;
use corelog_os::aligned::AlignedBuf;
use corelog_os::file::{self, Access, Existence};
use corelog_os::ring::{Op, Ring};

use super::{Removed, Work};
use crate::fd_cache::FdCache;
use crate::layout::Layout;

/// Bytes of a chunk; it starts at a multiple of them.
pub(crate) const CHUNK: usize = 512 << 10;
/// Chunks that are read ahead.
const AHEAD: u64 = 2;
/// Reads that a shard has at the disk at a time: enough to keep it busy.
const READING: usize = 3;
/// The same while segments are written, and journals with them, which wait for every read.
const READING_BESIDE_WRITERS: usize = 1;
/// Chunks that count as read lately: 2 GiB of them.
const LATELY: usize = 4096;
/// Descriptors kept open for the next chunk.
const OPEN_FILES: usize = 16;

/// Part of a segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileRange {
    pub(crate) segment: SegmentId,
    /// From the start of the file.
    pub(crate) at: u64,
    /// Behind the last byte.
    pub(crate) end: u64,
    /// How far the file holds what never changes.
    pub(crate) flushed: u64,
}

/// A chunk of a segment, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Chunk {
    segment: SegmentId,
    number: u64,
}

impl Chunk {
    fn start(self) -> u64 {
        self.number * CHUNK as u64
    }

    fn end(self) -> u64 {
        self.start() + CHUNK as u64
    }

    fn plus(self, count: u64) -> Chunk {
        Chunk { number: self.number + count, ..self }
    }
}

impl FileRange {
    /// The chunk that its first byte is in, if all of it is in the file.
    fn chunk(&self) -> Option<Chunk> {
        let chunk = Chunk { segment: self.segment, number: self.at / CHUNK as u64 };
        (chunk.end() <= self.flushed).then_some(chunk)
    }
}

enum Content {
    /// On its way, for those who wait for it.
    Coming(Vec<usize>),
    Here(AlignedBuf),
}

struct Place {
    chunk: Chunk,
    content: Content,
    /// When somebody was given of it, as a count of such events; 0 if nobody was.
    used: u64,
}

impl Place {
    fn is_here(&self) -> bool {
        matches!(self.content, Content::Here(_))
    }
}

/// What there is of a range.
pub(super) enum Found<'a> {
    /// Its first bytes, at least one.
    Here(&'a [u8]),
    /// Whoever asked is told when it is here.
    Coming,
}

/// What became of a chunk's reading.
pub(super) struct Arrived {
    /// Those who waited.
    pub(super) askers: Vec<usize>,
    pub(super) result: io::Result<()>,
}

/// The chunks of a shard.
pub(super) struct Chunks {
    layout: Layout,
    files: FdCache<SegmentId>,
    places: Vec<Place>,
    /// How many there may be.
    most_places: usize,
    /// Reads that the kernel has not been given yet.
    waiting: VecDeque<(Chunk, Op)>,
    reading: usize,
    /// How many may be with it.
    most: usize,
    lately: Lately,
    uses: u64,
}

impl Chunks {
    /// With so many in memory.
    pub(super) fn new(layout: Layout, most_places: usize) -> Chunks {
        Chunks {
            layout,
            files: FdCache::new(OPEN_FILES),
            places: Vec::new(),
            most_places,
            waiting: VecDeque::new(),
            reading: 0,
            most: READING,
            lately: Lately::default(),
            uses: 0,
        }
    }

    /// Tells whether segments are written now.
    pub(super) fn pace(&mut self, writing: bool) {
        self.most = if writing { READING_BESIDE_WRITERS } else { READING };
    }

    /// What there is of a range that is not empty. `asker` is told when what is on its way is here.
    pub(super) fn find(
        &mut self,
        range: &FileRange,
        asker: usize,
        ring: &mut Ring<Work>,
    ) -> Option<Found<'_>> {
        let chunk = range.chunk()?;
        let found = self.places.iter().position(|place| place.chunk == chunk)?;
        if let Content::Coming(askers) = &mut self.places[found].content {
            askers.push(asker);
            return Some(Found::Coming);
        }
        self.uses += 1;
        self.places[found].used = self.uses;
        if chunk.number > 0 && self.lately.contains(Chunk { number: chunk.number - 1, ..chunk }) {
            self.read_ahead(chunk, range.flushed, ring);
        }
        match &self.places[found].content {
            Content::Here(bytes) => {
                let from = (range.at - chunk.start()) as usize;
                let to = (range.end.min(chunk.end()) - chunk.start()) as usize;
                Some(Found::Here(&bytes[from..to]))
            }
            Content::Coming(_) => None,
        }
    }

    /// Starts to read a range; whether it is one to be read here.
    pub(super) fn read(&mut self, range: &FileRange, asker: usize, ring: &mut Ring<Work>) -> bool {
        let Some(chunk) = range.chunk() else { return false };
        if self.lately.contains(chunk) {
            return false;
        }
        let oldest = self.evictable().min_by_key(|(_, place)| (place.used == 0, place.used));
        let oldest = oldest.map(|(index, _)| index);
        self.start(chunk, vec![asker], oldest, ring)
    }

    /// The chunks behind one that is read, as far as nobody has to make room who was not read.
    fn read_ahead(&mut self, chunk: Chunk, flushed: u64, ring: &mut Ring<Work>) {
        for chunk in (1..=AHEAD).map(|count| chunk.plus(count)) {
            let there = self.places.iter().any(|place| place.chunk == chunk);
            if chunk.end() > flushed || there || self.lately.contains(chunk) {
                continue;
            }
            let uses = self.uses;
            let used = self.evictable().filter(|(_, place)| place.used > 0 && place.used != uses);
            let oldest = used.min_by_key(|(_, place)| place.used).map(|(index, _)| index);
            self.start(chunk, Vec::new(), oldest, ring);
        }
    }

    fn evictable(&self) -> impl Iterator<Item = (usize, &Place)> {
        self.places.iter().enumerate().filter(|(_, place)| place.is_here())
    }

    /// Reads a chunk into a new place, or else into the one named; whether there was one.
    fn start(
        &mut self,
        chunk: Chunk,
        askers: Vec<usize>,
        oldest: Option<usize>,
        ring: &mut Ring<Work>,
    ) -> bool {
        let full = self.places.len() >= self.most_places;
        if full && oldest.is_none() {
            return false;
        }
        let Some(file) = self.file(chunk.segment) else { return false };
        let coming = Place { chunk, content: Content::Coming(askers), used: 0 };
        let buffer = match oldest.filter(|_| full) {
            Some(oldest) => match std::mem::replace(&mut self.places[oldest], coming).content {
                Content::Here(buffer) => buffer,
                Content::Coming(_) => AlignedBuf::zeroed(CHUNK),
            },
            None => {
                self.places.push(coming);
                AlignedBuf::zeroed(CHUNK)
            }
        };
        self.lately.insert(chunk);
        let op = Op::Read { file, at: chunk.start(), into: buffer, len: CHUNK };
        self.waiting.push_back((chunk, op));
        self.submit(ring);
        true
    }

    fn submit(&mut self, ring: &mut Ring<Work>) {
        while self.reading < self.most
            && let Some((chunk, op)) = self.waiting.pop_front()
        {
            self.reading += 1;
            ring.submit(op, Work::Chunk(chunk));
        }
    }

    /// `None` where the file system lets nobody read past the page cache, or the file is gone.
    fn file(&mut self, segment: SegmentId) -> Option<SharedFd> {
        if let Some(file) = self.files.get(segment) {
            return Some(file);
        }
        let path = self.layout.segment(segment);
        let file = file::open(&path, Access::ReadDirect, Existence::Present).ok()?;
        let file = SharedFd::new(file);
        self.files.insert(segment, file.clone());
        Some(file)
    }

    /// A chunk's reading has ended.
    pub(super) fn complete(
        &mut self,
        chunk: Chunk,
        op: Op,
        result: io::Result<u32>,
        ring: &mut Ring<Work>,
    ) -> Arrived {
        self.reading -= 1;
        self.submit(ring);
        let whole = result.and_then(|count| match count as usize {
            CHUNK => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        });
        let coming = |place: &Place| place.chunk == chunk && !place.is_here();
        let Some(found) = self.places.iter().position(coming) else {
            return Arrived { askers: Vec::new(), result: whole };
        };
        let place = self.places.swap_remove(found);
        if let (Ok(()), Op::Read { into, .. }) = (&whole, op) {
            self.places.push(Place { chunk, content: Content::Here(into), used: 0 });
        }
        let Content::Coming(askers) = place.content else { unreachable!("it was coming") };
        Arrived { askers, result: whole }
    }

    /// Forgets what is removed. What is on its way stays until it is here.
    pub(super) fn forget(&mut self, removed: Removed) {
        self.files.forget(|segment| removed.covers(segment));
        self.places.retain(|place| !(place.is_here() && removed.covers(place.chunk.segment)));
    }
}

/// The chunks that were read last.
#[derive(Default)]
struct Lately {
    chunks: HashSet<Chunk>,
    order: VecDeque<Chunk>,
}

impl Lately {
    fn contains(&self, chunk: Chunk) -> bool {
        self.chunks.contains(&chunk)
    }

    fn insert(&mut self, chunk: Chunk) {
        if self.chunks.insert(chunk) {
            self.order.push_back(chunk);
        }
        if self.order.len() > LATELY
            && let Some(oldest) = self.order.pop_front()
        {
            self.chunks.remove(&oldest);
        }
    }
}
