//! The group coordinator: what one partition of `__consumer_offsets` knows of its groups, and what
//! becomes of a request to them. Facts: Kafka's `group-coordinator` module.
//!
//! Decide, then replay. A request is decided against the state; that makes records and answers. The
//! records are appended as one batch, and the answers leave once it is durable. Offsets count from
//! then on; a consumer group is at once what its records say, and what it was before comes back if
//! they cannot be written. Loading after a restart is the same replay. What is in no record, the
//! members of a classic group and who waits for what, lives in memory and is lost in a restart.
//!
//! Modules, lowest first:
//!
//! - [`name`]: groups, members, topics, as they are named
//! - [`partitions`]: sets of partitions
//! - [`assignor`]: who reads what, where the broker decides
//! - [`settings`]: bounds and times
//! - [`record`]: the records of `__consumer_offsets`, in Kafka's formats
//! - [`request`]: what may be asked, and the answers
//! - `embedded`: what classic consumers say in bytes of their own
//! - [`history`]: why groups have rebalanced lately
//! - `pattern`: patterns of topic names, which are RE2/J's
//! - `timers`: what happens when nothing happens
//! - `turn`: one step, what it has at hand and leaves behind
//! - `offsets`: what groups have committed
//! - `classic`: groups that decide among themselves who reads what (JoinGroup, SyncGroup)
//! - `consumer`: groups that the broker decides for (KIP-848)
//! - [`coordinator`]: all of these together

pub mod assignor;
mod classic;
mod consumer;
pub mod coordinator;
mod embedded;
pub mod history;
pub mod lookup;
pub mod name;
mod offsets;
pub mod partitions;
pub mod pattern;
pub mod record;
pub mod request;
pub mod settings;
mod timers;
mod turn;

#[cfg(test)]
mod tests;

pub use coordinator::Coordinator;
pub use settings::GroupSettings;
