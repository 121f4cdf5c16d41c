//! RabbitMQ streams: a partition is a stream, a request is one frame of messages, which the broker
//! confirms by the numbers that each message has.

mod connection;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use rabbitmq_stream_protocol::ResponseKind;
use rabbitmq_stream_protocol::commands::create_stream::CreateStreamCommand;
use rabbitmq_stream_protocol::commands::credit::CreditCommand;
use rabbitmq_stream_protocol::commands::declare_publisher::DeclarePublisherCommand;
use rabbitmq_stream_protocol::commands::publish::PublishCommand;
use rabbitmq_stream_protocol::commands::subscribe::{OffsetSpecification, SubscribeCommand};
use rabbitmq_stream_protocol::message::Message;
use rabbitmq_stream_protocol::types::PublishedMessage;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::scenario::Shape;
use crate::system::{Address, Answer, Delivery, Publisher, System};

use connection::{Connection, Event, MAX_FRAME, Outbox};

/// Bytes of messages in a frame; the rest is for what surrounds them.
const FRAME_BYTES: usize = MAX_FRAME as usize / 2;
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
        let mut connection = Connection::open(&self.address, |_, _| {}).await?;
        for partition in 0..self.shape.partitions {
            let stream = stream(partition);
            connection.ask(|id| CreateStreamCommand::new(id, stream, HashMap::new())).await?;
        }
        Ok(())
    }

    async fn publisher(&self, partitions: &[u32]) -> Result<RabbitMqPublisher, Failure> {
        let waiting = Waiting::new(self.shape.messages as u64);
        let confirmed = waiting.clone();
        let handler = move |_: &Outbox, event: Event| confirmed.take(event);
        let mut connection = Connection::open(&self.address, handler).await?;
        let mut numbers = HashMap::new();
        for (place, partition) in partitions.iter().enumerate() {
            let (number, stream) = (number(place)?, stream(*partition));
            connection.ask(|id| DeclarePublisherCommand::new(id, number, None, stream)).await?;
            numbers.insert(*partition, number);
        }
        Ok(RabbitMqPublisher { connection, waiting, numbers, requests: 0 })
    }

    async fn deliver(&self, to: UnboundedSender<Delivery>) -> Result<(), Failure> {
        let handler = move |outbox: &Outbox, event: Event| {
            let now = Instant::now();
            let Some(ResponseKind::Deliver(chunk)) = event.map(|response| response.kind()) else {
                return;
            };
            for message in chunk.messages.iter().filter_map(Message::data) {
                // Nobody listens once the run is over, nor is anybody asked for more.
                let _ = to.send((now, Bytes::copy_from_slice(message)));
            }
            let _ = outbox.send(CreditCommand::new(chunk.subscription_id, 1));
        };
        let mut connection = Connection::open(&self.address, handler).await?;
        for partition in 0..self.shape.partitions {
            let (number, stream) = (number(partition as usize)?, stream(partition));
            let subscribe = |id| {
                let from = OffsetSpecification::Next;
                SubscribeCommand::new(id, number, stream, from, CREDIT, HashMap::new())
            };
            connection.ask(subscribe).await?;
        }
        Ok(())
    }
}

/// A connection to a RabbitMQ server.
pub(crate) struct RabbitMqPublisher {
    connection: Connection,
    waiting: Waiting,
    /// The publisher of each partition.
    numbers: HashMap<u32, u8>,
    requests: u64,
}

impl Publisher for RabbitMqPublisher {
    async fn publish(&mut self, partition: u32, messages: &[Bytes]) -> Result<Answer, Failure> {
        let answer = self.waiting.expect(self.requests);
        let mut numbers = self.requests * messages.len() as u64..;
        self.requests += 1;
        let size = messages.first().map_or(1, Bytes::len).max(1);
        for frame in messages.chunks((FRAME_BYTES / size).max(1)) {
            let numbered = frame.iter().zip(numbers.by_ref()).map(|(message, number)| {
                let message = Message::builder().body(&message[..]).build();
                PublishedMessage::new(number, message, None)
            });
            let publisher = self.numbers[&partition];
            let publish = PublishCommand::new(publisher, numbered.collect(), PUBLISH_VERSION);
            self.connection.outbox().send(publish)?;
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

    fn take(&self, event: Event) {
        match event.map(|response| response.kind()) {
            Some(ResponseKind::PublishConfirm(confirm)) => {
                for number in confirm.publishing_ids {
                    self.settle(number, Ok(()));
                }
            }
            Some(ResponseKind::PublishError(refused)) => {
                for error in refused.publishing_errors {
                    self.settle(error.publishing_id, Err(format!("{:?}", error.error_code)));
                }
            }
            Some(_) => {}
            // The connection is gone, and with it all answers.
            None => self.lock().clear(),
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
        waiting.take(None);
        assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
