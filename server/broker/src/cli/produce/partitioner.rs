//! Which partition a record goes to, as Kafka's Java producer chooses: by the hash of its key, so
//! that all clients agree; without a key one partition for a whole batch, then the next.

use corelog_wire::keys::partition_of;

use crate::cli::client::Topic;

/// Chooses among the partitions of one topic.
#[derive(Clone, Debug)]
pub(super) enum Partitioner {
    /// Everything goes to one.
    Fixed(i32),
    /// Records with a key go where its hash says.
    ByKey {
        /// How many partitions there are.
        count: i32,
        /// Those that have a leader, for records without a key; not empty.
        led: Vec<i32>,
        /// Which of them is next.
        at: usize,
    },
}

impl Partitioner {
    /// Among all partitions of `topic`; records without a key begin anywhere, at `start`.
    pub(super) fn by_key(topic: &Topic, start: u64) -> Partitioner {
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
        let mut led: Vec<i32> = led.map(|partition| partition.index).collect();
        if led.is_empty() {
            // Sending to it fails with the reason.
            led.push(0);
        }
        let at = usize::try_from(start % led.len() as u64).unwrap_or(0);
        Partitioner::ByKey { count: count.max(1), led, at }
    }

    /// The partition of a record.
    pub(super) fn partition(&self, key: Option<&[u8]>) -> i32 {
        match (self, key) {
            (Partitioner::Fixed(partition), _) => *partition,
            (Partitioner::ByKey { count, .. }, Some(key)) => partition_of(key, *count),
            (Partitioner::ByKey { led, at, .. }, None) => led[*at],
        }
    }

    /// A batch was sent: the next one goes elsewhere.
    pub(super) fn next_batch(&mut self) {
        if let Partitioner::ByKey { led, at, .. } = self {
            *at = (*at + 1) % led.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::Partition;
    use corelog_wire::uuid::Uuid;

    fn topic(leaders: &[Option<i32>]) -> Topic {
        let partition = |(index, leader): (i32, &Option<i32>)| Partition {
            index,
            leader: *leader,
            replicas: vec![1],
            in_sync: vec![1],
        };
        Topic {
            name: "t".to_owned(),
            id: Uuid::ZERO,
            internal: false,
            partitions: (0..).zip(leaders).map(partition).collect(),
        }
    }

    fn chosen(mut partitioner: Partitioner, key: Option<&[u8]>) -> Vec<i32> {
        let mut next = || {
            let partition = partitioner.partition(key);
            partitioner.next_batch();
            partition
        };
        vec![next(), next(), next(), next()]
    }

    #[test]
    fn keys_choose_their_partition_and_others_go_round_those_that_are_led() {
        let topic = topic(&[Some(1), None, Some(1), Some(1)]);
        let foobar = (-790_332_482 & i32::MAX) % 4;
        assert_eq!(chosen(Partitioner::by_key(&topic, 7), Some(b"foobar")), [foobar; 4]);
        assert_eq!(chosen(Partitioner::by_key(&topic, 7), None), [2, 3, 0, 2]);
        assert_eq!(chosen(Partitioner::Fixed(1), Some(b"foobar")), [1; 4]);
    }

    #[test]
    fn without_any_leader_the_first_partition_is_tried() {
        assert_eq!(chosen(Partitioner::by_key(&topic(&[None, None]), 1), None), [0; 4]);
    }
}
