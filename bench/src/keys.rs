//! Keys of records, and the partition that Kafka's producers send each of them to.

use std::collections::BTreeMap;

use corelog_wire::keys::partition_of;

/// The keys that fall on each of so many partitions, of `keys` keys that are all of one length.
/// A partition that no key falls on is not there.
pub(crate) fn by_partition(keys: u32, partitions: u32) -> BTreeMap<i32, Vec<Vec<u8>>> {
    let mut found: BTreeMap<i32, Vec<Vec<u8>>> = BTreeMap::new();
    for number in 0..keys {
        let key = format!("key-{number:010}").into_bytes();
        found.entry(partition_of(&key, partitions.cast_signed())).or_default().push(key);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_on_one_partition() {
        let found = by_partition(10_000, 100);
        assert_eq!(found.len(), 100);
        assert_eq!(found.values().map(Vec::len).sum::<usize>(), 10_000);
        assert!(found.values().all(|keys| (50..200).contains(&keys.len())));
        assert!(by_partition(3, 1000).len() <= 3);
    }
}
