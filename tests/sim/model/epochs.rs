//! What may be told of leader epochs: every start of the broker is one, and each batch is of the
//! one that stored it.

use corelog_engine::id::{LeaderEpoch, Offset, TopicPartition};
use corelog_engine::log::EpochEnd;
use corelog_engine::shard::request::FetchPart;

use super::{Check, Knowledge, Known, Model, Read};

impl Model {
    /// What is asked with this epoch must be refused unless it is the present one.
    pub(super) fn in_epoch(&self, told: Option<LeaderEpoch>) -> Check {
        match told {
            Some(epoch) if epoch.0 != self.start as i32 => Err(format!("{epoch:?} is accepted")),
            _ => Ok(()),
        }
    }

    /// The epoch that a log starts with.
    pub(super) fn first_epoch(&self, partition: TopicPartition) -> i32 {
        self.epochs(partition).next().map_or(self.start as i32, |(_, _, epoch)| epoch)
    }

    /// Whether an epoch may be said to end there.
    pub(super) fn may_end(
        &self,
        partition: TopicPartition,
        asked: LeaderEpoch,
        found: Option<EpochEnd>,
        known: Known,
        knowledge: Knowledge,
    ) -> bool {
        let current = self.start as i32;
        let Some(EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) }) = found else {
            return asked.0 == -1 || asked.0 > current;
        };
        if knowledge == Knowledge::Whole {
            return found == self.end_of(partition, asked);
        }
        let agrees = |(base, behind, of): (i64, i64, i32)| match of {
            _ if of > asked.0 => base >= end,
            // It may have been appended since.
            _ if of == current => true,
            _ => of <= epoch && behind <= end,
        };
        let latest = asked.0 != current || epoch == current && end >= known.high;
        asked.0 <= current && epoch <= asked.0 && latest && self.epochs(partition).all(agrees)
    }

    /// Where an epoch ends in a log of which everything is known.
    fn end_of(&self, partition: TopicPartition, asked: LeaderEpoch) -> Option<EpochEnd> {
        let current = self.start as i32;
        if asked.0 == -1 || asked.0 > current {
            return None;
        }
        let newer = self.epochs(partition).find(|(_, _, epoch)| *epoch > asked.0);
        let end = newer.map_or(self.high(partition), |(base, ..)| base);
        let up_to = self.epochs(partition).map(|(.., epoch)| epoch);
        let floor = up_to.filter(|epoch| *epoch <= asked.0).max();
        let floor = if asked.0 == current { current } else { floor.unwrap_or(asked.0) };
        Some(EpochEnd { epoch: LeaderEpoch(floor), end: Offset(end) })
    }

    /// A reader is told that its records were replaced, or gets what follows them.
    pub(super) fn follows(&self, part: &FetchPart, known: Known, read: &Read) -> Check {
        let Some(last) = part.last_epoch else {
            return read.diverging.map_or(Ok(()), |end| Err(format!("{end:?} unasked")));
        };
        let Some(end) = read.diverging else {
            let mut before = self.epochs(part.partition).filter(|(at, ..)| *at < part.offset.0);
            let newer = before.find(|(.., epoch)| *epoch > last.0);
            return newer.map_or(Ok(()), |new| Err(format!("{new:?} before it, after {last:?}")));
        };
        let parted = end.epoch < last || end.end < part.offset;
        let right = parted
            && read.bytes.is_empty()
            && self.may_end(part.partition, last, Some(end), known, Knowledge::Partial);
        if right { Ok(()) } else { Err(format!("{end:?} told after {last:?}")) }
    }

    /// Batches whose epochs are known, in order: their first offset, the one behind, the epoch.
    fn epochs(&self, partition: TopicPartition) -> impl Iterator<Item = (i64, i64, i32)> {
        let batches = self.logs.get(&partition).into_iter().flat_map(|log| &log.batches);
        batches.filter_map(|(base, stored)| Some((*base, base + stored.count, stored.epoch?)))
    }
}
