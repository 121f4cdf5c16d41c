//! The journal: durability of every acknowledgement (storage.md, section 2).

pub mod commit;
pub mod rescue;
pub mod ring;
pub mod scan;
