//! Batches made here.

use proptest::prelude::*;

use super::super::batch::crc_matches;
use super::clients::{self, CLIENTS};
use super::*;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

#[test]
fn the_same_records_make_the_same_bytes_as_in_java() {
    let mut builder =
        BatchBuilder::new(Codec::None).producer(ProducerId(4711), ProducerEpoch(0), Sequence(0));
    let values: Vec<String> = (0..3).map(|i| format!("value-{i} ").repeat(40)).collect();
    for (i, key) in [Some(&b"k0"[..]), None, Some(b"k2")].into_iter().enumerate() {
        let headers: &[(&str, Option<&[u8]>)] = if i == 2 { &[("h", Some(b"x"))] } else { &[] };
        builder.append(NewRecord { headers, ..record(i as i64, key, values[i].as_bytes()) });
    }
    assert_eq!(builder.count(), 3);
    let len = builder.uncompressed_len();
    let built = builder.build().unwrap();
    assert_eq!(built.len(), len);
    assert_eq!(built, clients::batch(CLIENTS, "java", Codec::None, "small"));
}

#[test]
fn flags_and_placement() {
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(codec)
            .base_offset(Offset(10))
            .leader_epoch(LeaderEpoch(3))
            .transactional()
            .control();
        builder.append(record(5, None, b"v")).append(record(-5, None, b"w"));
        let batch = builder.build().unwrap();
        let header = header(&batch);
        assert!(header.is_transactional() && header.is_control() && crc_matches(&header, &batch));
        assert_eq!((header.base_offset, header.next_offset()), (Offset(10), Offset(12)));
        assert_eq!((header.leader_epoch, header.codec()), (LeaderEpoch(3), Ok(codec)));
        assert_eq!(header.max_timestamp.0 - header.base_timestamp.0, 0);
        assert_eq!(header.producer(), None);
        assert_eq!(contents(&batch).unwrap()[1].timestamp, NOW.0 - 5);
    }
}

#[test]
fn nothing_appended_makes_no_bytes() {
    assert_eq!(BatchBuilder::new(Codec::Zstd).build(), Ok(Bytes::new()));
}

type AnyRecord = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn any_record() -> impl Strategy<Value = AnyRecord> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
    let header = (".{0,5}", bytes());
    (any::<i64>(), bytes(), bytes(), proptest::collection::vec(header, 0..3))
}

proptest! {
    #[test]
    fn what_is_built_is_read(
        records in proptest::collection::vec(any_record(), 1..20),
        codec in proptest::sample::select(Codec::ALL.to_vec()),
    ) {
        let mut builder = BatchBuilder::new(codec);
        for (timestamp, key, value, headers) in &records {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            builder.append(NewRecord {
                timestamp: Timestamp(*timestamp),
                key: key.as_deref(),
                value: value.as_deref(),
                headers: &headers,
            });
        }
        let batch = builder.build().unwrap();
        let expected: Vec<Content> = (0..).zip(records).map(|(offset, record)| Content {
            offset,
            timestamp: record.0,
            key: record.1.map(Bytes::from),
            value: record.2.map(Bytes::from),
            headers: record.3.into_iter().map(|(k, v)| (k.into(), v.map(Bytes::from))).collect(),
        }).collect();
        prop_assert_eq!(contents(&batch).unwrap(), expected);
    }
}
