//! Even numbers as far as possible for members that read different topics: what is free goes to
//! whoever has least, then what whoever has most could give to whoever has least.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::group::assignor::Reader;
use crate::group::partitions::Partitions;
use crate::id::TopicId;

/// Rounds of giving, before what is left uneven stays so.
const ROUNDS: usize = 16;

/// A topic, and the places of those who read it.
struct Topic {
    id: TopicId,
    count: i32,
    subscribers: Vec<usize>,
}

pub(super) fn assign(readers: &[Reader<'_>], counts: &BTreeMap<TopicId, i32>) -> Vec<Partitions> {
    let topics = topics(readers, counts);
    let mut given = kept(readers, counts);
    let mut loads: Vec<usize> = given.iter().map(Partitions::count).collect();
    for topic in &topics {
        fill(topic, &mut given, &mut loads);
    }
    for _ in 0..ROUNDS {
        let mut moved = false;
        for topic in topics.iter().filter(|topic| topic.subscribers.len() > 1) {
            moved |= level(topic, &mut given, &mut loads);
        }
        if !moved {
            break;
        }
    }
    given
}

/// What each was to have before and still reads; of two who were, the first keeps it.
fn kept(readers: &[Reader<'_>], counts: &BTreeMap<TopicId, i32>) -> Vec<Partitions> {
    let mut taken = Partitions::default();
    let mut keep = |reader: &Reader<'_>| -> Partitions {
        let exists = |topic: &TopicId, index: i32| {
            counts.get(topic).is_some_and(|count| (0..*count).contains(&index))
        };
        let before = reader.before.iter();
        let kept: Partitions = before
            .filter(|(topic, index)| reader.topics.contains(topic) && exists(topic, *index))
            .filter(|(topic, index)| !taken.contains(*topic, *index))
            .collect();
        kept.iter().for_each(|(topic, index)| taken.insert(topic, index));
        kept
    };
    readers.iter().map(&mut keep).collect()
}

/// Topics that somebody reads, those with most partitions for each reader first: they are the
/// hardest to make up for.
fn topics(readers: &[Reader<'_>], counts: &BTreeMap<TopicId, i32>) -> Vec<Topic> {
    let mut topics: Vec<Topic> = counts
        .iter()
        .map(|(id, count)| {
            let reads = |place: &usize| readers[*place].topics.contains(id);
            let subscribers = (0..readers.len()).filter(reads).collect();
            Topic { id: *id, count: *count, subscribers }
        })
        .filter(|topic| !topic.subscribers.is_empty())
        .collect();
    topics.sort_by(|a, b| {
        let (a_each, b_each) =
            (a.count as usize * b.subscribers.len(), b.count as usize * a.subscribers.len());
        Reverse(a_each)
            .cmp(&Reverse(b_each))
            .then(a.subscribers.len().cmp(&b.subscribers.len()))
            .then(a.id.cmp(&b.id))
    });
    topics
}

/// Gives what nobody has of a topic.
fn fill(topic: &Topic, given: &mut [Partitions], loads: &mut [usize]) {
    let taken: Partitions = topic
        .subscribers
        .iter()
        .flat_map(|place| given[*place].of(topic.id))
        .map(|index| (topic.id, index))
        .collect();
    let mut order: BTreeSet<(usize, usize)> =
        topic.subscribers.iter().map(|place| (loads[*place], *place)).collect();
    for index in (0..topic.count).filter(|index| !taken.contains(topic.id, *index)) {
        let Some((load, least)) = order.pop_first() else { return };
        given[least].insert(topic.id, index);
        loads[least] = load + 1;
        order.insert((loads[least], least));
    }
}

/// Lets those who have most give to those who have least; whether anything was given.
fn level(topic: &Topic, given: &mut [Partitions], loads: &mut [usize]) -> bool {
    let mut moved = false;
    let mut order: BTreeSet<(usize, usize)> =
        topic.subscribers.iter().map(|place| (loads[*place], *place)).collect();
    // Those who have anything of the topic.
    let mut owners: BTreeSet<(usize, Reverse<usize>)> = topic
        .subscribers
        .iter()
        .filter(|place| given[**place].of(topic.id).next().is_some())
        .map(|place| (loads[*place], Reverse(*place)))
        .collect();
    loop {
        let most = owners.last().map(|(_, Reverse(place))| *place);
        let least = order.first().map(|(_, place)| *place);
        let (Some(most), Some(least)) = (most, least) else { return moved };
        if loads[most] <= loads[least] + 1 {
            return moved;
        }
        let Some(index) = given[most].of(topic.id).next_back() else { return moved };
        for place in [most, least] {
            order.remove(&(loads[place], place));
            owners.remove(&(loads[place], Reverse(place)));
        }
        given[most].remove(topic.id, index);
        given[least].insert(topic.id, index);
        loads[most] -= 1;
        loads[least] += 1;
        for place in [most, least] {
            order.insert((loads[place], place));
            if given[place].of(topic.id).next().is_some() {
                owners.insert((loads[place], Reverse(place)));
            }
        }
        moved = true;
    }
}
