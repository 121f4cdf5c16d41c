//! The shadow model: what clients were promised and what they have seen, and whether an answer may
//! be given at all. It knows less than the broker (what is in flight may or may not be stored) and
//! never less than a client.
//!
//! - A batch that was acknowledged or read has its offset for good: its bytes are what was sent,
//!   but for base offset and leader epoch. Only an unclean end of a life takes back what a topic
//!   with `write.caching` has said of this life.
//! - A batch is stored at most once, in order of offsets without gaps or overlaps.
//! - A refused batch is not stored; nothing is stored that was not sent.
//! - What clients know of the high watermark never goes back.

mod answers;
mod epochs;
mod producers;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use corelog_engine::id::{Offset, PartitionIndex, TopicId, TopicPartition};
use corelog_engine::metadata::Image;
use corelog_engine::record::batch::crc_matches;
use corelog_engine::record::records::Records;
use corelog_engine::record::{BatchHeader, ProducerFields};

pub use self::answers::{Knowledge, Read};
pub use self::producers::Remembered;

/// `Err` says which promise is broken.
pub type Check = Result<(), String>;

/// A batch's name: it is in every record's value.
pub type Uid = u64;

/// A batch that was sent, maybe several times.
#[derive(Debug)]
pub struct Batch {
    /// Where to.
    pub partition: TopicPartition,
    /// As it was sent.
    pub bytes: Bytes,
    /// Its header.
    pub header: BatchHeader,
    /// Those of its records.
    pub timestamps: Vec<i64>,
    /// The starts of the broker in which it was sent.
    lives: BTreeSet<u32>,
    /// Where it is, as far as is known.
    stored: Option<i64>,
    /// Sendings without an answer.
    open: u32,
    /// A sending whose outcome nobody will tell.
    lost: bool,
    /// Such a sending was found not to be stored; it may have been for a while.
    vanished: bool,
}

/// What is known of a batch in a log.
#[derive(Debug)]
struct Stored {
    uid: Uid,
    count: i64,
    /// Not known of a batch that was sent in several lives, before it is read.
    epoch: Option<i32>,
    /// Whether no crash may take it back.
    durable: bool,
}

/// How far a topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicState {
    /// Its creation is not answered.
    Creating,
    /// It exists.
    Live,
    /// Its deletion is not answered.
    Deleting,
    /// It exists no more, or never did.
    Gone,
}

/// A topic.
#[derive(Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: TopicState,
    /// Whether it acknowledges before the disk.
    pub caching: bool,
    /// How many partitions it has.
    pub partitions: u32,
    /// Whether another had its name, or was about to, when it was asked for.
    pub contested: bool,
    /// Whether it keeps groups: the broker writes it, and clients see it through groups only.
    pub of_groups: bool,
}

#[derive(Debug, Default)]
struct Log {
    /// By base offset.
    batches: BTreeMap<i64, Stored>,
    /// The high watermark that some client knows of.
    high: i64,
}

/// Which errors the faults of a run excuse.
#[derive(Clone, Debug, Default)]
pub struct Excuses {
    /// Offline partitions.
    pub offline: bool,
    /// A full disk.
    pub full: bool,
    /// Files that have lost what a failed barrier was to cover, which the broker may not know yet.
    pub lost: bool,
    /// Partitions that are offline in this life, since a segment took no more.
    pub rescued: BTreeSet<TopicPartition>,
    /// Groups that could not be read.
    pub groups: bool,
}

impl Excuses {
    /// Whether this partition may be offline.
    #[must_use]
    pub fn offline(&self, partition: TopicPartition) -> bool {
        self.offline || self.rescued.contains(&partition)
    }
}

/// What a client knows when it asks.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The high watermark.
    pub high: i64,
    /// The state of the topic.
    pub state: TopicState,
}

/// The model.
#[derive(Debug, Default)]
pub struct Model {
    /// Which errors the faults of the run excuse.
    pub excuses: Excuses,
    /// The number of the broker's start.
    pub start: u32,
    /// Topics by id.
    pub topics: BTreeMap<TopicId, Topic>,
    /// Batches by name.
    pub batches: BTreeMap<Uid, Batch>,
    logs: BTreeMap<TopicPartition, Log>,
}

impl Model {
    /// A model that has seen nothing.
    #[must_use]
    pub fn new(excuses: Excuses) -> Model {
        Model { excuses, ..Model::default() }
    }

    /// Partitions of the clients' topics in this state.
    #[must_use]
    pub fn partitions(&self, state: TopicState) -> Vec<TopicPartition> {
        let topics = self.topics.iter();
        let topics = topics.filter(|(_, topic)| topic.state == state && !topic.of_groups);
        let each = topics.flat_map(|(id, topic)| (0..topic.partitions).map(|index| (*id, index)));
        each.map(|(topic, index)| TopicPartition { topic, index: PartitionIndex(index) }).collect()
    }

    /// The state of a partition's topic.
    #[must_use]
    pub fn state(&self, partition: TopicPartition) -> TopicState {
        self.topics.get(&partition.topic).map_or(TopicState::Gone, |topic| topic.state)
    }

    fn caches(&self, partition: TopicPartition) -> bool {
        self.topics.get(&partition.topic).is_some_and(|topic| topic.caching)
    }

    /// What a client knows of a partition now.
    #[must_use]
    pub fn known(&self, partition: TopicPartition) -> Known {
        Known { high: self.high(partition), state: self.state(partition) }
    }

    /// The high watermark that some client knows of.
    #[must_use]
    pub fn high(&self, partition: TopicPartition) -> i64 {
        self.logs.get(&partition).map_or(0, |log| log.high)
    }

    /// Takes note of a batch that will be sent.
    pub fn make(&mut self, uid: Uid, partition: TopicPartition, bytes: Bytes, times: Vec<i64>) {
        let header = BatchHeader::parse(&bytes).expect("a batch that was just built");
        let (lives, stored) = (BTreeSet::new(), None);
        let batch = Batch {
            partition,
            bytes,
            header,
            timestamps: times,
            lives,
            stored,
            open: 0,
            lost: false,
            vanished: false,
        };
        self.batches.insert(uid, batch);
    }

    /// A batch is being sent.
    pub fn send(&mut self, uid: Uid) {
        let start = self.start;
        let batch = self.batch(uid);
        batch.lives.insert(start);
        batch.open += 1;
    }

    /// Nobody will tell what became of a sending.
    pub fn lose(&mut self, uid: Uid) {
        let batch = self.batch(uid);
        batch.open -= 1;
        batch.lost = true;
    }

    fn batch(&mut self, uid: Uid) -> &mut Batch {
        self.batches.get_mut(&uid).expect("only batches of this model are sent")
    }

    /// A life of the broker has ended, cleanly or not, and the next one begins.
    pub fn restart(&mut self, clean: bool, start: u32) {
        self.start = start;
        for batch in self.batches.values_mut() {
            batch.lost |= batch.open > 0;
            batch.open = 0;
        }
        let caching: BTreeSet<TopicPartition> =
            self.logs.keys().copied().filter(|partition| self.caches(*partition)).collect();
        for (partition, log) in self.logs.iter_mut().filter(|(p, _)| !clean && caching.contains(p))
        {
            log.high = 0;
            for (base, stored) in log.batches.extract_if(.., |_, stored| !stored.durable) {
                let batch = self.batches.get_mut(&stored.uid).expect("stored batches were sent");
                debug_assert_eq!((batch.partition, batch.stored), (*partition, Some(base)));
                batch.stored = None;
                batch.lost = true;
            }
        }
    }

    /// Recovery has come to this metadata: topics are what was answered.
    pub fn recovered(&mut self, image: &Image) -> Check {
        for (id, topic) in &mut self.topics {
            let found = image.topic_by_id(*id);
            match (topic.state, found) {
                (TopicState::Live, None) => return Err(format!("topic {} is lost", topic.name)),
                (TopicState::Gone, Some(_)) => return Err(format!("{} is back", topic.name)),
                (_, Some(found)) if found.partitions != topic.partitions => {
                    return Err(format!("{} has {} partitions", topic.name, found.partitions));
                }
                (_, Some(_)) => topic.state = TopicState::Live,
                (_, None) => topic.state = TopicState::Gone,
            }
        }
        match image.topics().find(|topic| !self.topics.contains_key(&topic.id)) {
            Some(unknown) => Err(format!("nobody has created {}", unknown.name)),
            None => Ok(()),
        }
    }

    /// A batch was found in a log; gives the offset behind it.
    pub fn observe(&mut self, partition: TopicPartition, batch: &Bytes) -> Result<i64, String> {
        let header = BatchHeader::parse(batch).map_err(|error| error.to_string())?;
        let base = header.base_offset.0;
        if header.total_len() != batch.len() || !crc_matches(&header, batch) {
            return Err(format!("the batch at {base} does not match its checksum"));
        }
        let uid = uid_of(&header, batch).ok_or(format!("the batch at {base} was never sent"))?;
        let sent = self.batches.get(&uid).ok_or(format!("batch {uid} at {base} is unknown"))?;
        let whole = sent.bytes[8..12] == batch[8..12] && sent.bytes[16..] == batch[16..];
        if sent.partition != partition || !whole {
            return Err(format!("batch {uid} at {base} of {partition:?} is not what was sent"));
        }
        let epoch = header.leader_epoch.0;
        if !sent.lives.contains(&(epoch as u32)) {
            return Err(format!("batch {uid} at {base} has leader epoch {epoch}"));
        }
        self.place(partition, uid, base, Some(epoch))?;
        Ok(header.next_offset().0)
    }

    /// A batch has this place; it must have had no other, nor another this place.
    fn place(&mut self, part: TopicPartition, uid: Uid, base: i64, epoch: Option<i32>) -> Check {
        let durable = !self.caches(part);
        let batch = self.batches.get_mut(&uid).expect("only batches of this model are placed");
        let may_be = batch.open > 0 || batch.lost;
        let count = i64::from(batch.header.record_count);
        match batch.stored {
            Some(known) if known != base => {
                return Err(format!("batch {uid} of {part:?} is at {known} and at {base}"));
            }
            None if !may_be => return Err(format!("batch {uid} at {base} was refused")),
            _ => batch.stored = Some(base),
        }
        let log = self.logs.entry(part).or_default();
        let before = log.batches.range(..base).next_back();
        let behind = log.batches.range(base + 1..).next();
        let overlaps = before.is_some_and(|(at, stored)| at + stored.count > base)
            || behind.is_some_and(|(at, _)| *at < base + count);
        let fresh = Stored { uid, count, epoch, durable };
        let stored = log.batches.entry(base).or_insert(fresh);
        if overlaps || stored.uid != uid {
            return Err(format!("batch {uid} at {base} of {part:?} is where others are"));
        }
        stored.epoch = stored.epoch.or(epoch);
        if epoch.is_some() && epoch != stored.epoch {
            return Err(format!("batch {uid} at {base} had leader epoch {:?}", stored.epoch));
        }
        Ok(())
    }

    /// All of a log up to its high watermark has been read, while nothing was in flight: what was
    /// known must be among it, and nothing else can turn up.
    pub fn verified(&mut self, partition: TopicPartition, bases: &BTreeSet<i64>) -> Check {
        let log = self.logs.entry(partition).or_default();
        if let Some((base, stored)) = log.batches.iter().find(|(base, _)| !bases.contains(base)) {
            return Err(format!("batch {} at {base} of {partition:?} is lost", stored.uid));
        }
        log.batches.values_mut().for_each(|stored| stored.durable = true);
        for batch in self.batches.values_mut().filter(|batch| batch.partition == partition) {
            batch.vanished |= batch.lost && batch.stored.is_none();
            batch.lost &= batch.open > 0;
        }
        Ok(())
    }

    /// Records known to be in a log, in order: offset, timestamp, leader epoch.
    fn records(&self, partition: TopicPartition) -> impl Iterator<Item = (i64, i64, Option<i32>)> {
        let batches = self.logs.get(&partition).into_iter().flat_map(|log| &log.batches);
        batches.flat_map(|(base, stored)| {
            let times = self.batches[&stored.uid].timestamps.iter();
            (*base..).zip(times).map(|(offset, time)| (offset, *time, stored.epoch))
        })
    }

    /// The producer fields and base offsets of the batches known to be in a log, in order.
    fn produced(
        &self,
        partition: TopicPartition,
    ) -> impl Iterator<Item = (Uid, ProducerFields, Offset)> {
        let batches = self.logs.get(&partition).into_iter().flat_map(|log| &log.batches);
        batches.filter_map(|(base, stored)| {
            let producer = self.batches[&stored.uid].header.producer()?;
            Some((stored.uid, producer, Offset(*base)))
        })
    }
}

fn uid_of(header: &BatchHeader, batch: &Bytes) -> Option<Uid> {
    let records = Records::open(header, batch, 1 << 30).ok()?;
    let first = records.iter().next()?.ok()?;
    first.value?.first_chunk().copied().map(u64::from_be_bytes)
}
