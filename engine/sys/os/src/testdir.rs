//! A directory on the file system the tests were built on, removed when dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct TestDir(PathBuf);

impl TestDir {
    /// Beside the test binary rather than in the temporary directory, which may be memory.
    pub(crate) fn new() -> TestDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let binary = std::env::current_exe().expect("a test binary has a path");
        let name = format!("corelog-os-{}-{number}", process::id());
        let path = binary.with_file_name(name);
        fs::create_dir(&path).expect("a fresh directory");
        TestDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
