//! A connection's requests, in order: header, API, handler, response.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use corelog_drive::{Close, Response, Service, Session, ShardHandle};
use corelog_engine::id::ProducerId;
use corelog_engine::metadata::command::ProducerIdBlock;
use corelog_engine::shard::effect::Notice;
use corelog_wire::api::{ApiKey, Message, Request};
use corelog_wire::header::{HeaderError, RequestHeader};
use corelog_wire::reader::Reader;

use crate::broker::api::{self, Call, Handled};
use crate::broker::node::{Entrance, Node};
use crate::broker::topics::TopicCache;
use crate::config::broker::Config;
use crate::config::listener::Address;
use crate::daemon::notice;

/// One shard's broker.
pub(crate) struct Broker {
    node: Rc<Node>,
}

impl Broker {
    pub(crate) fn new(config: Arc<Config>, shard: ShardHandle) -> Broker {
        let topics = TopicCache::new(config.clone());
        let producer_ids = ProducerIdBlock::new(ProducerId(0), ProducerId(0)).into();
        Broker { node: Rc::new(Node { config, shard, topics, producer_ids }) }
    }

    /// What to advertise to a client that reached `local`.
    fn entrance(&self, peer: SocketAddr, local: SocketAddr) -> Entrance {
        let listeners = &self.node.config.listeners;
        let exact = listeners.iter().find(|listener| listener.bind.port == local.port());
        let free = listeners.iter().find(|listener| listener.bind.port == 0);
        let listener = exact.or(free).or(listeners.first());
        let advertised = listener.map_or_else(
            || Address { host: local.ip().to_string(), port: local.port() },
            |listener| listener.advertised.clone(),
        );
        let port = if advertised.port == 0 { local.port() } else { advertised.port };
        let client_host = format!("/{}", peer.ip()).into();
        Entrance::new(Address { port, ..advertised }, client_host)
    }
}

impl Service for Broker {
    type Session = Connection;

    fn connect(&self, peer: SocketAddr, local: SocketAddr) -> Connection {
        Connection { node: self.node.clone(), entrance: Rc::new(self.entrance(peer, local)) }
    }

    fn notice(&self, notice: &Notice) {
        notice::log(self.node.shard.shard(), &self.node.image(), notice);
    }
}

/// One connection.
pub(crate) struct Connection {
    node: Rc<Node>,
    entrance: Rc<Entrance>,
}

impl Session for Connection {
    fn request(&mut self, frame: Bytes) -> impl Future<Output = Result<Option<Response>, Close>> {
        let (node, entrance) = (self.node.clone(), self.entrance.clone());
        async move {
            let mut reader = Reader::new(frame);
            let header = match RequestHeader::decode(&mut reader) {
                Ok(header) => header,
                Err(error) => return refuse_header(error, &node),
            };
            let call = Call { node, entrance, header };
            dispatch(call, reader).await.map(Some)
        }
    }
}

/// Kafka answers an `ApiVersions` of a version it does not know, so that the client can try a lower
/// one; everything else that is not served closes the connection.
fn refuse_header(error: HeaderError, node: &Node) -> Result<Option<Response>, Close> {
    match error {
        HeaderError::NotServed { api: ApiKey::ApiVersions, correlation_id, .. } => {
            api::api_versions::unsupported(node, correlation_id).map(Some)
        }
        error => Err(Close(error.to_string().into())),
    }
}

async fn dispatch(call: Call, mut reader: Reader) -> Result<Response, Close> {
    let reader = &mut reader;
    match call.header.api {
        ApiKey::Produce => {
            call.node.shard.doing("Produce");
            let request = decode(&call, reader)?;
            api::produce::handle(call, request).await
        }
        ApiKey::Fetch => api::fetch::handle(&call, &decode(&call, reader)?),
        ApiKey::ListOffsets => run(call, reader, api::list_offsets::handle),
        ApiKey::OffsetForLeaderEpoch => run(call, reader, api::offset_for_leader_epoch::handle),
        ApiKey::Metadata => run(call, reader, api::metadata::handle),
        ApiKey::FindCoordinator => run(call, reader, api::find_coordinator::handle),
        ApiKey::JoinGroup => run(call, reader, api::join_group::handle),
        ApiKey::SyncGroup => run(call, reader, api::sync_group::handle),
        ApiKey::ConsumerGroupHeartbeat => run(call, reader, api::consumer_group_heartbeat::handle),
        ApiKey::ConsumerGroupDescribe => run(call, reader, api::consumer_group_describe::handle),
        ApiKey::Heartbeat => run(call, reader, api::heartbeat::handle),
        ApiKey::LeaveGroup => run(call, reader, api::leave_group::handle),
        ApiKey::OffsetCommit => run(call, reader, api::offset_commit::handle),
        ApiKey::OffsetFetch => run(call, reader, api::offset_fetch::handle),
        ApiKey::OffsetDelete => run(call, reader, api::offset_delete::handle),
        ApiKey::DescribeGroups => run(call, reader, api::describe_groups::handle),
        ApiKey::ListGroups => run(call, reader, api::list_groups::handle),
        ApiKey::DeleteGroups => run(call, reader, api::delete_groups::handle),
        ApiKey::ApiVersions => run(call, reader, api::api_versions::handle),
        ApiKey::SaslHandshake => run(call, reader, api::sasl_handshake::handle),
        ApiKey::CreateTopics => run(call, reader, api::create_topics::handle),
        ApiKey::DeleteTopics => run(call, reader, api::delete_topics::handle),
        ApiKey::InitProducerId => run(call, reader, api::init_producer_id::handle),
        ApiKey::CreatePartitions => run(call, reader, api::create_partitions::handle),
        ApiKey::IncrementalAlterConfigs => {
            run(call, reader, api::incremental_alter_configs::handle)
        }
        ApiKey::AlterConfigs => run(call, reader, api::alter_configs::handle),
        ApiKey::ListConfigResources => run(call, reader, api::list_config_resources::handle),
        ApiKey::DescribeConfigs => run(call, reader, api::describe_configs::handle),
        ApiKey::DescribeCluster => run(call, reader, api::describe_cluster::handle),
        other => Err(Close(format!("{other} is not served").into())),
    }
}

fn decode<R: Message>(call: &Call, reader: &mut Reader) -> Result<R, Close> {
    R::decode(reader, call.header.version).map_err(|error| {
        let client = &call.header.client_id;
        Close(format!("malformed request of client {client:?}: {error}").into())
    })
}

/// Decodes a request, handles it, and makes a response of what that gives, now or later.
fn run<R: Request>(
    call: Call,
    reader: &mut Reader,
    handle: impl FnOnce(&Call, R) -> Handled<R::Response>,
) -> Result<Response, Close>
where
    R::Response: 'static,
{
    call.node.shard.doing(R::API.name());
    let request = decode(&call, reader)?;
    match handle(&call, request) {
        Handled::Now(body) => {
            let pieces = api::encode(&call.header, &body)?;
            Ok(Box::pin(std::future::ready(Ok(pieces))))
        }
        Handled::Made(made) => Ok(made),
        Handled::Later(body) => Ok(Box::pin(async move {
            let body = body.await;
            call.node.shard.doing(R::API.name());
            api::encode(&call.header, &body)
        })),
    }
}
