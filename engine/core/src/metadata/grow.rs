//! What becomes of a request to give topics more partitions. The rules are those of Kafka's
//! `ReplicationControlManager.createPartitions`, but that internal topics never grow: Kafka lets
//! them, and loses what they keep.

use crate::id::PartitionIndex;
use crate::metadata::command::{Assignment, CreatePartitions, Growth};
use crate::metadata::controller::{Broker, MAX_RECORDS};
use crate::metadata::create::{check_assignments, first_state};
use crate::metadata::image::Image;
use crate::metadata::record::{BrokerId, Record};
use crate::metadata::refusal::GrowRefusal;

/// Records of the new partitions, and what became of each topic.
pub(super) fn decide(
    broker: Broker,
    image: &Image,
    command: &CreatePartitions,
) -> (Vec<Record>, Vec<Result<(), GrowRefusal>>) {
    let mut records = Vec::new();
    let grow = |growth| {
        let new = grow(broker, image, command, growth, records.len())?;
        records.extend(new);
        Ok(())
    };
    let results = command.topics.iter().map(grow).collect();
    (records, results)
}

/// The records of one topic's new partitions; `before` are those of topics before it.
fn grow(
    broker: Broker,
    image: &Image,
    command: &CreatePartitions,
    growth: &Growth,
    before: usize,
) -> Result<Vec<Record>, GrowRefusal> {
    let topic = image.topic(&growth.name).ok_or(GrowRefusal::UnknownTopic)?;
    if topic.is_internal() {
        return Err(GrowRefusal::Internal);
    }
    let (present, wanted) = (topic.partitions, growth.partitions);
    let all = u32::try_from(wanted).ok().filter(|all| *all > present);
    let all = all.ok_or(GrowRefusal::NoIncrease { present, wanted })?;
    let partitions = all - present;
    if let Some(assignments) = &growth.assignments {
        check_new(broker.id, assignments, partitions)?;
    }
    if before + partitions as usize > MAX_RECORDS {
        return Err(GrowRefusal::TooMany(MAX_RECORDS));
    }
    let (there, limit) = (image.partition_count() + before as u64, command.limits.partitions);
    if there + u64::from(partitions) > limit {
        return Err(GrowRefusal::NoRoom { wanted: partitions, present: there, limit });
    }
    let state = |index| first_state(broker, topic.id, PartitionIndex(index));
    Ok((present..all).map(state).collect())
}

fn check_new(
    broker: BrokerId,
    assignments: &[Vec<BrokerId>],
    partitions: u32,
) -> Result<(), GrowRefusal> {
    if assignments.len() != partitions as usize {
        let assignments = assignments.len();
        return Err(GrowRefusal::AssignmentCount { partitions, assignments });
    }
    let numbered = (0..).zip(assignments);
    let numbered: Vec<_> = numbered
        .map(|(partition, brokers)| Assignment { partition, brokers: brokers.clone() })
        .collect();
    check_assignments(broker, &numbered).map_err(GrowRefusal::Assignment)
}
