//! Why a run did not start, or ended early: facts, for the broker to put into words.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use corelog_engine::boot::BootRefusal;
use corelog_os::preflight::Obstacle;

/// Why [`run`](crate::run) failed.
#[derive(Debug)]
pub enum RunError {
    /// No core was given to run on.
    NoCores,
    /// The host lacks something.
    Preflight(Vec<Obstacle>),
    /// Another process has the directory.
    DirectoryInUse {
        /// The directory.
        path: PathBuf,
        /// The process, where the kernel or the lock file tells.
        pid: Option<u32>,
    },
    /// Writes of a process that is gone are still under way in this file.
    StillWriting {
        /// The journal or manifest file, or the directory when it may be any file.
        path: PathBuf,
    },
    /// The directory belongs to another cluster. Ids as Kafka spells them.
    ForeignCluster {
        /// The directory's `meta.properties`.
        path: PathBuf,
        /// The cluster in the settings.
        configured: String,
        /// The cluster in the directory.
        found: String,
    },
    /// The directory belongs to another broker.
    ForeignNode {
        /// The directory's `meta.properties`.
        path: PathBuf,
        /// The number in the settings.
        configured: i32,
        /// The number in the directory.
        found: i32,
    },
    /// A newer Corelog has written the directory.
    NewerFormat {
        /// The directory's `meta.properties`.
        path: PathBuf,
        /// The format that was found.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// The directory is not empty and nothing in it says that it is Corelog's.
    NotOurs {
        /// The file that says otherwise, or that is missing.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A directory that every start finds or makes is missing, though there was a start.
    DirectoryMissing {
        /// The directory that is missing.
        path: PathBuf,
        /// What says that there was a start.
        meta: PathBuf,
    },
    /// An address cannot be listened on.
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// Recovery refused the directory.
    Refused(BootRefusal),
    /// The operating system failed.
    Io {
        /// The file, or what stands for one.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        error: io::Error,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::NoCores => f.write_str("no core to run on"),
            RunError::Preflight(obstacles) => write!(f, "the host lacks something: {obstacles:?}"),
            RunError::DirectoryInUse { path, pid: Some(pid) } => {
                write!(f, "{} is in use by process {pid}", path.display())
            }
            RunError::DirectoryInUse { path, pid: None } => {
                write!(f, "{} is in use by another process", path.display())
            }
            RunError::StillWriting { path } => {
                write!(f, "{} is still being written by a process that is gone", path.display())
            }
            RunError::ForeignCluster { path, configured, found } => {
                write!(f, "{}: of cluster {found}, not {configured}", path.display())
            }
            RunError::ForeignNode { path, configured, found } => {
                write!(f, "{}: of node {found}, not {configured}", path.display())
            }
            RunError::NewerFormat { path, found, known } => {
                write!(f, "{}: format {found}, known are up to {known}", path.display())
            }
            RunError::DirectoryMissing { path, meta } => {
                write!(f, "{} is missing, though {} is there", path.display(), meta.display())
            }
            RunError::NotOurs { path, why } => write!(f, "{}: {why}", path.display()),
            RunError::Bind { address, error } => write!(f, "cannot listen on {address}: {error}"),
            RunError::Refused(refusal) => write!(f, "recovery refused: {refusal}"),
            RunError::Io { path, doing, error } => {
                write!(f, "{doing} {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RunError::Bind { error, .. } | RunError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Names what was being done, and to which file, when an I/O call fails.
pub(crate) trait IoContext<T> {
    /// The value, or [`RunError::Io`].
    fn context(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, RunError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, RunError> {
        self.map_err(|error| RunError::Io { path: path.into(), doing, error })
    }
}
