//! What a run needs to know. Nothing below reads a configuration file or the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use corelog_engine::log::LogConfig;
use corelog_engine::shard::setup::ShardLimits;

use crate::record::Recording;

/// Everything that is chosen before a run. Numbers are taken as they are: whoever fills this in has
/// checked them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The one directory that everything is stored in; created when it is missing.
    pub data_dir: PathBuf,
    /// One shard for each core, pinned to it. Not empty.
    pub cores: Vec<usize>,
    /// Addresses that every shard listens on. With port 0 the kernel chooses one port for all.
    pub listen: Vec<SocketAddr>,
    /// The cluster that this directory must belong to. `None`: whichever it belongs to, and a
    /// random one for a fresh directory.
    pub cluster_id: Option<[u8; 16]>,
    /// This broker's number; a directory belongs to one number for life.
    pub node_id: i32,
    /// Bounds of each shard.
    pub limits: ShardLimits,
    /// Bytes of requests, received or being received, that a shard holds at a time.
    pub request_bytes: u64,
    /// Bytes that a shard's requests being worked on, and their answers, hold at a time.
    pub work_bytes: u64,
    /// Bytes of memory that a shard's answers to fetches hold at a time, on their way or while
    /// they are read.
    pub answer_bytes: u64,
    /// The largest frame that is read, in bytes without its length prefix
    /// (`socket.request.max.bytes`).
    pub max_frame_bytes: u32,
    /// Connections of all shards together.
    pub max_connections: usize,
    /// Milliseconds after which a connection that says nothing, and waits for nothing, is closed
    /// (`connections.max.idle.ms`).
    pub idle_connection_ms: u64,
    /// How logs are kept unless their topic says otherwise.
    pub defaults: Arc<LogConfig>,
    /// Features, besides `metadata.version`, that a fresh directory finalizes.
    pub features: Vec<(&'static str, i16)>,
    /// Where everything that the shards are given and want is noted, if anywhere.
    pub record: Option<Recording>,
}
