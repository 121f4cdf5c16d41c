//! Even numbers for members that read the same topics: sizes differ by one at most, and everyone
//! keeps as much as its size allows of what it was to have.

use std::collections::BTreeMap;

use crate::group::assignor::Reader;
use crate::group::partitions::Partitions;
use crate::id::TopicId;

pub(super) fn assign(readers: &[Reader<'_>], counts: &BTreeMap<TopicId, i32>) -> Vec<Partitions> {
    let Some(first) = readers.first() else { return Vec::new() };
    let counts: BTreeMap<TopicId, i32> = counts
        .iter()
        .filter(|(topic, _)| first.topics.contains(*topic))
        .map(|(topic, count)| (*topic, *count))
        .collect();
    let total: usize = counts.values().map(|count| *count as usize).sum();
    let (each, mut more) = (total / readers.len(), total % readers.len());

    let mut free: Partitions =
        counts.iter().flat_map(|(topic, count)| (0..*count).map(|index| (*topic, index))).collect();
    let mut given = Vec::with_capacity(readers.len());
    let mut unfilled = Vec::new();
    for (place, reader) in readers.iter().enumerate() {
        // Those who have more than the others keep it as long as somebody must.
        let most = each + usize::from(more > 0);
        let kept: Partitions =
            reader.before.iter().filter(|(t, p)| free.contains(*t, *p)).take(most).collect();
        kept.iter().for_each(|(topic, index)| free.remove(topic, index));
        let must = readers.len() - place <= more;
        let quota = if kept.count() > each || (must && more > 0) { each + 1 } else { each };
        more -= usize::from(quota > each);
        if kept.count() < quota {
            unfilled.push((place, quota - kept.count()));
        }
        given.push(kept);
    }

    let mut free = free.iter();
    for (place, missing) in unfilled {
        for (topic, index) in free.by_ref().take(missing) {
            given[place].insert(topic, index);
        }
    }
    given
}
