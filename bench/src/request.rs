//! Produce requests, encoded once: sending one changes a few bytes of it, at most.

use std::io::IoSlice;
use std::ops::Range;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::ValueEnum;
use corelog_wire::error::EncodeError;
use corelog_wire::header::encode_request;
use corelog_wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use corelog_wire::writer::{Frame, Piece};
use serde::Serialize;

use crate::batch::{Batch, HEADER_LEN, MARK_LEN, Mark, Producer, set_mark, set_sequence};
use crate::client::CLIENT_ID;
use crate::failure::Failure;
use crate::topic::Topic;

const TIMEOUT_MS: i32 = 30_000;
/// In a frame, after size, API and version.
const CORRELATION_ID_AT: Range<usize> = 8..12;
/// The most pieces given to the kernel at once.
pub(crate) const MAX_SLICES: usize = 16;

/// When a broker answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum Acks {
    /// Never
    #[value(name = "0")]
    None,
    /// When the leader has the records
    #[value(name = "1")]
    Leader,
    /// When all replicas in sync have them
    #[value(name = "all", alias = "-1")]
    All,
}

impl Acks {
    fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// What is changed in the batches of a request each time it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stamp {
    Nothing,
    /// Producer and sequences, as an idempotent producer does.
    Sequence(Producer),
    /// When it should have been sent.
    Mark(Marking),
}

/// How a run marks its records: on which clock, in values of how many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marking {
    /// Tells its records from those of other runs.
    pub(crate) run: u64,
    pub(crate) epoch: Instant,
    value_len: usize,
}

impl Marking {
    /// Of a run that begins now.
    ///
    /// # Errors
    /// The mark does not fit into the values.
    pub(crate) fn new(record_size: u64) -> Result<Marking, Failure> {
        let value_len = usize::try_from(record_size).unwrap_or(usize::MAX);
        if value_len < MARK_LEN {
            return Err(Failure::NoRoomForMark(MARK_LEN));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Marking { run: since.as_nanos() as u64, epoch: Instant::now(), value_len })
    }
}

/// A request that only waits to be sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What changes, and what is small.
    head: Vec<u8>,
    /// Batches that never change, and what is between them; shared by all requests.
    rest: Vec<Bytes>,
    /// The batches in `head` that change.
    batches: Vec<Slot>,
    pub(crate) content: Content,
}

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) batches: u64,
    /// Of a batch, on average.
    pub(crate) batch_bytes: u64,
    pub(crate) batch_records: u64,
}

impl Content {
    fn of(parts: &[(i32, &Batch)]) -> Content {
        let batches = parts.len() as u64;
        let bytes: u64 = parts.iter().map(|(_, batch)| batch.bytes.len() as u64).sum();
        let records: u64 = parts.iter().map(|(_, batch)| batch.records).sum();
        let average = |sum: u64| sum / batches.max(1);
        Content { batches, batch_bytes: average(bytes), batch_records: average(records) }
    }
}

#[derive(Debug)]
struct Slot {
    at: Range<usize>,
    records: i64,
    next_sequence: i32,
}

impl Prepared {
    /// These batches for these partitions, in a Produce request of that version.
    ///
    /// # Errors
    /// The version cannot carry it.
    pub(crate) fn new(
        topic: &Topic,
        version: i16,
        acks: Acks,
        parts: &[(i32, &Batch)],
        stamp: Stamp,
    ) -> Result<Prepared, EncodeError> {
        let request = produce_request(topic, acks, parts);
        let frame = encode_request(version, 0, Some(CLIENT_ID), &request)?;
        Ok(match stamp {
            Stamp::Nothing => Prepared::shared(frame, parts),
            Stamp::Sequence(_) | Stamp::Mark(_) => Prepared::owned(frame, parts),
        })
    }

    fn shared(frame: Frame, parts: &[(i32, &Batch)]) -> Prepared {
        let mut pieces = bytes_of(frame);
        let head = pieces.next().map(Vec::from).unwrap_or_default();
        let rest = pieces.collect();
        Prepared { head, rest, batches: Vec::new(), content: Content::of(parts) }
    }

    fn owned(frame: Frame, parts: &[(i32, &Batch)]) -> Prepared {
        let head: Vec<u8> = bytes_of(frame).flatten().collect();
        let mut batches: Vec<Slot> = Vec::new();
        let mut from = 0;
        for (_, batch) in parts {
            let header = &batch.bytes[..HEADER_LEN];
            let found = head[from..].windows(HEADER_LEN).position(|part| part == header);
            let start = from + found.unwrap_or_default();
            from = start + batch.bytes.len();
            let records = i64::try_from(batch.records).unwrap_or_default();
            batches.push(Slot { at: start..from, records, next_sequence: 0 });
        }
        Prepared { head, rest: Vec::new(), batches, content: Content::of(parts) }
    }

    /// Makes it the request of that correlation id, to be sent at `intended`.
    pub(crate) fn stamp(&mut self, id: i32, intended: Instant, stamp: Stamp) {
        self.head[CORRELATION_ID_AT].copy_from_slice(&id.to_be_bytes());
        for slot in &mut self.batches {
            let batch = &mut self.head[slot.at.clone()];
            match stamp {
                Stamp::Nothing => {}
                Stamp::Sequence(producer) => {
                    set_sequence(batch, producer, slot.next_sequence);
                    let next = i64::from(slot.next_sequence) + slot.records;
                    // Sequences wrap to zero.
                    slot.next_sequence = (next & i64::from(i32::MAX)) as i32;
                }
                Stamp::Mark(Marking { run, epoch, value_len }) => {
                    let at_nanos = intended.saturating_duration_since(epoch).as_nanos() as u64;
                    set_mark(batch, value_len, Mark { run, at_nanos });
                }
            }
        }
    }

    /// Bytes of the frame.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }

    /// Points `slices` at what follows the first `skip` bytes, and says how many it took.
    pub(crate) fn slices<'a>(
        &'a self,
        mut skip: usize,
        slices: &mut [IoSlice<'a>; MAX_SLICES],
    ) -> usize {
        let pieces =
            std::iter::once(&self.head[..]).chain(self.rest.iter().map(|piece| &piece[..]));
        let left = pieces.filter_map(|piece| {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            Some(&piece[skipped..]).filter(|left| !left.is_empty())
        });
        slices.iter_mut().zip(left).map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }
}

/// These batches for these partitions.
pub(crate) fn produce_request(
    topic: &Topic,
    acks: Acks,
    parts: &[(i32, &Batch)],
) -> ProduceRequest {
    let partition_data = parts.iter().map(|(index, batch)| PartitionProduceData {
        index: *index,
        records: Some(batch.bytes.clone()),
    });
    let topic = TopicProduceData {
        name: topic.name.clone(),
        topic_id: topic.id,
        partition_data: partition_data.collect(),
    };
    ProduceRequest {
        transactional_id: None,
        acks: acks.code(),
        timeout_ms: TIMEOUT_MS,
        topic_data: vec![topic],
    }
}

fn bytes_of(frame: Frame) -> impl Iterator<Item = Bytes> {
    frame.into_pieces().filter_map(|piece| match piece {
        Piece::Bytes(bytes) => Some(bytes),
        Piece::Hole { .. } => None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::batch::{BatchSpec, Fill};
    use corelog_engine::record::batch::{BatchHeader, crc_matches};
    use corelog_wire::api::{ApiKey, Message};
    use corelog_wire::header::RequestHeader;
    use corelog_wire::reader::Reader;
    use std::time::Duration;

    pub(crate) fn topic() -> Topic {
        Topic::for_tests("topic", 4)
    }

    pub(crate) fn batch(record_size: u64) -> Batch {
        BatchSpec::plain(record_size, Fill::Records(3)).build().expect("a batch")
    }

    fn prepare(version: i16, batch: &Batch, stamp: Stamp) -> Prepared {
        let parts = [2, 0, 3].map(|partition| (partition, batch));
        Prepared::new(&topic(), version, Acks::All, &parts, stamp).expect("a request")
    }

    fn sent(prepared: &Prepared) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let used = prepared.slices(0, &mut slices);
        let bytes: Vec<u8> = slices[..used].iter().flat_map(|slice| slice.to_vec()).collect();
        assert_eq!(bytes.len(), prepared.len());
        bytes
    }

    pub(crate) fn decode(frame: Bytes) -> (RequestHeader, ProduceRequest) {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader).expect("a header");
        assert_eq!(header.api, ApiKey::Produce);
        let request = ProduceRequest::decode(&mut reader, header.version).expect("a request");
        assert_eq!(reader.remaining(), 0);
        (header, request)
    }

    #[test]
    fn a_prepared_request_is_what_the_codec_would_write() {
        let now = Instant::now();
        let stamps = [Stamp::Nothing, Stamp::Sequence(Producer { id: 9, epoch: 1 })];
        for (version, size, stamp) in
            [(3, 10, stamps[0]), (9, 5000, stamps[0]), (13, 5000, stamps[1])]
        {
            let batch = batch(size);
            let mut prepared = prepare(version, &batch, stamp);
            prepared.stamp(-77, now, stamp);
            let bytes = Bytes::from(sent(&prepared));
            assert_eq!(bytes[..4], (bytes.len() as i32 - 4).to_be_bytes());
            let (header, request) = decode(bytes.slice(4..));
            assert_eq!((header.correlation_id, header.version), (-77, version));
            let data = &request.topic_data[0].partition_data;
            assert_eq!(data.iter().map(|data| data.index).collect::<Vec<_>>(), [2, 0, 3]);
            for records in data.iter().map(|data| data.records.as_ref().expect("records")) {
                let header = BatchHeader::parse(records).expect("a batch");
                assert!(crc_matches(&header, records));
                assert_eq!(records[HEADER_LEN..], batch.bytes[HEADER_LEN..]);
            }
        }
    }

    #[test]
    fn sequences_go_on_from_one_sending_to_the_next_and_wrap() {
        let stamp = Stamp::Sequence(Producer { id: 5, epoch: 0 });
        let mut prepared = prepare(9, &batch(100), stamp);
        prepared.batches[1].next_sequence = i32::MAX - 1;
        let mut told = Vec::new();
        for id in 0..3 {
            prepared.stamp(id, Instant::now(), stamp);
            let (_, request) = decode(Bytes::from(sent(&prepared)).slice(4..));
            let data = &request.topic_data[0].partition_data;
            let firsts = data.iter().map(|data| {
                let header = BatchHeader::parse(data.records.as_ref().expect("records"));
                header.expect("a header").base_sequence.0
            });
            told.push(firsts.collect::<Vec<_>>());
        }
        assert_eq!(told, [[0, i32::MAX - 1, 0], [3, 1, 3], [6, 4, 6]]);
    }

    #[test]
    fn a_mark_says_when_the_request_was_due() {
        let epoch = Instant::now();
        let stamp = Stamp::Mark(Marking { run: 3, epoch, value_len: 32 });
        let batch = BatchSpec::plain(32, Fill::Records(1)).build().expect("a batch");
        let mut prepared = prepare(9, &batch, stamp);
        prepared.stamp(0, epoch + Duration::from_nanos(1234), stamp);
        let (_, request) = decode(Bytes::from(sent(&prepared)).slice(4..));
        let records = request.topic_data[0].partition_data[2].records.clone().expect("records");
        let value = &records[records.len() - 33..];
        assert_eq!(Mark::read(value), Some(Mark { run: 3, at_nanos: 1234 }));
    }

    #[test]
    fn sending_goes_on_anywhere() {
        for (size, stamp) in [(10, Stamp::Nothing), (5000, Stamp::Nothing)] {
            let prepared = prepare(9, &batch(size), stamp);
            let whole = sent(&prepared);
            for skip in [0, 1, 12, 100, whole.len() / 2, whole.len() - 1, whole.len()] {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let used = prepared.slices(skip, &mut slices);
                let left: Vec<u8> = slices[..used].iter().flat_map(|s| s.to_vec()).collect();
                assert_eq!(left, whole[skip..], "{skip} of {}", whole.len());
            }
        }
    }
}
