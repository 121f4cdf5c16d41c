//! A run from beginning to end.

use std::net::SocketAddr;
use std::time::Duration;

use corelog_engine::boot::BootReport;

use crate::error::RunError;
use crate::handle::{Identity, ShardHandle};
use crate::service::Service;
use crate::settings::Settings;
use crate::stop::Stop;

/// Recovery is done and every shard accepts connections.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Facts about the directory and the run.
    pub identity: Identity,
    /// What is listened on, port 0 resolved.
    pub addresses: Vec<SocketAddr>,
    /// What recovery found and did.
    pub report: BootReport,
    /// From the call of [`run`] until now.
    pub took: Duration,
}

/// Runs the broker until it has stopped; blocks the calling thread. `ready` is called once.
///
/// # Errors
/// [`RunError`]: why it did not start, or why it could not go on.
pub fn run<S: Service>(
    settings: Settings,
    stop: Stop,
    ready: impl FnOnce(&Ready),
    service: impl Fn(ShardHandle) -> S + Clone + Send + 'static,
) -> Result<(), RunError> {
    let _ = (settings, stop, ready, service);
    Err(RunError::NoCores)
}
