//! What a manifest says, record by record, and how the bytes of an append are framed.
//!
//! ```text
//! append   length u32 | checksum u32 | record …     checksum: CRC-32C over the records
//! record   kind u8 | fields, see `Record`
//! ```
//! Little-endian. An append is valid whole or not at all; a broken last one is a torn tail.

use bytes::{BufMut, Bytes, BytesMut};

use crate::boot::effect::RescueFile;
use crate::codec::{Fields, length_of, put_list, put_string};
use crate::id::{LeaderEpoch, Offset, PartitionIndex, ShardId, Timestamp, TopicId, TopicPartition};
use crate::journal::commit::{Incarnation, Seq};
use crate::log::{Boundary, LogVersion, Place, Point, SegmentEnd};

/// The format that this broker writes. Format 1, which it reads too, does not say which other files
/// there are, and has another kind of progress: without a word of an index file, and with all
/// points of the active segment.
pub const FORMAT: u32 = 2;

/// The oldest format that this broker reads.
const OLDEST: u32 = 1;

/// The first record of every manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The broker start that made it.
    pub start: u32,
    /// Whose it is.
    pub shard: ShardId,
    /// How many shards that start has: as many manifests belong together.
    pub shards: u16,
    /// Which journal's releases it records.
    pub incarnation: Incarnation,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Kind 1. Starts a manifest.
    Header(Header),
    /// Kind 2. The journal's commits before this one are no longer needed.
    Needed(Seq),
    /// Kind 3. A partition from here on, replacing what was said of it.
    Partition {
        /// Which.
        partition: TopicPartition,
        /// Which life of its log.
        version: LogVersion,
        /// The first offset that can be read.
        log_start: Offset,
    },
    /// Kind 4. One more closed segment, sealed.
    Closed {
        /// Of which partition.
        partition: TopicPartition,
        /// The segment's base offset.
        base: Offset,
        /// Where it ends.
        end: SegmentEnd,
        /// Its greatest timestamp.
        max_timestamp: Timestamp,
    },
    /// Kind 12, and 5 in format 1. How far the active segment is synced, and what is derived from
    /// what was added.
    Synced(Synced),
    /// Kind 6. The first offset that can be read is now this.
    LogStart {
        /// Of which partition.
        partition: TopicPartition,
        /// The offset.
        offset: Offset,
    },
    /// Kind 7. The partition is gone, or is another shard's.
    Removed(TopicPartition),
    /// Kind 8. How far the partition is has been lost: only its segments can tell.
    Lost(TopicPartition),
    /// Kind 9. The shard has this journal file, with zeros or commits in all its length. Durable
    /// before the first commit is written to the file.
    Journal {
        /// Its place in the shard's ring.
        slot: u16,
        /// Its length.
        bytes: u64,
    },
    /// Kind 10. The journal's commits up to this one were complete when the record was written.
    Durable(Seq),
    /// Kind 11. This rescue file holds entries of a partition. Durable before the journal that
    /// held them is overwritten.
    Rescue {
        /// Which file.
        file: RescueFile,
        /// Its length.
        bytes: u64,
    },
}

/// Progress of a partition's active segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Of which partition.
    pub partition: TopicPartition,
    /// Everything before is in segments, durably.
    pub place: Place,
    /// The last batch boundary at or before it.
    pub boundary: Boundary,
    /// The active segment's greatest timestamp.
    pub max_timestamp: Timestamp,
    /// What `segment.ms` counts from.
    pub first_timestamp: Timestamp,
    /// The active segment's index file has all points before this position.
    pub indexed: u64,
    /// Its points since the last such record, but for those.
    pub points: Vec<Point>,
    /// The leader epochs that started since the last such record.
    pub epochs: Vec<(LeaderEpoch, Offset)>,
    /// Entries of the producers that changed since the last such record, as of `boundary`.
    pub producers: Bytes,
}

/// Bytes before an append's records.
const APPEND_HEADER: usize = 8;

/// One append in the making.
#[derive(Debug)]
pub struct Append(BytesMut);

impl Default for Append {
    fn default() -> Append {
        Append(BytesMut::zeroed(APPEND_HEADER))
    }
}

impl Append {
    /// Adds records.
    pub fn extend(&mut self, records: &[Record]) {
        records.iter().for_each(|record| put_record(&mut self.0, record));
    }

    /// Bytes of records so far.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        self.0.len() - APPEND_HEADER
    }

    /// The append, with its length and checksum.
    ///
    /// # Panics
    /// With 4 GiB of records, which no length can tell: whoever makes one bounds it.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        let length: u32 = length_of(self.record_bytes());
        let checksum = crc32c::crc32c(&self.0[APPEND_HEADER..]);
        self.0[0..4].copy_from_slice(&length.to_le_bytes());
        self.0[4..8].copy_from_slice(&checksum.to_le_bytes());
        self.0.freeze()
    }
}

/// Frames records as one append.
#[must_use]
pub fn encode(records: &[Record]) -> Bytes {
    let mut append = Append::default();
    append.extend(records);
    append.finish()
}

/// Why a manifest cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It does not start with a header.
    NoHeader,
    /// It was written by a newer Corelog.
    Newer {
        /// The format it claims.
        format: u32,
    },
    /// An append in the middle is damaged: it ends with appends that are whole.
    Damaged {
        /// Where, in bytes from the start of the file.
        at: usize,
    },
}

/// The records of a manifest's bytes, oldest first. A torn last append is left out.
pub fn decode(bytes: &[u8]) -> Result<Vec<Record>, Broken> {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some((body, next)) = append_at(bytes, at) {
        let Some(found) = decode_body(body) else {
            return Err(
                newer(body).map_or(Broken::Damaged { at }, |format| Broken::Newer { format })
            );
        };
        records.extend(found);
        at = next;
    }
    if damaged_behind(bytes, at) {
        return Err(Broken::Damaged { at });
    }
    match records.first() {
        Some(Record::Header(_)) => Ok(records),
        _ => Err(Broken::NoHeader),
    }
}

fn append_at(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let mut fields = Fields::new(bytes.get(at..)?);
    let (length, checksum) = (fields.u32()?, fields.u32()?);
    let body = fields.take(length as usize)?;
    (length > 0 && crc32c::crc32c(body) == checksum)
        .then_some((body, at + APPEND_HEADER + body.len()))
}

/// Whether whole appends follow a broken one: then it is no torn tail.
fn damaged_behind(bytes: &[u8], at: usize) -> bool {
    let claimed = bytes.get(at..at + 4).and_then(|len| len.try_into().ok()).map(u32::from_le_bytes);
    claimed.is_some_and(|len| append_at(bytes, at + APPEND_HEADER + len as usize).is_some())
}

/// The format of a header that is of a later one.
fn newer(body: &[u8]) -> Option<u32> {
    let mut fields = Fields::new(body);
    let header = fields.u8()? == 1;
    fields.u32().filter(|format| header && *format > FORMAT)
}

fn decode_body(body: &[u8]) -> Option<Vec<Record>> {
    let mut fields = Fields::new(body);
    let mut records = Vec::new();
    while !fields.rest().is_empty() {
        records.push(get_record(&mut fields)?);
    }
    Some(records)
}

fn put_record(out: &mut BytesMut, record: &Record) {
    match record {
        Record::Header(header) => {
            out.put_u8(1);
            out.put_u32_le(FORMAT);
            out.put_u32_le(header.start);
            out.put_u16_le(header.shard.0);
            out.put_u16_le(header.shards);
            out.put_slice(&header.incarnation.0);
        }
        Record::Needed(seq) => {
            out.put_u8(2);
            out.put_u64_le(seq.0);
        }
        Record::Partition { partition, version, log_start } => {
            put_partition(out, 3, *partition);
            out.put_u32_le(version.start);
            out.put_u32_le(version.change);
            out.put_i64_le(log_start.0);
        }
        Record::Closed { partition, base, end, max_timestamp } => {
            put_partition(out, 4, *partition);
            out.put_i64_le(base.0);
            out.put_i64_le(end.next_offset.0);
            out.put_u64_le(end.bytes);
            out.put_i64_le(max_timestamp.0);
        }
        Record::Synced(synced) => put_synced(out, synced),
        Record::LogStart { partition, offset } => {
            put_partition(out, 6, *partition);
            out.put_i64_le(offset.0);
        }
        Record::Removed(partition) => put_partition(out, 7, *partition),
        Record::Lost(partition) => put_partition(out, 8, *partition),
        Record::Journal { slot, bytes } => {
            out.put_u8(9);
            out.put_u16_le(*slot);
            out.put_u64_le(*bytes);
        }
        Record::Durable(seq) => {
            out.put_u8(10);
            out.put_u64_le(seq.0);
        }
        Record::Rescue { file, bytes } => {
            put_partition(out, 11, file.partition);
            out.put_u32_le(file.start);
            out.put_u64_le(*bytes);
        }
    }
}

fn get_record(fields: &mut Fields<'_>) -> Option<Record> {
    Some(match fields.u8()? {
        1 => {
            let format = fields.u32()?;
            if !(OLDEST..=FORMAT).contains(&format) {
                return None;
            }
            let start = fields.u32()?;
            let shard = ShardId(fields.array().map(u16::from_le_bytes)?);
            let shards = fields.array().map(u16::from_le_bytes)?;
            let incarnation = Incarnation(fields.array()?);
            Record::Header(Header { start, shard, shards, incarnation })
        }
        2 => Record::Needed(Seq(fields.u64()?)),
        3 => Record::Partition {
            partition: get_partition(fields)?,
            version: LogVersion { start: fields.u32()?, change: fields.u32()? },
            log_start: Offset(fields.i64()?),
        },
        4 => Record::Closed {
            partition: get_partition(fields)?,
            base: Offset(fields.i64()?),
            end: SegmentEnd { next_offset: Offset(fields.i64()?), bytes: fields.u64()? },
            max_timestamp: Timestamp(fields.i64()?),
        },
        5 => Record::Synced(get_synced(fields, |_| Some(0))?),
        6 => {
            let partition = get_partition(fields)?;
            Record::LogStart { partition, offset: Offset(fields.i64()?) }
        }
        7 => Record::Removed(get_partition(fields)?),
        8 => Record::Lost(get_partition(fields)?),
        9 => {
            let slot = fields.array().map(u16::from_le_bytes)?;
            Record::Journal { slot, bytes: fields.u64()? }
        }
        10 => Record::Durable(Seq(fields.u64()?)),
        11 => {
            let partition = get_partition(fields)?;
            let file = RescueFile { partition, start: fields.u32()? };
            Record::Rescue { file, bytes: fields.u64()? }
        }

        12 => Record::Synced(get_synced(fields, Fields::u64)?),
        _ => return None,
    })
}

fn put_partition(out: &mut BytesMut, kind: u8, partition: TopicPartition) {
    out.put_u8(kind);
    out.put_slice(&partition.topic.0);
    out.put_u32_le(partition.index.0);
}

fn get_partition(fields: &mut Fields<'_>) -> Option<TopicPartition> {
    let topic = TopicId(fields.array()?);
    Some(TopicPartition { topic, index: PartitionIndex(fields.u32()?) })
}

fn put_synced(out: &mut BytesMut, synced: &Synced) {
    put_partition(out, 12, synced.partition);
    out.put_i64_le(synced.place.segment.0);
    out.put_u64_le(synced.place.at);
    out.put_i64_le(synced.boundary.offset.0);
    out.put_i64_le(synced.boundary.place.segment.0);
    out.put_u64_le(synced.boundary.place.at);
    out.put_i64_le(synced.max_timestamp.0);
    out.put_i64_le(synced.first_timestamp.0);
    out.put_u64_le(synced.indexed);
    put_list(out, &synced.points, put_point);
    put_list(out, &synced.epochs, |out, (epoch, offset)| {
        out.put_i32_le(epoch.0);
        out.put_i64_le(offset.0);
    });
    put_string(out, &synced.producers);
}

fn get_synced<'a>(
    fields: &mut Fields<'a>,
    indexed: impl FnOnce(&mut Fields<'a>) -> Option<u64>,
) -> Option<Synced> {
    Some(Synced {
        partition: get_partition(fields)?,
        place: get_place(fields)?,
        boundary: Boundary { offset: Offset(fields.i64()?), place: get_place(fields)? },
        max_timestamp: Timestamp(fields.i64()?),
        first_timestamp: Timestamp(fields.i64()?),
        indexed: indexed(fields)?,
        points: fields.list(get_point)?,
        epochs: fields.list(|f| Some((LeaderEpoch(f.i32()?), Offset(f.i64()?))))?,
        producers: Bytes::copy_from_slice(fields.string()?),
    })
}

fn get_place(fields: &mut Fields<'_>) -> Option<Place> {
    Some(Place { segment: Offset(fields.i64()?), at: fields.u64()? })
}

/// One point: 24 bytes.
pub(crate) fn put_point(out: &mut BytesMut, point: &Point) {
    out.put_i64_le(point.offset.0);
    out.put_u64_le(point.at);
    out.put_i64_le(point.max_before.0);
}

/// The inverse of [`put_point`].
pub(crate) fn get_point(fields: &mut Fields<'_>) -> Option<Point> {
    let offset = Offset(fields.i64()?);
    Some(Point { offset, at: fields.u64()?, max_before: Timestamp(fields.i64()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let partition = TopicPartition { topic: TopicId([3; 16]), index: PartitionIndex(7) };
        let place = Place { segment: Offset(10), at: 4096 };
        vec![
            Record::Header(Header {
                start: 2,
                shard: ShardId(1),
                shards: 3,
                incarnation: Incarnation([5; 16]),
            }),
            Record::Needed(Seq(77)),
            Record::Partition {
                partition,
                version: LogVersion { start: 2, change: 1 },
                log_start: Offset(3),
            },
            Record::Closed {
                partition,
                base: Offset(0),
                end: SegmentEnd { next_offset: Offset(10), bytes: 999 },
                max_timestamp: Timestamp(5),
            },
            Record::Synced(Synced {
                partition,
                place,
                boundary: Boundary { offset: Offset(12), place },
                max_timestamp: Timestamp(6),
                first_timestamp: Timestamp(4),
                indexed: 1 << 20,
                points: vec![Point { offset: Offset(10), at: 0, max_before: Timestamp::NONE }],
                epochs: vec![(LeaderEpoch(2), Offset(10))],
                producers: Bytes::from_static(b"entries"),
            }),
            Record::LogStart { partition, offset: Offset(4) },
            Record::Removed(partition),
            Record::Lost(partition),
            Record::Journal { slot: 3, bytes: 1 << 25 },
            Record::Durable(Seq(78)),
            Record::Rescue { file: RescueFile { partition, start: 2 }, bytes: 8192 },
        ]
    }

    #[test]
    fn records_are_read_back() {
        let records = records();
        let bytes = [encode(&records[..2]), encode(&records[2..])].concat();
        assert_eq!(decode(&bytes), Ok(records));
    }

    #[test]
    fn the_formats_that_are_read() {
        let bytes = encode(&records());
        for (format, readable) in [(0, false), (1, true), (2, true), (3, false)] {
            let mut bytes = bytes.to_vec();
            bytes[9..13].copy_from_slice(&u32::to_le_bytes(format));
            let checksum = crc32c::crc32c(&bytes[8..]);
            bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
            let read = decode(&bytes);
            assert_eq!(read.is_ok(), readable, "format {format}: {read:?}");
        }
    }

    #[test]
    fn progress_of_the_first_format_has_all_points() {
        let mut records = records();
        let mut old = encode(&records).to_vec();
        let Some(Record::Synced(synced)) = records.get_mut(4) else { unreachable!("the fifth") };
        let mut spelled = BytesMut::new();
        put_synced(&mut spelled, synced);
        let at =
            old.windows(spelled.len()).position(|bytes| bytes == spelled).expect("it is there");
        // Its kind, and no word of an index file behind the timestamps.
        old[at] = 5;
        old.drain(at + 77..at + 85);
        old[9..13].copy_from_slice(&1u32.to_le_bytes());
        let length = old.len() - APPEND_HEADER;
        old[0..4].copy_from_slice(&(length as u32).to_le_bytes());
        let checksum = crc32c::crc32c(&old[APPEND_HEADER..]);
        old[4..8].copy_from_slice(&checksum.to_le_bytes());
        synced.indexed = 0;
        assert_eq!(decode(&old), Ok(records));
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        let mut later = encode(&records()[..1]).to_vec();
        later[9..13].copy_from_slice(&(FORMAT + 1).to_le_bytes());
        assert_eq!(decode(&later), Err(Broken::NoHeader), "its checksum is wrong");
        let checksum = crc32c::crc32c(&later[APPEND_HEADER..]);
        later[4..8].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(decode(&later), Err(Broken::Newer { format: FORMAT + 1 }));
    }

    #[test]
    fn a_torn_last_append_is_left_out_and_other_damage_is_refused() {
        let records = records();
        let first = encode(&records[..2]);
        let bytes = [first.clone(), encode(&records[2..])].concat();
        for cut in first.len()..bytes.len() {
            assert_eq!(decode(&bytes[..cut]).as_deref(), Ok(&records[..2]), "cut at {cut}");
        }
        for at in 8..first.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert_eq!(decode(&broken), Err(Broken::Damaged { at: 0 }), "byte {at}");
        }
        assert_eq!(decode(&[]), Err(Broken::NoHeader));
        assert_eq!(decode(&encode(&records[1..])), Err(Broken::NoHeader));
    }
}
