//! The records of `__consumer_offsets`: a key that begins with the record's type, a value that
//! begins with its version; no value removes what the key names. Facts: Kafka's
//! `group-coordinator/src/main/resources/common/message`.
//!
//! Read are all versions; written are those that Kafka 4.3 writes.

pub mod classic;
pub mod offset;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::fields::{self, Reader, put_fixed_string};
pub use crate::fields::{DecodeError, Fault};
use crate::group::name::GroupId;
pub use classic::{ClassicGroupValue, MemberValue};
pub use offset::Committed;

/// Before Kafka 0.9; the fields are those of [`OFFSET`].
const OLD_OFFSET: i16 = 0;
const OFFSET: i16 = 1;
const CLASSIC_GROUP: i16 = 2;

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
    /// The bytes that Kafka would store.
    #[must_use]
    pub fn encode(&self) -> Stored {
        let mut key = BytesMut::new();
        let value = match self {
            Record::Offset(OffsetKey { group, topic, partition }, committed) => {
                key.put_i16(OFFSET);
                put_fixed_string(&mut key, group.as_str());
                put_fixed_string(&mut key, topic);
                key.put_i32(*partition);
                committed.as_ref().map(Committed::encode)
            }
            Record::ClassicGroup(group, value) => {
                key.put_i16(CLASSIC_GROUP);
                put_fixed_string(&mut key, group.as_str());
                value.as_ref().map(ClassicGroupValue::encode)
            }
        };
        Stored { key: key.freeze(), value }
    }

    /// The record with this key and value; `None` if its type is one that is not known, which is
    /// passed over as Kafka does.
    ///
    /// # Errors
    /// The bytes are none of the known type: whoever loads them must not go on.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, DecodeError> {
        let mut key = Reader::new(key);
        Ok(Some(match key.i16()? {
            OLD_OFFSET | OFFSET => {
                let group = key.fixed_string()?.into();
                let topic = key.fixed_string()?.into();
                let key = OffsetKey { group, topic, partition: key.i32()? };
                Record::Offset(key, value.map(Committed::decode).transpose()?)
            }
            CLASSIC_GROUP => {
                let group = key.fixed_string()?.into();
                Record::ClassicGroup(group, value.map(ClassicGroupValue::decode).transpose()?)
            }
            _ => return Ok(None),
        }))
    }
}

/// A version that this program cannot read, of the record type `key`.
fn unknown<T>(reader: &Reader<'_>, key: i16, version: i16) -> Result<T, fields::DecodeError> {
    let known = |number: i16| u16::try_from(number).unwrap_or(u16::MAX);
    reader.fault(Fault::RecordVersion { key: known(key), version: known(version) })
}

#[cfg(test)]
mod tests;
