//! Why a broker cannot be talked to: what happened, at which address, and what it may mean.

use std::io;
use std::time::Duration;

use corelog_wire::api::ApiKey;
use corelog_wire::error::EncodeError;

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ClientError {
    #[error("`{0}` is not of the form HOST:PORT")]
    NotAnAddress(String),
    #[error("`{address}` cannot be looked up: {error}")]
    Unknown { address: String, error: io::Error },
    #[error("nothing answers at {address}: is the broker running? corelog start")]
    Refused { address: String },
    #[error("{address} cannot be reached: {error}")]
    Unreachable { address: String, error: io::Error },
    /// Metadata leads to an address that does not work from here.
    #[error(
        "broker {node} tells its clients to connect to {address} (advertised.listeners): {error}"
    )]
    Advertised { node: i32, address: String, error: Box<ClientError> },
    #[error("the cluster has no broker {0} at the moment")]
    NoBroker(i32),
    #[error("{address} did not answer {api} within {} s", .after.as_secs())]
    Silent { address: String, api: ApiKey, after: Duration },
    #[error("{address} closed the connection on {api}{}", hint(*.api))]
    Closed { address: String, api: ApiKey },
    #[error("{address}: {api}: {error}")]
    Io { address: String, api: ApiKey, error: io::Error },
    #[error("what answers at {address} does not speak Kafka's protocol: {why}")]
    NotKafka { address: String, why: String },
    #[error("{address} serves {api} in versions {theirs}, this program speaks {ours}")]
    Versions { address: String, api: ApiKey, theirs: String, ours: String },
    #[error("{api} cannot be asked of {address}: {error}")]
    Request { address: String, api: ApiKey, error: EncodeError },
}

/// What closes the first request is most often a listener of another kind.
fn hint(api: ApiKey) -> &'static str {
    match api {
        ApiKey::ApiVersions => ": does it expect TLS or SASL? Only PLAINTEXT is spoken here",
        _ => "",
    }
}
