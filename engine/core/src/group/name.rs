//! How groups and what belongs to them are named.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Arc<str>);

        impl $name {
            /// Its characters.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether there are none.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A group's id (`group.id`).
    GroupId
}

name! {
    /// A member's id: unique among all members that a group ever had.
    MemberId
}

name! {
    /// A static member's own name (`group.instance.id`, KIP-345), which outlives its member ids.
    InstanceId
}

/// Which rebalance a classic group has had last: rises by one with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub i32);

impl Generation {
    /// The next one; starts again behind the last that there is.
    #[must_use]
    pub fn next(self) -> Generation {
        Generation(self.0.checked_add(1).unwrap_or(1))
    }
}

/// What counts the changes of a consumer group (KIP-848): one for the group, one for the assignment
/// that it aims at, one for each member's way there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i32);

impl Epoch {
    /// A member that joins, or joins again.
    pub const JOINING: Epoch = Epoch(0);
    /// A member that leaves.
    pub const LEFT: Epoch = Epoch(-1);
    /// A static member that leaves for a while.
    pub const AWAY: Epoch = Epoch(-2);
    /// Where a group begins (`ConsumerGroup`; 4.0 to 4.2 began at 0).
    pub const FIRST: Epoch = Epoch(1);

    /// The next one.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0.saturating_add(1))
    }
}

/// Which partition of `__consumer_offsets` a group belongs to: the magnitude of Java's hash of its
/// UTF-16 code units, over the partitions (`Utils.abs`, `GroupCoordinatorService.partitionFor`).
#[must_use]
pub fn partition_of(group: &str, partitions: u32) -> u32 {
    let add = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    let hash = group.encode_utf16().fold(0, add);
    // Kafka's magnitude of the least number is 0.
    let magnitude = hash.checked_abs().unwrap_or(0);
    magnitude.unsigned_abs() % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_go_where_kafka_puts_them() {
        for (group, of_50, of_3) in [
            ("", 0, 0),
            ("a", 47, 1),
            ("g1", 42, 2),
            ("test", 48, 1),
            ("test-group", 12, 2),
            ("my-group", 12, 0),
            ("console-consumer-1", 24, 0),
            ("polygenelubricants", 0, 0),
            ("h\u{e9}llo", 34, 1),
            ("group-\u{1f980}", 10, 2),
        ] {
            assert_eq!((partition_of(group, 50), partition_of(group, 3)), (of_50, of_3), "{group}");
        }
    }

    #[test]
    fn generations_never_end() {
        assert_eq!(Generation(0).next(), Generation(1));
        assert_eq!(Generation(i32::MAX).next(), Generation(1));
    }
}
