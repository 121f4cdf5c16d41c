//! Whether there is room on the disk: what admission goes by, and what the operator is told.
//!
//! Kept back are the operator's reserve and, for each shard, as much as may be in memory and
//! journal only: what has been accepted always finds its room. That limit is the same for every
//! batch. Each shard judges for itself; shard 0 tells the operator, once for all of them.

use std::collections::BTreeMap;

use crate::id::{Instant, Now, ShardId, TopicId, TopicPartition};
use crate::limits::DISK_FULL_TOLD_MS;
use crate::shard::Shard;
use crate::shard::effect::{DiskFull, Effects, Notice};
use crate::shard::message::Message;
use crate::shard::setup::ShardLimits;

/// Topics that the operator is told of.
const LARGEST: usize = 3;

/// Topics that a shard names: one that is large on all of them may be second on each.
const LARGEST_OF_SHARD: usize = 64;

/// Producers that are refused are served again once this part more than what is kept back is free.
const MARGIN: u64 = 16;

/// Whether the disk takes what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    Taken,
    /// One has found it full; none is tried until there is room again.
    Full,
    /// There was room when it was looked at. None that was tried since has come to its end.
    TriedAgain,
}

/// Whether a shard accepts what producers send, as far as the disk is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// It does.
    Open,
    /// There is no room.
    Refused(Shortage),
}

/// What a shard has found short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Bytes that were free when last looked at, less what has gone to segments since.
    pub free: u64,
    /// Bytes that are kept back.
    pub kept_back: u64,
    /// How it was found.
    pub found: Found,
}

/// How it was found that there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Less is free than is kept back.
    Measured,
    /// A write was refused: the disk, or a quota, is full, whatever is said to be free.
    ByWrite,
}

/// A shard's view of the disk.
#[derive(Debug)]
pub(crate) struct DiskRoom {
    free: u64,
    reserve: u64,
    kept_back: u64,
    writes: Writes,
    intake: Intake,
    /// What shard 0 knows of it.
    told: Told,
}

/// What somebody was told of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Room,
    NoRoom,
}

impl DiskRoom {
    pub(crate) fn new(limits: &ShardLimits, shards: u16) -> DiskRoom {
        let of_shards = limits.dirty_bytes.saturating_mul(u64::from(shards));
        DiskRoom {
            free: u64::MAX,
            reserve: limits.disk_reserve,
            kept_back: limits.disk_reserve.saturating_add(of_shards),
            writes: Writes::Taken,
            intake: Intake::Open,
            told: Told::Room,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.intake == Intake::Open
    }

    /// Whether no write is tried.
    pub(crate) fn is_full(&self) -> bool {
        self.writes == Writes::Full
    }

    /// Whether it is to be found out if writes are taken again.
    pub(crate) fn is_tried_again(&self) -> bool {
        self.writes == Writes::TriedAgain
    }

    /// A write was taken.
    fn took(&mut self, bytes: u64) {
        self.free = self.free.saturating_sub(bytes);
        if self.writes == Writes::TriedAgain {
            self.writes = Writes::Taken;
        }
    }

    /// So much is free now. With hardly any of the reserve left, what failed is not tried again.
    fn measured(&mut self, free: u64, dirty: u64) {
        self.free = free;
        match self.writes {
            Writes::Full if free >= self.reserve / 2 => self.writes = Writes::TriedAgain,
            Writes::TriedAgain if dirty == 0 => self.writes = Writes::Taken,
            Writes::Taken | Writes::Full | Writes::TriedAgain => {}
        }
    }

    /// A journal that lacks files takes in no more; what is in memory is written all the same.
    fn judge(&mut self, dirty: u64, lacks_files: bool) {
        let fails = match self.writes {
            _ if lacks_files => true,
            Writes::Taken => false,
            Writes::TriedAgain => dirty > 0,
            Writes::Full => true,
        };
        let margin = if self.is_open() { 0 } else { self.kept_back / MARGIN };
        let found = match fails {
            true => Some(Found::ByWrite),
            false if self.free < self.kept_back.saturating_add(margin) => Some(Found::Measured),
            false => None,
        };
        self.intake = match (found, self.intake) {
            (None, _) => Intake::Open,
            // What was found first is what the operator is told.
            (Some(_), Intake::Refused(shortage)) => Intake::Refused(shortage),
            (Some(found), Intake::Open) => {
                let (free, kept_back) = (self.free, self.kept_back);
                Intake::Refused(Shortage { free, kept_back, found })
            }
        };
    }
}

/// On shard 0: what shards find, and what the operator was told.
#[derive(Debug, Default)]
pub(crate) struct DiskNews {
    short: BTreeMap<ShardId, Shortage>,
    told: Told,
    /// No further shortage is told before.
    silent_until: Instant,
    census: Option<Census>,
}

/// The sizes of topics, asked of all shards.
#[derive(Debug)]
struct Census {
    shortage: Shortage,
    open: u16,
    topics: BTreeMap<TopicId, u64>,
}

impl DiskNews {
    /// When a shortage that has come too soon behind the one before is told, if it lasts.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let waits = self.told == Told::Room && !self.short.is_empty();
        waits.then_some(self.silent_until)
    }
}

fn largest(topics: impl IntoIterator<Item = (TopicId, u64)>, most: usize) -> Vec<(TopicId, u64)> {
    let mut topics: Vec<_> = topics.into_iter().collect();
    topics.sort_unstable_by_key(|(topic, bytes)| (std::cmp::Reverse(*bytes), *topic));
    topics.truncate(most);
    topics
}

impl Shard {
    /// Whether producers are refused because the disk has no room. Then its free bytes should be
    /// told again soon, although nothing else happens.
    #[must_use]
    pub fn lacks_disk(&self) -> bool {
        !self.disk.is_open()
    }

    /// A write has found the disk full.
    pub(super) fn disk_full(&mut self) {
        self.disk.writes = Writes::Full;
        self.judge_disk();
    }

    /// The disk has taken so many bytes that it had not before.
    pub(super) fn disk_took(&mut self, bytes: u64) {
        self.disk.took(bytes);
        self.judge_disk();
    }

    fn judge_disk(&mut self) {
        self.disk.judge(self.flusher.dirty(), self.commits.lacks_files());
    }

    /// The file system's free bytes are known anew.
    pub(super) fn on_disk_free(&mut self, bytes: u64, fx: &mut Effects) {
        self.disk.measured(bytes, self.flusher.dirty());
        if !self.disk.is_full() {
            self.retry_manifest(fx);
            self.retry_rescues(fx);
            self.retry_formats(bytes, fx);
        }
        self.judge_disk();
    }

    /// Tells shard 0 whether there is room, when that has changed.
    pub(super) fn tell_disk(&mut self, now: Now, fx: &mut Effects) {
        // What is offline refuses for another reason.
        let intake = if self.directory.is_offline() { Intake::Open } else { self.disk.intake };
        let news = if intake == Intake::Open { Told::Room } else { Told::NoRoom };
        if std::mem::replace(&mut self.disk.told, news) != news {
            self.send(now, ShardId(0), Message::Disk(intake), fx);
        }
    }

    /// A shard has room again, or none any more.
    pub(super) fn on_disk_news(
        &mut self,
        now: Now,
        from: ShardId,
        intake: Intake,
        fx: &mut Effects,
    ) {
        match intake {
            Intake::Open => drop(self.disk_news.short.remove(&from)),
            Intake::Refused(shortage) => drop(self.disk_news.short.insert(from, shortage)),
        }
        self.tell_operator(now, fx);
    }

    /// Says once that there is no room, and once that there is again. A disk that is full now and
    /// then is told so once in a while.
    pub(super) fn tell_operator(&mut self, now: Now, fx: &mut Effects) {
        let news = &mut self.disk_news;
        if news.census.is_some() {
            return;
        }
        let first = news.short.values().next().copied();
        match (news.told, first) {
            (Told::Room, Some(shortage)) if now.instant >= news.silent_until => {
                news.told = Told::NoRoom;
                news.silent_until = now.instant.plus_ms(DISK_FULL_TOLD_MS);
                let (open, topics) = (self.shards, BTreeMap::new());
                news.census = Some(Census { shortage, open, topics });
                for shard in (0..self.shards).map(ShardId) {
                    self.send(now, shard, Message::Weigh, fx);
                }
            }
            (Told::NoRoom, None) => {
                news.told = Told::Room;
                fx.notice(Notice::DiskFreed { free: self.disk.free });
            }
            _ => {}
        }
    }

    /// Shard 0 asks how large topics are here. The metadata are nobody's to delete.
    pub(super) fn on_weigh(&mut self, now: Now, fx: &mut Effects) {
        let mut topics: BTreeMap<TopicId, u64> = BTreeMap::new();
        for log in self.partitions.values().map(|partition| &partition.log) {
            if log.partition() != TopicPartition::METADATA {
                *topics.entry(log.partition().topic).or_default() += log.size();
            }
        }
        let named = largest(topics, LARGEST_OF_SHARD);
        self.send(now, ShardId(0), Message::Weighed(named), fx);
    }

    /// A shard has said how large topics are there. With the last of them the operator is told.
    pub(super) fn on_weighed(&mut self, now: Now, named: Vec<(TopicId, u64)>, fx: &mut Effects) {
        let Some(census) = &mut self.disk_news.census else { return };
        for (topic, bytes) in named {
            *census.topics.entry(topic).or_default() += bytes;
        }
        census.open -= 1;
        if census.open > 0 {
            return;
        }
        if let Some(Census { shortage, topics, .. }) = self.disk_news.census.take() {
            let largest = largest(topics, LARGEST);
            fx.notice(Notice::DiskFull(Box::new(DiskFull { shortage, largest })));
        }
        self.tell_operator(now, fx);
    }
}
