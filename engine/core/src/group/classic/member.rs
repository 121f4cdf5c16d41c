//! A member of a classic group.

use std::sync::Arc;

use bytes::Bytes;

use crate::group::history::{Client, Who};
use crate::group::name::{InstanceId, MemberId};
use crate::group::request::{Asker, JoinRequest, Protocol};

/// What the group knows of a member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) instance: Option<InstanceId>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    /// In no record: empty after a restart, until it joins again.
    pub(crate) client_software: Arc<str>,
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
    /// What it likes best first.
    pub(crate) protocols: Vec<Protocol>,
    /// Its part of the work.
    pub(crate) assignment: Bytes,
    /// Whether it has not been in a rebalance that came to an end.
    pub(crate) is_new: bool,
    /// The JoinGroup that waits.
    pub(crate) joining: Option<Asker>,
    /// The SyncGroup that waits.
    pub(crate) syncing: Option<Asker>,
}

impl Member {
    pub(crate) fn new(request: &JoinRequest, asker: Asker) -> Member {
        Member {
            instance: request.instance.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            client_software: request.client_software.clone(),
            session_ms: request.session_ms,
            rebalance_ms: request.rebalance_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            is_new: true,
            joining: Some(asker),
            syncing: None,
        }
    }

    /// Takes over what a member says of itself when it joins again.
    pub(crate) fn update(&mut self, request: &JoinRequest) {
        // The rest of who it is stays as it was, as in Kafka: a static member that comes back from
        // elsewhere is not told to be both.
        let same = self.client_id == request.client_id && self.client_host == request.client_host;
        self.client_software = if same { request.client_software.clone() } else { "".into() };
        self.protocols.clone_from(&request.protocols);
        self.session_ms = request.session_ms;
        self.rebalance_ms = request.rebalance_ms;
    }

    /// Itself, for those who ask why something happened.
    pub(crate) fn who(&self, id: &MemberId) -> Who {
        let (host, software) = (&self.client_host, &self.client_software);
        Who::new(id, self.instance.as_ref(), Client { id: &self.client_id, host, software })
    }

    /// What it says of itself in a protocol; nothing where it does not know it.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let said = self.protocols.iter().find(|known| &*known.name == protocol);
        said.map_or(Bytes::new(), |known| known.metadata.clone())
    }
}
