//! Drops a broker's files from the memory of the kernel, so that reading them reads the disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::fs::{Advice, fadvise};
use serde::Serialize;

use crate::failure::Failure;

/// Where records are before they are read.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct MemoryArgs {
    /// Drop the broker's files from the kernel's memory before the reading, as far as they are not
    /// mapped; a broker's own memory stays as it is
    #[arg(long, requires = "data_dir")]
    cold: bool,
    /// The broker's data directory, for --cold
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

impl MemoryArgs {
    /// Sees to it that records are where the flags say.
    ///
    /// # Errors
    /// A file cannot be written back.
    pub(crate) fn settle(&self) -> Result<(), Failure> {
        match self.data_dir.as_deref().filter(|_| self.cold) {
            Some(dir) => evict(dir).map_err(|source| Failure::File { path: dir.into(), source }),
            None => Ok(()),
        }
    }
}

fn evict(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let result = match () {
            () if kind.is_dir() => evict(&entry.path()),
            () if kind.is_file() => drop_file(&entry.path()),
            () => Ok(()),
        };
        match result {
            // The broker removes files as it likes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

fn drop_file(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // Only what is on the disk can be dropped.
    file.sync_data()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_what_they_are() {
        let dir = std::env::temp_dir().join(format!("corelog-bench-cold-{}", std::process::id()));
        fs::create_dir_all(dir.join("inner")).expect("a directory");
        fs::write(dir.join("inner/file"), b"there").expect("a file");
        let args = |cold| MemoryArgs { cold, data_dir: Some(dir.clone()) };
        args(true).settle().expect("files that can be dropped");
        assert_eq!(fs::read(dir.join("inner/file")).expect("a file"), b"there");
        fs::remove_dir_all(&dir).expect("nothing else is there");
        args(false).settle().expect("nothing to do");
        assert!(args(true).settle().is_err());
    }
}
