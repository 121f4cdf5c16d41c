//! RabbitMQ streams: a partition is a stream, a request is one frame of messages, which the broker
//! confirms by the numbers that each message has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use rabbitmq_stream_client::types::{Message, MessageResult, ResponseCode, ResponseKind};
use rabbitmq_stream_client::{Client, ClientOptions};
use rabbitmq_stream_protocol::commands::subscribe::OffsetSpecification;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::scenario::Shape;
use crate::system::{Address, Answer, Delivery, Publisher, System};

/// Half of the largest frame that the server takes.
const FRAME_BYTES: usize = 512 << 10;
/// Chunks that the server may deliver before it is asked for more.
const CREDIT: u16 = 16;
/// The first version of the command to publish.
const PUBLISH_VERSION: u16 = 1;

/// A RabbitMQ server.
#[derive(Debug)]
pub(crate) struct RabbitMq {
    address: Address,
    shape: Shape,
}

impl RabbitMq {
    pub(crate) fn new(address: Address, shape: &Shape) -> RabbitMq {
        RabbitMq { address, shape: *shape }
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let options = ClientOptions::builder().host(&self.address.host).port(self.address.port);
        Client::connect(options.build()).await.map_err(Failure::broker)
    }
}

fn stream(partition: u32) -> String {
    format!("bench-{partition}")
}

/// Publishers and subscriptions of a connection have numbers of one byte.
fn number(place: usize) -> Result<u8, Failure> {
    u8::try_from(place).map_err(|_| {
        let line = "more than 256 partitions of a connection do not translate to this protocol";
        Failure::Untranslatable(line.to_owned())
    })
}

fn accepted(code: &ResponseCode) -> Result<(), Failure> {
    match code {
        ResponseCode::Ok | ResponseCode::StreamAlreadyExists => Ok(()),
        other => Err(Failure::Broker(format!("{other:?}"))),
    }
}

impl System for RabbitMq {
    type Publisher = RabbitMqPublisher;

    fn translation(&self) -> String {
        format!(
            "a partition is a stream; a request is {} messages of {} bytes, published in one frame \
             and confirmed one by one; MB/s counts the messages' payload",
            self.shape.messages, self.shape.message_bytes
        )
    }

    async fn prepare(&self) -> Result<(), Failure> {
        let client = self.connect().await?;
        for partition in 0..self.shape.partitions {
            let created = client.create_stream(&stream(partition), HashMap::new()).await;
            accepted(created.map_err(Failure::broker)?.code())?;
        }
        client.close().await.map_err(Failure::broker)
    }

    async fn publisher(&self, partitions: &[u32]) -> Result<RabbitMqPublisher, Failure> {
        let client = self.connect().await?;
        let waiting = Waiting::new(self.shape.messages as u64);
        let confirmed = waiting.clone();
        let handler = move |item: MessageResult| {
            confirmed.take(&item);
            std::future::ready(Ok(()))
        };
        client.set_handler(handler).await;
        let mut numbers = HashMap::new();
        for (place, partition) in partitions.iter().enumerate() {
            let number = number(place)?;
            let declared = client.declare_publisher(number, None, &stream(*partition)).await;
            accepted(declared.map_err(Failure::broker)?.code())?;
            numbers.insert(*partition, number);
        }
        Ok(RabbitMqPublisher { client, waiting, numbers, requests: 0 })
    }

    async fn deliver(&self, to: UnboundedSender<Delivery>) -> Result<(), Failure> {
        let client = self.connect().await?;
        let asking = client.clone();
        let handler = move |item: MessageResult| {
            let (asking, to) = (asking.clone(), to.clone());
            async move {
                let now = Instant::now();
                let Some(Ok(response)) = item else { return Ok(()) };
                let ResponseKind::Deliver(chunk) = response.kind_ref() else { return Ok(()) };
                for message in chunk.messages.iter().filter_map(Message::data) {
                    // Nobody listens once the run is over.
                    let _ = to.send((now, Bytes::copy_from_slice(message)));
                }
                asking.credit(chunk.subscription_id, 1).await
            }
        };
        client.set_handler(handler).await;
        for partition in 0..self.shape.partitions {
            let (number, stream) = (number(partition as usize)?, stream(partition));
            let from = OffsetSpecification::Next;
            let subscribed = client.subscribe(number, &stream, from, CREDIT, HashMap::new()).await;
            accepted(subscribed.map_err(Failure::broker)?.code())?;
        }
        Ok(())
    }
}

/// A connection to a RabbitMQ server.
pub(crate) struct RabbitMqPublisher {
    client: Client,
    waiting: Waiting,
    /// The publisher of each partition.
    numbers: HashMap<u32, u8>,
    requests: u64,
}

impl Publisher for RabbitMqPublisher {
    async fn publish(&mut self, partition: u32, messages: &[Bytes]) -> Result<Answer, Failure> {
        let request = self.requests;
        self.requests += 1;
        let answer = self.waiting.expect(request);
        let first = request * messages.len() as u64;
        let numbered = (first..).zip(messages).map(|(number, message)| {
            Message::builder().body(&message[..]).publishing_id(number).build()
        });
        let numbered: Vec<Message> = numbered.collect();
        let size = messages.first().map_or(1, Bytes::len).max(1);
        for frame in numbered.chunks((FRAME_BYTES / size).max(1)) {
            let publisher = self.numbers[&partition];
            let published = self.client.publish(publisher, frame.to_vec(), PUBLISH_VERSION).await;
            published.map_err(Failure::broker)?;
        }
        Ok(Box::pin(async move { answer.await.unwrap_or(Err("connection lost".to_owned())) }))
    }
}

/// The requests of a connection that are not confirmed yet.
#[derive(Clone, Debug)]
struct Waiting {
    /// Messages of a request.
    messages: u64,
    requests: Arc<Mutex<HashMap<u64, Request>>>,
}

#[derive(Debug)]
struct Request {
    /// Messages that were neither confirmed nor refused.
    left: u64,
    result: Result<(), String>,
    answer: oneshot::Sender<Result<(), String>>,
}

impl Waiting {
    fn new(messages: u64) -> Waiting {
        Waiting { messages, requests: Arc::default() }
    }

    fn expect(&self, request: u64) -> oneshot::Receiver<Result<(), String>> {
        let (answer, receiver) = oneshot::channel();
        self.lock().insert(request, Request { left: self.messages, result: Ok(()), answer });
        receiver
    }

    fn take(&self, item: &MessageResult) {
        let Some(Ok(response)) = item else {
            // The connection is gone, and with it all answers.
            self.lock().clear();
            return;
        };
        match response.kind_ref() {
            ResponseKind::PublishConfirm(confirm) => {
                for number in &confirm.publishing_ids {
                    self.settle(*number, Ok(()));
                }
            }
            ResponseKind::PublishError(refused) => {
                for error in &refused.publishing_errors {
                    self.settle(error.publishing_id, Err(format!("{:?}", error.error_code)));
                }
            }
            _ => {}
        }
    }

    /// A message of a request was confirmed or refused.
    fn settle(&self, number: u64, result: Result<(), String>) {
        let mut requests = self.lock();
        let id = number / self.messages;
        let Some(request) = requests.get_mut(&id) else { return };
        request.left -= 1;
        if result.is_err() {
            request.result = result;
        }
        if request.left == 0
            && let Some(request) = requests.remove(&id)
        {
            // The load has given up if nobody listens.
            let _ = request.answer.send(request.result);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_when_all_its_messages_are() {
        let waiting = Waiting::new(2);
        let (mut first, mut second) = (waiting.expect(0), waiting.expect(1));
        for (number, result) in [(1, Ok(())), (2, Err("full".to_owned())), (3, Ok(()))] {
            waiting.settle(number, result);
        }
        assert!(first.try_recv().is_err());
        assert_eq!(second.try_recv(), Ok(Err("full".to_owned())));
        waiting.settle(0, Ok(()));
        assert_eq!(first.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn a_lost_connection_answers_nothing() {
        let waiting = Waiting::new(1);
        let mut answer = waiting.expect(0);
        waiting.take(&None);
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
