//! `echo`: a broker that keeps nothing and answers at once. What a load reaches with it is what the
//! client, the sockets, a thread for each connection and Corelog's codec cost. It is a yardstick,
//! no bound: a broker that does with fewer threads, or decodes less, could be beyond it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use bytes::{Bytes, BytesMut};
use clap::Args;
use corelog_wire::api::{ApiKey, Message, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::frame;
use corelog_wire::header::{RequestHeader, encode_response};
use corelog_wire::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use corelog_wire::messages::create_topics::{
    CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use corelog_wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use corelog_wire::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use corelog_wire::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use corelog_wire::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
use corelog_wire::reader::Reader;
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::client::{Address, MAX_RESPONSE};
use crate::failure::Failure;

const RECEIVE_BYTES: usize = 64 << 10;

/// Flags of `echo`.
#[derive(Args, Clone, Debug)]
pub(crate) struct EchoArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:9092")]
    listen: Address,
}

/// Serves until it is stopped.
///
/// # Errors
/// It cannot listen there.
pub(crate) fn run(args: &EchoArgs) -> Result<(), Failure> {
    let Address { host, port } = &args.listen;
    let listener = TcpListener::bind((host.as_str(), *port)).map_err(Failure::NoPort)?;
    let node = Node { address: args.listen.clone(), topics: Mutex::default() };
    thread::scope(|scope| {
        for socket in listener.incoming().flatten() {
            // A client that goes away is no concern of the others.
            scope.spawn(|| drop(node.serve(socket)));
        }
    });
    Ok(())
}

struct Node {
    address: Address,
    /// How many partitions topics have.
    topics: Mutex<BTreeMap<Str, i32>>,
}

impl Node {
    fn serve(&self, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut received = BytesMut::new();
        let mut chunk = [0; RECEIVE_BYTES];
        let mut answers = Vec::new();
        loop {
            match socket.read(&mut chunk)? {
                0 => return Ok(()),
                len => received.extend_from_slice(&chunk[..len]),
            }
            while let Ok(Some(frame)) = frame::split(&mut received, MAX_RESPONSE) {
                let answer = self.answer(frame).ok_or(io::ErrorKind::InvalidData)?;
                answers.extend_from_slice(&answer);
            }
            socket.write_all(&answers)?;
            answers.clear();
        }
    }

    /// What a request is answered with, if it can be understood.
    fn answer(&self, frame: Bytes) -> Option<Bytes> {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader).ok()?;
        let call = Call { header, reader };
        match call.header.api {
            ApiKey::ApiVersions => call.reply(|_: ApiVersionsRequest| versions()),
            ApiKey::Metadata => call.reply(|request| self.metadata(request)),
            ApiKey::CreateTopics => call.reply(|request| self.create(request)),
            ApiKey::ListOffsets => call.reply(offsets),
            ApiKey::InitProducerId => call.reply(|_: InitProducerIdRequest| producer()),
            ApiKey::Produce => call.produced(),
            _ => None,
        }
    }

    fn topics<T>(&self, work: impl FnOnce(&mut BTreeMap<Str, i32>) -> T) -> T {
        work(&mut self.topics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn create(&self, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let create = |topic: corelog_wire::messages::create_topics::CreatableTopic| {
            self.topics(|topics| topics.insert(topic.name.clone(), topic.num_partitions.max(1)));
            CreatableTopicResult { name: topic.name, ..CreatableTopicResult::default() }
        };
        CreateTopicsResponse {
            topics: request.topics.into_iter().map(create).collect(),
            ..CreateTopicsResponse::default()
        }
    }

    fn metadata(&self, request: MetadataRequest) -> MetadataResponse {
        let names = request.topics.unwrap_or_default().into_iter().filter_map(|topic| topic.name);
        let broker = MetadataResponseBroker {
            node_id: 1,
            host: self.address.host.as_str().into(),
            port: i32::from(self.address.port),
            ..MetadataResponseBroker::default()
        };
        MetadataResponse {
            brokers: vec![broker],
            topics: names.map(|name| self.topic(name)).collect(),
            ..MetadataResponse::default()
        }
    }

    fn topic(&self, name: Str) -> MetadataResponseTopic {
        let partitions = self.topics(|topics| topics.get(&name).copied());
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: 1,
            ..MetadataResponsePartition::default()
        };
        MetadataResponseTopic {
            error_code: match partitions {
                Some(_) => ErrorCode::None,
                None => ErrorCode::UnknownTopicOrPartition,
            },
            name: Some(name),
            // Nobody is told apart by it here.
            topic_id: Uuid([1; 16]),
            partitions: (0..partitions.unwrap_or_default()).map(partition).collect(),
            ..MetadataResponseTopic::default()
        }
    }
}

struct Call {
    header: RequestHeader,
    reader: Reader,
}

impl Call {
    fn reply<R: Request>(mut self, work: impl FnOnce(R) -> R::Response) -> Option<Bytes> {
        let request = self.decode::<R>()?;
        self.encode::<R>(&work(request))
    }

    fn decode<R: Request>(&mut self) -> Option<R> {
        R::decode(&mut self.reader, self.header.version).ok()
    }

    fn encode<R: Request>(&self, response: &R::Response) -> Option<Bytes> {
        let Call { header, .. } = self;
        encode_response(header.version, header.correlation_id, response).ok()?.into_bytes()
    }

    /// Nothing, for those who want no answer.
    fn produced(mut self) -> Option<Bytes> {
        let request = self.decode::<ProduceRequest>()?;
        match request.acks {
            0 => Some(Bytes::new()),
            _ => self.encode::<ProduceRequest>(&acknowledged(request)),
        }
    }
}

fn versions() -> ApiVersionsResponse {
    fn of<M: Message>() -> ApiVersion {
        ApiVersion {
            api_key: M::API as i16,
            min_version: M::SERVED.min,
            max_version: M::SERVED.max,
        }
    }
    ApiVersionsResponse {
        api_keys: vec![
            of::<ApiVersionsRequest>(),
            of::<MetadataRequest>(),
            of::<CreateTopicsRequest>(),
            of::<ListOffsetsRequest>(),
            of::<InitProducerIdRequest>(),
            of::<ProduceRequest>(),
        ],
        ..ApiVersionsResponse::default()
    }
}

/// All partitions are empty.
fn offsets(request: ListOffsetsRequest) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                offset: 0,
                ..ListOffsetsPartitionResponse::default()
            })
            .collect(),
    });
    ListOffsetsResponse { topics: topics.collect(), ..ListOffsetsResponse::default() }
}

fn producer() -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id: 1, ..InitProducerIdResponse::default() }
}

fn acknowledged(request: ProduceRequest) -> ProduceResponse {
    let topic = |topic: TopicProduceData| TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_responses: topic
            .partition_data
            .into_iter()
            .map(|data| PartitionProduceResponse {
                index: data.index,
                ..PartitionProduceResponse::default()
            })
            .collect(),
    };
    ProduceResponse {
        responses: request.topic_data.into_iter().map(topic).collect(),
        ..ProduceResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchSpec, Fill};
    use crate::client::Connection;
    use crate::produce::{Extent, Identity, Outcome, Pacing, Plan};
    use crate::request::{Acks, produce_request};
    use crate::supply::Supply;
    use crate::timeline::Progress;
    use crate::topic::{Topic, TopicArgs};
    use std::time::Duration;

    /// A broker that goes on until the tests are over.
    fn broker() -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let address = Address { host: "127.0.0.1".to_owned(), port };
        let node = Node { address: address.clone(), topics: Mutex::default() };
        thread::spawn(move || {
            thread::scope(|scope| {
                for socket in listener.incoming().flatten() {
                    scope.spawn(|| node.serve(socket));
                }
            });
        });
        address
    }

    #[test]
    fn a_producer_finds_all_that_it_needs() {
        let address = broker();
        let topic = Topic::prepare(&TopicArgs::of(&address, "t", 3)).expect("a topic");
        assert_eq!(topic.partitions(), 3);
        let batch = BatchSpec::plain(10, Fill::Records(1)).build().expect("a batch");
        let mut connection = Connection::open(&address).expect("a broker");
        let request = produce_request(&topic, Acks::All, &[(0, &batch), (2, &batch)]);
        let response = connection.call(&request).expect("an answer");
        let told = response.responses[0].partition_responses.iter();
        let told: Vec<_> = told.map(|part| (part.index, part.error_code)).collect();
        assert_eq!(told, [(0, ErrorCode::None), (2, ErrorCode::None)]);
        connection.call(&InitProducerIdRequest::default()).expect("an answer");
    }

    #[test]
    fn whole_loads_are_counted_whether_they_are_answered_or_not() {
        let topic = Topic::prepare(&TopicArgs::of(&broker(), "t", 8)).expect("a topic");
        let spec = BatchSpec::plain(100, Fill::Records(3));
        let same = Supply::Same(spec.build().expect("a batch"));
        let keyed = Supply::keyed(&spec, 1000, 8).expect("batches");
        for (supply, acks, identity) in [
            (&same, Acks::All, Identity::None),
            (&same, Acks::None, Identity::None),
            (&keyed, Acks::All, Identity::Idempotent),
            (&keyed, Acks::None, Identity::None),
        ] {
            // Fifty requests of two batches for each of four connections.
            let extent = Extent::Bytes(400 * supply.batch_len());
            let plan = Plan {
                topic: &topic,
                supply,
                connections: 4,
                partitions_per_request: 2,
                acks,
                identity,
                pacing: Pacing::Closed { in_flight: 3, extent },
                warm_up: Duration::ZERO,
                broker: None,
                progress: Progress::Quiet,
            };
            let Outcome { tally, elapsed, .. } = plan.run().expect("a broker");
            let told = (tally.requests, tally.batches, tally.records, tally.bytes);
            assert_eq!(told, (200, 400, 1200, 400 * supply.batch_len()), "{acks:?}");
            assert_eq!((tally.answers.summary().count, tally.errors.len()), (200, 0));
            assert!(elapsed > Duration::ZERO);
        }
    }
}
