//! What the host lacks.

use std::path::Path;

use corelog_drive::Obstacle;

use super::system;
use crate::daemon::refusal::Refusal;

const NEWER_KERNEL: &str = "run Linux 6.1 or newer";
const OTHER_FILE_SYSTEM: &str = "choose a directory on a local ext4 or XFS file system with \
                                 --data-dir; tmpfs and network file systems cannot be used";

pub(super) fn of_obstacle(obstacle: &Obstacle) -> Refusal {
    match obstacle {
        Obstacle::LockedMemoryTooSmall { needed, .. } => locked_memory(*needed),
        Obstacle::OpenFilesTooFew { needed, .. } => open_files(*needed),
        Obstacle::DirectWritesRefused { directory } => Refusal::new(
            format!(
                "the file system of {} does not write past the page cache (O_DIRECT)",
                directory.display()
            ),
            OTHER_FILE_SYSTEM,
        ),
        Obstacle::DirectWritesTooCoarse { directory, alignment } => {
            coarse_blocks(directory, alignment.memory.max(alignment.offset))
        }
        Obstacle::DirectoryUnusable { directory, error } => {
            system::of_file(directory, "writing to", error)
        }
        ring => of_ring(ring),
    }
}

fn of_ring(obstacle: &Obstacle) -> Refusal {
    match obstacle {
        Obstacle::IoUringMissing => Refusal::new(
            "this kernel has no io_uring (ENOSYS)",
            format!("{NEWER_KERNEL}, built with CONFIG_IO_URING"),
        ),
        Obstacle::IoUringDisabled { level: 1 } => Refusal::new(
            "io_uring is switched off for unprivileged processes (kernel.io_uring_disabled is 1)",
            "as root: `sysctl -w kernel.io_uring_disabled=0`, or name a group of this user in \
             kernel.io_uring_group",
        ),
        Obstacle::IoUringDisabled { level } => Refusal::new(
            format!("io_uring is switched off (kernel.io_uring_disabled is {level})"),
            "as root: `sysctl -w kernel.io_uring_disabled=0`",
        ),
        Obstacle::IoUringForbidden => Refusal::new(
            "io_uring is forbidden to this process (EPERM), as Docker's default seccomp profile \
             does",
            "in a container, use a seccomp profile that allows io_uring_setup, io_uring_enter and \
             io_uring_register, or `--security-opt seccomp=unconfined`",
        ),
        Obstacle::IoUringTooOld => {
            Refusal::new("the io_uring of this kernel is too old (EINVAL)", NEWER_KERNEL)
        }
        Obstacle::OperationMissing { name } => {
            Refusal::new(format!("the io_uring of this kernel has no {name}"), NEWER_KERNEL)
        }
        other => Refusal::new(
            match other {
                Obstacle::IoUringFailed(error) => format!("io_uring cannot be used: {error}"),
                unknown => format!("this host cannot be used: {unknown:?}"),
            },
            "see `dmesg`; out of memory may also mean a small RLIMIT_MEMLOCK",
        ),
    }
}

fn locked_memory(needed: u64) -> Refusal {
    let kib = needed.div_ceil(1024);
    Refusal::new(
        format!("RLIMIT_MEMLOCK allows less than the {kib} KiB of locked memory that are needed"),
        format!(
            "raise it: `ulimit -l {kib}` in the shell, LimitMEMLOCK=infinity in the systemd unit, \
             or `--ulimit memlock=-1` for Docker"
        ),
    )
}

fn open_files(needed: u64) -> Refusal {
    Refusal::new(
        format!("RLIMIT_NOFILE allows less than the {needed} open files that are needed"),
        format!(
            "raise it: `ulimit -n {needed}` in the shell, LimitNOFILE={needed} in the systemd \
             unit, or `--ulimit nofile={needed}` for Docker; or run on fewer `cores`"
        ),
    )
}

fn coarse_blocks(directory: &Path, bytes: u32) -> Refusal {
    Refusal::new(
        format!(
            "the file system of {} writes blocks of {bytes} bytes, and Corelog of 4096",
            directory.display()
        ),
        "choose a directory on a device with blocks of 4096 bytes or less with --data-dir",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those whose obstacles hold types that cannot be named here.
    #[test]
    fn limits_say_how_to_raise_them() {
        for (refusal, what, remedy) in [
            (locked_memory(9 << 20), "9216 KiB", "`ulimit -l 9216`"),
            (locked_memory(1), " 1 KiB", "LimitMEMLOCK"),
            (open_files(4096), "4096 open files", "LimitNOFILE=4096"),
            (coarse_blocks(Path::new("/d"), 8192), "of /d writes blocks of 8192", "--data-dir"),
        ] {
            assert!(refusal.what.contains(what), "{refusal}");
            assert!(refusal.remedy.contains(remedy), "{refusal}");
        }
    }
}
