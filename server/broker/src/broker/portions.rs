//! Partitions of topics in portions that a coordinator takes in one step.

use std::sync::Arc;

use crate::broker::node::AT_ONCE;

/// A topic, and partitions of it.
pub(crate) type Indexes = (Arc<str>, Vec<i32>);

/// One portion: topics with the places that they have among all.
pub(crate) struct Portion {
    pub(crate) places: Vec<usize>,
    pub(crate) topics: Vec<Indexes>,
}

/// All of them in turn; one without topics if there are none, so that the coordinator is asked.
/// A topic may go on in the next one.
pub(crate) struct Portions<'a> {
    topics: &'a [Indexes],
    most: usize,
    /// The next topic, and how many of its partitions have been.
    next: (usize, usize),
    begun: bool,
}

impl<'a> Portions<'a> {
    pub(crate) fn of(topics: &'a [Indexes]) -> Portions<'a> {
        Portions { topics, most: AT_ONCE, next: (0, 0), begun: false }
    }
}

impl Iterator for Portions<'_> {
    type Item = Portion;

    fn next(&mut self) -> Option<Portion> {
        if self.begun && self.next.0 == self.topics.len() {
            return None;
        }
        self.begun = true;
        let mut portion = Portion { places: Vec::new(), topics: Vec::new() };
        let mut room = self.most;
        while room > 0
            && let Some((topic, indexes)) = self.topics.get(self.next.0)
        {
            let rest = &indexes[self.next.1..];
            let some = &rest[..rest.len().min(room)];
            portion.places.push(self.next.0);
            portion.topics.push((topic.clone(), some.to_vec()));
            room -= some.len().max(1);
            self.next = match some.len() == rest.len() {
                true => (self.next.0 + 1, 0),
                false => (self.next.0, self.next.1 + some.len()),
            };
        }
        Some(portion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_come_in_portions() {
        type Topics<'a> = &'a [(&'a str, &'a [i32])];
        let cases: [(Topics, &[(&[usize], Topics)]); 5] = [
            (&[], &[(&[], &[])]),
            (&[("a", &[1])], &[(&[0], &[("a", &[1])])]),
            (&[("a", &[1, 2, 3])], &[(&[0], &[("a", &[1, 2, 3])])]),
            (
                &[("a", &[1, 2]), ("b", &[3, 4]), ("c", &[])],
                &[(&[0, 1], &[("a", &[1, 2]), ("b", &[3])]), (&[1, 2], &[("b", &[4]), ("c", &[])])],
            ),
            (
                &[("a", &[]), ("a", &[]), ("b", &[]), ("c", &[])],
                &[(&[0, 1, 2], &[("a", &[]), ("a", &[]), ("b", &[])]), (&[3], &[("c", &[])])],
            ),
        ];
        let owned = |topics: Topics| -> Vec<Indexes> {
            topics.iter().map(|(topic, indexes)| (Arc::from(*topic), indexes.to_vec())).collect()
        };
        for (topics, wanted) in cases {
            let topics = owned(topics);
            let portions = Portions { most: 3, ..Portions::of(&topics) };
            let found: Vec<_> = portions.map(|one| (one.places, one.topics)).collect();
            let wanted = wanted.iter().map(|(places, topics)| (places.to_vec(), owned(topics)));
            assert_eq!(found, wanted.collect::<Vec<_>>());
        }
    }
}
