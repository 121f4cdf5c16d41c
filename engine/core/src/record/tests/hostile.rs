//! Bytes that no client should send: never a panic, and nothing accepted that cannot be read.

use proptest::prelude::*;

use super::*;

fn check(bytes: &[u8]) -> Result<Validated, Invalid> {
    validate(bytes, &Rules { max_decompressed: 1 << 20, ..Rules::default() }, NOW)
}

/// Whatever is accepted must be readable to the last record.
fn accepted_is_readable(batch: &[u8]) {
    let Ok(validated) = check(batch) else { return };
    let read = contents(&batch[..validated.total_len()]).unwrap();
    assert_eq!(read.len(), validated.record_count() as usize);
    let latest = read.iter().map(|record| record.timestamp).max().unwrap_or(-1);
    assert_eq!(validated.max_timestamp.0, latest.max(-1));
}

#[test]
fn any_change_under_the_crc_is_noticed() {
    for codec in Codec::ALL {
        let batch = sample(codec);
        for at in 0..batch.len() {
            for bit in 0..8 {
                let mut batch = batch.clone();
                batch[at] ^= 1 << bit;
                // The leader epoch is the one field that means nothing in a request.
                assert_eq!(check(&batch).is_ok(), (12..16).contains(&at), "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn no_prefix_is_a_batch() {
    for codec in Codec::ALL {
        let batch = sample(codec);
        for len in 0..batch.len() {
            assert!(check(&batch[..len]).is_err());
            let mut cut = batch[..len].to_vec();
            if len >= HEADER_LEN {
                put(&mut cut, 8, &(len as i32 - 12).to_be_bytes());
                assert!(check(&seal(cut)).is_err(), "{codec:?} {len}");
            }
        }
    }
}

#[test]
fn every_byte_changed_with_the_crc_made_right() {
    for codec in Codec::ALL {
        let batch = sample(codec);
        for at in 12..batch.len() {
            for value in [0, 1, 2, 0x7f, 0x80, 0xff, batch[at] ^ 1, batch[at] ^ 0x80] {
                let mut batch = batch.clone();
                batch[at] = value;
                accepted_is_readable(&seal(batch));
            }
        }
    }
}

fn codec() -> impl Strategy<Value = Codec> {
    proptest::sample::select(Codec::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn splices(
        into in codec(),
        from in codec(),
        cut in (0usize..500, 0usize..500, 0usize..500),
        mend_length: bool,
    ) {
        let (into, from) = (sample(into), sample(from));
        let at = cut.0.min(into.len());
        let start = cut.1.min(from.len());
        let end = cut.2.clamp(start, from.len().max(start));
        let mut batch = [&into[..at], &from[start..end], &into[at..]].concat();
        if mend_length {
            let length = batch.len() as i32 - 12;
            put(&mut batch, 8, &length.to_be_bytes());
        }
        accepted_is_readable(&seal(batch));
    }

    #[test]
    fn random_payloads(
        codec in codec(),
        count in 1i32..4,
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        accepted_is_readable(&raw(codec, count, &payload));
    }

    #[test]
    fn random_records_compressed(
        codec in codec(),
        count in 1i32..4,
        records in proptest::collection::vec(0u8..20, 0..60),
    ) {
        let mut payload = Vec::new();
        compress::compress(codec, &records, &mut payload).unwrap();
        accepted_is_readable(&raw(codec, count, &payload));
    }

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(check(&bytes).is_err());
        let _ = BatchHeader::parse(&bytes);
        prop_assert!(split(&bytes.into()).count() <= 4);
    }
}
