//! Sending responses: memory by vectored sends, long file ranges by splice, short ones read first.
//!
//! All files of a response are open before its first byte leaves. An error after that can only end
//! the connection, for the size that was announced can no longer be kept.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use corelog_engine::log::SegmentId;
use corelog_engine::shard::request::Piece;
use corelog_os::SharedFd;
use corelog_os::net::{self, Rest};
use corelog_os::ring::Readiness;

use crate::bulk::{Bulk, Delivery, DeliveryError, FileRange, Part};
use crate::disk::{Disk, FileKind};
use crate::oneshot::channel;
use crate::pulse::{Pulse, Sending};
use crate::service::Close;
use crate::tasks::Tasks;

/// File ranges from this length on are spliced: measured, below it the way through the kernel's
/// workers costs more than a copy.
const WORTH_SPLICING: u64 = 64 << 10;

/// Bytes of files that a connection has in memory at a time.
const MATERIALISED: u64 = 256 << 10;

/// Bytes from which on a piece of memory may keep the slab that it is part of for as long as a slow
/// peer takes; what is shorter is copied.
const WORTH_PINNING: usize = 64 << 10;

/// Bytes handed to the socket in one call, which copies them on the shard's thread.
const ONE_SEND: usize = 256 << 10;

/// Pieces handed to the socket in one call.
const ONE_SEND_PIECES: usize = 256;

/// Bytes of memory that an answer takes while it is sent.
pub(crate) fn memory_of<'a>(pieces: impl IntoIterator<Item = &'a Piece>) -> u64 {
    let (mut memory, mut read) = (0, 0);
    for piece in pieces {
        match piece {
            Piece::Memory(bytes) => memory += bytes.len() as u64,
            Piece::File { len, .. } if *len < WORTH_SPLICING => read += len,
            Piece::File { .. } => {}
        }
    }
    memory + read.min(MATERIALISED)
}

/// Why a connection ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer has closed it, or the network has lost it.
    Peer(io::Error),
    /// We close it.
    Close(Close),
}

impl From<Close> for End {
    fn from(close: Close) -> End {
        End::Close(close)
    }
}

/// A part of a response, its file open.
enum Opened {
    Memory(Bytes),
    Read { file: SharedFd, at: u64, len: u64 },
    Splice { file: SharedFd, range: FileRange },
}

/// A connection's sending half.
pub(crate) struct Server {
    pub(crate) socket: SharedFd,
    pub(crate) disk: Rc<RefCell<Disk>>,
    pub(crate) bulk: Bulk,
    pub(crate) pulse: Rc<Pulse>,
    pub(crate) tasks: Rc<Tasks>,
}

impl Server {
    /// Sends pieces, one behind the other.
    pub(crate) async fn send(&self, pieces: Vec<Piece>) -> Result<(), End> {
        let parts = self.open(pieces).await?;
        let mut ready = VecDeque::with_capacity(parts.len());
        let mut materialised = 0;
        for part in parts {
            let part = match part {
                Opened::Memory(bytes) => Part::Memory(bytes),
                Opened::Splice { file, range } => Part::File { file, range },
                Opened::Read { file, at, len } => {
                    if materialised + len > MATERIALISED {
                        self.send_ready(mem::take(&mut ready)).await?;
                        materialised = 0;
                    }
                    materialised += len;
                    Part::Memory(self.read(file, at, len).await?)
                }
            };
            ready.push_back(part);
        }
        self.send_ready(ready).await
    }

    /// Memory alone is sent from here, the rest from the bulk thread.
    async fn send_ready(&self, mut parts: VecDeque<Part>) -> Result<(), End> {
        parts.retain(|part| !matches!(part, Part::Memory(bytes) if bytes.is_empty()));
        self.pulse.set_sending(Sending::Bytes);
        if parts.iter().any(|part| matches!(part, Part::File { .. })) {
            self.deliver(parts).await?;
        } else {
            let memory = |part| match part {
                Part::Memory(bytes) => Some(bytes),
                Part::File { .. } => None,
            };
            self.send_memory(parts.into_iter().filter_map(memory).collect()).await?;
        }
        self.pulse.set_sending(Sending::Nothing);
        Ok(())
    }

    async fn open(&self, pieces: Vec<Piece>) -> Result<Vec<Opened>, End> {
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            parts.push(match piece {
                Piece::Memory(bytes) => Opened::Memory(bytes),
                Piece::File { segment, at, len, flushed } if len >= WORTH_SPLICING => {
                    let range = FileRange { segment, at, end: at + len, flushed };
                    Opened::Splice { file: self.file(segment, FileKind::Buffered).await?, range }
                }
                Piece::File { segment, at, len, .. } => {
                    Opened::Read { file: self.file(segment, FileKind::Direct).await?, at, len }
                }
            });
        }
        Ok(parts)
    }

    async fn file(&self, segment: SegmentId, kind: FileKind) -> Result<SharedFd, End> {
        let opening = self.disk.borrow_mut().open(segment, kind);
        match opening.await {
            Ok(Ok(file)) => Ok(file),
            Ok(Err(error)) => Err(unreadable(&format!("cannot open {segment:?}: {:?}", error.0))),
            Err(gone) => Err(unreadable(&format!("cannot open {segment:?}: {gone:?}"))),
        }
    }

    async fn read(&self, file: SharedFd, at: u64, len: u64) -> Result<Bytes, End> {
        let reading = self.disk.borrow_mut().read(file, at, len as usize);
        match reading.await {
            Ok(Ok(bytes)) if bytes.len() as u64 == len => Ok(bytes),
            Ok(Ok(bytes)) => Err(unreadable(&format!("a file has {} of {len} bytes", bytes.len()))),
            Ok(Err(error)) => Err(unreadable(&format!("cannot read a file: {:?}", error.0))),
            Err(gone) => Err(unreadable(&format!("cannot read a file: {gone:?}"))),
        }
    }

    async fn send_memory(&self, mut pieces: VecDeque<Bytes>) -> Result<(), End> {
        let mut unpinned = false;
        while !pieces.is_empty() {
            let sent = match send_some(&self.socket, &pieces) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !mem::replace(&mut unpinned, true) {
                        pieces.iter_mut().for_each(unpin);
                    }
                    self.writable().await?;
                    continue;
                }
                sent => sent.map_err(End::Peer)?,
            };
            advance(&mut pieces, sent);
            self.pulse.sent(sent as u64);
            self.tasks.yield_if_needed().await;
        }
        Ok(())
    }

    async fn writable(&self) -> Result<(), End> {
        let ready = self.disk.borrow_mut().ready(self.socket.clone(), Readiness::Writable);
        match ready.await {
            Ok(ready) => ready.map_err(End::Peer),
            Err(gone) => Err(unreadable(&format!("cannot wait for a socket: {gone:?}"))),
        }
    }

    async fn deliver(&self, parts: VecDeque<Part>) -> Result<(), End> {
        let mut parts = parts;
        for part in &mut parts {
            if let Part::Memory(bytes) = part {
                unpin(bytes);
            }
        }
        let (done, ended) = channel();
        let (socket, progress) = (self.socket.clone(), self.pulse.delivered());
        self.bulk.deliver(Delivery { parts, socket, progress, done });
        match ended.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(DeliveryError::FileEnded)) => Err(unreadable("a file ends before its range")),
            Ok(Err(DeliveryError::File(error))) => {
                Err(unreadable(&format!("cannot read a file: {error}")))
            }
            Ok(Err(DeliveryError::Socket(error))) => Err(End::Peer(error)),
            Err(gone) => Err(unreadable(&format!("cannot send a file: {gone:?}"))),
        }
    }
}

/// Lets go of the slab that a short piece is part of.
fn unpin(bytes: &mut Bytes) {
    if bytes.len() < WORTH_PINNING {
        *bytes = Bytes::copy_from_slice(bytes);
    }
}

fn unreadable(why: &str) -> End {
    End::Close(Close::because(format!("a response cannot be completed: {why}")))
}

/// Sends as much of the first pieces as the socket takes, within bounds.
fn send_some(socket: &SharedFd, pieces: &VecDeque<Bytes>) -> io::Result<usize> {
    if let ([only], []) = pieces.as_slices() {
        return net::send(socket, &only[..only.len().min(ONE_SEND)], Rest::None);
    }
    let mut room = ONE_SEND;
    let slices = pieces.iter().take(ONE_SEND_PIECES).map_while(|piece| {
        let len = piece.len().min(room);
        room -= len;
        (len > 0).then(|| IoSlice::new(&piece[..len]))
    });
    net::send_vectored(socket, &slices.collect::<Vec<_>>())
}

/// Takes off what has been sent.
fn advance(pieces: &mut VecDeque<Bytes>, mut sent: usize) {
    while let Some(first) = pieces.front_mut() {
        if first.len() > sent {
            return first.advance(sent);
        }
        sent -= first.len();
        pieces.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_its_memory_and_what_is_read_of_files() {
        use corelog_engine::id::{Offset, PartitionIndex, TopicId, TopicPartition};
        let partition = TopicPartition { topic: TopicId([0; 16]), index: PartitionIndex(0) };
        let segment = SegmentId { partition, base: Offset(0) };
        let file = |len| Piece::File { segment, at: 0, len, flushed: len };
        let memory = |len| Piece::Memory(Bytes::from(vec![0; len]));
        for (pieces, expected) in [
            (vec![memory(10), memory(20)], 30),
            (vec![memory(10), file(WORTH_SPLICING)], 10),
            (vec![memory(10), file(100), file(200)], 310),
            (vec![file(WORTH_SPLICING - 1); 100], MATERIALISED),
        ] {
            assert_eq!(memory_of(&pieces), expected);
        }
    }

    #[test]
    fn short_pieces_let_go_of_their_slab() {
        for (len, pinned) in [(100, false), (WORTH_PINNING - 1, false), (WORTH_PINNING, true)] {
            let slab = Bytes::from(vec![7; 1 << 20]);
            let mut piece = slab.slice(5..5 + len);
            let before = piece.clone();
            unpin(&mut piece);
            assert_eq!((piece.as_ptr() == before.as_ptr(), &piece), (pinned, &before), "{len}");
        }
    }

    #[test]
    fn what_was_sent_is_taken_off_wherever_it_ended() {
        for (sent, left) in
            [(0, "abc de f"), (1, "bc de f"), (3, "de f"), (4, "e f"), (5, "f"), (6, "")]
        {
            let mut pieces: VecDeque<_> = ["abc", "de", "f"].map(Bytes::from).into();
            advance(&mut pieces, sent);
            let pieces: Vec<_> = pieces.iter().map(|p| str::from_utf8(p).expect("text")).collect();
            assert_eq!(pieces.join(" "), left, "{sent}");
        }
    }
}
