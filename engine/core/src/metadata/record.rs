//! The records of the metadata log, framed as Kafka frames them: frame version 1, API key, version
//! (three unsigned varints), then the body in a flexible format. Facts: Kafka's
//! `metadata/src/main/resources/common/metadata` and `AbstractApiMessageSerde`.
//!
//! Read are all released versions of the records that the image is made of; written are the
//! versions of `metadata.version` 30 (Kafka 4.3). Records of other types are kept as they came.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::fields::{
    self, Reader, put_list, put_nullable_string, put_string, put_tagged, put_varint,
};
pub use crate::fields::{DecodeError, Fault};
use crate::id::{LeaderEpoch, PartitionIndex, ProducerId, TopicId};

const FRAME_VERSION: u32 = 1;

const TOPIC: u16 = 2;
const PARTITION: u16 = 3;
const CONFIG: u16 = 4;
const REMOVE_TOPIC: u16 = 9;
const FEATURE_LEVEL: u16 = 12;
const PRODUCER_IDS: u16 = 15;

/// The newest version of `PartitionRecord`, and the one written.
const PARTITION_VERSION: u16 = 2;
const PARTITION_VERSION_WITH_DIRECTORIES: u16 = 1;
const PARTITION_VERSION_WITH_ELIGIBLE_LEADERS: u16 = 2;

const TAG_LEADER_RECOVERY: u32 = 0;
const TAG_ELIGIBLE_LEADERS: u32 = 1;
const TAG_LAST_ELIGIBLE_LEADERS: u32 = 2;

/// The longest string a record can hold, in bytes; a reader of the log refuses longer ones.
pub const MAX_STRING: usize = fields::MAX_STRING;

/// A broker's number in its cluster (`node.id`); never a core's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(pub i32);

impl BrokerId {
    /// No broker, as the leader of a partition that has none.
    pub const NONE: BrokerId = BrokerId(-1);
}

/// A log directory's identity (`directory.id` of `meta.properties`). Bytes of a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub [u8; 16]);

/// One record of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A topic begins to exist.
    Topic {
        /// Its name.
        name: Arc<str>,
        /// Its id.
        id: TopicId,
    },
    /// A partition of a topic, as it now stands.
    Partition(PartitionRecord),
    /// One config of one resource.
    Config(ConfigRecord),
    /// A topic ceases to exist, with its partitions and configs.
    RemoveTopic(TopicId),
    /// A feature of the cluster has this level from now on.
    FeatureLevel {
        /// The feature.
        name: String,
        /// Its level; 0 is off.
        level: i16,
    },
    /// A block of producer ids has been given away.
    ProducerIds {
        /// To which broker.
        broker: BrokerId,
        /// That broker's epoch; -1 when it has none.
        broker_epoch: i64,
        /// The first id after the block.
        next: ProducerId,
    },
    /// A record of a type that is not looked into.
    Opaque {
        /// Its API key.
        key: u16,
        /// Its version.
        version: u16,
        /// What follows the header.
        body: Bytes,
    },
}

/// The state of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// Its topic.
    pub topic: TopicId,
    /// Its number.
    pub index: PartitionIndex,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Its in-sync replicas.
    pub isr: Vec<BrokerId>,
    /// Replicas on their way out.
    pub removing: Vec<BrokerId>,
    /// Replicas on their way in.
    pub adding: Vec<BrokerId>,
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Whether the leader may lack acknowledged records.
    pub recovery: LeaderRecovery,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// Raised by every change of this state.
    pub partition_epoch: i32,
    /// The log directory of each replica, in the order of `replicas`; empty before version 1.
    pub directories: Vec<DirectoryId>,
    /// Replicas outside the ISR that hold every acknowledged record.
    pub eligible_leaders: Option<Vec<BrokerId>>,
    /// The last such replicas before there were none.
    pub last_eligible_leaders: Option<Vec<BrokerId>>,
}

/// Whether a leader was elected from the in-sync replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderRecovery {
    /// It was, or has caught up with what could be saved.
    Recovered,
    /// It was not, and has not yet.
    Recovering,
}

/// One config of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// What kind of thing is configured.
    pub resource: ConfigResource,
    /// Which one: a topic's or group's name, a broker's number, empty for all brokers.
    pub resource_name: String,
    /// The config.
    pub name: String,
    /// Its value; `None` deletes it.
    pub value: Option<String>,
}

/// The kinds of things that have configs. Kafka's `ConfigResource.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic.
    Topic,
    /// A broker, or all of them.
    Broker,
    /// A group, whether there is one of that name or not.
    Group,
    /// A kind this program does not look into, by Kafka's number.
    Other(i8),
}

impl ConfigResource {
    fn from_number(number: i8) -> ConfigResource {
        match number {
            2 => ConfigResource::Topic,
            4 => ConfigResource::Broker,
            32 => ConfigResource::Group,
            other => ConfigResource::Other(other),
        }
    }

    fn number(self) -> i8 {
        match self {
            ConfigResource::Topic => 2,
            ConfigResource::Broker => 4,
            ConfigResource::Group => 32,
            ConfigResource::Other(number) => number,
        }
    }
}

impl Record {
    /// The record's value in the log. Strings must not be longer than [`MAX_STRING`].
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        let (key, version) = self.header();
        put_varint(&mut out, FRAME_VERSION);
        put_varint(&mut out, u32::from(key));
        put_varint(&mut out, u32::from(version));
        self.put_body(&mut out);
        out.freeze()
    }

    /// The API key and the version that are written.
    fn header(&self) -> (u16, u16) {
        match self {
            Record::Topic { .. } => (TOPIC, 0),
            Record::Partition(_) => (PARTITION, PARTITION_VERSION),
            Record::Config(_) => (CONFIG, 0),
            Record::RemoveTopic(_) => (REMOVE_TOPIC, 0),
            Record::FeatureLevel { .. } => (FEATURE_LEVEL, 0),
            Record::ProducerIds { .. } => (PRODUCER_IDS, 0),
            Record::Opaque { key, version, .. } => (*key, *version),
        }
    }

    fn put_body(&self, out: &mut BytesMut) {
        match self {
            Record::Topic { name, id } => {
                put_string(out, name);
                out.extend_from_slice(&id.0);
            }
            Record::Partition(partition) => return partition.put(out),
            Record::Config(config) => config.put(out),
            Record::RemoveTopic(id) => out.extend_from_slice(&id.0),
            Record::FeatureLevel { name, level } => {
                put_string(out, name);
                out.extend_from_slice(&level.to_be_bytes());
            }
            Record::ProducerIds { broker, broker_epoch, next } => {
                out.extend_from_slice(&broker.0.to_be_bytes());
                out.extend_from_slice(&broker_epoch.to_be_bytes());
                out.extend_from_slice(&next.0.to_be_bytes());
            }
            Record::Opaque { body, .. } => return out.extend_from_slice(body),
        }
        put_tagged(out, &[]);
    }

    /// Reads a record's value.
    ///
    /// # Errors
    ///
    /// The bytes are malformed, or of a version of a known record type that is newer than this
    /// program.
    pub fn decode(value: &[u8]) -> Result<Record, DecodeError> {
        let mut reader = Reader::new(value);
        match reader.varint()? {
            FRAME_VERSION => {}
            other => return reader.fault(Fault::FrameVersion(other)),
        }
        let key = header_number(&mut reader)?;
        let version = header_number(&mut reader)?;
        let record = match (key, version) {
            (PARTITION, 0..=PARTITION_VERSION) => PartitionRecord::read(&mut reader, version)?,
            (TOPIC | CONFIG | REMOVE_TOPIC | FEATURE_LEVEL | PRODUCER_IDS, 0) => {
                let record = Record::read_body(key, &mut reader)?;
                reader.no_tagged()?;
                record
            }
            (TOPIC | PARTITION | CONFIG | REMOVE_TOPIC | FEATURE_LEVEL | PRODUCER_IDS, _) => {
                return reader.fault(Fault::RecordVersion { key, version });
            }
            _ => Record::Opaque { key, version, body: Bytes::copy_from_slice(reader.rest()) },
        };
        reader.end()?;
        Ok(record)
    }

    /// The fields of a record type that has only version 0.
    fn read_body(key: u16, reader: &mut Reader<'_>) -> Result<Record, DecodeError> {
        Ok(match key {
            TOPIC => Record::Topic { name: reader.string()?.into(), id: TopicId(reader.array()?) },
            CONFIG => Record::Config(ConfigRecord {
                resource: ConfigResource::from_number(reader.i8()?),
                resource_name: reader.string()?.to_owned(),
                name: reader.string()?.to_owned(),
                value: reader.nullable_string()?.map(str::to_owned),
            }),
            REMOVE_TOPIC => Record::RemoveTopic(TopicId(reader.array()?)),
            FEATURE_LEVEL => {
                Record::FeatureLevel { name: reader.string()?.to_owned(), level: reader.i16()? }
            }
            _ => Record::ProducerIds {
                broker: BrokerId(reader.i32()?),
                broker_epoch: reader.i64()?,
                next: ProducerId(reader.i64()?),
            },
        })
    }
}

fn header_number(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    match reader.varint()? {
        number @ 0..=0x7fff => Ok(number as u16),
        number => reader.fault(Fault::HeaderNumber(number)),
    }
}

impl ConfigRecord {
    fn put(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.resource.number().to_be_bytes());
        put_string(out, &self.resource_name);
        put_string(out, &self.name);
        put_nullable_string(out, self.value.as_deref());
    }
}

impl PartitionRecord {
    fn put(&self, out: &mut BytesMut) {
        out.extend_from_slice(&(self.index.0 as i32).to_be_bytes());
        out.extend_from_slice(&self.topic.0);
        put_brokers(out, &self.replicas);
        put_brokers(out, &self.isr);
        put_brokers(out, &self.removing);
        put_brokers(out, &self.adding);
        out.extend_from_slice(&self.leader.0.to_be_bytes());
        out.extend_from_slice(&self.leader_epoch.0.to_be_bytes());
        out.extend_from_slice(&self.partition_epoch.to_be_bytes());
        put_list(out, &self.directories, |out, directory| out.extend_from_slice(&directory.0));
        put_tagged(out, &self.tagged());
    }

    /// The tagged fields that differ from their defaults.
    fn tagged(&self) -> Vec<(u32, BytesMut)> {
        let mut fields = Vec::new();
        if self.recovery == LeaderRecovery::Recovering {
            fields.push((TAG_LEADER_RECOVERY, BytesMut::from(&[1u8][..])));
        }
        let lists = [
            (TAG_ELIGIBLE_LEADERS, &self.eligible_leaders),
            (TAG_LAST_ELIGIBLE_LEADERS, &self.last_eligible_leaders),
        ];
        for (tag, brokers) in lists {
            if let Some(brokers) = brokers {
                let mut field = BytesMut::new();
                put_brokers(&mut field, brokers);
                fields.push((tag, field));
            }
        }
        fields
    }

    fn read(reader: &mut Reader<'_>, version: u16) -> Result<Record, DecodeError> {
        let index = match reader.i32()? {
            index @ 0.. => PartitionIndex(index as u32),
            negative => return reader.fault(Fault::Partition(negative)),
        };
        let mut partition = PartitionRecord {
            index,
            topic: TopicId(reader.array()?),
            replicas: reader.list(broker)?,
            isr: reader.list(broker)?,
            removing: reader.list(broker)?,
            adding: reader.list(broker)?,
            leader: broker(reader)?,
            recovery: LeaderRecovery::Recovered,
            leader_epoch: LeaderEpoch(reader.i32()?),
            partition_epoch: reader.i32()?,
            directories: Vec::new(),
            eligible_leaders: None,
            last_eligible_leaders: None,
        };
        if version >= PARTITION_VERSION_WITH_DIRECTORIES {
            partition.directories = reader.list(|reader| reader.array().map(DirectoryId))?;
        }
        reader.tagged(|tag, field| partition.read_tagged(version, tag, field))?;
        Ok(Record::Partition(partition))
    }

    fn read_tagged(
        &mut self,
        version: u16,
        tag: u32,
        field: &mut Reader<'_>,
    ) -> Result<(), DecodeError> {
        match tag {
            TAG_LEADER_RECOVERY => {
                self.recovery = match field.i8()? {
                    0 => LeaderRecovery::Recovered,
                    1 => LeaderRecovery::Recovering,
                    state => return field.fault(Fault::LeaderRecovery(state)),
                }
            }
            TAG_ELIGIBLE_LEADERS | TAG_LAST_ELIGIBLE_LEADERS
                if version < PARTITION_VERSION_WITH_ELIGIBLE_LEADERS =>
            {
                return field.fault(Fault::Tag(tag));
            }
            TAG_ELIGIBLE_LEADERS => self.eligible_leaders = field.nullable_list(broker)?,
            TAG_LAST_ELIGIBLE_LEADERS => {
                self.last_eligible_leaders = field.nullable_list(broker)?
            }
            _ => _ = field.rest(),
        }
        Ok(())
    }
}

fn broker(reader: &mut Reader<'_>) -> Result<BrokerId, DecodeError> {
    reader.i32().map(BrokerId)
}

fn put_brokers(out: &mut BytesMut, brokers: &[BrokerId]) {
    put_list(out, brokers, |out, broker| out.extend_from_slice(&broker.0.to_be_bytes()));
}
