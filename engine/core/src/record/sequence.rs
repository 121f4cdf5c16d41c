//! An idempotent producer's count of its records, which wraps from `i32::MAX` to 0.

/// The place of a record among those its producer sent to one partition. Never negative in a batch
/// that has a producer; [`Sequence::NONE`] in one that has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sequence(pub i32);

impl Sequence {
    /// Kafka's `RecordBatch.NO_SEQUENCE`.
    pub const NONE: Sequence = Sequence(-1);

    /// The sequence `count` records later. Wraps to 0 after `i32::MAX`.
    #[must_use]
    pub fn plus(self, count: i32) -> Sequence {
        Sequence(wrap(i64::from(self.0) + i64::from(count)))
    }

    /// The sequence `count` records earlier: the inverse of [`Sequence::plus`].
    #[must_use]
    pub fn minus(self, count: i32) -> Sequence {
        Sequence(wrap(i64::from(self.0) - i64::from(count)))
    }
}

/// Modulo 2^31: the non-negative half of `i32`.
fn wrap(sequence: i64) -> i32 {
    (sequence & i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        let table = [
            (0, 0, 0),
            (5, 4, 9),
            (i32::MAX, 1, 0),
            (i32::MAX - 2, 5, 2),
            (i32::MAX, i32::MAX, i32::MAX - 1),
        ];
        for (from, count, to) in table {
            assert_eq!(Sequence(from).plus(count), Sequence(to));
            assert_eq!(Sequence(to).minus(count), Sequence(from));
        }
    }
}
