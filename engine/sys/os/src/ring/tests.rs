//! Rings against real files, pipes and sockets.

use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use corelog_mem::SlabWriter;
use rustix::io::write;

use super::*;
use crate::SharedFd;
use crate::aligned::{AlignedBuf, BLOCK};
use crate::event::EventFd;
use crate::file::{Access, Existence, OpenHow, open, zero_fill};
use crate::lock::{LockError, Patience, lock_exclusive};
use crate::net::{Rest, set_nonblocking};
use crate::splice::{self, PipePair, Progress};
use crate::testdir::TestDir;

const SECOND: Duration = Duration::from_secs(1);

fn shared(path: &Path, access: Access, existence: Existence) -> SharedFd {
    Arc::new(open(path, access, existence).expect("open"))
}

fn filled(len: usize, byte: u8) -> AlignedBuf {
    let mut buf = AlignedBuf::zeroed(len);
    buf.fill(byte);
    buf
}

fn next<T>(ring: &mut Ring<T>) -> Completion<T> {
    let deadline = Instant::now() + 10 * SECOND;
    loop {
        if let Some(done) = ring.completions().next() {
            return done;
        }
        assert!(Instant::now() < deadline, "nothing completed in ten seconds");
        ring.wait(Some(SECOND)).expect("wait");
    }
}

fn run(ring: &mut Ring<()>, op: Op) -> Completion<()> {
    ring.submit(op, ());
    next(ring)
}

fn code<T>(done: &Completion<T>) -> Option<i32> {
    done.result.as_ref().err().and_then(io::Error::raw_os_error)
}

fn ring<T>() -> Ring<T> {
    Ring::new(8).expect("ring")
}

#[test]
fn direct_writes_are_read_back_and_buffers_return() {
    let mut ring = ring();
    let dir = TestDir::new();
    let file = shared(&dir.file("a"), Access::WriteDurable, Existence::New);
    let mut slab = SlabWriter::new(BLOCK);
    slab.append(&[3; BLOCK]);
    let from = vec![
        WriteBuf::Whole(filled(BLOCK, 1)),
        WriteBuf::Part(filled(4 * BLOCK, 2), BLOCK..3 * BLOCK),
        WriteBuf::Slab(slab.slice(0..BLOCK)),
    ];
    let done = run(&mut ring, Op::WriteVectored { file: Arc::clone(&file), at: 0, from });
    assert_eq!(done.result.expect("write"), 4 * BLOCK as u32);
    let Op::WriteVectored { from, .. } = done.op else { panic!("{:?}", done.op) };
    assert_eq!(from.len(), 3);

    let from = WriteBuf::Whole(filled(BLOCK, 9));
    let done = run(&mut ring, Op::Write { file: Arc::clone(&file), at: BLOCK as u64, from });
    assert_eq!(done.result.expect("write"), BLOCK as u32);

    let what = SyncWhat::Data;
    assert_eq!(run(&mut ring, Op::Sync { file: Arc::clone(&file), what }).result.ok(), Some(0));
    let what = SyncWhat::DataAndMetadata;
    assert_eq!(run(&mut ring, Op::Sync { file: Arc::clone(&file), what }).result.ok(), Some(0));

    let into = filled(4 * BLOCK, 0);
    let done = run(&mut ring, Op::Read { file, at: 0, into, len: usize::MAX });
    assert_eq!(done.result.expect("read"), 4 * BLOCK as u32);
    let Op::Read { into, .. } = done.op else { panic!("{:?}", done.op) };
    for (block, byte) in into.chunks(BLOCK).zip([1, 9, 2, 3]) {
        assert!(block.iter().all(|found| *found == byte), "block of {byte}");
    }
    assert_eq!(ring.in_flight(), 0);
}

#[test]
fn short_counts_are_passed_on() {
    let mut ring = ring();
    let dir = TestDir::new();
    fs::write(dir.file("a"), vec![5; BLOCK + 100]).expect("write");
    let file = shared(&dir.file("a"), Access::ReadDirect, Existence::Present);
    let read = |at, len| Op::Read {
        file: Arc::clone(&file),
        at,
        into: AlignedBuf::zeroed(2 * BLOCK),
        len,
    };
    assert_eq!(run(&mut ring, read(0, usize::MAX)).result.ok(), Some(BLOCK as u32 + 100));
    assert_eq!(run(&mut ring, read(0, BLOCK)).result.ok(), Some(BLOCK as u32));
    assert_eq!(run(&mut ring, read(BLOCK as u64, BLOCK)).result.ok(), Some(100));
    assert_eq!(run(&mut ring, read(2 * BLOCK as u64, BLOCK)).result.ok(), Some(0));

    let pipe = PipePair::new(65_536).expect("pipe");
    let from = WriteBuf::Whole(AlignedBuf::zeroed(1 << 20));
    let done = run(&mut ring, Op::Write { file: pipe.write_end(), at: 0, from });
    assert_eq!(done.result.expect("write"), 65_536);
}

#[test]
fn the_kernels_errors_surface() {
    let mut ring = ring();
    let dir = TestDir::new();
    fs::write(dir.file("a"), vec![5; BLOCK]).expect("write");
    let file = shared(&dir.file("a"), Access::ReadDirect, Existence::Present);
    let from = || WriteBuf::Whole(AlignedBuf::zeroed(BLOCK));
    let write = Op::Write { file: Arc::clone(&file), at: 0, from: from() };
    assert_eq!(code(&run(&mut ring, write)), Some(libc::EBADF));
    let into = AlignedBuf::zeroed(BLOCK);
    let read = Op::Read { file: Arc::clone(&file), at: 1, into, len: BLOCK };
    assert_eq!(code(&run(&mut ring, read)), Some(libc::EINVAL));
    let many = (0..1025).map(|_| from()).collect();
    let write = Op::WriteVectored { file: Arc::clone(&file), at: 0, from: many };
    assert!(matches!(code(&run(&mut ring, write)), Some(libc::EINVAL | libc::EBADF)));
    let socket = Arc::new(OwnedFd::from(UnixStream::pair().expect("pair").0));
    let splice = Op::SpliceIn { file, at: 0, pipe: socket, len: 10 };
    assert_eq!(code(&run(&mut ring, splice)), Some(libc::EINVAL));
}

#[test]
fn a_bad_range_panics_before_anything_is_in_flight() {
    let mut ring: Ring<()> = Ring::new(8).expect("ring");
    let dir = TestDir::new();
    let file = shared(&dir.file("a"), Access::WriteDirect, Existence::New);
    let from = WriteBuf::Part(AlignedBuf::zeroed(BLOCK), 0..2 * BLOCK);
    let submit = || ring.submit(Op::Write { file, at: 0, from }, ());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(submit));
    assert!(panicked.is_err());
    assert_eq!(ring.in_flight(), 0);
}

#[test]
fn files_are_opened_relative_to_a_directory_and_closed() {
    let mut ring = ring();
    let dir = TestDir::new();
    let directory = Arc::new(crate::file::open_directory(dir.path()).expect("directory"));
    let how = OpenHow { access: Access::WriteDirect, existence: Existence::New };
    let relative = || Op::Open { directory: Some(directory.clone()), path: c"a".into(), how };
    let done = run(&mut ring, relative());
    let opened = done.opened.expect("a descriptor");
    assert_eq!(done.result.ok(), Some(0));
    zero_fill(&opened, BLOCK as u64, Duration::ZERO).expect("usable");
    let done = run(&mut ring, relative());
    assert_eq!((code(&done), done.opened.is_none()), (Some(libc::EEXIST), true));

    let path = CString::new(dir.file("a").as_os_str().as_bytes()).expect("no zero byte");
    let how = OpenHow { access: Access::Read, existence: Existence::Present };
    let done = run(&mut ring, Op::Open { directory: None, path, how });
    assert_eq!(crate::file::size(done.opened.expect("a descriptor")).expect("size"), 4096);

    let (ours, mut theirs) = UnixStream::pair().expect("pair");
    assert_eq!(run(&mut ring, Op::Close(ours.into())).result.ok(), Some(0));
    assert_eq!(theirs.read(&mut [0]).expect("end"), 0, "the other end sees the close");
}

#[test]
fn a_thousand_operations_pass_through_a_ring_of_eight() {
    let mut ring = ring();
    let dir = TestDir::new();
    let file = shared(&dir.file("a"), Access::WriteDirect, Existence::New);
    zero_fill(&file, 1000 * BLOCK as u64, Duration::ZERO).expect("fill");
    for number in 0..1000u32 {
        let op = if number.is_multiple_of(2) {
            Op::Nop
        } else {
            let from = WriteBuf::Whole(filled(BLOCK, number as u8));
            Op::Write { file: Arc::clone(&file), at: u64::from(number) * BLOCK as u64, from }
        };
        ring.submit(op, number);
    }
    ring.flush().expect("flush");
    assert_eq!(ring.in_flight(), 1000);
    let mut seen = [false; 1000];
    for _ in 0..1000 {
        let done = next(&mut ring);
        let expected = if done.payload.is_multiple_of(2) { 0 } else { BLOCK as u32 };
        assert_eq!(done.result.expect("fine"), expected);
        assert!(!std::mem::replace(&mut seen[done.payload as usize], true), "twice");
    }
    assert_eq!(ring.in_flight(), 0);
    let bytes = fs::read(dir.file("a")).expect("read");
    for (number, block) in bytes.chunks(BLOCK).enumerate().skip(1).step_by(2) {
        assert!(block.iter().all(|byte| *byte == number as u8), "block {number}");
    }
}

#[test]
fn completions_not_taken_are_kept() {
    let mut ring = ring();
    for _ in 0..3 {
        ring.submit(Op::Nop, ());
    }
    ring.wait(None).expect("wait");
    while ring.completions().next().is_none() {}
    assert_eq!(ring.in_flight(), 2);
    while ring.in_flight() > 0 {
        ring.wait(None).expect("returns at once: something is finished");
        ring.completions().for_each(drop);
    }
    ring.wait(None).expect("returns at once: nothing to wait for");
}

#[test]
fn what_is_finished_keeps_a_wait_from_sleeping() {
    let mut ring = ring();
    let (ours, _theirs) = UnixStream::pair().expect("pair");
    ring.submit(Op::Poll { fd: Arc::new(ours.into()), until: Readiness::Readable }, ());
    ring.submit(Op::Nop, ());
    ring.submit(Op::Nop, ());
    next(&mut ring);
    while ring.finished.is_empty() {
        ring.reap();
    }
    let start = Instant::now();
    ring.wait(Some(10 * SECOND)).expect("wait");
    assert!(start.elapsed() < 5 * SECOND);
}

#[test]
fn a_loop_that_never_waits_gets_every_completion() {
    let mut ring = ring();
    let dir = TestDir::new();
    let file = shared(&dir.file("a"), Access::WriteDirect, Existence::New);
    for number in 0..100 {
        let from = WriteBuf::Whole(AlignedBuf::zeroed(BLOCK));
        let at = number * BLOCK as u64;
        ring.submit(Op::Write { file: Arc::clone(&file), at, from }, ());
        ring.submit(Op::Nop, ());
    }
    ring.flush().expect("flush");
    let deadline = Instant::now() + 10 * SECOND;
    while ring.in_flight() > 0 {
        ring.completions().for_each(|done| assert!(done.result.is_ok()));
        assert!(Instant::now() < deadline, "{} never came", ring.in_flight());
    }
}

#[test]
fn waiting_ends_after_its_time() {
    let mut ring = ring();
    let (ours, _theirs) = UnixStream::pair().expect("pair");
    ring.submit(Op::Poll { fd: Arc::new(ours.into()), until: Readiness::Readable }, ());
    let start = Instant::now();
    ring.wait(Some(Duration::from_millis(30))).expect("wait");
    assert!((30..5000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!((ring.completions().count(), ring.in_flight()), (0, 1));
}

#[test]
fn a_poll_completes_when_another_thread_makes_it_ready() {
    let mut ring = ring();
    let wake = EventFd::new().expect("eventfd");
    let notifier = wake.clone();
    ring.submit(Op::Poll { fd: wake.descriptor(), until: Readiness::Readable }, ());
    ring.flush().expect("flush");
    assert_eq!(ring.completions().count(), 0);
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        notifier.notify()
    });
    ring.wait(None).expect("wait");
    let done = next(&mut ring);
    assert_eq!(done.result.expect("ready") & libc::POLLIN as u32, libc::POLLIN as u32);
    assert_eq!(wake.drain().expect("drain"), 1);
    other.join().expect("no panic").expect("notify");

    let (ours, theirs) = UnixStream::pair().expect("pair");
    let fd: SharedFd = Arc::new(ours.into());
    let done = run(&mut ring, Op::Poll { fd: Arc::clone(&fd), until: Readiness::Writable });
    assert_eq!(done.result.expect("ready"), libc::POLLOUT as u32);
    drop(theirs);
    let done = run(&mut ring, Op::Poll { fd, until: Readiness::Readable });
    assert_ne!(done.result.expect("ready") & libc::POLLHUP as u32, 0);
}

#[test]
fn a_peer_that_hangs_up_is_noticed_behind_what_it_has_sent() {
    let mut ring = ring();
    let (ours, mut theirs) = UnixStream::pair().expect("pair");
    ring.submit(Op::Poll { fd: Arc::new(ours.into()), until: Readiness::HungUp }, ());
    theirs.write_all(b"unread").expect("write");
    ring.wait(Some(Duration::from_millis(20))).expect("wait");
    assert_eq!(ring.completions().count(), 0, "bytes are no reason");
    drop(theirs);
    assert_ne!(next(&mut ring).result.expect("ready") & libc::POLLRDHUP as u32, 0);
}

#[test]
fn a_cancelled_operation_comes_back_and_a_stale_token_hits_nobody() {
    let mut ring = ring();
    let (ours, mut theirs) = UnixStream::pair().expect("pair");
    let fd: SharedFd = Arc::new(ours.into());
    let poll = || Op::Poll { fd: Arc::clone(&fd), until: Readiness::Readable };
    let first = ring.submit(poll(), ());
    ring.cancel(first);
    let done = next(&mut ring);
    assert_eq!((done.token, code(&done)), (first, Some(libc::ECANCELED)));

    let second = ring.submit(poll(), ());
    ring.cancel(first);
    ring.wait(Some(Duration::from_millis(20))).expect("wait");
    assert_eq!((ring.completions().count(), ring.in_flight()), (0, 1));
    theirs.write_all(b"x").expect("write");
    let done = next(&mut ring);
    assert_eq!((done.token, done.result.is_ok()), (second, true));
}

/// Tells, by its count, when a payload is dropped.
fn payloads(count: usize) -> (Rc<()>, Vec<Rc<()>>) {
    let original = Rc::new(());
    let copies = vec![Rc::clone(&original); count];
    (original, copies)
}

#[test]
fn a_dropped_ring_waits_for_reads_in_flight() {
    let dir = TestDir::new();
    let file = shared(&dir.file("a"), Access::WriteDirect, Existence::New);
    zero_fill(&file, 32 << 20, Duration::ZERO).expect("fill");
    let (original, copies) = payloads(32);
    let mut ring = ring();
    for (payload, number) in copies.into_iter().zip(0..) {
        let into = AlignedBuf::zeroed(1 << 20);
        let at = number << 20;
        ring.submit(Op::Read { file: Arc::clone(&file), at, into, len: 1 << 20 }, payload);
    }
    ring.flush().expect("flush");
    assert!(ring.in_flight() == 32 && Rc::strong_count(&original) == 33);
    drop(ring);
    assert_eq!((Rc::strong_count(&original), Arc::strong_count(&file)), (1, 1));
}

#[test]
fn a_dropped_ring_cancels_what_would_never_end() {
    let pipe = PipePair::new(65_536).expect("pipe");
    let (stuck, _reader) = UnixStream::pair().expect("pair");
    let stuck: SharedFd = Arc::new(stuck.into());
    let (original, mut copies) = payloads(3);
    let mut ring = ring();
    let mut submit = |op| ring.submit(op, copies.pop().expect("three"));
    submit(Op::Poll { fd: pipe.read_end(), until: Readiness::Readable });
    let read_end = Arc::clone(&stuck);
    submit(Op::Read { file: read_end, at: 0, into: AlignedBuf::zeroed(BLOCK), len: BLOCK });
    ring.flush().expect("flush");
    ring.submit(Op::Nop, copies.pop().expect("never handed to the kernel"));
    let start = Instant::now();
    drop(ring);
    assert!(start.elapsed() < 5 * SECOND, "{:?}", start.elapsed());
    assert_eq!((Rc::strong_count(&original), Arc::strong_count(&stuck)), (1, 1));
    write(pipe.write_end().as_fd(), b"x").expect("nobody minds");
}

#[test]
fn what_was_never_flushed_never_happens() {
    let mut ring = ring();
    let pipe = PipePair::new(65_536).expect("pipe");
    let from = WriteBuf::Whole(filled(BLOCK, 1));
    ring.submit(Op::Write { file: pipe.write_end(), at: 0, from }, ());
    drop(ring);
    assert_eq!(pipe.held().expect("held"), 0);
    assert_eq!(Arc::strong_count(&pipe.write_end()), 2, "the pipe's own and this one");
}

/// Some bytes that repeat at no power of two.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|position| (position % 251) as u8).collect()
}

fn tcp_pair() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    (listener.accept().expect("accept").0.into(), client)
}

/// Moves a file to a socket as a driver would: fill, from the page cache every other time, drain,
/// poll when blocked.
fn splice_all(ring: &mut Ring<()>, file: &SharedFd, socket: &SharedFd, pipe: &PipePair) -> u64 {
    let (mut read, mut sent, mut blocked) = (0, 0, 0);
    loop {
        let len = pipe.capacity() as u32;
        let write_end = pipe.write_end();
        let filled = if (read / u64::from(len)).is_multiple_of(2) {
            run(ring, Op::SpliceIn { file: Arc::clone(file), at: read, pipe: write_end, len })
                .result
        } else {
            splice::fill(file, read, pipe, len as usize).map(|count| count as u32)
        };
        match Progress::from(filled) {
            Progress::Moved(count) => read += u64::from(count.get()),
            Progress::Ended => break,
            other => panic!("filling: {other:?}"),
        }
        while sent < read {
            let fd = Arc::clone(socket);
            let drained = splice::drain(pipe, socket, (read - sent) as usize, Rest::Follows);
            match Progress::from(drained.map(|count| count as u32)) {
                Progress::Moved(count) => sent += u64::from(count.get()),
                Progress::Blocked => {
                    blocked += 1;
                    let ready = run(ring, Op::Poll { fd, until: Readiness::Writable });
                    ready.result.expect("poll");
                }
                other => panic!("draining: {other:?}"),
            }
        }
    }
    assert_eq!(sent, read);
    blocked
}

#[test]
fn a_megabyte_is_spliced_byte_for_byte_to_a_slow_reader() {
    for access in [Access::Read, Access::ReadDirect] {
        let mut ring = ring();
        let dir = TestDir::new();
        let bytes = pattern(1 << 20);
        fs::write(dir.file("a"), &bytes).expect("write");
        let file = shared(&dir.file("a"), access, Existence::Present);
        let (socket, mut reader) = tcp_pair();
        set_nonblocking(&socket).expect("non-blocking");
        let small = crate::net::SocketBuffers { send: 16_384, receive: 16_384 };
        crate::net::set_socket_buffers(&socket, small).expect("small buffers");
        crate::net::set_socket_buffers(&reader, small).expect("small buffers");
        let received = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            let mut received = Vec::new();
            reader.read_to_end(&mut received).map(|_| received)
        });
        let pipe = PipePair::new(256 << 10).expect("pipe");
        let socket: SharedFd = Arc::new(socket);
        let blocked = splice_all(&mut ring, &file, &socket, &pipe);
        assert!(blocked > 0, "the reader was meant to be slow");
        drop(socket);
        let received = received.join().expect("no panic").expect("read");
        assert!(received == bytes, "{} bytes differ", received.len());
    }
}

#[test]
fn a_full_pipe_blocks_nothing() {
    let mut ring = ring();
    let dir = TestDir::new();
    fs::write(dir.file("a"), pattern(1 << 20)).expect("write");
    let file = shared(&dir.file("a"), Access::Read, Existence::Present);
    let (_reader, writer) = io::pipe().expect("a blocking one");
    let writer: SharedFd = Arc::new(writer.into());
    let len = 1 << 20;
    let mut fill = || {
        let (file, pipe) = (Arc::clone(&file), Arc::clone(&writer));
        Progress::from(run(&mut ring, Op::SpliceIn { file, at: 0, pipe, len }).result)
    };
    assert!(matches!(fill(), Progress::Moved(count) if count.get() == 65_536));
    assert!(matches!(fill(), Progress::Blocked));
}

#[test]
fn workers_are_limited_and_placed() {
    let ring: Ring<()> = Ring::new(8).expect("ring");
    ring.limit_workers(WorkerLimits { bounded: 2, unbounded: 4 }).expect("limits");
    let mut present = [0, 0];
    ring.uring.submitter().register_iowq_max_workers(&mut present).expect("zeros only ask");
    assert_eq!(present, [2, 4]);
    ring.place_workers(&crate::cpu::allowed_cores().expect("cores")).expect("placed");
    let impossible = ring.place_workers(&[CoreId(1024)]).map_err(|e| e.kind());
    assert_eq!(impossible, Err(io::ErrorKind::InvalidInput));
}

#[test]
fn a_lock_lasts_as_long_as_the_ring_that_holds_it() {
    let dir = TestDir::new();
    let ours = open(&dir.file("lock"), Access::Write, Existence::New).expect("open");
    let theirs = open(&dir.file("lock"), Access::Write, Existence::Present).expect("open");
    let once = Patience { tries: 1, pause: Duration::ZERO };
    let patient = Patience { tries: 500, pause: Duration::from_millis(10) };
    lock_exclusive(&ours, once).expect("free");
    let mut ring = ring::<()>();
    ring.hold(&ours).expect("held");
    ring.hold(&ours).expect_err("once for each ring");
    drop(ours);
    assert!(matches!(lock_exclusive(&theirs, once), Err(LockError::Held { .. })));
    drop(ring);
    // A process being started by a test beside this one holds copies for a moment.
    lock_exclusive(&theirs, patient).expect("free");
}
