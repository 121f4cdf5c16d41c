//! Which partition a record goes to, as Kafka's Java producer chooses: by the hash of its key, so
//! that all clients agree; without a key one partition for a whole batch, then the next.

/// Chooses among the partitions of one topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partitioner {
    partitions: i32,
    /// Where records without a key go.
    sticky: i32,
}

impl Partitioner {
    /// Among `partitions`, which is positive; records without a key begin anywhere.
    pub(super) fn new(partitions: i32, start: u64) -> Partitioner {
        let sticky = start % u64::from(partitions.unsigned_abs());
        Partitioner { partitions, sticky: i32::try_from(sticky).unwrap_or(0) }
    }

    /// The partition of a record.
    pub(super) fn partition(&self, key: Option<&[u8]>) -> i32 {
        match key {
            Some(key) => (murmur2(key) & i32::MAX) % self.partitions,
            None => self.sticky,
        }
    }

    /// A batch was sent: the next one goes elsewhere.
    pub(super) fn next_batch(&mut self) {
        self.sticky = (self.sticky + 1) % self.partitions;
    }
}

/// MurmurHash2 with Kafka's seed, over little-endian words.
fn murmur2(bytes: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const MIX: u32 = 0x5bd1_e995;
    let (words, tail) = bytes.as_chunks::<4>();
    let mut hash = SEED ^ bytes.len() as u32;
    for word in words {
        let word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        let word = (word ^ word >> 24).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ word;
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| rest << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(MIX);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(MIX);
    (hash ^ hash >> 15).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that Kafka's own tests list.
    #[test]
    fn hashes_are_kafkas() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn keys_choose_their_partition_and_others_go_round() {
        let mut partitioner = Partitioner::new(3, 8);
        let foobar = (-790_332_482 & i32::MAX) % 3;
        let mut chosen = Vec::new();
        for _ in 0..4 {
            assert_eq!(partitioner.partition(Some(b"foobar")), foobar);
            chosen.push(partitioner.partition(None));
            partitioner.next_batch();
        }
        assert_eq!(chosen, [2, 0, 1, 2]);
    }
}
