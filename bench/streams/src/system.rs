//! What a broker must do to be measured: take messages and acknowledge them, and deliver them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use crate::failure::Failure;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts {
            Some((host, port)) => Ok(Address { host: host.to_owned(), port }),
            None => Err(format!("`{text}` is not host:port")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Resolves when all messages of a request are acknowledged, or says how it was refused.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A message that was delivered, with the time.
pub(crate) type Delivery = (Instant, Bytes);

/// One connection that publishes.
pub(crate) trait Publisher: Send + 'static {
    /// Hands the messages of a request for one of its partitions to the client library.
    fn publish(
        &mut self,
        partition: u32,
        messages: &[Bytes],
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

/// A broker, through its client library.
pub(crate) trait System: Send + Sync {
    type Publisher: Publisher;

    /// How the load was translated, in a sentence for the result.
    fn translation(&self) -> String;

    /// Makes what the messages go to.
    fn prepare(&self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Connects a publisher to partitions.
    fn publisher(
        &self,
        partitions: &[u32],
    ) -> impl Future<Output = Result<Self::Publisher, Failure>> + Send;

    /// Has all messages delivered that are published from now on, until the receiver is dropped.
    fn deliver(
        &self,
        to: UnboundedSender<Delivery>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("127.0.0.1:4222", Some(("127.0.0.1", 4222))),
            ("localhost", None),
            ("localhost:x", None),
            ("localhost:70000", None),
        ] {
            let address: Option<Address> = text.parse().ok();
            let told = address.as_ref().map(|address| (address.host.as_str(), address.port));
            assert_eq!(told, expected, "{text}");
        }
    }
}
