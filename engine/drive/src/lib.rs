//! Drives the pure core: glommio runs the tasks of each core, an io_uring of our own waits for its
//! sockets, its disk, the other cores and the time. Every await and every descriptor of the data
//! path is here, and no decision.

mod abort;
mod aligned_bytes;
mod bell;
mod boot;
mod budget;
mod bulk;
mod clock;
mod connection;
mod directory;
mod disk;
mod ending;
mod error;
mod failure;
mod fd_cache;
mod files;
mod handle;
mod helpers;
mod layout;
mod line;
mod mesh;
mod meta;
mod net;
mod oneshot;
mod perform;
mod pulse;
mod receive;
mod record;
mod registry;
mod replies;
mod run;
mod segment_file;
mod serve;
mod service;
mod settings;
mod shard;
mod shares;
mod signal;
mod stall;
mod start;
mod stop;
mod sweep;
mod tasks;
mod timers;
mod work;
mod written;

#[cfg(test)]
#[path = "../tests/common/dir.rs"]
mod testdir;

pub use budget::Charge;
pub use corelog_os::preflight::Obstacle;
pub use error::RunError;
pub use handle::{Identity, PendingReply, ShardHandle};
pub use record::{Digest, Recording, Reel, Step};
pub use run::{Ready, run};
pub use service::{Answer, Close, Response, Service, Session, Turn};
pub use settings::Settings;
pub use stop::Stop;
