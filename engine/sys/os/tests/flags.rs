//! Every flag that this crate hands to the kernel, beside the kernel's own value: a library may
//! have other bits for a name. What is opened with them is looked at in `file.rs`.
#![cfg(target_arch = "x86_64")]

use io_uring::EnterFlags;
use io_uring::types::FsyncFlags;
use rustix::event::{EventfdFlags, PollFlags};
use rustix::fs::{Advice, AtFlags, FlockOperation, Mode, OFlags, StatxFlags};
use rustix::io::ReadWriteFlags;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use rustix::pipe::{PipeFlags, SpliceFlags};

/// From linux/include/uapi: asm-generic/fcntl.h, linux/fcntl.h, linux/stat.h, linux/fadvise.h.
#[test]
fn flags_of_files_are_the_kernels() {
    for (name, ours, kernel) in [
        ("O_RDONLY", OFlags::RDONLY.bits(), 0),
        ("O_RDWR", OFlags::RDWR.bits(), 0o2),
        ("O_CREAT", OFlags::CREATE.bits(), 0o100),
        ("O_EXCL", OFlags::EXCL.bits(), 0o200),
        ("O_NONBLOCK", OFlags::NONBLOCK.bits(), 0o4_000),
        ("O_DSYNC", libc::O_DSYNC.cast_unsigned(), 0o10_000),
        ("O_DIRECT", OFlags::DIRECT.bits(), 0o40_000),
        ("O_DIRECTORY", OFlags::DIRECTORY.bits(), 0o200_000),
        ("O_CLOEXEC", OFlags::CLOEXEC.bits(), 0o2_000_000),
        ("mode", Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).bits(), 0o640),
        ("AT_EMPTY_PATH", AtFlags::EMPTY_PATH.bits(), 0x1000),
        ("AT_FDCWD", libc::AT_FDCWD.cast_unsigned(), (-100_i32).cast_unsigned()),
        ("STATX_DIOALIGN", StatxFlags::DIOALIGN.bits(), 0x2000),
        ("POSIX_FADV_RANDOM", Advice::Random as u32, 1),
        ("LOCK_EX|LOCK_NB", FlockOperation::NonBlockingLockExclusive as u32, 2 | 4),
        ("RWF_NOWAIT", ReadWriteFlags::NOWAIT.bits(), 0x8),
    ] {
        assert_eq!(ours, kernel, "{name}: {ours:#o}, the kernel has {kernel:#o}");
    }
}

/// From linux/include: linux/socket.h, linux/net.h, linux/eventfd.h, linux/signalfd.h,
/// linux/splice.h, asm-generic/poll.h, uapi/linux/io_uring.h.
#[test]
fn flags_of_sockets_pipes_and_rings_are_the_kernels() {
    for (name, ours, kernel) in [
        ("SOCK_CLOEXEC", SocketFlags::CLOEXEC.bits(), 0o2_000_000),
        ("SOCK_NONBLOCK", SocketFlags::NONBLOCK.bits(), 0o4_000),
        ("MSG_DONTWAIT", SendFlags::DONTWAIT.bits(), 0x40),
        ("MSG_DONTWAIT, receiving", RecvFlags::DONTWAIT.bits(), 0x40),
        ("MSG_NOSIGNAL", SendFlags::NOSIGNAL.bits(), 0x4000),
        ("MSG_MORE", SendFlags::MORE.bits(), 0x8000),
        ("EFD_CLOEXEC", EventfdFlags::CLOEXEC.bits(), 0o2_000_000),
        ("EFD_NONBLOCK", EventfdFlags::NONBLOCK.bits(), 0o4_000),
        ("SFD_CLOEXEC", libc::SFD_CLOEXEC.cast_unsigned(), 0o2_000_000),
        ("SFD_NONBLOCK", libc::SFD_NONBLOCK.cast_unsigned(), 0o4_000),
        ("O_CLOEXEC of pipe2", PipeFlags::CLOEXEC.bits(), 0o2_000_000),
        ("O_NONBLOCK of pipe2", PipeFlags::NONBLOCK.bits(), 0o4_000),
        ("SPLICE_F_NONBLOCK", SpliceFlags::NONBLOCK.bits(), 0x2),
        ("SPLICE_F_NONBLOCK of rings", libc::SPLICE_F_NONBLOCK, 0x2),
        ("SPLICE_F_MORE", SpliceFlags::MORE.bits(), 0x4),
        ("POLLIN", u32::from(PollFlags::IN.bits()), 0x1),
        ("POLLOUT", u32::from(PollFlags::OUT.bits()), 0x4),
        ("POLLIN of rings", libc::POLLIN.cast_unsigned().into(), 0x1),
        ("POLLOUT of rings", libc::POLLOUT.cast_unsigned().into(), 0x4),
        ("IORING_FSYNC_DATASYNC", FsyncFlags::DATASYNC.bits(), 0x1),
        ("IORING_ENTER_GETEVENTS", EnterFlags::GETEVENTS.bits(), 0x1),
    ] {
        assert_eq!(ours, kernel, "{name}: {ours:#x}, the kernel has {kernel:#x}");
    }
}
