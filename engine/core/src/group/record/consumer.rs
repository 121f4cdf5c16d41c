//! The values of consumer groups (KIP-848): `ConsumerGroup…Value`, all of them version 0.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::fields::{
    DecodeError, Reader, put_bytes, put_list, put_nullable_string, put_string, put_tagged,
};
use crate::group::name::{Epoch, InstanceId};
use crate::group::partitions::{Held, Partitions};
use crate::group::record::unknown;
use crate::id::{Timestamp, TopicId};

const VERSION: i16 = 0;
/// The only tagged field that each of these values has.
const TAG: u32 = 0;
/// Marks a structure that is there.
const PRESENT: i8 = 1;

/// A value that is stored.
pub(super) trait Value: Sized {
    fn put(&self, out: &mut BytesMut);
    fn read(value: &mut Reader<'_>) -> Result<Self, DecodeError>;

    fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(VERSION);
        self.put(&mut out);
        out.freeze()
    }

    /// `kind` is the record's type, for the error.
    fn decode(value: &[u8], kind: i16) -> Result<Self, DecodeError> {
        let mut value = Reader::new(value);
        match value.i16()? {
            VERSION => Self::read(&mut value),
            version => unknown(&value, kind, version),
        }
    }
}

/// How often a group has changed, and what it then knew of its topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupEpoch {
    /// The count.
    pub epoch: Epoch,
    /// What identifies the state of its topics; 0 where it has none.
    pub hash: u64,
}

impl Value for GroupEpoch {
    fn put(&self, out: &mut BytesMut) {
        out.put_i32(self.epoch.0);
        let hash = (self.hash != 0).then(|| (TAG, BytesMut::from(&self.hash.to_be_bytes()[..])));
        put_tagged(out, hash.as_slice());
    }

    fn read(value: &mut Reader<'_>) -> Result<GroupEpoch, DecodeError> {
        let epoch = Epoch(value.i32()?);
        let mut hash = 0;
        tag(value, |field| {
            hash = field.i64()?.cast_unsigned();
            Ok(())
        })?;
        Ok(GroupEpoch { epoch, hash })
    }
}

/// Which state of the group the assignment is for that its members are on the way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetEpoch {
    /// The group's epoch then.
    pub epoch: Epoch,
    /// When it was computed; 0 lets the next follow at once (KIP-1263).
    pub time: Timestamp,
}

impl Value for TargetEpoch {
    fn put(&self, out: &mut BytesMut) {
        out.put_i32(self.epoch.0);
        let time = &self.time.0;
        let time = (*time != 0).then(|| (TAG, BytesMut::from(&time.to_be_bytes()[..])));
        put_tagged(out, time.as_slice());
    }

    fn read(value: &mut Reader<'_>) -> Result<TargetEpoch, DecodeError> {
        let epoch = Epoch(value.i32()?);
        let mut time = Timestamp(0);
        tag(value, |field| {
            time = Timestamp(field.i64()?);
            Ok(())
        })?;
        Ok(TargetEpoch { epoch, time })
    }
}

/// What a member has said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    /// Its own name, if it is a static member.
    pub instance: Option<InstanceId>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// Its client's id.
    pub client_id: Arc<str>,
    /// Where it connects from, as Java spells addresses.
    pub client_host: Arc<str>,
    /// Topics that it reads, by name.
    pub topics: BTreeSet<Arc<str>>,
    /// Topics that it reads, by their names' pattern; empty if there is none.
    pub regex: Arc<str>,
    /// Milliseconds that it has to give up partitions; -1 if it has not said.
    pub rebalance_ms: i32,
    /// The assignor that it prefers.
    pub assignor: Option<Arc<str>>,
    /// What makes it a member of the classic protocol.
    pub classic: Option<ClassicMetadata>,
}

impl Default for MemberMetadata {
    fn default() -> MemberMetadata {
        MemberMetadata {
            instance: None,
            rack: None,
            client_id: "".into(),
            client_host: "".into(),
            topics: BTreeSet::new(),
            regex: "".into(),
            rebalance_ms: -1,
            assignor: None,
            classic: None,
        }
    }
}

/// One way to divide work, and what the member says of itself in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The assignor's name.
    pub name: Arc<str>,
    /// Read by the leader only, and for `consumer` groups the topics in it.
    pub metadata: Bytes,
}

/// What a member of the classic protocol has said in its JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMetadata {
    /// Milliseconds after which its silence means that it is gone.
    pub session_ms: i32,
    /// What it can do, what it likes best first.
    pub protocols: Vec<Protocol>,
}

impl Value for MemberMetadata {
    fn put(&self, out: &mut BytesMut) {
        put_nullable_string(out, self.instance.as_ref().map(InstanceId::as_str));
        put_nullable_string(out, self.rack.as_deref());
        put_string(out, &self.client_id);
        put_string(out, &self.client_host);
        put_names(out, &self.topics);
        put_nullable_string(out, Some(&self.regex));
        out.put_i32(self.rebalance_ms);
        put_nullable_string(out, self.assignor.as_deref());
        let classic = self.classic.as_ref().map(|classic| {
            let mut field = BytesMut::new();
            field.put_i8(PRESENT);
            field.put_i32(classic.session_ms);
            put_list(&mut field, &classic.protocols, |out, protocol| {
                put_string(out, &protocol.name);
                put_bytes(out, &protocol.metadata);
                put_tagged(out, &[]);
            });
            put_tagged(&mut field, &[]);
            (TAG, field)
        });
        put_tagged(out, classic.as_slice());
    }

    fn read(value: &mut Reader<'_>) -> Result<MemberMetadata, DecodeError> {
        let mut member = MemberMetadata {
            instance: value.nullable_string()?.map(InstanceId::from),
            rack: value.nullable_string()?.map(Arc::from),
            client_id: value.string()?.into(),
            client_host: value.string()?.into(),
            topics: names(value)?,
            regex: value.nullable_string()?.unwrap_or_default().into(),
            rebalance_ms: value.i32()?,
            assignor: value.nullable_string()?.map(Arc::from),
            classic: None,
        };
        tag(value, |field| {
            if field.i8()? != PRESENT {
                return Ok(());
            }
            let session_ms = field.i32()?;
            let protocols = field.list(|field| {
                let name = field.string()?.into();
                let metadata = Bytes::copy_from_slice(field.bytes()?);
                field.no_tagged()?;
                Ok(Protocol { name, metadata })
            })?;
            field.no_tagged()?;
            member.classic = Some(ClassicMetadata { session_ms, protocols });
            Ok(())
        })?;
        Ok(member)
    }
}

/// How far a member is on its way to what it is to have (`MemberState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It is there.
    #[default]
    Stable,
    /// It is to give up partitions first.
    Unrevoked,
    /// Partitions that it is to have are still with others.
    Unreleased,
    /// A state of a newer version.
    Unknown(i8),
}

impl MemberState {
    fn number(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::Unrevoked => 1,
            MemberState::Unreleased => 2,
            MemberState::Unknown(number) => number,
        }
    }

    fn from_number(number: i8) -> MemberState {
        match number {
            0 => MemberState::Stable,
            1 => MemberState::Unrevoked,
            2 => MemberState::Unreleased,
            number => MemberState::Unknown(number),
        }
    }
}

/// What a member has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// The epoch that it was told last.
    pub epoch: Epoch,
    /// The one before, with which it may come when an answer was lost.
    pub previous: Epoch,
    /// How far it is.
    pub state: MemberState,
    /// What it may read.
    pub assigned: Held,
    /// What it has not given up yet.
    pub revoking: Held,
}

impl Value for Current {
    fn put(&self, out: &mut BytesMut) {
        out.put_i32(self.epoch.0);
        out.put_i32(self.previous.0);
        out.put_i8(self.state.number());
        put_held(out, &self.assigned);
        put_held(out, &self.revoking);
        put_tagged(out, &[]);
    }

    fn read(value: &mut Reader<'_>) -> Result<Current, DecodeError> {
        let epoch = Epoch(value.i32()?);
        let previous = Epoch(value.i32()?);
        let state = MemberState::from_number(value.i8()?);
        let (assigned, revoking) = (held(value, epoch)?, held(value, epoch)?);
        value.no_tagged()?;
        Ok(Current { epoch, previous, state, assigned, revoking })
    }
}

impl Value for Partitions {
    fn put(&self, out: &mut BytesMut) {
        let topics: Vec<_> = self.topics().collect();
        put_list(out, &topics, |out, (topic, indexes)| {
            out.put_slice(&topic.0);
            let indexes: Vec<i32> = indexes.iter().copied().collect();
            put_list(out, &indexes, |out, index| out.put_i32(*index));
            put_tagged(out, &[]);
        });
        put_tagged(out, &[]);
    }

    fn read(value: &mut Reader<'_>) -> Result<Partitions, DecodeError> {
        let mut partitions = Partitions::default();
        value.list(|value| {
            let topic = TopicId(value.array()?);
            value.list(|value| {
                partitions.insert(topic, value.i32()?);
                Ok(())
            })?;
            value.no_tagged()
        })?;
        value.no_tagged()?;
        Ok(partitions)
    }
}

/// The topics that a pattern matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedRegex {
    /// Their names.
    pub topics: BTreeSet<Arc<str>>,
    /// The version of the metadata that was looked at.
    pub version: u64,
    /// When.
    pub time: Timestamp,
}

impl Value for ResolvedRegex {
    fn put(&self, out: &mut BytesMut) {
        put_names(out, &self.topics);
        out.put_i64(self.version.cast_signed());
        out.put_i64(self.time.0);
        put_tagged(out, &[]);
    }

    fn read(value: &mut Reader<'_>) -> Result<ResolvedRegex, DecodeError> {
        let topics = names(value)?;
        let version = value.i64()?.cast_unsigned();
        let time = Timestamp(value.i64()?);
        value.no_tagged()?;
        Ok(ResolvedRegex { topics, version, time })
    }
}

fn put_names(out: &mut BytesMut, names: &BTreeSet<Arc<str>>) {
    let names: Vec<_> = names.iter().collect();
    put_list(out, &names, |out, name| put_string(out, name));
}

fn names(value: &mut Reader<'_>) -> Result<BTreeSet<Arc<str>>, DecodeError> {
    let names = value.list(|value| value.string().map(Arc::from))?;
    Ok(names.into_iter().collect())
}

fn put_held(out: &mut BytesMut, held: &Held) {
    let topics: Vec<_> = held.topics().collect();
    put_list(out, &topics, |out, (topic, indexes)| {
        out.put_slice(&topic.0);
        let (numbers, epochs): (Vec<i32>, Vec<Epoch>) =
            indexes.iter().map(|(index, since)| (*index, *since)).unzip();
        put_list(out, &numbers, |out, index| out.put_i32(*index));
        let mut field = BytesMut::new();
        put_list(&mut field, &epochs, |out, epoch| out.put_i32(epoch.0));
        put_tagged(out, &[(TAG, field)]);
    });
}

/// Before KIP-1251 partitions had no epochs: the member's counts for all.
fn held(value: &mut Reader<'_>, epoch: Epoch) -> Result<Held, DecodeError> {
    let mut held = Held::default();
    value.list(|value| {
        let topic = TopicId(value.array()?);
        let indexes = value.list(Reader::i32)?;
        let mut epochs = Vec::new();
        tag(value, |field| {
            epochs = field.nullable_list(Reader::i32)?.unwrap_or_default();
            Ok(())
        })?;
        let told = epochs.len() == indexes.len();
        for (place, index) in indexes.into_iter().enumerate() {
            let since = if told { Epoch(epochs[place]) } else { epoch.max(Epoch(0)) };
            held.insert(topic, index, since);
        }
        Ok(())
    })?;
    Ok(held)
}

/// Reads the tagged field that is known; others are passed over.
fn tag<'a>(
    value: &mut Reader<'a>,
    mut known: impl FnMut(&mut Reader<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    value.tagged(|tag, field| {
        if tag == TAG {
            return known(field);
        }
        field.rest();
        Ok(())
    })
}
