//! A fetch response around records that are not in memory.

use bytes::Bytes;
use corelog_wire::api::Message;
use corelog_wire::header::encode_response;
use corelog_wire::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use corelog_wire::records::Records;
use corelog_wire::writer::{COPY_BELOW, Frame, Piece};

fn response(records: Vec<Option<Records>>) -> FetchResponse {
    let partitions = (0..)
        .zip(records)
        .map(|(partition_index, records)| PartitionData {
            partition_index,
            records,
            ..Default::default()
        })
        .collect();
    let topic = FetchableTopicResponse { partitions, ..Default::default() };
    FetchResponse { responses: vec![topic], ..Default::default() }
}

/// What a socket would see, holes filled by the given runs of bytes.
fn sent(frame: Frame, runs: &[Bytes]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in frame.into_pieces() {
        match piece {
            Piece::Bytes(run) => bytes.extend_from_slice(&run),
            Piece::Hole { id, len } => {
                let run = &runs[id as usize];
                assert_eq!(run.len(), len as usize);
                bytes.extend_from_slice(run);
            }
        }
    }
    bytes
}

#[test]
fn filled_holes_make_the_frame_that_bytes_make() {
    let runs: Vec<Bytes> = [0, 1, 126, 127, COPY_BELOW, 16383, 70_000]
        .iter()
        .zip(b'a'..)
        .map(|(&len, byte)| Bytes::from(vec![byte; len]))
        .collect();
    let hole = |(id, run): (u32, &Bytes)| Some(Records::Hole { id, len: run.len() as u32 });
    let mut holes: Vec<_> = (0..).zip(&runs).map(hole).collect();
    let mut bytes: Vec<_> = runs.iter().map(|run| Some(Records::Bytes(run.clone()))).collect();
    holes.insert(2, None);
    bytes.insert(2, None);

    for version in FetchResponse::SERVED.min..=FetchResponse::SERVED.max {
        let with_holes = encode_response(version, 1, &response(holes.clone())).unwrap();
        let with_bytes = encode_response(version, 1, &response(bytes.clone())).unwrap();
        let (with_holes, with_bytes) = (sent(with_holes, &runs), sent(with_bytes, &[]));
        assert_eq!(with_holes, with_bytes, "version {version}");
        let size = u32::from_be_bytes(*with_bytes.first_chunk().unwrap());
        assert_eq!(size as usize + 4, with_bytes.len());
    }
}

#[test]
fn large_records_are_sent_from_where_they_lie() {
    let records = Bytes::from(vec![b'r'; COPY_BELOW]);
    let body = response(vec![Some(Records::Bytes(records.clone()))]);
    let frame = encode_response(18, 1, &body).unwrap();
    let pieces: Vec<_> = frame.into_pieces().collect();
    let [Piece::Bytes(_), Piece::Bytes(sent), Piece::Bytes(_)] = &pieces[..] else {
        panic!("{pieces:?}");
    };
    assert_eq!(sent.as_ptr(), records.as_ptr());
}
