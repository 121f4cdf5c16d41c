//! A connection's requests, in order: header, API, handler, response.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use corelog_drive::{Answer, Charge, Close, Response, Service, Session, ShardHandle, Turn};
use corelog_engine::id::ProducerId;
use corelog_engine::metadata::Image;
use corelog_engine::metadata::command::ProducerIdBlock;
use corelog_engine::shard::effect::Notice;
use corelog_wire::api::{ApiKey, Request};
use corelog_wire::error::Malformed;
use corelog_wire::header::{HeaderError, RequestHeader};
use corelog_wire::reader::{ARRAY_MEMORY, Reader};
use corelog_wire::text::Str;

use crate::broker::api::{self, Call, Handled, Told};
use crate::broker::cost::{self, Costing, elements};
use crate::broker::node::{Entrance, Node};
use crate::broker::topics::TopicCache;
use crate::config::broker::Config;
use crate::config::listener::Address;
use crate::daemon::notice;

/// Memory of arrays of a request that is decoded on the shard's thread, which takes less than a
/// millisecond.
const QUICK_ARRAYS: u64 = 256 << 10;

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
    /// Producers have several requests under way, which come in one commit; everything else is
    /// begun when what was asked before it is answered.
    fn turn(frame: &[u8]) -> Turn {
        match frame.first_chunk().map(|key| ApiKey::from_i16(i16::from_be_bytes(*key))) {
            Some(Some(ApiKey::Produce)) => Turn::Shared,
            _ => Turn::Own,
        }
    }

    fn request(&mut self, frame: Bytes) -> impl Future<Output = Result<Option<Response>, Close>> {
        let (node, entrance) = (self.node.clone(), self.entrance.clone());
        async move {
            let mut reader = Reader::new(frame);
            let header = match RequestHeader::decode(&mut reader) {
                Ok(header) => header,
                Err(error) => return refuse_header(error, node),
            };
            let call = Call { node, entrance, header };
            dispatch(call, reader).await.map(Some)
        }
    }
}

/// Kafka answers an `ApiVersions` of a version it does not know, so that the client can try a lower
/// one; everything else that is not served closes the connection.
fn refuse_header(error: HeaderError, node: Rc<Node>) -> Result<Option<Response>, Close> {
    match error {
        HeaderError::NotServed { api: ApiKey::ApiVersions, correlation_id, .. } => {
            Ok(Some(api::api_versions::unsupported(node, correlation_id)))
        }
        error => Err(Close(error.to_string().into())),
    }
}

async fn dispatch(call: Call, body: Reader) -> Result<Response, Close> {
    Ok(match call.header.api {
        ApiKey::Produce => return produce(call, body).await,
        ApiKey::Fetch => Box::pin(fetch(call, body)),
        ApiKey::ListOffsets => run(call, body, elements, api::list_offsets::handle),
        ApiKey::OffsetForLeaderEpoch => {
            run(call, body, elements, api::offset_for_leader_epoch::handle)
        }
        ApiKey::Metadata => run(call, body, cost::metadata, api::metadata::handle),
        ApiKey::FindCoordinator => run(call, body, elements, api::find_coordinator::handle),
        ApiKey::JoinGroup => run(call, body, elements, api::join_group::handle),
        ApiKey::SyncGroup => run(call, body, elements, api::sync_group::handle),
        ApiKey::ConsumerGroupHeartbeat => {
            run(call, body, elements, api::consumer_group_heartbeat::handle)
        }
        ApiKey::ConsumerGroupDescribe => {
            run(call, body, elements, api::consumer_group_describe::handle)
        }
        ApiKey::Heartbeat => run(call, body, elements, api::heartbeat::handle),
        ApiKey::LeaveGroup => run(call, body, elements, api::leave_group::handle),
        ApiKey::OffsetCommit => run(call, body, elements, api::offset_commit::handle),
        ApiKey::OffsetFetch => run(call, body, elements, api::offset_fetch::handle),
        ApiKey::OffsetDelete => run(call, body, elements, api::offset_delete::handle),
        ApiKey::DescribeGroups => run(call, body, elements, api::describe_groups::handle),
        ApiKey::ListGroups => run(call, body, elements, api::list_groups::handle),
        ApiKey::DeleteGroups => run(call, body, elements, api::delete_groups::handle),
        ApiKey::ApiVersions => run(call, body, elements, api::api_versions::handle),
        ApiKey::SaslHandshake => run(call, body, elements, api::sasl_handshake::handle),
        ApiKey::CreateTopics => run(call, body, cost::create_topics, api::create_topics::handle),
        ApiKey::DeleteTopics => run(call, body, elements, api::delete_topics::handle),
        ApiKey::InitProducerId => run(call, body, elements, api::init_producer_id::handle),
        ApiKey::CreatePartitions => run(call, body, elements, api::create_partitions::handle),
        ApiKey::IncrementalAlterConfigs => {
            run(call, body, elements, api::incremental_alter_configs::handle)
        }
        ApiKey::AlterConfigs => run(call, body, elements, api::alter_configs::handle),
        ApiKey::ListConfigResources => {
            run(call, body, cost::list_config_resources, api::list_config_resources::handle)
        }
        ApiKey::DescribeConfigs => {
            run(call, body, cost::describe_configs, api::describe_configs::handle)
        }
        ApiKey::DescribeCluster => run(call, body, elements, api::describe_cluster::handle),
        other => return Err(Close(format!("{other} is not served").into())),
    })
}

/// What a request is decoded by, on whichever thread.
struct Decoding<R> {
    version: i16,
    client: Str,
    body: Reader,
    image: Arc<Image>,
    costing: Costing<R>,
    /// Bytes that working on one request may take.
    most: u64,
}

impl<R: Request> Decoding<R> {
    /// Decodes it, if its arrays take no more than so much memory, and says what working on it
    /// takes, if that is allowed.
    fn run(&self, memory: u64) -> Result<(R, u64), NotDecoded> {
        let mut body = self.body.clone();
        body.set_array_memory(usize::try_from(memory).unwrap_or(usize::MAX).min(ARRAY_MEMORY));
        let request = R::decode(&mut body, self.version).map_err(|error| NotDecoded {
            is_wide: error.cause == Malformed::ArrayMemory,
            close: self.refusal("malformed", error),
        })?;
        let (spent, cost) = (body.spent(), (self.costing)(&self.image, &request));
        let own = cost::of_decoded(R::API, spent) + cost.request;
        self.allow(spent.elements, own).map_err(|close| NotDecoded { is_wide: false, close })?;
        Ok((request, own + cost.state))
    }

    fn allow(&self, elements: usize, own: u64) -> Result<(), Close> {
        let (most_elements, most) = (cost::most_elements(R::API), self.most);
        if elements > most_elements {
            let why = format!("it has {elements} elements, and {most_elements} are allowed");
            return Err(self.refusal("too wide", why));
        }
        if own > most {
            let why = format!(
                "it takes {own} bytes of memory to answer, and {most} are allowed \
                 (memory.share.requests of memory.per.core)"
            );
            return Err(self.refusal("too large", why));
        }
        Ok(())
    }

    fn refusal(&self, what: &str, why: impl fmt::Display) -> Close {
        let (client, api) = (&self.client, R::API);
        Close(format!("a request of client {client:?}, {api}, is {what}: {why}").into())
    }
}

/// Why there is no decoded request.
struct NotDecoded {
    /// Its arrays take more memory than they were to, for now.
    is_wide: bool,
    close: Close,
}

/// Decodes a request when there is room for what working on it takes. Until then it is its frame.
async fn admit<R: Request + Send + 'static>(
    call: &Call,
    body: Reader,
    costing: Costing<R>,
) -> Result<(R, Charge), Close> {
    let decoding = Decoding {
        version: call.header.version,
        client: call.header.client_id.clone(),
        body,
        image: call.node.image(),
        costing,
        most: call.node.config.memory.requests,
    };
    let quick = decoding.most.min(QUICK_ARRAYS);
    let (request, bytes) = match decoding.run(quick) {
        Ok(decoded) => decoded,
        Err(wide) if wide.is_wide && quick < decoding.most => {
            return admit_wide(call, decoding).await;
        }
        Err(refused) => return Err(refused.close),
    };
    if let Some(charge) = call.node.shard.charge_work(bytes) {
        return Ok((request, charge));
    }
    drop(request);
    let mut charge = loop {
        call.node.shard.work_done().await;
        if let Some(charge) = call.node.shard.charge_work(bytes) {
            break charge;
        }
    };
    let (request, bytes) = decoding.run(quick).map_err(|refused| refused.close)?;
    charge.settle(bytes);
    Ok((request, charge))
}

/// The same of a request that takes milliseconds to decode. Until that is done, and there is room
/// for it, none else of that kind is.
async fn admit_wide<R: Request + Send + 'static>(
    call: &Call,
    decoding: Decoding<R>,
) -> Result<(R, Charge), Close> {
    let (decoding, shard) = (Arc::new(decoding), &call.node.shard);
    loop {
        let (permit, decoding) = (shard.permit().await, decoding.clone());
        let decode = move || (decoding.run(decoding.most), permit);
        let (decoded, permit) = shard.offload(decode).await;
        let (request, bytes) = decoded.map_err(|refused| refused.close)?;
        if let Some(charge) = shard.charge_work(bytes) {
            return Ok((request, charge));
        }
        drop((request, permit));
        shard.work_done().await;
    }
}

async fn produce(call: Call, body: Reader) -> Result<Response, Close> {
    call.node.shard.doing("Produce");
    let (request, charge) = admit(&call, body, elements).await?;
    api::produce::handle(call, request, charge).await
}

async fn fetch(mut call: Call, body: Reader) -> Result<Answer, Close> {
    let (request, charge) = admit(&call, body, elements).await?;
    call.header.let_go_of_frame();
    api::fetch::handle(&call, request, charge).await
}

/// A request that is decoded and handled once its turn has come, and then answered, now or later.
fn run<R: Request + Send + 'static>(
    mut call: Call,
    body: Reader,
    costing: Costing<R>,
    handle: impl FnOnce(&Call, R) -> Handled<R::Response> + 'static,
) -> Response
where
    R::Response: Send + 'static,
{
    Box::pin(async move {
        call.node.shard.doing(R::API.name());
        let (request, mut charge) = admit(&call, body, costing).await?;
        let body = match handle(&call, request) {
            Handled::Now(body) => body,
            Handled::Later(body) => {
                call.header.let_go_of_frame();
                if waits_for_others(call.header.api) {
                    charge.settle(0);
                }
                body.await
            }
            Handled::Made(made) => {
                call.header.let_go_of_frame();
                return made(charge).await;
            }
            Handled::Growing(body) => {
                call.header.let_go_of_frame();
                let (body, told) = body(Told::new(&call.node, charge)).await;
                charge = told.into_charge();
                body
            }
        };
        call.node.shard.doing(R::API.name());
        match charge.exceeds(api::QUICK) {
            true => api::make(&call.node, &call.header, move || body)(charge).await,
            false => Ok(api::answer(api::encode(&call.header, &body)?, charge)),
        }
    })
}

/// Whether a request may wait for minutes, for what other clients do. What it says is the
/// coordinator's by then, so it keeps nothing that others could wait for.
fn waits_for_others(api: ApiKey) -> bool {
    matches!(api, ApiKey::JoinGroup | ApiKey::SyncGroup)
}
