//! Groups that are divided, step by step and at random.

use super::*;

fn topic(number: u8) -> TopicId {
    TopicId([number; 16])
}

fn counts(of: &[i32]) -> BTreeMap<TopicId, i32> {
    of.iter().enumerate().map(|(nth, count)| (topic(nth as u8), *count)).collect()
}

/// Members of a group: each reads these topics, and has what it was given.
struct Group {
    ids: Vec<MemberId>,
    instances: Vec<Option<InstanceId>>,
    topics: Vec<Arc<BTreeSet<TopicId>>>,
    given: Vec<Partitions>,
}

impl Group {
    fn new(topics: &[&[u8]]) -> Group {
        Group {
            ids: (0..topics.len()).map(|nth| format!("m{nth}").as_str().into()).collect(),
            instances: vec![None; topics.len()],
            topics: topics
                .iter()
                .map(|numbers| Arc::new(numbers.iter().map(|number| topic(*number)).collect()))
                .collect(),
            given: vec![Partitions::default(); topics.len()],
        }
    }

    fn join(&mut self, name: &str, topics: &[u8]) {
        self.ids.push(name.into());
        self.instances.push(None);
        self.topics.push(Arc::new(topics.iter().map(|number| topic(*number)).collect()));
        self.given.push(Partitions::default());
    }

    fn leave(&mut self, place: usize) {
        self.ids.remove(place);
        self.instances.remove(place);
        self.topics.remove(place);
        self.given.remove(place);
    }

    fn assign(&mut self, assignor: Assignor, counts: &BTreeMap<TopicId, i32>) {
        let readers: Vec<Reader<'_>> = (0..self.ids.len())
            .map(|place| Reader {
                member: &self.ids[place],
                instance: self.instances[place].as_ref(),
                topics: self.topics[place].clone(),
                before: &self.given[place],
            })
            .collect();
        let given = assignor.assign(&readers, counts);
        self.given = given;
        self.check(counts);
    }

    /// Every partition that somebody reads has one reader, who wants it.
    fn check(&self, counts: &BTreeMap<TopicId, i32>) {
        for (topic, count) in counts {
            let wanted = self.topics.iter().any(|topics| topics.contains(topic));
            for index in 0..*count {
                let has = |place: &usize| self.given[*place].contains(*topic, index);
                let owners: Vec<usize> = (0..self.given.len()).filter(has).collect();
                assert_eq!(owners.len(), usize::from(wanted), "{topic} {index}");
                assert!(owners.iter().all(|place| self.topics[*place].contains(topic)));
            }
        }
        let total: usize = self.given.iter().map(Partitions::count).sum();
        let wanted = counts.iter().filter(|(t, _)| self.topics.iter().any(|all| all.contains(*t)));
        assert_eq!(total, wanted.map(|(_, count)| *count as usize).sum::<usize>());
    }

    fn sizes(&self) -> Vec<usize> {
        self.given.iter().map(Partitions::count).collect()
    }

    fn of(&self, place: usize, number: u8) -> Vec<i32> {
        self.given[place].of(topic(number)).collect()
    }
}

#[test]
fn range_gives_neighbours_and_static_members_come_first() {
    let mut group = Group::new(&[&[0, 1], &[0, 1], &[0]]);
    group.instances[2] = Some("z".into());
    group.assign(Assignor::Range, &counts(&[7, 3]));
    assert_eq!(group.of(2, 0), [0, 1, 2]);
    assert_eq!((group.of(0, 0), group.of(1, 0)), (vec![3, 4], vec![5, 6]));
    assert_eq!((group.of(0, 1), group.of(1, 1)), (vec![0, 1], vec![2]));
    group.assign(Assignor::Range, &counts(&[2, 0]));
    assert_eq!(group.sizes(), [1, 0, 1]);
}

#[test]
fn uniform_divides_all_topics_together() {
    let mut group = Group::new(&[&[0, 1, 2], &[0, 1, 2], &[0, 1, 2]]);
    group.assign(Assignor::Uniform, &counts(&[1, 1, 2]));
    let mut sizes = group.sizes();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2]);
}

#[test]
fn uniform_moves_no_more_than_it_must() {
    let counts = counts(&[6]);
    let mut group = Group::new(&[&[0], &[0]]);
    group.assign(Assignor::Uniform, &counts);
    assert_eq!(group.sizes(), [3, 3]);
    let before = group.given.clone();
    group.join("m9", &[0]);
    group.assign(Assignor::Uniform, &counts);
    assert_eq!(group.sizes(), [2, 2, 2]);
    for (now, before) in group.given.iter().zip(&before) {
        assert!(now.iter().all(|(topic, index)| before.contains(topic, index)));
    }
    let before = group.given.clone();
    group.leave(0);
    group.assign(Assignor::Uniform, &counts);
    assert_eq!(group.sizes(), [3, 3]);
    for (now, before) in group.given.iter().zip(&before[1..]) {
        assert!(before.iter().all(|(topic, index)| now.contains(topic, index)));
    }
}

#[test]
fn whoever_has_one_more_keeps_it() {
    let counts = counts(&[5]);
    let mut group = Group::new(&[&[0], &[0]]);
    group.given[1] = (0..3).map(|index| (topic(0), index)).collect();
    group.assign(Assignor::Uniform, &counts);
    assert_eq!((group.of(0, 0), group.of(1, 0)), (vec![3, 4], vec![0, 1, 2]));
}

#[test]
fn nobody_and_nothing_are_groups_too() {
    let mut group = Group::new(&[]);
    let mut idle = Group::new(&[&[], &[]]);
    for assignor in [Assignor::Uniform, Assignor::Range] {
        let topics = counts(&[]);
        group.assign(assignor, &topics);
        idle.assign(assignor, &topics);
        idle.assign(assignor, &counts(&[3]));
        assert_eq!(idle.sizes(), [0, 0]);
    }
}

/// Members with their own topics that come and go: even as far as their topics allow.
#[test]
fn different_topics_are_divided_evenly_too() {
    let mut state = 7u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for round in 0..300 {
        let topics = 1 + draw(5);
        let mut number = || (0..topics).filter(|_| draw(2) == 0).map(|t| t as u8).collect();
        let mut group = Group::new(&[]);
        for member in 0..1 + round % 6 {
            let read: Vec<u8> = number();
            group.join(&format!("m{member}"), &read);
        }
        for _ in 0..3 {
            let of: Vec<i32> = (0..topics).map(|_| draw(9) as i32).collect();
            let counts = counts(&of);
            group.assign(Assignor::Uniform, &counts);
            level_enough(&group, &counts);
            let settled = group.given.clone();
            group.assign(Assignor::Uniform, &counts);
            assert_eq!(group.given, settled, "nothing has changed");
            let gone = draw(group.ids.len() as u64) as usize;
            if group.ids.len() > 1 {
                group.leave(gone);
            }
        }
    }
}

/// Nobody could give anything to somebody who has two less.
fn level_enough(group: &Group, counts: &BTreeMap<TopicId, i32>) {
    let sizes = group.sizes();
    for topic in counts.keys() {
        let readers: Vec<usize> =
            (0..sizes.len()).filter(|place| group.topics[*place].contains(topic)).collect();
        let least = readers.iter().map(|place| sizes[*place]).min().unwrap_or(0);
        for place in readers {
            let gives = group.given[place].of(*topic).count() > 0;
            assert!(!gives || sizes[place] <= least + 1, "{sizes:?}");
        }
    }
}
