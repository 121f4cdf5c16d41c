//! Metadata: brokers, topics and who leads their partitions; creates topics that clients ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use corelog_engine::id::TopicId;
use corelog_engine::metadata::command::{Mode, NewTopic};
use corelog_engine::metadata::{Image, Outcome, Topic, name};
use corelog_engine::shard::request::{Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::broker::api::{Call, Handled, answer, encode, make};
use crate::broker::creation;
use crate::broker::node::Node;
use crate::broker::operations;
use crate::broker::translate;
use crate::config::broker::Config;
use crate::config::listener::Address;

/// From this version on topics may be asked for by id. Versions 10 and 11 have the field, and no
/// null for the name that such an answer would lack.
const BY_ID_FROM: i16 = 12;

/// Partitions that there are, and topics that are asked for, when an answer is made on the shard's
/// thread.
const QUICK: u64 = 1_000;

/// A request and what its answer is made of, but for the topics.
struct Asking {
    config: Arc<Config>,
    cluster_id: Str,
    leader_epoch: i32,
    advertised: Address,
    version: i16,
    request: MetadataRequest,
}

/// The topics that a request is about, each once.
enum Wanted<'a> {
    All,
    Named(Vec<&'a Str>),
    Identified(Vec<TopicId>),
}

pub(crate) fn handle(call: &Call, request: MetadataRequest) -> Handled<MetadataResponse> {
    let (node, header) = (call.node.clone(), call.header.clone());
    if is_invalid(header.version, &request) {
        return Handled::Made(make(&node, &header, move || invalid(request)));
    }
    let is_short = request.topics.as_ref().map_or(0, Vec::len) as u64 <= QUICK;
    let asking = Asking {
        config: node.config.clone(),
        cluster_id: node.cluster_id(),
        leader_epoch: node.leader_epoch().0,
        advertised: call.entrance.advertised.clone(),
        version: header.version,
        request,
    };
    Handled::made(move |charge| async move {
        let image = node.image();
        let look = move || {
            let missing = asking.to_create(&image);
            (asking, missing, charge)
        };
        let (asking, missing, charge) = match is_short {
            true => look(),
            false => node.shard.offload(look).await,
        };
        let failures = match missing.is_empty() {
            true => BTreeMap::new(),
            false => create(&node, &missing).await,
        };
        let image = node.image();
        match is_short && image.partition_count() <= QUICK {
            true => Ok(answer(encode(&header, &asking.answer(&image, &failures))?, charge)),
            false => make(&node, &header, move || asking.answer(&image, &failures))(charge).await,
        }
    })
}

/// Creates topics; why some could not be.
async fn create(node: &Rc<Node>, names: &[Arc<str>]) -> BTreeMap<Arc<str>, ErrorCode> {
    let mut topics = Vec::with_capacity(names.len());
    for name in names {
        node.shard.breathe().await;
        topics.push(new_topic(node, name));
    }
    let command = creation::command(node, topics, Mode::Apply);
    let mut failures = BTreeMap::new();
    if let Reply::Metadata(Ok(Outcome::Topics(results))) =
        node.shard.submit(Request::Metadata(command)).await
    {
        for result in results {
            let Err(refusal) = result.result else { continue };
            let told = translate::create(&refusal);
            // Someone else was faster: the topic is there.
            if told.code != ErrorCode::TopicAlreadyExists {
                failures.insert(result.name, told.code);
            }
        }
    }
    failures
}

/// Whether it asks for a topic in a way that its version does not know, or for none at all.
fn is_invalid(version: i16, request: &MetadataRequest) -> bool {
    let wanted = request.topics.as_deref().unwrap_or_default();
    let nameless = wanted.iter().any(|topic| topic.name.is_none());
    let by_id = wanted.iter().any(|topic| !topic.topic_id.is_zero());
    if version < BY_ID_FROM { nameless || by_id } else { nameless && !by_id }
}

/// Kafka's answer to such a request: every topic is refused, and nothing else is told.
fn invalid(request: MetadataRequest) -> MetadataResponse {
    let error_code = ErrorCode::InvalidRequest;
    let topics = request
        .topics
        .unwrap_or_default()
        .into_iter()
        .map(|topic| unknown(error_code, Some(topic.name.unwrap_or_default()), topic.topic_id));
    MetadataResponse { topics: topics.collect(), error_code, ..MetadataResponse::default() }
}

impl Asking {
    /// As Kafka reads a request: where there are ids, names do not count.
    fn wanted(&self) -> Wanted<'_> {
        // In version 0 an empty list asks for all topics, later on null does.
        let topics = self.request.topics.as_deref();
        let Some(topics) = topics.filter(|topics| self.version > 0 || !topics.is_empty()) else {
            return Wanted::All;
        };
        let ids = topics.iter().map(|topic| topic.topic_id).filter(|id| !id.is_zero());
        let mut ids: Vec<_> = ids.map(|id| TopicId(id.0)).collect();
        if ids.is_empty() {
            let mut names: Vec<_> = topics.iter().filter_map(|topic| topic.name.as_ref()).collect();
            let mut seen = BTreeSet::new();
            names.retain(|name| seen.insert(*name));
            return Wanted::Named(names);
        }
        let mut seen = BTreeSet::new();
        ids.retain(|id| seen.insert(*id));
        Wanted::Identified(ids)
    }

    /// Topics that do not exist and shall be created: asked for by a valid name.
    fn to_create(&self, image: &Image) -> Vec<Arc<str>> {
        let allowed = self.config.topics.auto_create
            && (self.version < 4 || self.request.allow_auto_topic_creation);
        if !allowed {
            return Vec::new();
        }
        let Wanted::Named(named) = self.wanted() else { return Vec::new() };
        let mut names: Vec<&str> = named.into_iter().map(|name| &name[..]).collect();
        names.retain(|name| {
            let free = image.topic(name).is_none() && !name::is_internal(name);
            free && name::check(name).is_ok()
        });
        names.sort_unstable();
        names.into_iter().map(Arc::from).collect()
    }

    fn answer(&self, image: &Image, failures: &BTreeMap<Arc<str>, ErrorCode>) -> MetadataResponse {
        let broker = MetadataResponseBroker {
            node_id: self.config.node_id,
            host: Str::from(self.advertised.host.clone()),
            port: i32::from(self.advertised.port),
            rack: self.config.rack.clone().map(Str::from),
        };
        let include = self.request.include_cluster_authorized_operations;
        MetadataResponse {
            brokers: vec![broker],
            cluster_id: Some(self.cluster_id.clone()),
            controller_id: self.config.node_id,
            topics: self.topics(image, failures),
            cluster_authorized_operations: operations::told(include, operations::CLUSTER),
            ..MetadataResponse::default()
        }
    }

    fn topics(
        &self,
        image: &Image,
        failures: &BTreeMap<Arc<str>, ErrorCode>,
    ) -> Vec<MetadataResponseTopic> {
        match self.wanted() {
            Wanted::All => image.topics().map(|topic| self.known(topic)).collect(),
            Wanted::Named(names) => {
                names.into_iter().map(|name| self.named(image, name, failures)).collect()
            }
            Wanted::Identified(ids) => {
                ids.into_iter().map(|id| self.identified(image, id)).collect()
            }
        }
    }

    fn identified(&self, image: &Image, id: TopicId) -> MetadataResponseTopic {
        match image.topic_by_id(id) {
            Some(topic) => self.known(topic),
            None => unknown(ErrorCode::UnknownTopicId, None, Uuid(id.0)),
        }
    }

    fn named(
        &self,
        image: &Image,
        name: &Str,
        failures: &BTreeMap<Arc<str>, ErrorCode>,
    ) -> MetadataResponseTopic {
        if let Some(topic) = image.topic(name) {
            return self.known(topic);
        }
        let error = match failures.get(&name[..]) {
            Some(error) => *error,
            None if name::check(name).is_err() => ErrorCode::InvalidTopicException,
            None => ErrorCode::UnknownTopicOrPartition,
        };
        unknown(error, Some(name.clone()), Uuid::ZERO)
    }

    fn known(&self, topic: &Topic) -> MetadataResponseTopic {
        let node = self.config.node_id;
        let partitions =
            (0..topic.partitions as i32).map(|partition_index| MetadataResponsePartition {
                partition_index,
                leader_id: node,
                leader_epoch: self.leader_epoch,
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

fn new_topic(node: &Node, name: &Arc<str>) -> NewTopic {
    NewTopic {
        name: name.clone(),
        id: creation::topic_id(node),
        partitions: -1,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: Default::default(),
    }
}

fn unknown(error_code: ErrorCode, name: Option<Str>, topic_id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic { error_code, name, topic_id, ..MetadataResponseTopic::default() }
}
