//! NATS JetStream: a partition is a stream with one subject, of messages in files.
//!
//! A request of several messages is an atomic batch, which JetStream acknowledges as a whole.

use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::context::{Context, ContextBuilder};
use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::{Client, HeaderMap, Subject};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc::UnboundedSender;

use crate::failure::Failure;
use crate::scenario::Shape;
use crate::system::{Address, Answer, Delivery, Publisher, System};

/// Longer than a run waits.
const PATIENCE: Duration = Duration::from_secs(120);
/// Acknowledgements that may be outstanding, which the load limits itself.
const IN_FLIGHT: usize = 1 << 20;

/// A NATS server.
#[derive(Debug)]
pub(crate) struct Nats {
    address: Address,
    shape: Shape,
}

impl Nats {
    pub(crate) fn new(address: Address, shape: &Shape) -> Nats {
        Nats { address, shape: *shape }
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
        let request = match self.shape.messages {
            1 => "a message".to_owned(),
            messages => format!("an atomic batch of {messages} messages"),
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
            let config = Config {
                name: stream(partition),
                subjects: vec![subject(partition)],
                storage: StorageType::File,
                allow_atomic_publish: self.shape.messages > 1,
                ..Config::default()
            };
            jetstream.get_or_create_stream(config).await.map_err(Failure::broker)?;
        }
        Ok(())
    }

    async fn publisher(&self, _partitions: &[u32]) -> Result<NatsPublisher, Failure> {
        let (client, jetstream) = self.connect().await?;
        let connection = client.new_inbox();
        Ok(NatsPublisher { client, jetstream, connection, batches: 0 })
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
                    let delivery = (std::time::Instant::now(), message.message.payload);
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
    /// Its name, which no other has.
    connection: String,
    batches: u64,
}

impl Publisher for NatsPublisher {
    async fn publish(&mut self, partition: u32, messages: &[Bytes]) -> Result<Answer, Failure> {
        let subject: Subject = subject(partition).into();
        let acknowledged = match messages {
            [message] => self.jetstream.publish(subject, message.clone()).await,
            messages => {
                let (last, others) = messages.split_last().ok_or(Failure::Silent)?;
                self.batches += 1;
                let batch = format!("{}-{}", self.connection, self.batches);
                for (number, message) in (1u64..).zip(others) {
                    let headers = headers(&batch, number);
                    let publish =
                        self.client.publish_with_headers(subject.clone(), headers, message.clone());
                    publish.await.map_err(Failure::broker)?;
                }
                let mut headers = headers(&batch, messages.len() as u64);
                headers.insert("Nats-Batch-Commit", "1");
                self.jetstream.publish_with_headers(subject, headers, last.clone()).await
            }
        };
        let acknowledged = acknowledged.map_err(Failure::broker)?;
        Ok(Box::pin(
            async move { acknowledged.await.map(|_| ()).map_err(|error| error.to_string()) },
        ))
    }
}

fn headers(batch: &str, number: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Batch-Id", batch);
    headers.insert("Nats-Batch-Sequence", number.to_string());
    headers
}
