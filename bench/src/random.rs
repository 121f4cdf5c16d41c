//! Numbers that look random and are the same ones in every run.

/// The next number of a generator with this state, which is not 0 (xorshift64).
pub(crate) fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
