//! Random values of messages, for tests: the same seed gives the same value.

use crate::api::Message;

/// A stream of pseudo-random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Seed(pub u64);

impl Seed {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below the bound, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound as u64) as usize
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Random bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next_u64() as u8)
    }

    /// Text, mostly short, at times longer than one byte of varint can say.
    pub fn text(&mut self) -> String {
        const LETTERS: [char; 5] = ['a', 'Z', '-', 'é', '界'];
        let len = if self.one_in(8) { 100 + self.below(100) } else { self.below(8) };
        (0..len).map(|_| LETTERS[self.below(LETTERS.len())]).collect()
    }

    /// Bytes, at times more than are copied.
    pub fn bytes(&mut self) -> Vec<u8> {
        let copied = crate::writer::COPY_BELOW;
        let len = if self.one_in(4) { copied + self.below(copied) } else { self.below(64) };
        (0..len).map(|_| self.next_u64() as u8).collect()
    }
}

/// A random message that the version can carry.
pub fn message<M: Message>(seed: &mut Seed, version: i16) -> M {
    M::populate(seed, crate::api::version::<M>(version))
}
