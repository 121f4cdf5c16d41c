//! Record batches, format v2 (magic 2): the only Kafka bytes that the engine knows.
//!
//! A producer's batch is checked whole by [`validate()`], then stored as it came but for the few
//! header fields a broker writes; nothing is compressed again. Modules, lowest first:
//!
//! - [`batch`]: the header, the frame, what the leader stamps
//! - [`compress`]: the five codecs, read under a cap
//! - [`builder`]: batches made here
//! - `parse`, `walk`: the fields of a record, and all records of a batch in bounded memory
//! - [`validate`](mod@validate): what a client may append
//! - [`records`]: reading and searching what was appended

pub mod batch;
pub mod builder;
pub mod compress;
mod parse;
pub mod records;
mod sequence;
pub mod validate;
pub(crate) mod varint;
mod walk;

pub use batch::{BatchHeader, FrameError, ProducerFields, TimestampType, split};
pub use builder::{BatchBuilder, NewRecord};
pub use compress::Codec;
pub use parse::RecordFault;
pub use records::{Record, Records};
pub use sequence::Sequence;
pub use validate::{Invalid, Rules, TimestampRule, Validated, validate};
pub use walk::RecordsError;

#[cfg(test)]
mod tests;
