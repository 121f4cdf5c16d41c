//! `OffsetCommitValue`, versions 0 to 4.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::fields::{DecodeError, Reader, put_fixed_string, put_string, put_tagged};
use crate::group::record::{OFFSET, unknown};
use crate::id::{LeaderEpoch, Offset, Timestamp, TopicId};

/// Written when the client chose how long the offset is kept, which version 4 cannot say.
const WITH_EXPIRY: i16 = 1;
const NEWEST: i16 = 4;
const TAG_TOPIC_ID: u32 = 0;
/// No time, no epoch.
const NONE: i64 = -1;

/// What a group has committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next record to be read. Whatever the client said; also less than nothing.
    pub offset: Offset,
    /// The epoch of the record before it, if the client knew.
    pub epoch: Option<LeaderEpoch>,
    /// The client's own words.
    pub metadata: Arc<str>,
    /// When it was committed.
    pub time: Timestamp,
    /// When it ends, where the client chose (OffsetCommit up to version 4).
    pub expires: Option<Timestamp>,
    /// The topic's id, where it was known.
    pub topic: Option<TopicId>,
}

impl Committed {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self.expires {
            Some(expires) => {
                out.put_i16(WITH_EXPIRY);
                out.put_i64(self.offset.0);
                put_fixed_string(&mut out, &self.metadata);
                out.put_i64(self.time.0);
                out.put_i64(expires.0);
            }
            None => {
                out.put_i16(NEWEST);
                out.put_i64(self.offset.0);
                out.put_i32(self.epoch.map_or(-1, |epoch| epoch.0));
                put_string(&mut out, &self.metadata);
                out.put_i64(self.time.0);
                let id = self.topic.map(|id| (TAG_TOPIC_ID, BytesMut::from(&id.0[..])));
                put_tagged(&mut out, id.as_slice());
            }
        }
        out.freeze()
    }

    pub(super) fn decode(value: &[u8]) -> Result<Committed, DecodeError> {
        let mut value = Reader::new(value);
        let version = value.i16()?;
        if !(0..=NEWEST).contains(&version) {
            return unknown(&value, OFFSET, version);
        }
        let offset = Offset(value.i64()?);
        let epoch = if version >= 3 { value.i32()? } else { -1 };
        let metadata = if version == NEWEST { value.string()? } else { value.fixed_string()? };
        let time = Timestamp(value.i64()?);
        let expires = if version == WITH_EXPIRY { value.i64()? } else { NONE };
        let mut topic = None;
        if version == NEWEST {
            value.tagged(|tag, field| {
                if tag == TAG_TOPIC_ID {
                    topic = Some(TopicId(field.array()?));
                } else {
                    field.rest();
                }
                Ok(())
            })?;
        }
        Ok(Committed {
            offset,
            epoch: (epoch != -1).then_some(LeaderEpoch(epoch)),
            metadata: metadata.into(),
            time,
            expires: (expires != NONE).then_some(Timestamp(expires)),
            topic: topic.filter(|id| id.0 != [0; 16]),
        })
    }
}
