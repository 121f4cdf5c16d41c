//! What the operating system said.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;

use crate::daemon::refusal::Refusal;

/// The lowest port that everyone may listen on, unless the machine is told otherwise.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

pub(super) fn of_bind(address: SocketAddr, error: &io::Error) -> Refusal {
    let port = address.port();
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => format!(
            "another process has the port: `ss -ltnp 'sport = :{port}'` shows which; stop it, or \
             choose another port with --listen"
        ),
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address: `ip address` shows those it has; choose one with \
             --listen"
                .to_owned()
        }
        ErrorKind::PermissionDenied if port < FIRST_UNPRIVILEGED_PORT => format!(
            "ports below {FIRST_UNPRIVILEGED_PORT} are for root: choose another one with --listen"
        ),
        _ => "choose another address with --listen".to_owned(),
    };
    Refusal::new(format!("cannot listen on {address}: {error}"), remedy)
}

/// `doing` something to `path` failed.
pub(super) fn of_file(path: &Path, doing: &str, error: &io::Error) -> Refusal {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => {
            "give the directory to the user that runs the broker (`chown -R`), or choose another \
             one with --data-dir"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full: make room (`df -h`, `df -i`) or enlarge it; nothing is lost"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only, perhaps after an error of the disk: see `dmesg`, then \
             mount it again"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "something that is no directory is in the way: choose another one with --data-dir"
        }
        ErrorKind::NotFound => "see that the directory is there and mounted",
        _ => "see `dmesg`, and what limits this process; what was acknowledged stays on disk",
    };
    Refusal::new(format!("{doing} {}: {error}", path.display()), remedy)
}
