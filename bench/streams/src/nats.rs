//! NATS JetStream: a partition is a stream with one subject, of messages in files.
//!
//! A request of several messages is either an atomic batch, which JetStream acknowledges as a
//! whole, or so many messages that are each acknowledged. Where the server syncs before it answers
//! the former is several times as fast, and elsewhere the latter; so both are tried first.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::context::{Context, ContextBuilder, PublishAckFuture};
use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::{Client, HeaderMap, Subject};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc::UnboundedSender;

use crate::content::Content;
use crate::failure::Failure;
use crate::scenario::Shape;
use crate::system::{Address, Answer, Delivery, Publisher, System};

/// Longer than a run waits.
const PATIENCE: Duration = Duration::from_secs(120);
/// Acknowledgements that may be outstanding, which the load limits itself.
const IN_FLIGHT: usize = 1 << 20;

/// How long each way to send a request is tried, with so many requests under way.
const TRIAL: Duration = Duration::from_secs(1);
const TRIAL_REQUESTS: usize = 5;
/// Of which there is no more once the trials are over.
const TRIAL_PARTITION: u32 = u32::MAX;

/// A NATS server.
#[derive(Debug)]
pub(crate) struct Nats {
    address: Address,
    shape: Shape,
    /// The faster way, once that is known.
    batching: OnceLock<Batching>,
}

/// How a request of several messages is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Batching {
    /// Each is acknowledged.
    Singly,
    /// All are acknowledged at once.
    Atomically,
}

impl Nats {
    pub(crate) fn new(address: Address, shape: &Shape) -> Nats {
        Nats { address, shape: *shape, batching: OnceLock::new() }
    }

    fn batching(&self) -> Batching {
        self.batching.get().copied().unwrap_or(Batching::Singly)
    }

    async fn create_stream(&self, jetstream: &Context, partition: u32) -> Result<(), Failure> {
        let config = Config {
            name: stream(partition),
            subjects: vec![subject(partition)],
            storage: StorageType::File,
            allow_atomic_publish: self.shape.messages > 1,
            ..Config::default()
        };
        jetstream.get_or_create_stream(config).await.map_err(Failure::broker)?;
        Ok(())
    }

    async fn connected(&self, batching: Batching) -> Result<NatsPublisher, Failure> {
        let (client, jetstream) = self.connect().await?;
        let connection = client.new_inbox();
        Ok(NatsPublisher { client, jetstream, batching, connection, batches: 0 })
    }

    /// How many requests are acknowledged in the time of a trial.
    async fn attempt(&self, batching: Batching) -> Result<usize, Failure> {
        let mut publisher = self.connected(batching).await?;
        let jetstream = publisher.jetstream.clone();
        self.create_stream(&jetstream, TRIAL_PARTITION).await?;
        let start = Instant::now();
        let messages = Content::fixed(self.shape.messages, self.shape.message_bytes).at(start);
        let mut done = 0;
        while start.elapsed() < TRIAL {
            let mut answers = Vec::new();
            for _ in 0..TRIAL_REQUESTS {
                answers.push(publisher.publish(TRIAL_PARTITION, &messages).await?);
            }
            for answer in answers {
                // A server that refuses a way is slow at it.
                done += usize::from(answer.await.is_ok());
            }
        }
        jetstream.delete_stream(stream(TRIAL_PARTITION)).await.map_err(Failure::broker)?;
        Ok(done)
    }

    async fn faster(&self) -> Result<Batching, Failure> {
        if self.shape.messages == 1 {
            return Ok(Batching::Singly);
        }
        let singly = self.attempt(Batching::Singly).await?;
        let atomically = self.attempt(Batching::Atomically).await?;
        Ok(if singly > atomically { Batching::Singly } else { Batching::Atomically })
    }

    async fn connect(&self) -> Result<(Client, Context), Failure> {
        let client = async_nats::connect(self.address.to_string()).await;
        let client = client.map_err(Failure::broker)?;
        let builder = ContextBuilder::new().timeout(PATIENCE).ack_timeout(PATIENCE);
        let jetstream = builder.max_ack_inflight(IN_FLIGHT).build(client.clone());
        Ok((client, jetstream))
    }
}

fn stream(partition: u32) -> String {
    format!("bench-{partition}")
}

fn subject(partition: u32) -> String {
    format!("bench.{partition}")
}

impl System for Nats {
    type Publisher = NatsPublisher;

    fn translation(&self) -> String {
        let request = match (self.shape.messages, self.batching()) {
            (1, _) => "a message".to_owned(),
            (messages, Batching::Singly) => format!("{messages} messages, each acknowledged,"),
            (messages, Batching::Atomically) => format!("an atomic batch of {messages} messages"),
        };
        format!(
            "a partition is a stream with one subject and file storage; a request is {request} of \
             {} bytes; MB/s counts the messages' payload",
            self.shape.message_bytes
        )
    }

    async fn prepare(&self) -> Result<(), Failure> {
        let (_, jetstream) = self.connect().await?;
        for partition in 0..self.shape.partitions {
            self.create_stream(&jetstream, partition).await?;
        }
        let faster = self.faster().await?;
        self.batching.get_or_init(|| faster);
        Ok(())
    }

    async fn publisher(&self, _partitions: &[u32]) -> Result<NatsPublisher, Failure> {
        self.connected(self.batching()).await
    }

    async fn deliver(&self, to: UnboundedSender<Delivery>) -> Result<(), Failure> {
        let (client, jetstream) = self.connect().await?;
        for partition in 0..self.shape.partitions {
            let config = push::OrderedConfig {
                deliver_subject: client.new_inbox(),
                deliver_policy: DeliverPolicy::New,
                ..push::OrderedConfig::default()
            };
            let consumer = jetstream.create_consumer_on_stream(config, stream(partition)).await;
            let messages = consumer.map_err(Failure::broker)?.messages().await;
            let mut messages = messages.map_err(Failure::broker)?;
            let to = to.clone();
            tokio::spawn(async move {
                while let Some(Ok(message)) = messages.next().await {
                    let delivery = (Instant::now(), message.message.payload);
                    if to.send(delivery).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(())
    }
}

/// A connection to a NATS server.
pub(crate) struct NatsPublisher {
    client: Client,
    jetstream: Context,
    batching: Batching,
    /// Its name, which no other has.
    connection: String,
    batches: u64,
}

impl Publisher for NatsPublisher {
    async fn publish(&mut self, partition: u32, messages: &[Bytes]) -> Result<Answer, Failure> {
        let subject: Subject = subject(partition).into();
        let acknowledgements = match self.batching {
            Batching::Singly => self.singly(subject, messages).await?,
            Batching::Atomically => vec![self.atomically(subject, messages).await?],
        };
        Ok(Box::pin(async move {
            for acknowledgement in acknowledgements {
                acknowledgement.await.map_err(|error| error.to_string())?;
            }
            Ok(())
        }))
    }
}

impl NatsPublisher {
    async fn singly(
        &self,
        subject: Subject,
        messages: &[Bytes],
    ) -> Result<Vec<PublishAckFuture>, Failure> {
        let mut acknowledgements = Vec::with_capacity(messages.len());
        for message in messages {
            let published = self.jetstream.publish(subject.clone(), message.clone()).await;
            acknowledgements.push(published.map_err(Failure::broker)?);
        }
        Ok(acknowledgements)
    }

    async fn atomically(
        &mut self,
        subject: Subject,
        messages: &[Bytes],
    ) -> Result<PublishAckFuture, Failure> {
        let (last, others) = messages.split_last().ok_or(Failure::Silent)?;
        self.batches += 1;
        let batch = format!("{}-{}", self.connection, self.batches);
        for (number, message) in (1..).zip(others) {
            let headers = headers(&batch, number);
            let published =
                self.client.publish_with_headers(subject.clone(), headers, message.clone()).await;
            published.map_err(Failure::broker)?;
        }
        let mut headers = headers(&batch, messages.len());
        headers.insert("Nats-Batch-Commit", "1");
        let published = self.jetstream.publish_with_headers(subject, headers, last.clone()).await;
        published.map_err(Failure::broker)
    }
}

fn headers(batch: &str, number: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Batch-Id", batch);
    headers.insert("Nats-Batch-Sequence", number.to_string());
    headers
}
