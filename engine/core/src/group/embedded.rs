//! What consumers of the classic protocol say in bytes of their own, which brokers otherwise only
//! pass on (`ConsumerProtocolSubscription`, `ConsumerProtocolAssignment`, versions 0 to 3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::length_of;
use crate::fields::{DecodeError, Reader, put_fixed_string};

/// The newest version that is written.
const NEWEST: i16 = 3;

/// Partitions by their topics' names.
pub(crate) type Named = BTreeMap<Arc<str>, BTreeSet<i32>>;

/// What a consumer says of itself when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) version: i16,
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// What a consumer that gives up partitions one by one still has.
    pub(crate) owned: Named,
    pub(crate) rack: Option<Arc<str>>,
}

impl Subscription {
    pub(crate) fn read(bytes: &[u8]) -> Result<Subscription, DecodeError> {
        let mut fields = Reader::new(bytes);
        let version = fields.i16()?;
        let topics = topics(&mut fields)?;
        let mut subscription = Subscription { version, topics, ..Subscription::default() };
        if version >= 1 {
            user_data(&mut fields)?;
            subscription.owned = partitions(&mut fields)?;
        }
        if version >= 3 {
            // The generation that it got them in.
            fields.i32()?;
            let rack = fields.nullable_fixed_string()?;
            subscription.rack = rack.filter(|rack| !rack.is_empty()).map(Arc::from);
        }
        Ok(subscription)
    }

    /// The topics alone, which all versions begin with.
    pub(crate) fn read_topics(bytes: &[u8]) -> Result<BTreeSet<Arc<str>>, DecodeError> {
        let mut fields = Reader::new(bytes);
        fields.i16()?;
        topics(&mut fields)
    }
}

/// What a consumer is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) partitions: Named,
    /// Whether an assignor has more to say than that.
    pub(crate) has_user_data: bool,
}

impl Assignment {
    /// Nothing is an assignment of nothing: the consumer has not been given one yet.
    pub(crate) fn read(bytes: &[u8]) -> Result<Assignment, DecodeError> {
        if bytes.is_empty() {
            return Ok(Assignment::default());
        }
        let mut fields = Reader::new(bytes);
        fields.i16()?;
        let partitions = partitions(&mut fields)?;
        let has_user_data = user_data(&mut fields)?;
        Ok(Assignment { partitions, has_user_data })
    }

    /// In the version of the subscription that it answers.
    pub(crate) fn write(partitions: &Named, version: i16) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(version.clamp(0, NEWEST));
        out.put_i32(length_of(partitions.len()));
        for (topic, indexes) in partitions {
            put_fixed_string(&mut out, topic);
            out.put_i32(length_of(indexes.len()));
            indexes.iter().for_each(|index| out.put_i32(*index));
        }
        // No user data.
        out.put_i32(-1);
        out.freeze()
    }
}

fn topics(fields: &mut Reader<'_>) -> Result<BTreeSet<Arc<str>>, DecodeError> {
    let topics = fields.fixed_list(|fields| fields.fixed_string().map(Arc::from))?;
    Ok(topics.into_iter().collect())
}

fn partitions(fields: &mut Reader<'_>) -> Result<Named, DecodeError> {
    let mut named = Named::new();
    fields.fixed_list(|fields| {
        let topic: Arc<str> = fields.fixed_string()?.into();
        let indexes = fields.fixed_list(Reader::i32)?;
        named.entry(topic).or_default().extend(indexes);
        Ok(())
    })?;
    Ok(named)
}

/// Whether there is any.
fn user_data(fields: &mut Reader<'_>) -> Result<bool, DecodeError> {
    Ok(fields.nullable_fixed_bytes()?.is_some_and(|data| !data.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(partitions: &[(&str, &[i32])]) -> Named {
        let one = |(topic, indexes): &(&str, &[i32])| {
            (Arc::from(*topic), indexes.iter().copied().collect())
        };
        partitions.iter().map(one).collect()
    }

    #[test]
    fn an_assignment_comes_back_in_every_version() {
        let given = named(&[("a", &[0, 2]), ("b", &[1])]);
        for version in -1..=4 {
            let bytes = Assignment::write(&given, version);
            let read = Assignment::read(&bytes).expect("an assignment");
            assert_eq!(read, Assignment { partitions: given.clone(), has_user_data: false });
            assert_eq!(i16::from_be_bytes([bytes[0], bytes[1]]), version.clamp(0, 3));
        }
        assert_eq!(Assignment::read(&[]), Ok(Assignment::default()));
    }

    #[test]
    fn a_subscription_says_more_with_each_version() {
        let mut bytes = BytesMut::new();
        bytes.put_slice(&[0, 3, 0, 0, 0, 1, 0, 1, b't']);
        bytes.put_slice(&[0xff, 0xff, 0xff, 0xff]);
        bytes.put_slice(&[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 7]);
        bytes.put_slice(&[0, 0, 0, 5, 0, 1, b'r']);
        let topics: BTreeSet<Arc<str>> = ["t".into()].into();
        for (version, owned, rack) in [(0, 0, None), (1, 1, None), (2, 1, None), (3, 1, Some("r"))]
        {
            bytes[1] = version;
            let read = Subscription::read(&bytes).expect("a subscription");
            assert_eq!(read.topics, topics);
            assert_eq!((read.version, read.owned.len()), (i16::from(version), owned));
            assert_eq!(read.rack.as_deref(), rack);
        }
        for end in 0..bytes.len() {
            assert!(Subscription::read(&bytes[..end]).is_err(), "{end}");
        }
    }
}
