//! Metadata: brokers, topics and who leads their partitions; creates topics that clients ask for.

use std::rc::Rc;
use std::sync::Arc;

use corelog_engine::id::TopicId;
use corelog_engine::metadata::command::{Mode, NewTopic};
use corelog_engine::metadata::{Image, Outcome, Topic, name};
use corelog_engine::shard::request::{Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled};
use crate::broker::creation;
use crate::broker::node::{Entrance, Node};
use crate::broker::operations;
use crate::broker::translate;

/// A request's surroundings, kept while topics are being created.
struct Asking {
    node: Rc<Node>,
    entrance: Rc<Entrance>,
    version: i16,
    request: MetadataRequest,
}

pub(crate) fn handle(call: &Call, request: MetadataRequest) -> Handled<MetadataResponse> {
    let asking = Asking {
        node: call.node.clone(),
        entrance: call.entrance.clone(),
        version: call.header.version,
        request,
    };
    let missing = asking.to_create();
    if missing.is_empty() {
        return Handled::Now(asking.answer(&[]));
    }
    let command = creation::command(&asking.node, missing, Mode::Apply);
    let pending = asking.node.shard.submit(Request::Metadata(command));
    Handled::later(async move {
        let mut failures = Vec::new();
        if let Reply::Metadata(Ok(Outcome::Topics(results))) = pending.await {
            for result in results {
                let Err(refusal) = result.result else { continue };
                let told = translate::create(&refusal);
                // Someone else was faster: the topic is there.
                if told.code != ErrorCode::TopicAlreadyExists {
                    failures.push((result.name, told.code));
                }
            }
        }
        asking.answer(&failures)
    })
}

impl Asking {
    /// Topics that do not exist and shall be created: asked for by a valid name.
    fn to_create(&self) -> Vec<NewTopic> {
        let allowed = self.node.config.topics.auto_create
            && (self.version < 4 || self.request.allow_auto_topic_creation);
        let wanted = self.request.topics.as_deref().unwrap_or_default();
        if !allowed {
            return Vec::new();
        }
        let image = self.node.image();
        let named = wanted.iter().filter(|topic| topic.topic_id.is_zero());
        let mut names: Vec<&str> = named.filter_map(|topic| topic.name.as_deref()).collect();
        names.retain(|name| {
            let free = image.topic(name).is_none() && !name::is_internal(name);
            free && name::check(name).is_ok()
        });
        names.sort_unstable();
        names.dedup();
        names.iter().map(|name| self.new_topic(name)).collect()
    }

    fn new_topic(&self, name: &str) -> NewTopic {
        NewTopic {
            name: Arc::from(name),
            id: creation::topic_id(&self.node),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Default::default(),
        }
    }

    fn answer(&self, failures: &[(Arc<str>, ErrorCode)]) -> MetadataResponse {
        let image = self.node.image();
        let advertised = &self.entrance.advertised;
        let broker = MetadataResponseBroker {
            node_id: self.node.id(),
            host: Str::from(advertised.host.clone()),
            port: i32::from(advertised.port),
            rack: self.node.config.rack.clone().map(Str::from),
        };
        let include = self.request.include_cluster_authorized_operations;
        MetadataResponse {
            brokers: vec![broker],
            cluster_id: Some(self.node.cluster_id()),
            controller_id: self.node.id(),
            topics: self.topics(&image, failures),
            cluster_authorized_operations: operations::told(include, operations::CLUSTER),
            ..MetadataResponse::default()
        }
    }

    fn topics(
        &self,
        image: &Image,
        failures: &[(Arc<str>, ErrorCode)],
    ) -> Vec<MetadataResponseTopic> {
        // In version 0 an empty list asks for all topics, later on null does.
        let wanted = self.request.topics.as_ref();
        match wanted.filter(|wanted| self.version > 0 || !wanted.is_empty()) {
            None => image.topics().map(|topic| self.known(topic)).collect(),
            Some(wanted) => {
                wanted.iter().map(|topic| self.wanted(image, topic, failures)).collect()
            }
        }
    }

    fn wanted(
        &self,
        image: &Image,
        wanted: &MetadataRequestTopic,
        failures: &[(Arc<str>, ErrorCode)],
    ) -> MetadataResponseTopic {
        if !wanted.topic_id.is_zero() {
            return match image.topic_by_id(TopicId(wanted.topic_id.0)) {
                Some(topic) => self.known(topic),
                None => unknown(ErrorCode::UnknownTopicId, None, wanted.topic_id),
            };
        }
        let Some(name) = &wanted.name else {
            return unknown(ErrorCode::InvalidRequest, None, Uuid::ZERO);
        };
        if let Some(topic) = image.topic(name) {
            return self.known(topic);
        }
        let failure = failures.iter().find(|(failed, _)| failed[..] == name[..]);
        let error = match failure {
            Some((_, error)) => *error,
            None if name::check(name).is_err() => ErrorCode::InvalidTopicException,
            None => ErrorCode::UnknownTopicOrPartition,
        };
        unknown(error, Some(name.clone()), Uuid::ZERO)
    }

    fn known(&self, topic: &Topic) -> MetadataResponseTopic {
        let node = self.node.id();
        let partitions =
            (0..topic.partitions as i32).map(|partition_index| MetadataResponsePartition {
                partition_index,
                leader_id: node,
                leader_epoch: self.node.leader_epoch().0,
                replica_nodes: vec![node],
                isr_nodes: vec![node],
                ..MetadataResponsePartition::default()
            });
        let include = self.request.include_topic_authorized_operations;
        MetadataResponseTopic {
            name: Some(Str::from(topic.name.to_string())),
            topic_id: Uuid(topic.id.0),
            is_internal: topic.is_internal(),
            partitions: partitions.collect(),
            topic_authorized_operations: operations::told(include, operations::TOPIC),
            ..MetadataResponseTopic::default()
        }
    }
}

fn unknown(error_code: ErrorCode, name: Option<Str>, topic_id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic { error_code, name, topic_id, ..MetadataResponseTopic::default() }
}
