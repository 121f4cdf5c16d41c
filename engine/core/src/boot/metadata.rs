//! The metadata partition, recovered before all others: it tells which topics there are.

use std::collections::BTreeSet;

use crate::boot::effect::{BootAnswer, BootEffect};
use crate::boot::inventory::Inventory;
use crate::boot::partitions::{Found, Replayed};
use crate::boot::replay::blocks_of;
use crate::boot::{BootPlan, BootRefusal, Phase, Progress};
use crate::id::{Offset, TopicId, TopicPartition};
use crate::log::{Boundary, LogImage, Place, SegmentEnd, SegmentId};
use crate::metadata::{Controller, Image, Record, batch};
use crate::record::batch::{HEADER_LEN, stamp};
use crate::record::{BatchHeader, records};

/// Bytes of the log that are read in one go, unless a batch is larger.
const READ_AT_ONCE: u32 = 1 << 20;

/// The metadata, and the log that holds it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) log: LogImage,
    pub(super) image: Image,
    /// Topics that were deleted.
    pub(super) removed: BTreeSet<TopicId>,
}

/// The metadata partition being read.
#[derive(Debug)]
pub(super) struct LoadMetadata {
    loaded: Loaded,
    /// Where the next batch starts.
    next: Boundary,
    /// Bytes that are read next; grows only for a batch that is known to be so long.
    asked: u32,
}

/// Starts to read the metadata, or writes the first records of a fresh directory.
pub(super) fn start(
    logs: Vec<Replayed>,
    inventory: Inventory,
    plan: &BootPlan,
) -> Result<(Phase, Vec<BootEffect>), BootRefusal> {
    let Some(replayed) = logs.into_iter().next() else {
        return Err(BootRefusal::Metadata("it was not replayed".to_owned()));
    };
    let log = match replayed.found {
        Found::Online(log) => log,
        Found::Offline { why, .. } => return Err(BootRefusal::Metadata(why.to_string())),
    };
    let first = log.segments.first().map_or(Offset::ZERO, |segment| segment.base);
    let (image, removed) = (Image::default(), BTreeSet::new());
    let mut load = LoadMetadata {
        loaded: Loaded { log, image, removed },
        next: Boundary { offset: first, place: Place::start_of(first) },
        asked: READ_AT_ONCE,
    };
    let wanted = if load.loaded.log.end == Boundary::default() {
        load.bootstrap(plan).map_err(BootRefusal::Metadata)?
    } else {
        Vec::new()
    };
    Ok((Phase::Metadata(Box::new(load), inventory), wanted))
}

impl LoadMetadata {
    fn bootstrap(&mut self, plan: &BootPlan) -> Result<Vec<BootEffect>, String> {
        let records = Controller::bootstrap(&plan.features);
        let Some((_, batch)) = batch::encode(&records, plan.now) else {
            return Err("its first records do not fit into a batch".to_owned());
        };
        let mut bytes = batch.to_vec();
        let epoch = crate::shard::setup::leader_epoch(plan.start);
        stamp(&mut bytes, Offset::ZERO, epoch);
        let header = BatchHeader::parse(&bytes).map_err(|error| error.to_string())?;
        batch::load(&mut self.loaded.image, &header, &bytes)?;
        self.loaded.log.take_batch(&header, 0);
        let place = Place { segment: Offset::ZERO, at: bytes.len() as u64 };
        self.loaded.log.end = Boundary { offset: header.next_offset(), place };
        self.loaded.log.synced = place;
        self.next = self.loaded.log.end;
        let segment = SegmentId { partition: TopicPartition::METADATA, base: Offset::ZERO };
        Ok(vec![BootEffect::WriteSegment(segment, 0, blocks_of(&bytes))])
    }

    pub(super) fn step(
        &mut self,
        answers: Vec<BootAnswer>,
    ) -> Result<Progress<Loaded>, BootRefusal> {
        for answer in answers {
            if let BootAnswer::Bytes(bytes) = answer {
                self.take(&bytes).map_err(BootRefusal::Metadata)?;
            }
        }
        self.skip_ends();
        if self.next.place >= self.loaded.log.end.place {
            let empty = Loaded {
                log: LogImage::empty(self.loaded.log.version),
                image: Image::default(),
                removed: BTreeSet::new(),
            };
            return Ok(Progress::Over(std::mem::replace(&mut self.loaded, empty)));
        }
        let at = self.next.place.at;
        Ok(Progress::More(vec![BootEffect::ReadSegment(self.segment(), at, self.asked)]))
    }

    fn segment(&self) -> SegmentId {
        SegmentId { partition: TopicPartition::METADATA, base: self.next.place.segment }
    }

    /// Goes on to the next segment at the end of one.
    fn skip_ends(&mut self) {
        while let Some(end) = self.segment_end().filter(|end| self.next.place.at >= end.bytes) {
            let (offset, place) = (end.next_offset, Place::start_of(end.next_offset));
            self.next = Boundary { offset, place };
        }
    }

    fn segment_end(&self) -> Option<SegmentEnd> {
        let segments = &self.loaded.log.segments;
        segments.iter().find(|segment| segment.base == self.next.place.segment)?.end
    }

    /// Takes in the whole batches of a read. Each read brings one, or tells how long the one is
    /// that it does not hold whole: otherwise the log is damaged, and no further read would help.
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let end = self.segment_end().map_or(self.loaded.log.end.place.at, |end| end.bytes);
        let mut at = 0;
        while self.next.place.at < end {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.len() < HEADER_LEN {
                break;
            }
            let header = BatchHeader::parse(rest).map_err(|error| self.damaged(&error))?;
            self.check(&header, end - self.next.place.at)?;
            let Some(batch) = rest.get(..header.total_len()) else {
                let larger = header.total_len() as u32;
                if at == 0 && larger <= self.asked {
                    break;
                }
                self.asked = self.asked.max(larger);
                return Ok(());
            };
            self.note_removals(&header, batch);
            let loaded = batch::load(&mut self.loaded.image, &header, batch);
            loaded.map_err(|why| self.damaged(&why))?;
            at += header.total_len();
            let place = self.next.place.plus(header.total_len() as u64);
            self.next = Boundary { offset: header.next_offset(), place };
        }
        if at == 0 { Err(self.damaged(&"the file ends early")) } else { Ok(()) }
    }

    /// Whether a batch goes on from those before it and ends within its segment.
    fn check(&self, header: &BatchHeader, left: u64) -> Result<(), String> {
        let (offset, expected) = (header.base_offset, self.next.offset);
        if offset != expected {
            return Err(self.damaged(&format!("a batch of offset {offset}, not {expected}")));
        }
        let len = header.total_len() as u64;
        if len > left {
            return Err(self.damaged(&format!("a batch of {len} bytes, where {left} are left")));
        }
        Ok(())
    }

    fn note_removals(&mut self, header: &BatchHeader, batch: &[u8]) {
        let limit = crate::record::compress::MAX_DECOMPRESSED;
        let Ok(records) = records::Records::open(header, batch, limit) else { return };
        for record in records.iter().flatten() {
            if let Ok(Record::RemoveTopic(id)) = Record::decode(record.value.unwrap_or_default()) {
                self.loaded.removed.insert(id);
            }
        }
    }

    fn damaged(&self, why: &dyn std::fmt::Display) -> String {
        format!("byte {} of {}: {why}", self.next.place.at, self.segment())
    }
}
