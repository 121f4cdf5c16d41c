//! A small file system of its own, in an image file.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use corelog_tests::live::report::NotPassed;
use rustix::process::geteuid;

/// Set where mounts are seen by this process and its children alone, and end with them.
const PRIVATE: &str = "CRASH_TESTS_PRIVATE_MOUNTS";

/// A mounted image. Unmounted and removed when dropped.
pub(crate) struct Mount {
    image: PathBuf,
    point: PathBuf,
}

/// Replaces this process by the same one with mounts of its own, if it is root's and has none yet.
pub(crate) fn make_private() {
    if geteuid().is_root() && env::var_os(PRIVATE).is_none() {
        let mut own = Command::new("unshare");
        own.args(["--mount", "--propagation", "private"]).args(env::current_exe());
        // Comes back only when it failed; then whoever needs a mount is skipped.
        let _ = own.args(env::args_os().skip(1)).env(PRIVATE, "1").exec();
    }
}

impl Mount {
    /// Makes an ext4 of so many bytes below `dir`.
    ///
    /// # Errors
    /// This user cannot mount, or a tool is missing: the test is skipped.
    pub(crate) fn ext4(dir: &Path, bytes: u64) -> Result<Mount, NotPassed> {
        if env::var_os(PRIVATE).is_none() {
            let why = "needs root and unshare(1), to mount a file system";
            return Err(NotPassed::Skipped(why.into()));
        }
        let mount = Mount { image: dir.join("disk.img"), point: dir.join("disk") };
        fs::create_dir_all(&mount.point)?;
        File::create(&mount.image)?.set_len(bytes)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&mount.image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&mount.image).arg(&mount.point))?;
        Ok(mount)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.point
    }

    /// Bytes that a file may still take.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.point)?;
        Ok(stat.f_bavail * stat.f_frsize)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The namespace would do it, but not before the other tests.
        // A broker that was killed keeps a file until its rings are gone, some milliseconds later.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.point));
        let _ = fs::remove_file(&self.image);
    }
}

fn run(command: &mut Command) -> Result<(), NotPassed> {
    let output = command.output().map_err(|e| NotPassed::Skipped(format!("{command:?}: {e}")))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(NotPassed::Skipped(format!("{command:?}: {said}")))
        }
    }
}
