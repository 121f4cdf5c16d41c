//! The records of `__consumer_offsets`: a key that begins with the record's type, a value that
//! begins with its version; no value removes what the key names. Facts: Kafka's
//! `group-coordinator/src/main/resources/common/message`.
//!
//! Read are all versions; written are those that Kafka 4.3 writes.

pub mod classic;
pub mod consumer;
pub mod offset;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::fields::{self, Reader, put_fixed_string};
pub use crate::fields::{DecodeError, Fault};
use crate::group::name::{GroupId, MemberId};
use crate::group::partitions::Partitions;
pub use classic::{ClassicGroupValue, MemberValue};
use consumer::Value;
pub use consumer::{
    ClassicMetadata, Current, GroupEpoch, MemberMetadata, MemberState, Protocol, ResolvedRegex,
    TargetEpoch,
};
pub use offset::Committed;

/// Before Kafka 0.9; the fields are those of [`OFFSET`].
const OLD_OFFSET: i16 = 0;
const OFFSET: i16 = 1;
const CLASSIC_GROUP: i16 = 2;
const GROUP_EPOCH: i16 = 3;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const REGEX: i16 = 16;

/// A partition that offsets are committed for. Topics are named here: what is committed for a name
/// may be older than the topic that has it now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetKey {
    /// Whose offset.
    pub group: GroupId,
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A group has committed an offset, or has none there any more.
    Offset(OffsetKey, Option<Committed>),
    /// A classic group as it now stands, or its end.
    ClassicGroup(GroupId, Option<ClassicGroupValue>),
    /// A consumer group's epoch, or the group's end.
    GroupEpoch(GroupId, Option<GroupEpoch>),
    /// What a member has said of itself, or its end.
    Member(GroupId, MemberId, Option<MemberMetadata>),
    /// Which epoch of the group all targets are for.
    TargetEpoch(GroupId, Option<TargetEpoch>),
    /// What a member is to have.
    Target(GroupId, MemberId, Option<Partitions>),
    /// What a member has.
    Current(GroupId, MemberId, Option<Current>),
    /// What a pattern matches.
    Regex(GroupId, Arc<str>, Option<ResolvedRegex>),
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: Bytes,
    /// Its value; `None` removes.
    pub value: Option<Bytes>,
}

impl Record {
    /// The group that it is of.
    #[must_use]
    pub fn group(&self) -> &GroupId {
        match self {
            Record::Offset(key, _) => &key.group,
            Record::ClassicGroup(group, _)
            | Record::GroupEpoch(group, _)
            | Record::Member(group, ..)
            | Record::TargetEpoch(group, _)
            | Record::Target(group, ..)
            | Record::Current(group, ..)
            | Record::Regex(group, ..) => group,
        }
    }

    /// Whether it only removes.
    pub(crate) fn is_removal(&self) -> bool {
        match self {
            Record::Offset(_, value) => value.is_none(),
            Record::ClassicGroup(_, value) => value.is_none(),
            Record::GroupEpoch(_, value) => value.is_none(),
            Record::Member(.., value) => value.is_none(),
            Record::TargetEpoch(_, value) => value.is_none(),
            Record::Target(.., value) => value.is_none(),
            Record::Current(.., value) => value.is_none(),
            Record::Regex(.., value) => value.is_none(),
        }
    }

    /// The bytes that Kafka would store.
    #[must_use]
    pub fn encode(&self) -> Stored {
        let (kind, second, value) = match self {
            Record::Offset(OffsetKey { group, topic, partition }, committed) => {
                let mut key = keyed(OFFSET, group, Some(topic));
                key.put_i32(*partition);
                let value = committed.as_ref().map(Committed::encode);
                return Stored { key: key.freeze(), value };
            }
            Record::ClassicGroup(_, value) => {
                (CLASSIC_GROUP, None, value.as_ref().map(ClassicGroupValue::encode))
            }
            Record::GroupEpoch(_, value) => (GROUP_EPOCH, None, value.as_ref().map(Value::encode)),
            Record::TargetEpoch(_, value) => {
                (TARGET_EPOCH, None, value.as_ref().map(Value::encode))
            }
            Record::Member(_, id, value) => {
                (MEMBER, Some(id.as_str()), value.as_ref().map(Value::encode))
            }
            Record::Target(_, id, value) => {
                (TARGET, Some(id.as_str()), value.as_ref().map(Value::encode))
            }
            Record::Current(_, id, value) => {
                (CURRENT, Some(id.as_str()), value.as_ref().map(Value::encode))
            }
            Record::Regex(_, regex, value) => {
                (REGEX, Some(&**regex), value.as_ref().map(Value::encode))
            }
        };
        Stored { key: keyed(kind, self.group(), second).freeze(), value }
    }

    /// The record with this key and value; `None` if its type is one that is not known, which is
    /// passed over as Kafka does.
    ///
    /// # Errors
    /// The bytes are none of the known type: whoever loads them must not go on.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, DecodeError> {
        let mut key = Reader::new(key);
        let kind = key.i16()?;
        if !is_known(kind) {
            return Ok(None);
        }
        let group: GroupId = key.fixed_string()?.into();
        Ok(Some(match kind {
            OLD_OFFSET | OFFSET => {
                let topic = key.fixed_string()?.into();
                let key = OffsetKey { group, topic, partition: key.i32()? };
                Record::Offset(key, value.map(Committed::decode).transpose()?)
            }
            CLASSIC_GROUP => {
                Record::ClassicGroup(group, value.map(ClassicGroupValue::decode).transpose()?)
            }
            GROUP_EPOCH => Record::GroupEpoch(group, read(value, kind)?),
            TARGET_EPOCH => Record::TargetEpoch(group, read(value, kind)?),
            MEMBER => Record::Member(group, key.fixed_string()?.into(), read(value, kind)?),
            TARGET => Record::Target(group, key.fixed_string()?.into(), read(value, kind)?),
            CURRENT => Record::Current(group, key.fixed_string()?.into(), read(value, kind)?),
            _ => Record::Regex(group, key.fixed_string()?.into(), read(value, kind)?),
        }))
    }
}

fn is_known(kind: i16) -> bool {
    (OLD_OFFSET..=GROUP_EPOCH).contains(&kind)
        || (MEMBER..=CURRENT).contains(&kind)
        || kind == REGEX
}

fn keyed(kind: i16, group: &GroupId, second: Option<&str>) -> BytesMut {
    let mut key = BytesMut::new();
    key.put_i16(kind);
    put_fixed_string(&mut key, group.as_str());
    if let Some(second) = second {
        put_fixed_string(&mut key, second);
    }
    key
}

fn read<V: Value>(value: Option<&[u8]>, kind: i16) -> Result<Option<V>, DecodeError> {
    value.map(|value| V::decode(value, kind)).transpose()
}

/// A version that this program cannot read, of the record type `key`.
fn unknown<T>(reader: &Reader<'_>, key: i16, version: i16) -> Result<T, fields::DecodeError> {
    let known = |number: i16| u16::try_from(number).unwrap_or(u16::MAX);
    reader.fault(Fault::RecordVersion { key: known(key), version: known(version) })
}

#[cfg(test)]
mod tests;
