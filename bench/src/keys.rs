//! Keys of records, and the partition that Kafka's producers send each of them to.

use std::collections::BTreeMap;

/// The keys that fall on each of so many partitions, of `keys` keys that are all of one length.
/// A partition that no key falls on is not there.
pub(crate) fn by_partition(keys: u32, partitions: u32) -> BTreeMap<i32, Vec<Vec<u8>>> {
    let mut found: BTreeMap<i32, Vec<Vec<u8>>> = BTreeMap::new();
    for number in 0..keys {
        let key = format!("key-{number:010}").into_bytes();
        found.entry(partition_of(&key, partitions)).or_default().push(key);
    }
    found
}

/// What Kafka's default partitioner does.
fn partition_of(key: &[u8], partitions: u32) -> i32 {
    let positive = murmur2(key) & i32::MAX as u32;
    (positive % partitions.max(1)).cast_signed()
}

/// MurmurHash2 with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let (words, rest) = data.as_chunks::<4>();
    let mut hash = SEED ^ data.len() as u32;
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let rest = rest.iter().rev().fold(0, |rest, byte| rest << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_kafkas_own_tests() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn every_key_is_on_one_partition() {
        let found = by_partition(10_000, 100);
        assert_eq!(found.len(), 100);
        assert_eq!(found.values().map(Vec::len).sum::<usize>(), 10_000);
        assert!(found.values().all(|keys| (50..200).contains(&keys.len())));
        assert!(by_partition(3, 1000).len() <= 3);
    }
}
