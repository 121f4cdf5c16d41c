//! Which answers the model lets pass.

use std::fmt;

use bytes::Bytes;
use corelog_engine::id::{LeaderEpoch, Offset, Timestamp, TopicPartition};
use corelog_engine::log::EpochEnd;
use corelog_engine::record::batch::split;
use corelog_engine::shard::request::{
    AppendError, Appended, FetchPart, Found, Lookup, ReadError, Target,
};

use super::{Check, Known, Model, TopicState, Uid};

/// What a read of one partition gave.
#[derive(Clone)]
pub struct Read {
    /// The high watermark that it told.
    pub high: i64,
    /// The log start that it told.
    pub start: i64,
    /// Where the reader was told to have parted from the log.
    pub diverging: Option<EpochEnd>,
    /// The batches.
    pub bytes: Bytes,
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {}..{}", self.bytes.len(), self.start, self.high)?;
        self.diverging.map_or(Ok(()), |end| write!(f, ", diverging: {end:?}"))
    }
}

/// Whether everything that a log holds is known, and nothing in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// It is.
    Whole,
    /// Some.
    Partial,
}

impl Model {
    /// A sending of a batch is answered.
    pub fn appended(
        &mut self,
        uid: Uid,
        known: Known,
        result: &Result<Appended, AppendError>,
    ) -> Check {
        let partition = self.batch(uid).partition;
        let outcome = match result {
            Ok(_) if known.state == TopicState::Gone => Err(format!("batch {uid} is in no topic")),
            Ok(appended) => self.acknowledged(uid, partition, appended),
            Err(error) => self.refused(uid, partition, error),
        };
        self.batch(uid).open -= 1;
        outcome
    }

    fn acknowledged(&mut self, uid: Uid, part: TopicPartition, appended: &Appended) -> Check {
        if appended.log_start != Offset::ZERO || appended.append_time != Timestamp::NONE {
            return Err(format!("batch {uid}: {appended:?}"));
        }
        let base = appended.base.0;
        let here = self.batches[&uid].lives.len() == 1;
        self.place(part, uid, base, here.then_some(self.start as i32))?;
        let end = base + i64::from(self.batches[&uid].header.record_count);
        let log = self.logs.entry(part).or_default();
        log.high = log.high.max(end);
        Ok(())
    }

    fn refused(&mut self, uid: Uid, partition: TopicPartition, error: &AppendError) -> Check {
        let gone = matches!(self.state(partition), TopicState::Deleting | TopicState::Gone);
        let batch = self.batch(uid);
        let idempotent = batch.header.producer().is_some();
        let excused = match error {
            AppendError::UnknownPartition => gone,
            AppendError::OutOfOrder { .. } | AppendError::Fenced { .. } => idempotent,
            AppendError::Busy => true,
            AppendError::TooLarge { max } => batch.bytes.len() > *max as usize,
            AppendError::DiskFull => self.excuses.full,
            AppendError::Offline => {
                batch.lost = true;
                self.excuses.offline(partition)
            }
        };
        if excused { Ok(()) } else { Err(format!("batch {uid} for {partition:?}: {error:?}")) }
    }

    /// A read is answered; `known` is what was known when it was asked. Gives the next offset.
    pub fn read(
        &mut self,
        part: &FetchPart,
        known: Known,
        result: &Result<Read, ReadError>,
    ) -> Result<i64, String> {
        let partition = part.partition;
        let context = |why: String| format!("read of {partition:?} at {}: {why}", part.offset);
        match result {
            Err(error) => {
                self.unread(part, known, *error).map_err(context)?;
                Ok(part.offset.0)
            }
            Ok(read) => self.take_read(part, known, read).map_err(context),
        }
    }

    fn take_read(&mut self, part: &FetchPart, known: Known, read: &Read) -> Result<i64, String> {
        if known.state == TopicState::Gone || read.high < known.high || read.start != 0 {
            return Err(format!("{}..{} told, {known:?}", read.start, read.high));
        }
        self.in_epoch(part.epoch)?;
        self.follows(part, known, read)?;
        let mut next = None;
        let mut count = 0;
        for batch in split(&read.bytes) {
            let (header, bytes) = batch.map_err(|error| error.to_string())?;
            let base = header.base_offset.0;
            let follows = next.map_or(base <= part.offset.0, |next| next == base);
            let end = self.observe(part.partition, &bytes)?;
            if !follows || end <= part.offset.0 || end > read.high {
                return Err(format!("{base}..{end} after {next:?}, high watermark {}", read.high));
            }
            next = Some(end);
            count += 1;
        }
        if read.bytes.len() > part.max_bytes as usize && count > 1 {
            return Err(format!("{} bytes in {count} batches", read.bytes.len()));
        }
        let log = self.logs.entry(part.partition).or_default();
        log.high = log.high.max(read.high);
        Ok(next.unwrap_or(part.offset.0))
    }

    fn unread(&self, part: &FetchPart, known: Known, error: ReadError) -> Check {
        let live = TopicState::Live;
        let gone = self.state(part.partition) != live || known.state != live;
        let high = known.high;
        let current = LeaderEpoch(self.start as i32);
        let excused = match error {
            ReadError::UnknownPartition => gone,
            ReadError::OutOfRange { start, end } => {
                let newer = part.last_epoch.is_some_and(|last| last > current);
                (part.offset.0 > high || newer) && start == Offset::ZERO && end.0 >= high
            }
            ReadError::FencedEpoch => part.epoch.is_some_and(|epoch| epoch < current),
            ReadError::UnknownEpoch => part.epoch.is_some_and(|epoch| epoch > current),
            // The files of a topic go while the last answers are on their way.
            ReadError::Offline => self.excuses.offline(part.partition) || gone,
            ReadError::Damaged => self.excuses.lost,
            ReadError::Busy => true,
        };
        if excused { Ok(()) } else { Err(format!("{error:?}, {known:?}")) }
    }

    /// A lookup is answered; `known` is what was known when it was asked.
    pub fn looked_up(
        &mut self,
        lookup: &Lookup,
        known: Known,
        knowledge: Knowledge,
        result: &Result<Found, ReadError>,
    ) -> Check {
        let partition = lookup.partition;
        let found = match result {
            Ok(found) => *found,
            Err(error) => {
                let part = FetchPart {
                    partition,
                    offset: Offset::ZERO,
                    max_bytes: 0,
                    epoch: lookup.epoch,
                    last_epoch: None,
                };
                return self
                    .unread(&part, known, *error)
                    .map_err(|why| format!("{lookup:?}: {why}"));
            }
        };
        let offset = found.record.map(|(offset, _)| offset.0);
        let high = known.high;
        self.in_epoch(lookup.epoch)?;
        let right = match lookup.target {
            Target::Earliest => {
                let first = self.first_epoch(partition);
                let known = knowledge == Knowledge::Partial || found.epoch.0 == first;
                offset == Some(0) && known
            }
            Target::EpochEnd(asked) => {
                let end = offset.map(|end| EpochEnd { epoch: found.epoch, end: Offset(end) });
                self.may_end(partition, asked, end, known, knowledge)
            }
            Target::Remote => offset.is_none(),
            Target::Latest => {
                let log = self.logs.entry(partition).or_default();
                log.high = log.high.max(offset.unwrap_or(0));
                let current = found.epoch.0 == self.start as i32;
                offset.is_some_and(|offset| offset >= high) && current
            }
            Target::At(time) => {
                let wanted = |at: i64| at >= time.0;
                self.is_first(partition, high, knowledge, found, wanted)
            }
            Target::MaxTimestamp => {
                let newest = self.records(partition).map(|(_, time, _)| time).max();
                let newest = newest.filter(|newest| *newest > Timestamp::NONE.0);
                let wanted = |at: i64| newest == Some(at);
                knowledge == Knowledge::Partial
                    || self.is_first(partition, high, knowledge, found, wanted)
            }
        };
        let told = || format!("{lookup:?} told {found:?}, {known:?}");
        if right { Ok(()) } else { Err(told()) }
    }

    /// Whether `found` is the first record with a wanted timestamp, as far as is known.
    fn is_first(
        &self,
        partition: TopicPartition,
        high: i64,
        knowledge: Knowledge,
        found: Found,
        wanted: impl Fn(i64) -> bool,
    ) -> bool {
        let mut known = self.records(partition).take_while(|(offset, ..)| *offset < high);
        let first = known.find(|(_, time, _)| wanted(*time));
        match (found.record, first) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((offset, time)), Some((known, at, epoch))) if offset.0 == known => {
                time.0 == at && epoch.is_none_or(|epoch| found.epoch.0 == epoch)
            }
            (Some((offset, time)), first) => {
                let earlier = first.is_none_or(|(known, ..)| offset.0 < known);
                knowledge == Knowledge::Partial && earlier && wanted(time.0)
            }
        }
    }
}
