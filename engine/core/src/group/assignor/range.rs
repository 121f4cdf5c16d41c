//! Neighbouring partitions to each: of every topic, the first members, static ones before others,
//! get the first, and one more if they do not divide evenly.

use std::collections::BTreeMap;

use crate::group::assignor::Reader;
use crate::group::partitions::Partitions;
use crate::id::TopicId;

pub(super) fn assign(readers: &[Reader<'_>], counts: &BTreeMap<TopicId, i32>) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..readers.len()).collect();
    order.sort_by_key(|place| {
        let reader = &readers[*place];
        let name = reader.instance.map_or(reader.member.as_str(), |instance| instance.as_str());
        (reader.instance.is_none(), name)
    });
    let mut given = vec![Partitions::default(); readers.len()];
    for (topic, count) in counts {
        let reads = |place: &&usize| readers[**place].topics.contains(topic);
        let subscribers: Vec<usize> = order.iter().filter(reads).copied().collect();
        let Some(each) = count.checked_div(subscribers.len() as i32) else { continue };
        let more = count % subscribers.len() as i32;
        let mut next = 0;
        for (nth, place) in subscribers.into_iter().enumerate() {
            let end = next + each + i32::from((nth as i32) < more);
            (next..end).for_each(|index| given[place].insert(*topic, index));
            next = end;
        }
    }
    given
}
