//! The pure core of Corelog: records, log, journal, recovery, metadata, groups. No I/O, no clock.

pub mod boot;
mod codec;
mod fields;
pub mod group;
pub mod id;
pub mod journal;
pub mod limits;
pub mod log;
pub mod manifest;
pub mod metadata;
pub mod place;
pub mod producer;
pub mod record;
pub mod shard;
