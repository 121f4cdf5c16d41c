//! Which topic names there can be. Kafka's `Topic`.

use std::cmp::Ordering;
use std::fmt;

/// The metadata log's own topic: not in the image, never created or deleted by a client.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Topics that coordinators write. Clients may list and delete them, and produce to none.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// The longest topic name, in characters; with a partition's number it still names a file.
pub const MAX_LENGTH: usize = 249;

/// Why a name can be no topic's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// It is empty.
    Empty,
    /// It is `.` or `..`.
    Dots,
    /// It has this character, which is none of ASCII letters, digits, `.`, `_`, `-`.
    Character(char),
    /// It has this many characters, more than [`MAX_LENGTH`].
    Length(usize),
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameFault::Empty => write!(f, "the topic name is empty; give one"),
            NameFault::Dots => {
                write!(f, "a topic cannot be named '.' or '..'; choose another name")
            }
            NameFault::Character(found) => write!(
                f,
                "{found:?} cannot be part of a topic name; use ASCII letters and digits, '.', \
                 '_' and '-'"
            ),
            NameFault::Length(length) => {
                write!(f, "the topic name has {length} characters; use at most {MAX_LENGTH}")
            }
        }
    }
}

/// Checks a topic's name.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if name == "." || name == ".." {
        return Err(NameFault::Dots);
    }
    if let Some(found) = name.chars().find(|c| !is_legal(*c)) {
        return Err(NameFault::Character(found));
    }
    if name.len() > MAX_LENGTH {
        return Err(NameFault::Length(name.len()));
    }
    Ok(())
}

fn is_legal(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

/// Whether `name` is that of a topic which coordinators write.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Whether `name` can collide with another: names of metrics spell `.` as `_`.
pub(super) fn can_collide(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// The order in which names that collide are equal.
pub(super) fn collision_order(a: &str, b: &str) -> Ordering {
    let spelled = |byte: u8| if byte == b'.' { b'_' } else { byte };
    a.bytes().map(spelled).cmp(b.bytes().map(spelled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_kafka_judges_them() {
        let longest = "x".repeat(MAX_LENGTH);
        let too_long = "x".repeat(MAX_LENGTH + 1);
        let table = [
            ("orders", Ok(())),
            ("A-z_0.9", Ok(())),
            ("...", Ok(())),
            (longest.as_str(), Ok(())),
            ("", Err(NameFault::Empty)),
            (".", Err(NameFault::Dots)),
            ("..", Err(NameFault::Dots)),
            ("a b", Err(NameFault::Character(' '))),
            ("über", Err(NameFault::Character('ü'))),
            ("a/b", Err(NameFault::Character('/'))),
            (too_long.as_str(), Err(NameFault::Length(250))),
        ];
        for (name, verdict) in table {
            assert_eq!(check(name), verdict, "{name}");
        }
    }

    #[test]
    fn only_dots_and_underscores_collide() {
        let table = [
            ("a.b", "a_b", true),
            ("a.b_c", "a_b.c", true),
            ("a.b", "a.b", true),
            ("a.b", "a-b", false),
            ("a.b", "a.bc", false),
            ("A.b", "a.b", false),
        ];
        for (a, b, collide) in table {
            assert_eq!(collision_order(a, b).is_eq(), collide, "{a} {b}");
        }
        assert!(can_collide("a.b") && can_collide("a_b") && !can_collide("a-b"));
    }

    #[test]
    fn internal_topics_are_the_coordinators() {
        assert!(is_internal("__consumer_offsets") && is_internal("__transaction_state"));
        assert!(is_internal("__share_group_state"));
        assert!(!is_internal("__cluster_metadata") && !is_internal("orders"));
    }
}
