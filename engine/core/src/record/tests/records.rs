//! Reading and searching records.

use super::super::batch::stamp_log_append_time;
use super::super::records::{first_at_or_after, offset_of_max_timestamp};
use super::*;
use crate::id::Offset;

#[test]
fn headers_and_nulls() {
    for codec in Codec::ALL {
        let read = contents(&sample(codec)).unwrap();
        assert_eq!(read[0].key, Some("a".into()));
        assert_eq!((&read[2].value, read[2].offset), (&None, 2));
        let headers: Vec<(Bytes, Option<Bytes>)> =
            vec![("h".into(), Some("x".into())), ("n".into(), None), ("".into(), Some("".into()))];
        assert_eq!(read[2].headers, headers);
    }
}

#[test]
fn search_by_time_goes_by_offset_not_by_time() {
    type Found = Option<(i64, i64)>;
    let table: [(&[i64], i64, i64, Found); 8] = [
        (&[0, 10, 20], -5, 0, Some((0, 0))),
        (&[0, 10, 20], 10, 0, Some((1, 10))),
        (&[0, 10, 20], 11, 0, Some((2, 20))),
        (&[0, 10, 20], 21, 0, None),
        (&[0, 30, 10, 20], 11, 0, Some((1, 30))),
        (&[0, 30, 10, 20], 11, 2, Some((3, 20))),
        (&[0, 30, 10, 20], 25, 2, None),
        (&[5, 5, 5], 5, 0, Some((0, 5))),
    ];
    for codec in Codec::ALL {
        for (times, target, from, found) in table {
            let batch = at_times(codec, times);
            let target = Timestamp(NOW.0 + target);
            let answer = first_at_or_after(&header(&batch), &batch, target, Offset(from));
            let found = found.map(|(offset, time)| (Offset(offset), Timestamp(NOW.0 + time)));
            assert_eq!(answer, Ok(found), "{times:?} {target:?} {from}");
        }
    }
}

#[test]
fn the_first_of_the_latest_records() {
    for (times, offset) in [(&[0, 9, 3, 9][..], 1), (&[4], 0), (&[1, 2, 3], 2)] {
        let mut batch = at_times(Codec::Lz4, times);
        let found = offset_of_max_timestamp(&header(&batch), &batch);
        assert_eq!(found, Ok(Some(Offset(offset))));
        stamp_log_append_time(&mut batch, NOW);
        let found = offset_of_max_timestamp(&header(&batch), &batch);
        assert_eq!(found, Ok(Some(Offset(0))), "all have the time of the append");
    }
    let mut batch = at_times(Codec::None, &[1]);
    put(&mut batch, 35, &i64::MAX.to_be_bytes());
    assert_eq!(offset_of_max_timestamp(&header(&batch), &batch), Ok(None));
}

#[test]
fn a_batch_that_the_cleaner_emptied_has_no_records() {
    for codec in Codec::ALL {
        let mut batch = raw(codec, 3, &[]);
        put(&mut batch, 57, &0i32.to_be_bytes());
        assert_eq!(contents(&batch), Ok(Vec::new()));
        assert_eq!(offset_of_max_timestamp(&header(&batch), &batch), Ok(None));
    }
}

#[test]
fn reading_ends_with_the_first_error() {
    let record = [0x0c, 0, 0, 0, 1, 1, 0];
    let broken = [0x0c, 0, 0, 2, 1, 1, 2];
    let payload = [record, broken, record].concat();
    let batch = raw(Codec::None, 3, &payload);
    let records = Records::open(&header(&batch), &batch, 0).unwrap();
    let read: Vec<_> = records.iter().map(|record| record.map(|record| record.offset)).collect();
    let fault = RecordsError::Record { index: 1, fault: RecordFault::HeaderCount };
    assert_eq!(read, [Ok(Offset(0)), Err(fault)]);

    let batch = raw(Codec::None, 1, &[record, record].concat());
    let records = Records::open(&header(&batch), &batch, 0).unwrap();
    let read: Vec<_> = records.iter().map(|record| record.map(|record| record.offset)).collect();
    assert_eq!(read, [Ok(Offset(0)), Err(RecordsError::Trailing)]);
}

#[test]
fn decompression_has_a_limit() {
    let batch = sample(Codec::Zstd);
    let whole = Records::open(&header(&batch), &batch, 300).map(|records| records.iter().count());
    assert_eq!(whole, Ok(3));
    let error = Records::open(&header(&batch), &batch, 100).unwrap_err();
    let too_large = compress::DecompressError::TooLarge { limit: 100 };
    assert_eq!(error, RecordsError::Decompress(too_large));
}
