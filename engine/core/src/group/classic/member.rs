//! A member of a classic group.

use std::sync::Arc;

use bytes::Bytes;

use crate::group::name::InstanceId;
use crate::group::request::{Asker, JoinRequest, Protocol};

/// What the group knows of a member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(super) instance: Option<InstanceId>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_ms: i32,
    pub(super) rebalance_ms: i32,
    /// What it likes best first.
    pub(super) protocols: Vec<Protocol>,
    /// Its part of the work.
    pub(super) assignment: Bytes,
    /// Whether it has not been in a rebalance that came to an end.
    pub(super) is_new: bool,
    /// The JoinGroup that waits.
    pub(super) joining: Option<Asker>,
    /// The SyncGroup that waits.
    pub(super) syncing: Option<Asker>,
}

impl Member {
    pub(super) fn new(request: &JoinRequest, asker: Asker) -> Member {
        Member {
            instance: request.instance.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
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
    pub(super) fn update(&mut self, request: &JoinRequest) {
        self.protocols.clone_from(&request.protocols);
        self.session_ms = request.session_ms;
        self.rebalance_ms = request.rebalance_ms;
    }

    /// What it says of itself in a protocol; nothing where it does not know it.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let said = self.protocols.iter().find(|known| &*known.name == protocol);
        said.map_or(Bytes::new(), |known| known.metadata.clone())
    }

    pub(super) fn knows(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| &*known.name == protocol)
    }
}
