//! CreatePartitions. Rules: Kafka's `ControllerApis.createPartitions`.

use std::collections::BTreeMap;
use std::sync::Arc;

use corelog_engine::metadata::command::{CreatePartitions, Growth, Mode};
use corelog_engine::metadata::record::BrokerId;
use corelog_engine::metadata::{Command, Outcome};
use corelog_engine::shard::request::{Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled};
use crate::broker::creation;
use crate::broker::translate::{self, Told};

pub(crate) fn handle(
    call: &Call,
    request: CreatePartitionsRequest,
) -> Handled<CreatePartitionsResponse> {
    let mut times = BTreeMap::<Str, usize>::new();
    request.topics.iter().for_each(|topic| *times.entry(topic.name.clone()).or_default() += 1);
    let named_twice = Told::new(ErrorCode::InvalidRequest, "Name each topic once.");
    let twice = times.iter().filter(|(_, count)| **count > 1);
    let mut results: Vec<_> =
        twice.map(|(name, _)| result(name.clone(), Some(named_twice.clone()))).collect();
    let once = request.topics.into_iter().filter(|topic| times.get(&topic.name) == Some(&1));
    let topics: Vec<Growth> = once.map(growth).collect();
    if topics.is_empty() {
        return Handled::Now(response(results));
    }
    let names: Vec<Arc<str>> = topics.iter().map(|topic| topic.name.clone()).collect();
    let mode = if request.validate_only { Mode::ValidateOnly } else { Mode::Apply };
    let command = CreatePartitions { topics, mode, limits: creation::LIMITS };
    let pending = call.node.shard.submit(Request::Metadata(Command::CreatePartitions(command)));
    Handled::later(async move {
        let grown: Vec<Option<Told>> = match pending.await {
            Reply::Metadata(Ok(Outcome::Grown(grown))) => {
                grown.into_iter().map(|grown| grown.err().as_ref().map(translate::grow)).collect()
            }
            Reply::Metadata(Err(error)) => vec![Some(translate::metadata(&error)); names.len()],
            _ => vec![Some(Told::of(ErrorCode::UnknownServerError)); names.len()],
        };
        let names = names.iter().map(|name| Str::from(name.to_string()));
        results.extend(names.zip(grown).map(|(name, told)| result(name, told)));
        response(results)
    })
}

fn growth(topic: CreatePartitionsTopic) -> Growth {
    let brokers = |ids: Vec<i32>| ids.into_iter().map(BrokerId).collect();
    Growth {
        name: Arc::from(&topic.name[..]),
        partitions: topic.count,
        assignments: topic.assignments.map(|assignments| {
            assignments.into_iter().map(|assignment| brokers(assignment.broker_ids)).collect()
        }),
    }
}

fn response(results: Vec<CreatePartitionsTopicResult>) -> CreatePartitionsResponse {
    CreatePartitionsResponse { results, ..CreatePartitionsResponse::default() }
}

fn result(name: Str, told: Option<Told>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult {
        name,
        error_code: told.as_ref().map_or(ErrorCode::None, |told| told.code),
        error_message: told.and_then(|told| told.message),
    }
}
