//! Records as the batch that the metadata partition stores: values without keys, as Kafka writes
//! them.

use bytes::Bytes;

use crate::id::{Offset, Timestamp};
use crate::metadata::image::Image;
use crate::metadata::record::Record;
use crate::record::compress::MAX_DECOMPRESSED;
use crate::record::{BatchBuilder, BatchHeader, Codec, NewRecord, Records};

/// One batch at offset 0 with these records; `None` when they are more than a batch can hold.
#[must_use]
pub fn encode(records: &[Record], now: Timestamp) -> Option<(BatchHeader, Bytes)> {
    let mut builder = BatchBuilder::new(Codec::None).base_offset(Offset::ZERO);
    for record in records {
        let value = record.encode();
        builder.append(NewRecord { timestamp: now, key: None, value: Some(&value), headers: &[] });
    }
    let batch = builder.build().ok()?;
    let header = BatchHeader::parse(&batch).ok()?;
    Some((header, batch))
}

/// Replays a stored batch; the error says which record does not fit.
pub fn load(image: &mut Image, header: &BatchHeader, batch: &[u8]) -> Result<(), String> {
    let damaged = |error: &dyn std::fmt::Display| {
        format!("the batch at offset {} is damaged: {error}", header.base_offset)
    };
    if !crate::record::batch::crc_matches(header, batch) {
        return Err(damaged(&"its checksum does not match"));
    }
    let records = Records::open(header, batch, MAX_DECOMPRESSED).map_err(|e| damaged(&e))?;
    for record in records.iter() {
        let record = record.map_err(|error| damaged(&error))?;
        let value = record.value.unwrap_or_default();
        image.load([(record.offset, value)]).map_err(|error| error.to_string())?;
    }
    Ok(())
}
