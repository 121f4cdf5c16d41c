//! The pure core of Corelog: records, log, journal, recovery, metadata. No I/O, no clock.

pub mod id;
pub mod limits;
pub mod record;
pub mod producer;
pub mod log;
pub mod journal;
pub mod manifest;
pub mod metadata;
pub mod place;
pub mod shard;
pub mod boot;
mod codec;
