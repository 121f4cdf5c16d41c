//! Which leader epoch wrote what. A reader whose last record is of an epoch that ends before the
//! reader's position has read what is in the log no more (KIP-101, KIP-320; Kafka's
//! `LeaderEpochFileCache`).

use crate::id::{LeaderEpoch, Offset};
use crate::log::{Log, Want};
use crate::shard::request::ReadError;

/// How far a log goes in an epoch and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The greatest epoch of the log that is not greater than the one asked for; that one itself
    /// when all of the log is newer.
    pub epoch: LeaderEpoch,
    /// The offset behind its last record.
    pub end: Offset,
}

/// Where each leader epoch starts: epochs and offsets both ascend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs(Vec<(LeaderEpoch, Offset)>);

impl Epochs {
    /// `epoch` starts at `offset`, the log's end. An epoch that has started there has no record and
    /// will get none.
    pub fn start(&mut self, epoch: LeaderEpoch, offset: Offset) {
        while self.0.pop_if(|(known, start)| *known >= epoch || *start >= offset).is_some() {}
        self.0.push((epoch, offset));
    }

    /// Takes note of a batch at the log's end.
    pub fn note(&mut self, epoch: LeaderEpoch, base: Offset) {
        let newer = self.0.last().is_none_or(|(latest, _)| *latest < epoch);
        if newer && epoch >= LeaderEpoch(0) {
            self.start(epoch, base);
        }
    }

    /// Appends what a manifest holds.
    pub fn restore(&mut self, starts: Vec<(LeaderEpoch, Offset)>) {
        self.0.extend(starts);
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[(LeaderEpoch, Offset)] {
        &self.0
    }

    /// Those that start in `from..to`.
    #[must_use]
    pub fn between(&self, from: Offset, to: Offset) -> Vec<(LeaderEpoch, Offset)> {
        self.0.iter().filter(|(_, start)| *start >= from && *start < to).copied().collect()
    }

    /// The epoch of the record at `offset`; `None` before the first.
    #[must_use]
    pub fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let behind = self.0.partition_point(|(_, start)| *start <= offset);
        behind.checked_sub(1).map(|at| self.0[at].0)
    }

    /// Where `epoch` ends in a log that ends at `log_end`; `None` when it has not started yet, and
    /// for epoch -1, which stands for none.
    #[must_use]
    pub fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        let behind = self.0.partition_point(|(known, _)| *known <= epoch);
        let floor = behind.checked_sub(1).map_or(epoch, |at| self.0[at].0);
        let end = match self.0.get(behind) {
            Some((_, next)) => *next,
            None if floor == epoch && behind > 0 => log_end,
            None => return None,
        };
        (epoch != LeaderEpoch(-1)).then_some(EpochEnd { epoch: floor, end })
    }
}

impl Log {
    /// The leader epoch of the batch that holds `offset`.
    #[must_use]
    pub fn epoch_of(&self, offset: Offset) -> LeaderEpoch {
        self.epochs.at(offset).unwrap_or(self.epoch)
    }

    /// Where an epoch ends; `None` when it has not started yet, and for epoch -1.
    #[must_use]
    pub fn end_of_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        self.epochs.end_of(epoch, self.marks.end().offset)
    }

    /// Where a reader's records part from the log's, if they do (Kafka's `Partition.readRecords`).
    pub fn divergence(&self, want: Want) -> Result<Option<EpochEnd>, ReadError> {
        let Some(last) = want.last_epoch else { return Ok(None) };
        let end = self.end_of_epoch(last).filter(|_| want.offset >= self.marks.log_start());
        let end = end.ok_or_else(|| self.out_of_range())?;
        Ok((end.epoch < last || end.end < want.offset).then_some(end))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::id::{Instant, Now, PartitionIndex, Timestamp, TopicId, TopicPartition};
    use crate::log::{Known, LogConfig, LogImage, LogVersion, Oversize, PreparedAppend};
    use crate::record::{BatchBuilder, BatchHeader, Codec, NewRecord};

    fn epochs(starts: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, offset) in starts {
            epochs.start(LeaderEpoch(*epoch), Offset(*offset));
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_kafka_says() {
        let rows: &[(&[(i32, i64)], i32, Option<(i32, i64)>)] = &[
            // The latest goes to the end of the log, the ones before to the start of the next.
            (&[(1, 0), (3, 10), (4, 20)], 4, Some((4, 25))),
            (&[(1, 0), (3, 10), (4, 20)], 3, Some((3, 20))),
            (&[(1, 0), (3, 10), (4, 20)], 1, Some((1, 10))),
            // One without a record: the one before it.
            (&[(1, 0), (3, 10), (4, 20)], 2, Some((1, 10))),
            (&[(1, 0), (2, 10), (3, 10), (4, 20)], 2, Some((1, 10))),
            (&[(1, 0), (2, 25)], 2, Some((2, 25))),
            (&[(1, 0), (2, 25)], 1, Some((1, 25))),
            // Older than all: itself, up to the first.
            (&[(3, 10), (4, 20)], 2, Some((2, 10))),
            (&[(3, 10), (4, 20)], 0, Some((0, 10))),
            (&[(3, 10), (4, 20)], -2, Some((-2, 10))),
            // None, and newer than all.
            (&[(3, 10), (4, 20)], -1, None),
            (&[(3, 10), (4, 20)], 5, None),
            (&[], 0, None),
            // A log of which all was lost.
            (&[(1, 0), (2, 0)], 1, Some((1, 0))),
            (&[(1, 0), (2, 0)], 2, Some((2, 25))),
        ];
        for (starts, asked, told) in rows {
            let found = epochs(starts).end_of(LeaderEpoch(*asked), Offset(25));
            let told =
                told.map(|(epoch, end)| EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) });
            assert_eq!(found, told, "{starts:?}, epoch {asked}");
        }
    }

    /// A log that recovery has brought to `end`, with `appended` more records of `epoch`.
    fn life(known: &[(i32, i64)], end: i64, epoch: i32, appended: i64) -> Log {
        let partition = TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(0) };
        let image = LogImage {
            log_start: Offset::ZERO,
            epochs: epochs(known),
            ..LogImage::starting(LogVersion::default(), Offset(end))
        };
        let config = Arc::new(LogConfig::default());
        let mut log = Log::new(partition, image, config, LeaderEpoch(epoch), Known::Yes);
        let now = Now { instant: Instant(0), wall: Timestamp(0) };
        for _ in 0..appended {
            let mut batch = BatchBuilder::new(Codec::None);
            let value = Some(&b"v"[..]);
            batch.append(NewRecord { timestamp: now.wall, key: None, value, headers: &[] });
            let bytes = batch.build().expect("small");
            let header = BatchHeader::parse(&bytes).expect("a batch");
            log.append(now, &PreparedAppend { bytes: &bytes, header });
        }
        log
    }

    #[test]
    fn a_reader_of_lost_records_hears_of_it_though_the_log_has_grown_past_it() {
        // Read up to offset 20 in epoch 2, which began at 10; then a crash. Where the log ended
        // after it, what epoch 3 has appended since, and what the reader is told.
        let rows = [
            ("nothing lost", 20, 0, None),
            ("nothing lost, and more", 20, 10, None),
            ("some lost", 15, 0, Some((2, 15))),
            ("some lost, up to its position", 15, 5, Some((2, 15))),
            ("some lost, and past it", 15, 15, Some((2, 15))),
            ("its whole epoch lost", 10, 15, Some((1, 10))),
            ("more than its epoch lost", 5, 20, Some((1, 5))),
            ("all lost", 0, 25, Some((2, 0))),
        ];
        for (name, end, appended, told) in rows {
            let log = life(&[(1, 0), (2, 10)], end, 3, appended);
            let want = Want {
                offset: Offset(20),
                last_epoch: Some(LeaderEpoch(2)),
                max_bytes: 100,
                oversize: Oversize::Whole,
            };
            let told =
                told.map(|(epoch, end)| EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) });
            assert_eq!(log.divergence(want), Ok(told), "{name}");
            assert_eq!(log.epoch_of(Offset(end + appended)), LeaderEpoch(3), "{name}");
        }
    }

    #[test]
    fn an_offset_is_of_the_last_epoch_that_started() {
        let epochs = epochs(&[(1, 5), (2, 10), (4, 10), (5, 20)]);
        let told = [4, 5, 9, 10, 19, 20, 99].map(|offset| epochs.at(Offset(offset)));
        let known = [None, Some(1), Some(1), Some(4), Some(4), Some(5), Some(5)];
        assert_eq!(told, known.map(|epoch| epoch.map(LeaderEpoch)));
    }

    #[test]
    fn a_batch_starts_an_epoch_only_when_it_is_newer() {
        let mut epochs = epochs(&[(3, 0)]);
        for (epoch, base) in [(3, 4), (2, 5), (-1, 6), (7, 7), (7, 8)] {
            epochs.note(LeaderEpoch(epoch), Offset(base));
        }
        assert_eq!(epochs.all(), [(LeaderEpoch(3), Offset(0)), (LeaderEpoch(7), Offset(7))]);
    }
}
