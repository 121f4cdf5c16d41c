//! The Kafka front: sessions take frames apart, one file per API turns requests into engine
//! requests and replies into responses.
//!
//! ```text
//! frame → header → API and version known → decode → validate → engine → response
//! ```
//!
//! Stage one of a request (everything up to the engine) runs in the order of the connection; stage
//! two waits for the engine while later requests are already under way.

mod alteration;
mod api;
mod check;
mod cost;
mod creation;
mod groups;
mod node;
mod operations;
mod portions;
mod resource;
mod session;
mod topics;
mod translate;

use std::sync::Arc;

use corelog_drive::ShardHandle;

use crate::config::broker::Config;

pub(crate) use session::Broker;

/// Makes the broker of each shard.
pub(crate) fn service(
    config: Arc<Config>,
) -> impl Fn(ShardHandle) -> Broker + Clone + Send + 'static {
    move |shard| Broker::new(config.clone(), shard)
}
