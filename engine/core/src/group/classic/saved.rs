//! A classic group as a record, and out of it.

use std::sync::Arc;

use bytes::Bytes;

use crate::group::classic::{Assignments, ClassicGroup, Member, State};
use crate::group::history::Cause;
use crate::group::name::{GroupId, MemberId};
use crate::group::record::{ClassicGroupValue, MemberValue, Record};
use crate::group::request::Protocol;
use crate::group::turn::Turn;

impl ClassicGroup {
    /// The group as it would be with these assignments; with those that it has if there are none.
    pub(super) fn record(&self, assignments: Option<&Assignments>) -> Record {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let value = |(id, member): (&MemberId, &Member)| MemberValue {
            id: id.clone(),
            instance: member.instance.clone(),
            client_id: (*member.client_id).to_owned(),
            client_host: (*member.client_host).to_owned(),
            rebalance_ms: member.rebalance_ms,
            session_ms: member.session_ms,
            subscription: member.metadata(protocol),
            assignment: match assignments {
                Some(assignments) => assignments.get(id).cloned().unwrap_or_default(),
                None => member.assignment.clone(),
            },
        };
        let value = ClassicGroupValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default().to_owned(),
            generation: self.generation,
            protocol: self.protocol.as_deref().map(str::to_owned),
            leader: self.leader.clone(),
            since: self.since,
            members: self.members.iter().map(value).collect(),
        };
        Record::ClassicGroup(self.id.clone(), Some(value))
    }

    /// The group as it is.
    pub(crate) fn saved(&self) -> Record {
        self.record(None)
    }

    /// The group of a record. Whoever waited for it waits no more.
    pub(crate) fn load(id: GroupId, value: ClassicGroupValue) -> ClassicGroup {
        let text = |text: String| -> Arc<str> { text.into() };
        let protocol = value.protocol.map(text);
        let name = protocol.clone().unwrap_or_default();
        let state = match value.members.is_empty() {
            true => State::Empty,
            false => State::Stable,
        };
        let member = |value: MemberValue| {
            let said = Protocol { name: name.clone(), metadata: value.subscription };
            let member = Member {
                instance: value.instance,
                client_id: text(value.client_id),
                client_host: text(value.client_host),
                client_software: "".into(),
                session_ms: value.session_ms,
                rebalance_ms: value.rebalance_ms,
                protocols: vec![said],
                assignment: value.assignment,
                is_new: false,
                joining: None,
                syncing: None,
            };
            (value.id, member)
        };
        let mut group = ClassicGroup {
            state,
            previous: state,
            since: value.since,
            generation: value.generation,
            protocol_type: Some(text(value.protocol_type)).filter(|text| !text.is_empty()),
            protocol,
            leader: value.leader,
            members: value.members.into_iter().map(member).collect(),
            ..ClassicGroup::new(id, crate::id::Timestamp::NONE)
        };
        group.index();
        group
    }

    /// All records are read, or what was believed is taken back: members whose time does not run
    /// have it again from now on.
    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) {
        for (id, member) in &self.members {
            turn.ensure_session(&self.id, id, member.session_ms);
        }
        if self.members.len() > turn.settings.max_size {
            self.prepare_rebalance(Cause::TooMany, turn);
        }
    }

    /// Gives every member nothing.
    pub(super) fn clear_assignments(&mut self) {
        self.members.values_mut().for_each(|member| member.assignment = Bytes::new());
    }
}
