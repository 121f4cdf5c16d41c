//! DeleteTopics: by name, or by id.

use std::sync::Arc;

use corelog_engine::id::TopicId;
use corelog_engine::metadata::command::{DeleteResult, TopicRef};
use corelog_engine::metadata::{Command, Outcome};
use corelog_engine::shard::request::{Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled};
use crate::broker::translate::{self, Told};

pub(crate) fn handle(call: &Call, request: DeleteTopicsRequest) -> Handled<DeleteTopicsResponse> {
    let (topics, mut refused) = wanted(request);
    if !call.node.config.topics.delete {
        let code = match call.header.version {
            ..3 => ErrorCode::InvalidRequest,
            _ => ErrorCode::TopicDeletionDisabled,
        };
        let why = "Deleting topics is switched off on this broker (delete.topic.enable).";
        let told = Told::new(code, why);
        return Handled::Now(response(topics.iter().map(|topic| failed(topic, &told)).collect()));
    }
    if topics.is_empty() {
        return Handled::Now(response(refused));
    }
    let pending = call.node.shard.submit(Request::Metadata(Command::DeleteTopics(topics.clone())));
    Handled::later(async move {
        let mut results = match pending.await {
            Reply::Metadata(Ok(Outcome::Deleted(results))) => {
                results.into_iter().map(answer).collect()
            }
            Reply::Metadata(Err(error)) => {
                let told = translate::metadata(&error);
                topics.iter().map(|topic| failed(topic, &told)).collect()
            }
            _ => Vec::new(),
        };
        results.append(&mut refused);
        response(results)
    })
}

fn response(responses: Vec<DeletableTopicResult>) -> DeleteTopicsResponse {
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

/// The topics meant, and answers to entries that name one in both ways or in neither.
fn wanted(request: DeleteTopicsRequest) -> (Vec<TopicRef>, Vec<DeletableTopicResult>) {
    let by_name = |name: &Str| TopicRef::ByName(Arc::from(&name[..]));
    let mut topics: Vec<TopicRef> = request.topic_names.iter().map(by_name).collect();
    let mut refused = Vec::new();
    for topic in request.topics {
        match (&topic.name, topic.topic_id.is_zero()) {
            (Some(name), true) => topics.push(by_name(name)),
            (None, false) => topics.push(TopicRef::ById(TopicId(topic.topic_id.0))),
            (name, _) => {
                let why = match name {
                    Some(_) => "Name the topic by its name or by its id, not by both.",
                    None => "Name the topic by its name or by its id.",
                };
                refused.push(DeletableTopicResult {
                    name: topic.name,
                    topic_id: topic.topic_id,
                    error_code: ErrorCode::InvalidRequest,
                    error_message: Some(Str::from_static(why)),
                });
            }
        }
    }
    (topics, refused)
}

fn answer(result: DeleteResult) -> DeletableTopicResult {
    let told = result.result.as_ref().err().map(translate::delete);
    DeletableTopicResult {
        name: result.name.map(|name| Str::from(name.to_string())),
        topic_id: result.id.map_or(Uuid::ZERO, |id| Uuid(id.0)),
        error_code: told.as_ref().map_or(ErrorCode::None, |told| told.code),
        error_message: told.and_then(|told| told.message),
    }
}

fn failed(topic: &TopicRef, told: &Told) -> DeletableTopicResult {
    let (name, topic_id) = match topic {
        TopicRef::ByName(name) => (Some(Str::from(name.to_string())), Uuid::ZERO),
        TopicRef::ById(id) => (None, Uuid(id.0)),
    };
    let (error_code, error_message) = (told.code, told.message.clone());
    DeletableTopicResult { name, topic_id, error_code, error_message }
}
