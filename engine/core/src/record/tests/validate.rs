//! What is accepted of a client, and why the rest is not.

use super::super::batch::crc_matches;
use super::super::compress::{DecompressError, UnknownCodec};
use super::super::validate::{BrokenRule, HeaderFault, MAX_REJECTIONS, Rejection};
use super::*;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

fn check(bytes: &[u8]) -> Result<Validated, Invalid> {
    validate(bytes, &Rules::default(), NOW)
}

/// The sample, changed at `at`, with a CRC that covers the change.
fn changed(at: usize, field: &[u8]) -> Vec<u8> {
    let mut batch = sample(Codec::None);
    put(&mut batch, at, field);
    seal(batch)
}

#[test]
fn the_facts_of_a_valid_batch() {
    for codec in Codec::ALL {
        let batch = sample(codec);
        let validated = check(&batch).unwrap();
        let expected = Validated {
            header: header(&batch),
            codec,
            timestamps: TimestampType::Create,
            max_timestamp: Timestamp(NOW.0 + 2),
        };
        assert_eq!(validated, expected);
        assert_eq!((validated.total_len(), validated.record_count()), (batch.len(), 3));
    }
}

#[test]
fn framing() {
    let batch = sample(Codec::None);
    let with_magic = |magic: u8| {
        let mut batch = batch.clone();
        batch[16] = magic;
        batch
    };
    let with_length = |length: i32| {
        let mut batch = batch.clone();
        put(&mut batch, 8, &length.to_be_bytes());
        batch
    };
    let old = |length: i32| {
        let mut batch = with_length(length);
        batch[16] = 0;
        batch
    };
    let length = batch.len() as i32 - 12;
    let table = [
        (Vec::new(), Invalid::NoBatch),
        (batch[..11].to_vec(), Invalid::NoBatch),
        (batch[..16].to_vec(), Invalid::NoBatch),
        (batch[..batch.len() - 1].to_vec(), Invalid::NoBatch),
        (with_length(length + 1), Invalid::NoBatch),
        (with_length(13), Invalid::Frame(FrameError::Length(13))),
        (with_length(-1), Invalid::Frame(FrameError::Length(-1))),
        (with_length(48), Invalid::Frame(FrameError::Length(48))),
        (with_magic(0), Invalid::OldFormat(0)),
        (old(13), Invalid::Frame(FrameError::Length(13))),
        (old(14), Invalid::OldFormat(0)),
        (with_magic(1), Invalid::OldFormat(1)),
        (with_magic(3), Invalid::Frame(FrameError::Magic(3))),
        (with_magic(0xff), Invalid::Frame(FrameError::Magic(-1))),
        ([batch.clone(), batch.clone()].concat(), Invalid::SeveralBatches),
        ([batch.clone(), with_magic(0)].concat(), Invalid::SeveralBatches),
        ([batch.clone(), with_magic(9)].concat(), Invalid::Frame(FrameError::Magic(9))),
    ];
    for (bytes, cause) in table {
        assert_eq!(check(&bytes), Err(cause));
    }
    for rest in [1, 11, 16, 61, batch.len() - 1] {
        let validated = check(&[&batch, &batch[..rest]].concat());
        assert_eq!(validated.unwrap().total_len(), batch.len(), "half a batch more is ignored");
    }
}

#[test]
fn header_fields() {
    let mismatch = |count, last_offset_delta| {
        Invalid::Header(HeaderFault::CountMismatch { count, last_offset_delta })
    };
    let producer = |epoch: i16, sequence: i32| {
        let mut fields = 5i64.to_be_bytes().to_vec();
        fields.extend_from_slice(&epoch.to_be_bytes());
        fields.extend_from_slice(&sequence.to_be_bytes());
        changed(43, &fields)
    };
    let table = [
        (changed(0, &1i64.to_be_bytes()), Some(Invalid::BaseOffset(Offset(1)))),
        (changed(12, &77i32.to_be_bytes()), None),
        (changed(21, &5i16.to_be_bytes()), Some(Invalid::UnknownCodec(UnknownCodec(5)))),
        (changed(21, &0x10i16.to_be_bytes()), None),
        (changed(21, &0x20i16.to_be_bytes()), Some(Invalid::Header(HeaderFault::Control))),
        (changed(21, &0x7f80i16.to_be_bytes()), None),
        (changed(23, &(-1i32).to_be_bytes()), Some(Invalid::Header(HeaderFault::OffsetRange(-1)))),
        (changed(23, &3i32.to_be_bytes()), Some(mismatch(3, 3))),
        (changed(57, &2i32.to_be_bytes()), Some(mismatch(2, 2))),
        (changed(57, &0i32.to_be_bytes()), Some(Invalid::Header(HeaderFault::Count(0)))),
        (changed(57, &i32::MIN.to_be_bytes()), Some(Invalid::Header(HeaderFault::Count(i32::MIN)))),
        (producer(0, 0), None),
        (producer(-1, 7), None),
        (producer(0, -1), Some(Invalid::Header(HeaderFault::Sequence(-1)))),
    ];
    for (batch, cause) in table {
        assert_eq!(check(&batch).err(), cause);
    }
}

#[test]
fn size_is_checked_before_the_crc() {
    let mut batch = sample(Codec::Gzip);
    let size = batch.len();
    let rules = |max_batch_bytes| Rules { max_batch_bytes, ..Rules::default() };
    assert!(validate(&batch, &rules(size), NOW).is_ok());
    let too_large = Err(Invalid::TooLarge { size, max: size - 1 });
    assert_eq!(validate(&batch, &rules(size - 1), NOW), too_large);
    batch[100] ^= 1;
    assert_eq!(validate(&batch, &rules(size - 1), NOW), too_large);
    assert!(matches!(validate(&batch, &rules(size), NOW), Err(Invalid::Crc { .. })));
}

#[test]
fn zstd_is_only_for_clients_that_know_it() {
    let rules = Rules { zstd_allowed: false, ..Rules::default() };
    for codec in Codec::ALL {
        let refused = (codec == Codec::Zstd).then_some(Invalid::ZstdNotAllowed);
        assert_eq!(validate(&sample(codec), &rules, NOW).err(), refused);
    }
}

#[test]
fn record_structure() {
    let good = [0x0c, 0, 0, 0, 1, 1, 0];
    let fault = |index, fault| Some(RecordsError::Record { index, fault });
    let table: [(&str, i32, &[u8], Option<RecordsError>); 16] = [
        ("one record", 1, &good, None),
        ("length spelled long", 1, &[0x8c, 0, 0, 0, 0, 1, 1, 0], None),
        ("empty key and value", 1, &[0x0c, 0, 0, 0, 0, 0, 0], None),
        ("null by any negative length", 1, &[0x0c, 0, 0, 0, 9, 9, 0], None),
        ("nothing", 1, &[], fault(0, RecordFault::Truncated)),
        ("one of two", 2, &good, fault(1, RecordFault::Truncated)),
        ("bytes left", 1, &[0x0c, 0, 0, 0, 1, 1, 0, 0], Some(RecordsError::Trailing)),
        ("length too small", 1, &[0x0a, 0, 0, 0, 1, 1, 0], fault(0, RecordFault::Truncated)),
        ("length too large", 1, &[0x0e, 0, 0, 0, 1, 1, 0, 0], fault(0, RecordFault::Length)),
        ("length past the end", 1, &[0x10, 0, 0, 0, 1, 4, 9], fault(0, RecordFault::Truncated)),
        ("negative length", 1, &[0x0b, 0, 0, 0, 1, 1, 0], fault(0, RecordFault::Length)),
        ("endless length", 1, &[0x80; 6], fault(0, RecordFault::Varint)),
        ("key past the end", 1, &[0x0c, 0, 0, 0, 6, 1, 0], fault(0, RecordFault::Truncated)),
        ("negative header count", 1, &[0x0c, 0, 0, 0, 1, 1, 1], fault(0, RecordFault::HeaderCount)),
        ("nameless header", 1, &[0x10, 0, 0, 0, 1, 1, 2, 1, 1], fault(0, RecordFault::HeaderName)),
        ("offset of another", 1, &[0x0c, 0, 0, 2, 1, 1, 0], fault(0, RecordFault::OffsetDelta)),
    ];
    for codec in Codec::ALL {
        for (name, count, records, error) in &table {
            let mut payload = Vec::new();
            compress::compress(codec, records, &mut payload).unwrap();
            let refused = check(&raw(codec, *count, &payload)).err();
            assert_eq!(refused, error.clone().map(Invalid::Records), "{name}, {codec:?}");
        }
    }
}

#[test]
fn a_header_count_the_record_has_no_bytes_for_is_refused_at_once() {
    let record = [0x14, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f];
    let fault = RecordsError::Record { index: 0, fault: RecordFault::HeaderCount };
    assert_eq!(check(&raw(Codec::None, 1, &record)), Err(Invalid::Records(fault)));
}

#[test]
fn damaged_compression_is_told_from_damaged_records() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let refused = check(&raw(codec, 3, &[0x42; 50]));
        let is_corrupt = matches!(
            refused,
            Err(Invalid::Records(RecordsError::Decompress(DecompressError::Corrupt { .. })))
        );
        assert!(is_corrupt, "{codec:?}: {refused:?}");
    }
}

#[test]
fn a_bomb_is_given_up_at_the_limit() {
    let rules = Rules { max_decompressed: 100_000, ..Rules::default() };
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        for (len, bomb) in [(90_000, false), (10_000_000, true)] {
            let mut builder = BatchBuilder::new(codec);
            builder.append(record(0, None, &vec![0; len]));
            let batch = builder.build().unwrap();
            let limit = DecompressError::TooLarge { limit: 100_000 };
            let refused = bomb.then_some(Invalid::Records(RecordsError::Decompress(limit)));
            assert_eq!(validate(&batch, &rules, NOW).err(), refused, "{codec:?} {len}");
        }
    }
}

#[test]
fn timestamps_near_the_clock() {
    let limits = |before_max_ms, after_max_ms| Rules {
        timestamps: TimestampRule::Create { before_max_ms, after_max_ms },
        ..Rules::default()
    };
    let table: [(Rules, &[i64], &[u32]); 6] = [
        (Rules::default(), &[-NOW.0, 0, 3_600_000], &[]),
        (Rules::default(), &[3_600_001, 0, 3_600_002], &[0, 2]),
        (limits(1000, 500), &[-1000, 500], &[]),
        (limits(1000, 500), &[-1001, 500, 501], &[0, 2]),
        (limits(1000, 500), &[-NOW.0 - 1], &[]),
        (limits(i64::MAX, i64::MAX), &[i64::MAX - NOW.0, -NOW.0 - 2], &[]),
    ];
    for codec in [Codec::None, Codec::Gzip] {
        for (rules, times, indexes) in &table {
            let rejected = match validate(&at_times(codec, times), rules, NOW) {
                Ok(_) => Vec::new(),
                Err(Invalid::RejectedTimestamp(records)) => records,
                Err(other) => panic!("{other}"),
            };
            let found: Vec<u32> = rejected.iter().map(|record| record.index).collect();
            assert_eq!(&found, indexes, "{times:?}");
        }
    }
    let rejected = validate(&at_times(Codec::None, &[-1001]), &limits(1000, 500), NOW);
    let rule = BrokenRule::Timestamp {
        timestamp: Timestamp(NOW.0 - 1001),
        earliest: Timestamp(NOW.0 - 1000),
        latest: Timestamp(NOW.0 + 500),
    };
    assert_eq!(rejected, Err(Invalid::RejectedTimestamp(vec![Rejection { index: 0, rule }])));
}

#[test]
fn compacted_topics_need_keys() {
    let rules = Rules { compacted: true, ..Rules::default() };
    let late = 3_600_001;
    let null_key = |index| Rejection { index, rule: BrokenRule::NullKey };
    for codec in [Codec::None, Codec::Zstd] {
        let mut builder = BatchBuilder::new(codec);
        builder.append(record(0, Some(b""), b"empty is not null"));
        builder.append(record(late, None, b"the key is looked at first"));
        builder.append(record(0, None, b"v"));
        let batch = builder.build().unwrap();
        let rejected = validate(&batch, &rules, NOW);
        assert_eq!(rejected, Err(Invalid::Rejected(vec![null_key(1), null_key(2)])));

        let mut builder = BatchBuilder::new(codec);
        builder.append(record(0, None, b"v")).append(record(late, Some(b"k"), b"v"));
        match validate(&builder.build().unwrap(), &rules, NOW) {
            Err(Invalid::RejectedTimestamp(records)) => {
                assert_eq!(records[0], null_key(0));
                assert_eq!(records.len(), 2, "one timestamp makes it a matter of timestamps");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_list_of_rejected_records_is_bounded() {
    let rules = Rules { compacted: true, ..Rules::default() };
    let mut builder = BatchBuilder::new(Codec::None);
    for _ in 0..MAX_REJECTIONS + 5 {
        builder.append(record(0, None, b""));
    }
    match validate(&builder.build().unwrap(), &rules, NOW) {
        Err(Invalid::Rejected(records)) => assert_eq!(records.len(), MAX_REJECTIONS),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_producer_may_not_claim_log_append_time() {
    let log_append = Rules { timestamps: TimestampRule::LogAppend, ..Rules::default() };
    let mut batch = at_times(Codec::None, &[0, 0]);
    put(&mut batch, 21, &8i16.to_be_bytes());
    let batch = seal(batch);
    let claimed = |index| Rejection { index, rule: BrokenRule::TimestampType };
    let refused = Err(Invalid::RejectedTimestamp(vec![claimed(0), claimed(1)]));
    assert_eq!(validate(&batch, &log_append, NOW), refused);

    // Kafka takes it where producers set timestamps, and stores their own type.
    let validated = check(&batch).unwrap();
    let mut stored = batch;
    let header = validated.stamp(&mut stored, Offset(4), LeaderEpoch(1));
    assert_eq!(header.timestamp_type(), TimestampType::Create);

    let mut batch = at_times(Codec::None, &[0, 0]);
    put(&mut batch, 21, &8i16.to_be_bytes());
    put(&mut batch, 35, &(-1i64).to_be_bytes());
    assert_eq!(check(&seal(batch)), refused, "unless there is no timestamp to look at");
}

#[test]
fn the_stamp_corrects_what_the_producer_got_wrong() {
    for codec in Codec::ALL {
        let mut batch = at_times(codec, &[0, 50, 20]);
        put(&mut batch, 35, &(NOW.0 + 20).to_be_bytes());
        let mut batch = seal(batch);
        let validated = check(&batch).unwrap();
        assert_eq!(validated.max_timestamp, Timestamp(NOW.0 + 50));
        let stored = validated.stamp(&mut batch, Offset(100), LeaderEpoch(2));
        assert_eq!(stored, header(&batch));
        assert!(crc_matches(&stored, &batch));
        assert_eq!(stored.max_timestamp, Timestamp(NOW.0 + 50));
        assert_eq!((stored.base_offset, stored.leader_epoch), (Offset(100), LeaderEpoch(2)));
    }
}

#[test]
fn log_append_time_is_that_of_the_broker() {
    let rules = Rules { timestamps: TimestampRule::LogAppend, ..Rules::default() };
    for codec in Codec::ALL {
        let mut batch = at_times(codec, &[-5, i64::MAX - NOW.0]);
        let validated = validate(&batch, &rules, NOW).unwrap();
        let stored = validated.stamp(&mut batch, Offset(0), LeaderEpoch(0));
        assert!(crc_matches(&stored, &batch));
        assert!(contents(&batch).unwrap().iter().all(|record| record.timestamp == NOW.0));
    }
}

#[test]
fn producer_fields_are_told() {
    let mut builder = BatchBuilder::new(Codec::None).producer(
        ProducerId(9),
        ProducerEpoch(2),
        Sequence(i32::MAX),
    );
    builder.append(record(0, None, b"")).append(record(0, None, b""));
    let validated = check(&builder.build().unwrap()).unwrap();
    let producer = ProducerFields {
        id: ProducerId(9),
        epoch: ProducerEpoch(2),
        first: Sequence(i32::MAX),
        last: Sequence(0),
    };
    assert_eq!(validated.header.producer(), Some(producer));
}
