//! `GroupMetadataValue`, versions 0 to 4.

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::length_of;
use crate::fields::{
    DecodeError, Reader, put_fixed_bytes, put_fixed_string, put_nullable_fixed_string,
};
use crate::group::name::{Generation, InstanceId, MemberId};
use crate::group::record::{CLASSIC_GROUP, unknown};
use crate::id::Timestamp;

/// The newest version, of flexible format. Kafka reads it and writes the one before.
const FLEXIBLE: i16 = 4;
const WRITTEN: i16 = 3;
/// No time; no timeout.
const NONE: i64 = -1;

/// What is kept of a classic group: its last rebalance that came to an end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicGroupValue {
    /// What kind of group the clients say it is: `consumer`, `connect`; empty in one that never had
    /// members.
    pub protocol_type: String,
    /// The rebalance.
    pub generation: Generation,
    /// How the members divide their work: the name of an assignor.
    pub protocol: Option<String>,
    /// Who did it.
    pub leader: Option<MemberId>,
    /// When the group came to where it stood.
    pub since: Option<Timestamp>,
    /// Those who were in it.
    pub members: Vec<MemberValue>,
}

/// A member of that rebalance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberValue {
    /// Its id.
    pub id: MemberId,
    /// Its own name, if it is a static member.
    pub instance: Option<InstanceId>,
    /// Its client's id.
    pub client_id: String,
    /// Where it connects from, as Java spells addresses (`/127.0.0.1`).
    pub client_host: String,
    /// Milliseconds that it has to join a rebalance.
    pub rebalance_ms: i32,
    /// Milliseconds after which its silence means that it is gone.
    pub session_ms: i32,
    /// What it said of itself in the group's protocol.
    pub subscription: Bytes,
    /// What the leader gave it.
    pub assignment: Bytes,
}

impl ClassicGroupValue {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(WRITTEN);
        put_fixed_string(&mut out, &self.protocol_type);
        out.put_i32(self.generation.0);
        put_nullable_fixed_string(&mut out, self.protocol.as_deref());
        put_nullable_fixed_string(&mut out, self.leader.as_ref().map(MemberId::as_str));
        out.put_i64(self.since.map_or(NONE, |since| since.0));
        out.put_i32(length_of(self.members.len()));
        for member in &self.members {
            put_fixed_string(&mut out, member.id.as_str());
            let instance = member.instance.as_ref().map(InstanceId::as_str);
            put_nullable_fixed_string(&mut out, instance);
            put_fixed_string(&mut out, &member.client_id);
            put_fixed_string(&mut out, &member.client_host);
            out.put_i32(member.rebalance_ms);
            out.put_i32(member.session_ms);
            put_fixed_bytes(&mut out, &member.subscription);
            put_fixed_bytes(&mut out, &member.assignment);
        }
        out.freeze()
    }

    pub(super) fn decode(value: &[u8]) -> Result<ClassicGroupValue, DecodeError> {
        let mut value = Reader::new(value);
        let version = value.i16()?;
        if !(0..=FLEXIBLE).contains(&version) {
            return unknown(&value, CLASSIC_GROUP, version);
        }
        let form = Form { version };
        let protocol_type = form.string(&mut value)?.to_owned();
        let generation = Generation(value.i32()?);
        let protocol = form.nullable(&mut value)?.map(str::to_owned);
        let leader = form.nullable(&mut value)?.map(MemberId::from);
        let since = if version >= 2 { value.i64()? } else { NONE };
        let since = (since != NONE).then_some(Timestamp(since));
        let members = form.members(&mut value)?;
        form.end(&mut value)?;
        Ok(ClassicGroupValue { protocol_type, generation, protocol, leader, since, members })
    }
}

/// How fields are spelled in a version.
#[derive(Clone, Copy)]
struct Form {
    version: i16,
}

impl Form {
    fn is_flexible(self) -> bool {
        self.version == FLEXIBLE
    }

    fn string<'a>(self, value: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
        if self.is_flexible() { value.string() } else { value.fixed_string() }
    }

    fn nullable<'a>(self, value: &mut Reader<'a>) -> Result<Option<&'a str>, DecodeError> {
        if self.is_flexible() { value.nullable_string() } else { value.nullable_fixed_string() }
    }

    fn bytes(self, value: &mut Reader<'_>) -> Result<Bytes, DecodeError> {
        let bytes = if self.is_flexible() { value.bytes()? } else { value.fixed_bytes()? };
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn end(self, value: &mut Reader<'_>) -> Result<(), DecodeError> {
        if self.is_flexible() { value.no_tagged() } else { Ok(()) }
    }

    fn members(self, value: &mut Reader<'_>) -> Result<Vec<MemberValue>, DecodeError> {
        if self.is_flexible() {
            value.list(|value| self.member(value))
        } else {
            value.fixed_list(|value| self.member(value))
        }
    }

    fn member(self, value: &mut Reader<'_>) -> Result<MemberValue, DecodeError> {
        let id = self.string(value)?.into();
        let instance = if self.version >= 3 { self.nullable(value)? } else { None };
        let client_id = self.string(value)?.to_owned();
        let client_host = self.string(value)?.to_owned();
        let rebalance_ms = if self.version >= 1 { value.i32()? } else { -1 };
        let session_ms = value.i32()?;
        let member = MemberValue {
            id,
            instance: instance.map(InstanceId::from),
            client_id,
            client_host,
            // As Kafka reads what older versions did not say.
            rebalance_ms: if rebalance_ms < 0 { session_ms } else { rebalance_ms },
            session_ms,
            subscription: self.bytes(value)?,
            assignment: self.bytes(value)?,
        };
        self.end(value)?;
        Ok(member)
    }
}
