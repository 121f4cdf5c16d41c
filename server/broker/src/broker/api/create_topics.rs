//! CreateTopics: settings are checked here, the rest by the metadata controller.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use corelog_engine::metadata::command::{Assignment, CreateResult, Created, Mode, NewTopic};
use corelog_engine::metadata::record::BrokerId;
use corelog_engine::metadata::refusal::CreateRefusal;
use corelog_engine::metadata::{Outcome, name};
use corelog_engine::shard::request::{Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled, make};
use crate::broker::creation;
use crate::broker::node::Node;
use crate::broker::translate::{self, Told};
use crate::config::broker::Config;
use crate::config::describe::describe_topic;
use crate::config::topic::{TopicConfig, without_nulls};

pub(crate) fn handle(call: &Call, request: CreateTopicsRequest) -> Handled<CreateTopicsResponse> {
    let (node, header) = (call.node.clone(), call.header.clone());
    Handled::made(|charge| async move {
        let (results, refused) = create(&node, request).await;
        let config = node.config.clone();
        let made = make(&node, &header, move || {
            let answered = results.into_iter().map(|result| answer(&config, result));
            let topics = answered.chain(refused).collect();
            CreateTopicsResponse { topics, ..CreateTopicsResponse::default() }
        });
        made(charge).await
    })
}

/// What the controller says of a topic, or of all together.
enum Verdict {
    Of(CreateResult),
    Failed(Arc<str>, Told),
}

/// Creates what can be created; what became of it, and what was refused before that.
async fn create(
    node: &Rc<Node>,
    request: CreateTopicsRequest,
) -> (Vec<Verdict>, Vec<CreatableTopicResult>) {
    let mode = if request.validate_only { Mode::ValidateOnly } else { Mode::Apply };
    let mut refused = Vec::new();
    let mut topics = Vec::new();
    let mut names = BTreeMap::<Str, usize>::new();
    request.topics.iter().for_each(|wanted| *names.entry(wanted.name.clone()).or_default() += 1);
    for wanted in request.topics {
        node.shard.breathe().await;
        // What is wrong with a name is said first, and by the controller.
        let named = names.get(&wanted.name) == Some(&1) && name::check(&wanted.name).is_ok();
        match check_configs(node, &wanted) {
            // Of a topic that exists, Kafka says that first; and it is not asked for, in case it
            // is deleted meanwhile.
            Err(_) if named && node.image().topic(&wanted.name).is_some() => {
                let told = translate::create(&CreateRefusal::Exists);
                refused.push(failed(wanted.name, told));
            }
            Err(told) if named => refused.push(failed(wanted.name, told)),
            _ => topics.push(new_topic(node, &wanted)),
        }
    }
    let names: Vec<Arc<str>> = topics.iter().map(|topic| topic.name.clone()).collect();
    let command = creation::command(node, topics, mode);
    let results = match node.shard.submit(Request::Metadata(command)).await {
        Reply::Metadata(Ok(Outcome::Topics(results))) => {
            results.into_iter().map(Verdict::Of).collect()
        }
        Reply::Metadata(Err(error)) => {
            let told = translate::metadata(&error);
            names.into_iter().map(|name| Verdict::Failed(name, told.clone())).collect()
        }
        _ => Vec::new(),
    };
    (results, refused)
}

/// Settings of a new topic that are looked at: there are not so many.
const MOST_CONFIGS: usize = 1_000;

/// Checks the settings of a new topic.
fn check_configs(node: &Rc<Node>, wanted: &CreatableTopic) -> Result<(), Told> {
    let invalid = |error: crate::config::topic::TopicConfigError| {
        Told::new(ErrorCode::InvalidConfig, error.to_string())
    };
    if wanted.configs.len() > MOST_CONFIGS {
        let why = format!("A topic has no more than {MOST_CONFIGS} settings.");
        return Err(Told::new(ErrorCode::InvalidConfig, why));
    }
    let configs = without_nulls(&configs(wanted)).map_err(invalid)?;
    TopicConfig::validate(&node.config, &configs).map(|_| ()).map_err(invalid)
}

fn configs(wanted: &CreatableTopic) -> BTreeMap<String, Option<String>> {
    let configs = wanted.configs.iter().take(MOST_CONFIGS);
    configs.map(|c| (c.name.to_string(), c.value.as_ref().map(ToString::to_string))).collect()
}

fn new_topic(node: &Node, wanted: &CreatableTopic) -> NewTopic {
    let assignments = wanted.assignments.iter().map(|assignment| Assignment {
        partition: assignment.partition_index,
        brokers: assignment.broker_ids.iter().map(|id| BrokerId(*id)).collect(),
    });
    NewTopic {
        name: Arc::from(&wanted.name[..]),
        id: creation::topic_id(node),
        partitions: wanted.num_partitions,
        replication_factor: wanted.replication_factor,
        assignments: assignments.collect(),
        configs: configs(wanted),
    }
}

fn answer(config: &Arc<Config>, verdict: Verdict) -> CreatableTopicResult {
    let result = match verdict {
        Verdict::Of(result) => result,
        Verdict::Failed(name, told) => return failed(Str::from(name.to_string()), told),
    };
    let name = Str::from(result.name.to_string());
    match result.result {
        Ok(created) => created_topic(config, name, &created),
        Err(refusal) => failed(name, translate::create(&refusal)),
    }
}

fn created_topic(config: &Arc<Config>, name: Str, created: &Created) -> CreatableTopicResult {
    let configs = describe_topic(config, &created.configs);
    let configs = configs.into_iter().map(|entry| CreatableTopicConfigs {
        name: Str::from_static(entry.name),
        value: entry.value.map(Str::from),
        read_only: entry.read_only,
        config_source: entry.source as i8,
        is_sensitive: entry.sensitive,
    });
    let clamped = created.clamped_from.map(|factor| {
        let now = created.replication_factor;
        Str::from(format!(
            "Replication factor {factor} was lowered to {now}: there are no more brokers."
        ))
    });
    CreatableTopicResult {
        name,
        topic_id: Uuid(created.id.0),
        error_message: clamped,
        num_partitions: created.partitions as i32,
        replication_factor: created.replication_factor as i16,
        configs: Some(configs.collect()),
        ..CreatableTopicResult::default()
    }
}

fn failed(name: Str, told: Told) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: told.code,
        error_message: told.message,
        configs: Some(Vec::new()),
        ..CreatableTopicResult::default()
    }
}
