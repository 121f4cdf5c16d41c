//! Randomness that a seed repeats. One stream for each concern, so that one more draw in one of
//! them does not shift the others.

use std::ops::RangeInclusive;

/// A stream of pseudo-random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of a seed for one concern.
    #[must_use]
    pub fn stream(seed: u64, concern: &str) -> Rng {
        let start = mix(seed ^ 0x5851_f42d_4c95_7f2d);
        Rng(concern.bytes().fold(start, |state, byte| mix(state ^ u64::from(byte))))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of the range, each as likely.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A number of the range, each order of magnitude as likely. The range starts above 0.
    pub fn spread(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = (range.start().ilog2(), range.end().ilog2());
        let magnitude = self.within(u64::from(low)..=u64::from(high));
        let number = (1 << magnitude) + self.below(1 << magnitude);
        number.clamp(*range.start(), *range.end())
    }

    /// True once in `odds` times; never when `odds` is 0.
    pub fn one_in(&mut self, odds: u64) -> bool {
        odds > 0 && self.below(odds) == 0
    }

    /// One of the items, of which there is at least one.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// The items in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// 16 random bytes.
    pub fn id(&mut self) -> [u8; 16] {
        let bits = (u128::from(self.bits()) << 64) | u128::from(self.bits());
        bits.to_be_bytes()
    }
}

/// Spreads the difference of one bit over all bits.
#[must_use]
pub fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
