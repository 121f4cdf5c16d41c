//! The header: parsing, splitting, stamping.

use super::super::batch::{Attributes, crc_matches, stamp, stamp_log_append_time, total_len};
use super::*;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

#[test]
fn all_fields_are_where_they_belong() {
    let mut batch = sample(Codec::Zstd);
    let fields: [(usize, &[u8]); 12] = [
        (0, &0x0102_0304_0506_0708i64.to_be_bytes()),
        (12, &7i32.to_be_bytes()),
        (17, &0xdead_beefu32.to_be_bytes()),
        (21, &0x0174i16.to_be_bytes()),
        (23, &9i32.to_be_bytes()),
        (27, &11i64.to_be_bytes()),
        (35, &13i64.to_be_bytes()),
        (43, &15i64.to_be_bytes()),
        (51, &17i16.to_be_bytes()),
        (53, &(i32::MAX - 4).to_be_bytes()),
        (57, &21i32.to_be_bytes()),
        (8, &1000i32.to_be_bytes()),
    ];
    for (at, field) in fields {
        put(&mut batch, at, field);
    }
    let header = header(&batch);
    let expected = BatchHeader {
        base_offset: Offset(0x0102_0304_0506_0708),
        batch_length: 1000,
        leader_epoch: LeaderEpoch(7),
        crc: 0xdead_beef,
        attributes: Attributes(0x0174),
        last_offset_delta: 9,
        base_timestamp: Timestamp(11),
        max_timestamp: Timestamp(13),
        producer_id: ProducerId(15),
        producer_epoch: ProducerEpoch(17),
        base_sequence: Sequence(i32::MAX - 4),
        record_count: 21,
    };
    assert_eq!(header, expected);
    assert_eq!((header.total_len(), total_len(&batch)), (1012, Ok(1012)));
    assert_eq!(header.next_offset(), Offset(0x0102_0304_0506_0708 + 10));
    assert_eq!(header.codec(), Ok(Codec::Zstd));
    assert_eq!(header.timestamp_type(), TimestampType::Create);
    assert!(header.is_transactional() && header.is_control());
    assert_eq!(header.delete_horizon(), Some(Timestamp(11)));
    let producer = header.producer().unwrap();
    assert_eq!((producer.first, producer.last), (Sequence(i32::MAX - 4), Sequence(4)));
}

#[test]
fn hostile_offsets_do_not_overflow() {
    let mut batch = sample(Codec::None);
    put(&mut batch, 0, &i64::MAX.to_be_bytes());
    put(&mut batch, 23, &i32::MAX.to_be_bytes());
    assert_eq!(header(&batch).next_offset(), Offset(i64::MAX));
}

#[test]
fn bytes_that_are_no_batch() {
    let whole = sample(Codec::None);
    let with = |at: usize, field: &[u8]| {
        let mut batch = whole.clone();
        put(&mut batch, at, field);
        batch
    };
    let truncated = |have, need| FrameError::Truncated { have, need };
    let table = [
        (Vec::new(), truncated(0, 61)),
        (whole[..16].to_vec(), truncated(16, 61)),
        (whole[..60].to_vec(), truncated(60, whole.len())),
        (with(16, &[1]), FrameError::Magic(1)),
        (with(16, &[0xff]), FrameError::Magic(-1)),
        (with(8, &48i32.to_be_bytes()), FrameError::Length(48)),
        (with(8, &(-1i32).to_be_bytes()), FrameError::Length(-1)),
    ];
    for (bytes, error) in table {
        assert_eq!(BatchHeader::parse(&bytes), Err(error));
    }
    assert!(BatchHeader::parse(&whole[..61]).is_ok(), "the header is enough");
}

#[test]
fn split_walks_batches_to_the_first_error() {
    let (one, two) = (sample(Codec::None), sample(Codec::Lz4));
    let joined = Bytes::from([one.as_slice(), &two, &one[..70]].concat());
    let parts: Vec<_> = split(&joined).collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[0].as_ref().unwrap().1, one);
    assert_eq!(parts[1], Ok((header(&two), Bytes::from(two))));
    assert_eq!(parts[2], Err(FrameError::Truncated { have: 70, need: one.len() }));
    assert_eq!(split(&Bytes::new()).count(), 0);
}

#[test]
fn the_leaders_stamp_is_outside_the_crc() {
    let before = sample(Codec::Gzip);
    let mut batch = before.clone();
    stamp(&mut batch, Offset(1 << 40), LeaderEpoch(5));
    let after = header(&batch);
    assert_eq!((after.base_offset, after.leader_epoch), (Offset(1 << 40), LeaderEpoch(5)));
    assert!(crc_matches(&after, &batch));
    assert_eq!(batch[16..], before[16..]);
}

#[test]
fn log_append_time_replaces_all_timestamps() {
    let mut batch = sample(Codec::Snappy);
    stamp_log_append_time(&mut batch, Timestamp(99));
    let after = header(&batch);
    assert!(crc_matches(&after, &batch));
    assert_eq!(after.timestamp_type(), TimestampType::LogAppend);
    assert!(contents(&batch).unwrap().iter().all(|record| record.timestamp == 99));
}

#[test]
fn unused_attributes_go_only_when_timestamps_change() {
    let mut batch = sample(Codec::Lz4);
    put(&mut batch, 21, &0x7f9bi16.to_be_bytes());
    put(&mut batch, 35, &99i64.to_be_bytes());
    let before = batch.clone();
    stamp_log_append_time(&mut batch, Timestamp(99));
    assert_eq!(batch, before, "not even the CRC, which is wrong");
    stamp_log_append_time(&mut batch, Timestamp(100));
    assert_eq!(header(&batch).attributes, Attributes(0x1b));
}
