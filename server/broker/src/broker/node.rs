//! What every request on a shard needs: the shard, the settings, and a few caches.

use std::cell::RefCell;
use std::sync::Arc;

use corelog_drive::ShardHandle;
use corelog_engine::id::LeaderEpoch;
use corelog_engine::metadata::Image;
use corelog_engine::metadata::command::ProducerIdBlock;
use corelog_engine::shard::request::{Found, Lookup, ReadError, Reply, Request};
use corelog_engine::shard::setup::leader_epoch;
use corelog_wire::text::Str;

use crate::broker::topics::TopicCache;
use crate::config::broker::Config;
use crate::config::listener::Address;

/// Partitions, or offsets, that the engine is asked about in one step: below a millisecond's worth.
pub(crate) const AT_ONCE: usize = 1_000;

/// One shard's view of the broker.
pub(crate) struct Node {
    pub(crate) config: Arc<Config>,
    pub(crate) shard: ShardHandle,
    pub(crate) topics: TopicCache,
    /// Producer ids that this shard may hand out.
    pub(crate) producer_ids: RefCell<ProducerIdBlock>,
}

impl Node {
    /// The metadata as this shard has it.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.shard.image()
    }

    /// This broker's number.
    pub(crate) fn id(&self) -> i32 {
        self.config.node_id
    }

    /// The cluster's id as Kafka spells it.
    pub(crate) fn cluster_id(&self) -> Str {
        let id = corelog_engine::id::TopicId(self.shard.identity().cluster_id);
        Str::from(id.to_string())
    }

    /// Looks offsets up, so many at a time that no step takes long; a result for each.
    pub(crate) async fn look_up(&self, lookups: Vec<Lookup>) -> Vec<Result<Found, ReadError>> {
        let mut results = Vec::with_capacity(lookups.len());
        let mut rest = lookups.into_iter();
        loop {
            let next: Vec<_> = rest.by_ref().take(AT_ONCE).collect();
            if next.is_empty() {
                return results;
            }
            let count = next.len();
            match self.shard.submit(Request::Lookup(next)).await {
                Reply::Lookup(found) => results.extend(found),
                _ => results.extend(vec![Err(ReadError::Offline); count]),
            }
        }
    }

    /// The leader epoch of every partition since this start.
    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        leader_epoch(self.shard.identity().start)
    }
}

/// Where a connection came in, which is what its client is told to come back to.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    /// The host and port to advertise.
    pub(crate) advertised: Address,
    /// The client's address as Java spells it (`/127.0.0.1`), which groups tell of their members.
    pub(crate) client_host: Arc<str>,
    /// What the client is and in which version, once it has said so (KIP-511).
    software: RefCell<Arc<str>>,
}

impl Entrance {
    pub(crate) fn new(advertised: Address, client_host: Arc<str>) -> Entrance {
        Entrance { advertised, client_host, software: RefCell::new("".into()) }
    }

    /// What the client is and in which version; empty if it has not said so.
    pub(crate) fn software(&self) -> Arc<str> {
        self.software.borrow().clone()
    }

    /// The client has said what it is.
    pub(crate) fn hear_software(&self, name: &str, version: &str) {
        *self.software.borrow_mut() = format!("{name} {version}").into();
    }
}
