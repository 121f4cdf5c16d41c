//! The manifest of a shard: how far each of its partitions is in segments, durably. It is why a
//! start opens no file of a partition and reads no segment (storage.md, section 1).

pub mod parts;
pub mod record;
pub mod state;
