//! The check of a produced batch: here if that is quick, else on the work thread. How much there is
//! to read in a compressed batch only reading it tells.

use bytes::Bytes;
use corelog_engine::id::Timestamp;
use corelog_engine::record::compress::DecompressError;
use corelog_engine::record::{
    BatchHeader, Codec, Invalid, RecordsError, Rules, Validated, validate,
};

use crate::broker::node::Node;

/// Bytes of the largest batch that is checked here: two milliseconds if it is full of the smallest
/// records.
const QUICK: usize = 1 << 20;

/// The same of a compressed one. Some codecs expand a block of it at once, to a megabyte or four.
const QUICK_COMPRESSED: usize = 64 << 10;

/// Bytes that the records of a compressed batch may expand to here: two milliseconds of the slowest
/// codec.
const QUICK_EXPANDED: u64 = 512 << 10;

/// A batch that may be appended, as it is to be stored.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) facts: Validated,
    pub(crate) header: BatchHeader,
    pub(crate) batch: Bytes,
}

/// Checks what a producer sent for one partition.
pub(crate) async fn check(
    node: &Node,
    bytes: &Bytes,
    rules: Rules,
    now: Timestamp,
) -> Result<Checked, Invalid> {
    let plain = BatchHeader::parse(bytes).is_ok_and(|header| header.codec() == Ok(Codec::None));
    if bytes.len() <= if plain { QUICK } else { QUICK_COMPRESSED } {
        let limit = QUICK_EXPANDED.min(rules.max_decompressed);
        let quick = Rules { max_decompressed: limit, ..rules.clone() };
        match checked(bytes, &quick, now) {
            Err(Invalid::Records(RecordsError::Decompress(DecompressError::TooLarge {
                ..
            }))) => {}
            decided => return decided,
        }
    }
    let bytes = bytes.clone();
    node.shard.offload(move || checked(&bytes, &rules, now)).await
}

fn checked(bytes: &Bytes, rules: &Rules, now: Timestamp) -> Result<Checked, Invalid> {
    let facts = validate(bytes, rules, now)?;
    let batch = bytes.slice(..facts.total_len());
    let as_sent = facts.header.timestamp_type() == facts.timestamps
        && facts.header.max_timestamp == facts.max_timestamp;
    if as_sent {
        return Ok(Checked { facts, header: facts.header, batch });
    }
    let mut stored = batch.to_vec();
    let header = facts.stamp(&mut stored, facts.header.base_offset, facts.header.leader_epoch);
    Ok(Checked { facts, header, batch: stored.into() })
}
