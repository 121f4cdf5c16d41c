//! Words for every way in which a run fails: one function for each family of errors. Drive and the
//! core report facts; what they mean to whoever started the broker is said here and nowhere else.

mod host;
mod recovery;
mod system;
#[cfg(test)]
mod tests;

use corelog_drive::RunError;

use super::refusal::Refusal;

/// Why the broker did not start or could not go on; one refusal for each cause, at least one.
#[must_use]
pub(super) fn of_run(error: &RunError) -> Vec<Refusal> {
    match error {
        RunError::Preflight(obstacles) => obstacles.iter().map(host::of_obstacle).collect(),
        RunError::Refused(refusal) => vec![recovery::of_refusal(refusal)],
        RunError::Bind { address, error } => vec![system::of_bind(*address, error)],
        RunError::Io { path, doing, error } => vec![system::of_file(path, doing, error)],
        other => vec![of_directory(other)],
    }
}

/// The directory and whose it is; and what no other family has.
fn of_directory(error: &RunError) -> Refusal {
    let remedy = match error {
        RunError::DirectoryInUse { pid: Some(pid), .. } => format!(
            "stop that process (`kill {pid}`), or give this broker a directory of its own with \
             --data-dir"
        ),
        RunError::DirectoryInUse { pid: None, .. } => {
            "stop that process, which may be in another container, or give this broker a \
             directory of its own with --data-dir"
                .to_owned()
        }
        RunError::StillWriting { .. } => {
            "start again in a few seconds; if it stays so the disk does not answer, see `dmesg`"
                .to_owned()
        }
        RunError::ForeignCluster { found, .. } => format!(
            "set `cluster.id` to {found} or remove it, or choose another directory with --data-dir"
        ),
        RunError::ForeignNode { found, .. } => {
            format!("set `node.id` to {found}, or choose another directory with --data-dir")
        }
        RunError::NewerFormat { .. } => {
            "start the newer Corelog again; an older one cannot read what it wrote".to_owned()
        }
        RunError::DirectoryMissing { .. } => {
            "nothing was changed: mount the volume it is on, or restore the whole data directory \
             as it was at one moment; to begin anew, choose an empty directory with --data-dir"
                .to_owned()
        }
        RunError::NotOurs { .. } => {
            "choose an empty directory with --data-dir, or restore the file if Corelog made the \
             directory; a Kafka broker's topics can be mirrored, not taken over"
                .to_owned()
        }
        _ => "set `cores` to `all`, or to cores that this process may use".to_owned(),
    };
    Refusal { what: directory_fact(error), remedy }
}

fn directory_fact(error: &RunError) -> String {
    match error {
        RunError::NotOurs { path, why } => {
            format!("{} does not say that this is a directory of Corelog: {why}", path.display())
        }
        RunError::ForeignCluster { path, configured, found } => format!(
            "{} belongs to cluster {found}, and `cluster.id` is {configured}",
            path.display()
        ),
        RunError::ForeignNode { path, configured, found } => {
            format!("{} belongs to node {found}, and `node.id` is {configured}", path.display())
        }
        RunError::NewerFormat { path, found, known } => format!(
            "{} was written by a newer Corelog, in format {found}; this one knows {known}",
            path.display()
        ),
        other => other.to_string(),
    }
}
