//! Since when a group could have read on: when the oldest record was written that it has not read.

use std::collections::BTreeMap;

use bytes::Bytes;
use corelog_engine::id::{Offset, Timestamp};
use corelog_engine::record::records::first_at_or_after;
use corelog_engine::record::{FrameError, split};

use crate::cli::client::{Cluster, Start, Topic, records};
use crate::cli::failure::Failure;

/// Of a partition, where many are asked for: the first batch is wanted, and most are smaller.
const FEW_BYTES: i32 = 64 << 10;

/// When the first records at or after these offsets were written, where that can be found out.
pub(super) fn since(
    cluster: &mut Cluster,
    topic: &Topic,
    starts: &[Start],
) -> Result<BTreeMap<i32, Timestamp>, Failure> {
    let answers = cluster.fetch(topic, starts.to_vec(), FEW_BYTES)?;
    let mut found = BTreeMap::new();
    let mut left = Vec::new();
    for (partition, answer) in answers {
        let Some(start) = starts.iter().find(|start| start.partition == partition) else {
            continue;
        };
        let Ok(batches) = records(topic, partition, answer) else { continue };
        match first(&batches, start.offset) {
            First::Written(timestamp) => found.extend([(partition, timestamp)]),
            First::NotThere => left.push(*start),
            First::Unknown => {}
        }
    }
    // A batch that is asked for alone comes whole, however large it is.
    for start in left {
        for (partition, answer) in cluster.fetch(topic, vec![start], FEW_BYTES)? {
            let Ok(batches) = records(topic, partition, answer) else { continue };
            if let First::Written(timestamp) = first(&batches, start.offset) {
                found.insert(partition, timestamp);
            }
        }
    }
    Ok(found)
}

/// The first record at or after an offset.
#[derive(Debug, PartialEq, Eq)]
enum First {
    Written(Timestamp),
    /// More bytes may have it.
    NotThere,
    /// It has no timestamp, or cannot be read.
    Unknown,
}

fn first(batches: &Bytes, offset: i64) -> First {
    for batch in split(batches) {
        let (header, batch) = match batch {
            Ok(batch) => batch,
            Err(FrameError::Truncated { .. }) => return First::NotThere,
            Err(_) => return First::Unknown,
        };
        // Markers of transactions are not for consumers.
        if header.next_offset().0 <= offset || header.is_control() {
            continue;
        }
        match first_at_or_after(&header, &batch, Timestamp(i64::MIN), Offset(offset)) {
            Ok(Some((_, timestamp))) if timestamp.0 >= 0 => return First::Written(timestamp),
            // The rest of the batch was compacted away.
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return First::Unknown,
        }
    }
    First::NotThere
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_engine::record::{BatchBuilder, Codec, NewRecord};

    /// Records from an offset on, with these timestamps.
    fn batch(first: i64, timestamps: &[i64]) -> Bytes {
        let mut builder = BatchBuilder::new(Codec::Lz4).base_offset(Offset(first));
        for timestamp in timestamps {
            builder.append(NewRecord {
                timestamp: Timestamp(*timestamp),
                value: Some(b"value"),
                ..Default::default()
            });
        }
        builder.build().expect("small")
    }

    #[test]
    fn the_record_at_the_offset_or_behind_it_counts() {
        let bytes = Bytes::from([batch(10, &[500, 300, 400]), batch(20, &[600])].concat());
        for (offset, written) in [(0, 500), (10, 500), (11, 300), (12, 400), (13, 600), (20, 600)] {
            assert_eq!(first(&bytes, offset), First::Written(Timestamp(written)), "{offset}");
        }
        assert_eq!(first(&bytes, 21), First::NotThere);
    }

    #[test]
    fn what_is_cut_off_may_come_whole() {
        let whole = batch(10, &[500]);
        for len in 0..whole.len() {
            assert_eq!(first(&whole.slice(..len), 10), First::NotThere, "{len} bytes");
        }
        let bytes = Bytes::from([&batch(5, &[1])[..], &whole[..whole.len() - 1]].concat());
        assert_eq!(first(&bytes, 10), First::NotThere);
        assert_eq!(first(&bytes, 5), First::Written(Timestamp(1)));
    }

    #[test]
    fn what_has_no_time_or_makes_no_sense_is_unknown() {
        assert_eq!(first(&batch(10, &[-1]), 10), First::Unknown);
        let mut old = batch(10, &[500]).to_vec();
        old[16] = 1;
        assert_eq!(first(&old.into(), 10), First::Unknown);
        let mut damaged = batch(10, &[500]).to_vec();
        damaged[61..].fill(0xff);
        assert_eq!(first(&damaged.into(), 10), First::Unknown);
    }
}
