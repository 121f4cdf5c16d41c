//! How far each partition was read, and how far it is to be read.

use std::fmt::Display;

use bytes::Bytes;
use corelog_engine::record::batch::{BatchHeader, FrameError, crc_matches, split};
use corelog_engine::record::compress::MAX_DECOMPRESSED;
use corelog_engine::record::{Record, Records};

use super::Arguments;
use super::printer::Print;
use crate::cli::client::{Cluster, EARLIEST, Found, LATEST, Start, Topic};
use crate::cli::failure::Failure;
use crate::cli::place::Place;

/// A partition being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) partition: i32,
    /// The offset to read next.
    pub(super) next: i64,
    /// Where to stop; `None` never.
    pub(super) end: Option<i64>,
}

impl Position {
    fn is_finished(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

/// All partitions being read.
#[derive(Debug)]
pub(super) struct Positions {
    positions: Vec<Position>,
    /// Records still to print; `None` all.
    left: Option<u64>,
}

impl Positions {
    /// Where to begin and to end, by what the broker has now.
    pub(super) fn find(
        cluster: &mut Cluster,
        topic: &Topic,
        arguments: &Arguments,
    ) -> Result<Positions, Failure> {
        let partitions: Vec<i32> = match arguments.partition {
            Some(index) => vec![topic.partition(index)?.index],
            None => topic.partitions.iter().map(|partition| partition.index).collect(),
        };
        let latest = cluster.offsets(topic, &partitions, LATEST)?;
        let earliest = cluster.offsets(topic, &partitions, EARLIEST)?;
        let first = match arguments.from {
            Place::Start => earliest,
            Place::End => latest.clone(),
            Place::Time(time) => cluster.offsets(topic, &partitions, time)?,
            Place::Offset(offset) => {
                check_offset(topic, offset, &earliest, &latest)?;
                partitions.iter().map(|index| (*index, Some(offset))).collect()
            }
        };
        let position = |index: &i32| {
            let end = offset(&latest, *index, 0);
            let next = offset(&first, *index, end);
            Position { partition: *index, next, end: (!arguments.follow).then_some(end) }
        };
        Ok(Positions {
            positions: partitions.iter().map(position).collect(),
            left: arguments.count,
        })
    }

    pub(super) fn are_finished(&self) -> bool {
        self.left == Some(0) || self.positions.iter().all(Position::is_finished)
    }

    pub(super) fn unfinished(&self) -> Vec<Start> {
        let unfinished = self.positions.iter().filter(|position| !position.is_finished());
        let start =
            |position: &Position| Start { partition: position.partition, offset: position.next };
        unfinished.map(start).collect()
    }

    /// Prints the records of batches that were read from a partition, and moves on behind them.
    pub(super) fn take(
        &mut self,
        partition: i32,
        batches: &Bytes,
        printer: &mut impl Print,
    ) -> Result<(), Failure> {
        let Positions { positions, left } = self;
        let Some(position) = positions.iter_mut().find(|one| one.partition == partition) else {
            return Ok(());
        };
        let before = position.next;
        for batch in split(batches) {
            if *left == Some(0) || position.is_finished() {
                return Ok(());
            }
            match batch {
                Ok((header, batch)) => position.take(&header, &batch, left, printer)?,
                // What is cut off at the end of an answer is asked for again.
                Err(FrameError::Truncated { .. }) if position.next > before => return Ok(()),
                Err(error) => return Err(position.bad_batch(&error)),
            }
        }
        Ok(())
    }

    /// In words: what the partition has in place of the offset that was asked for.
    pub(super) fn out_of_range(
        &self,
        cluster: &mut Cluster,
        topic: &Topic,
        partition: i32,
    ) -> Failure {
        let mut ends = || {
            let earliest = cluster.offsets(topic, &[partition], EARLIEST)?;
            Ok((earliest, cluster.offsets(topic, &[partition], LATEST)?))
        };
        let found = self.positions.iter().find(|one| one.partition == partition);
        match ends() {
            Err(failure) => failure,
            Ok((earliest, latest)) => Failure::NoOffset {
                topic: topic.name.clone(),
                partition,
                offset: found.map_or(0, |position| position.next),
                earliest: offset(&earliest, partition, 0),
                latest: offset(&latest, partition, 0),
            },
        }
    }
}

impl Position {
    fn take(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        left: &mut Option<u64>,
        printer: &mut impl Print,
    ) -> Result<(), Failure> {
        if !crc_matches(header, batch) {
            return Err(self.bad_batch(&"its checksum does not match"));
        }
        // Markers of transactions are not for consumers.
        if header.next_offset().0 > self.next && !header.is_control() {
            let records = Records::open(header, batch, MAX_DECOMPRESSED);
            for record in records.map_err(|error| self.bad_batch(&error))?.iter() {
                let record = record.map_err(|error| self.bad_batch(&error))?;
                if !self.wants(&record) {
                    continue;
                }
                printer.record(self.partition, &record)?;
                self.next = record.offset.0 + 1;
                *left = left.map(|left| left - 1);
                if *left == Some(0) {
                    return Ok(());
                }
            }
        }
        self.next = self.next.max(header.next_offset().0);
        Ok(())
    }

    /// A batch may begin before the place to read from, and reach beyond the end.
    fn wants(&self, record: &Record<'_>) -> bool {
        record.offset.0 >= self.next && self.end.is_none_or(|end| record.offset.0 < end)
    }

    fn bad_batch(&self, why: &impl Display) -> Failure {
        let Position { partition, next, .. } = *self;
        Failure::BadBatch { partition, offset: next, why: why.to_string() }
    }
}

/// One offset means something in one partition.
fn check_offset(
    topic: &Topic,
    wanted: i64,
    earliest: &Found,
    latest: &Found,
) -> Result<(), Failure> {
    if earliest.len() > 1 {
        return Err(Failure::WhichPartition { topic: topic.name.clone(), count: earliest.len() });
    }
    for index in earliest.keys() {
        let (earliest, latest) = (offset(earliest, *index, 0), offset(latest, *index, 0));
        if !(earliest..=latest).contains(&wanted) {
            return Err(Failure::NoOffset {
                topic: topic.name.clone(),
                partition: *index,
                offset: wanted,
                earliest,
                latest,
            });
        }
    }
    Ok(())
}

fn offset(found: &Found, partition: i32, otherwise: i64) -> i64 {
    found.get(&partition).copied().flatten().unwrap_or(otherwise)
}

#[cfg(test)]
mod tests;
