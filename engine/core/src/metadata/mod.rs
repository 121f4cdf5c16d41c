//! Cluster metadata: topics, partitions, configs, features and producer ids, as the records of
//! `__cluster_metadata`-0 in Kafka's own KRaft formats.
//!
//! Decide, then replay. A [`Command`] is decided against the [`Image`]: that makes records and an
//! [`Outcome`], and changes nothing. The records are appended as one batch, and only replaying them
//! once they are durable changes the image; the outcome is answered after that. Loading after a
//! restart is the same replay. Shard 0 runs the [`Controller`] and publishes every change as a
//! [`Delta`]; everyone else reads the image that it carries.
//!
//! A start reads the log whole: there are no snapshots, and nothing compacts it.
//!
//! Modules, lowest first:
//!
//! - [`record`]: the metadata records
//! - `sorted`: an ordered list that is cheap to clone
//! - [`name`]: which topic names are allowed
//! - [`image`]: what the records so far add up to
//! - [`batch`]: records as the batch that the log stores
//! - [`command`]: what may be asked, and the answers; [`refusal`]: the answers that are no
//! - `create`, `delete`, `grow`: what becomes of a request to create topics, to delete them, or to
//!   give them more partitions; `alter`: of one to change configs
//! - [`delta`]: what a replay has changed
//! - [`controller`]: decides and replays; [`job`]: the same apart from it, for a helper thread

mod alter;
pub mod batch;
pub mod command;
pub mod controller;
mod create;
mod delete;
pub mod delta;
mod grow;
pub mod image;
pub mod job;
pub mod name;
pub mod record;
pub mod refusal;
mod sorted;

#[cfg(test)]
mod tests;

pub use command::{Command, Outcome};
pub use controller::{Controller, Decision};
pub use delta::Delta;
pub use image::{Image, Topic};
pub use record::Record;
pub use refusal::Refusal;
