//! Sockets, by descriptor: listening on a shared port, and moving bytes without ever waiting.
//!
//! A call that would have to wait says [`io::ErrorKind::WouldBlock`]; waiting is the loop's affair.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketFlags,
    SocketType, acceptfrom_with, bind, getpeername, getsockname, listen as start_listening, recv,
    sendmsg, socket_with, sockopt,
};

/// The kernel takes no more pieces in one call.
const MOST_PIECES: usize = 1024;

/// A non-blocking listening socket. Several may listen on one address, one per core, and the kernel
/// spreads connections over them.
///
/// # Errors
/// AddrInUse, or what the kernel says.
pub fn listen(address: SocketAddr, backlog: u32) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &address)?;
    start_listening(&socket, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// The next waiting connection, non-blocking, and its peer.
///
/// # Errors
/// WouldBlock when none waits; out of descriptors (EMFILE, ENFILE), when the connection stays
/// waiting.
pub fn accept(listener: impl AsFd) -> io::Result<(OwnedFd, SocketAddr)> {
    loop {
        match acceptfrom_with(&listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok((socket, peer)) => return Ok((socket, internet_address(peer)?)),
            // The peer was gone before we came: as if it had never been.
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends as much as the socket takes now, at most 1,024 pieces; says how many bytes.
///
/// # Errors
/// WouldBlock when it takes nothing; BrokenPipe or ConnectionReset when the peer is gone, without a
/// signal.
pub fn send_vectored(socket: impl AsFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let pieces = &pieces[..pieces.len().min(MOST_PIECES)];
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    until_uninterrupted(|| sendmsg(&socket, pieces, &mut SendAncillaryBuffer::default(), flags))
}

/// Whether more is sent right behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// More follows at once: the kernel may wait for it to fill a packet.
    Follows,
    /// Nothing does.
    None,
}

/// Sends as much as the socket takes now; says how many bytes.
///
/// # Errors
/// As [`send_vectored`].
pub fn send(socket: impl AsFd, bytes: &[u8], rest: Rest) -> io::Result<usize> {
    let mut flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    flags.set(SendFlags::MORE, rest == Rest::Follows);
    until_uninterrupted(|| rustix::net::send(&socket, bytes, flags))
}

/// Whether the socket takes bytes now. A socket that has failed does: sending tells.
#[must_use]
pub fn is_writable(socket: impl AsFd) -> bool {
    let mut asked = [PollFd::new(&socket, PollFlags::OUT)];
    poll(&mut asked, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Receives what has arrived; 0 when the peer has finished sending.
///
/// # Errors
/// WouldBlock when nothing has; ConnectionReset when the peer is gone.
pub fn recv_into(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<usize> {
    until_uninterrupted(|| Ok(recv(&socket, &mut *bytes, RecvFlags::DONTWAIT)?.0))
}

/// Receives what has arrived, and there is room for, behind what the vector holds, at most so many
/// bytes; 0 when the peer has finished sending.
///
/// # Errors
/// As [`recv_into`].
pub fn recv_behind(socket: impl AsFd, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let len = bytes.len();
    let room = bytes.spare_capacity_mut();
    let room_len = room.len().min(most);
    let room = &mut room[..room_len];
    let count = until_uninterrupted(|| {
        let ((filled, _), _) = recv(&socket, &mut *room, RecvFlags::DONTWAIT)?;
        Ok(filled.len())
    })?;
    // SAFETY: the kernel has written so many bytes to where the vector's end was.
    unsafe { bytes.set_len(len + count) };
    Ok(count)
}

fn until_uninterrupted<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Makes all calls on the socket, by whoever shares it, return rather than wait.
///
/// # Errors
/// What the kernel says.
pub fn set_nonblocking(socket: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&socket)?;
    Ok(fcntl_setfl(&socket, flags | OFlags::NONBLOCK)?)
}

/// Sends small pieces at once rather than gathering them.
///
/// # Errors
/// What the kernel says.
pub fn set_nodelay(socket: impl AsFd) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(socket, true)?)
}

/// Who is at the other end.
///
/// # Errors
/// NotConnected, or what the kernel says.
pub fn peer_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    internet_address(getpeername(socket)?)
}

/// Where a socket is bound: for a listener on port 0, the port it was given.
///
/// # Errors
/// What the kernel says.
pub fn local_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    internet_address(Some(getsockname(socket)?))
}

fn internet_address(address: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    let address = address.ok_or(io::ErrorKind::NotConnected)?;
    Ok(SocketAddr::try_from(address)?)
}

/// What the kernel keeps for a socket at most, in bytes, its own bookkeeping included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketBuffers {
    /// Sent and not yet acknowledged.
    pub send: usize,
    /// Received and not yet read.
    pub receive: usize,
}

/// The present limits; the kernel raises them by itself as long as nobody sets them.
///
/// # Errors
/// What the kernel says.
pub fn socket_buffers(socket: impl AsFd) -> io::Result<SocketBuffers> {
    let send = sockopt::socket_send_buffer_size(&socket)?;
    let receive = sockopt::socket_recv_buffer_size(&socket)?;
    Ok(SocketBuffers { send, receive })
}

/// Sets both limits, which ends the kernel's own tuning; it doubles them for its bookkeeping.
///
/// # Errors
/// What the kernel says.
pub fn set_socket_buffers(socket: impl AsFd, wanted: SocketBuffers) -> io::Result<()> {
    sockopt::set_socket_send_buffer_size(&socket, wanted.send)?;
    Ok(sockopt::set_socket_recv_buffer_size(&socket, wanted.receive)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpStream;

    fn connected() -> (OwnedFd, TcpStream) {
        let listener = listen("127.0.0.1:0".parse().expect("address"), 8).expect("listen");
        assert_eq!(accept(&listener).map_err(|e| e.kind()).err(), Some(ErrorKind::WouldBlock));
        let client = TcpStream::connect(local_address(&listener).expect("bound")).expect("connect");
        let (socket, peer) = accept(&listener).expect("accept");
        assert_eq!(peer, client.local_addr().expect("address"));
        assert_eq!(peer_address(&socket).expect("peer"), peer);
        (socket, client)
    }

    #[test]
    fn listeners_share_an_address_on_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let first = listen(address.parse().expect("address"), 8).expect("listen");
            let bound = local_address(&first).expect("bound");
            listen(bound, 8).expect("a second one");
            assert_eq!(peer_address(&first).map_err(|e| e.kind()), Err(ErrorKind::NotConnected));
        }
    }

    #[test]
    fn pieces_arrive_in_order_and_in_one_call() {
        let (socket, mut client) = connected();
        set_nodelay(&socket).expect("nodelay");
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(send_vectored(&socket, &pieces).expect("send"), 5);
        let mut bytes = [0; 5];
        client.read_exact(&mut bytes).expect("read");
        assert_eq!(&bytes, b"abcde");
        let many = vec![IoSlice::new(b"x"); MOST_PIECES + 1];
        assert_eq!(send_vectored(&socket, &many).expect("send"), MOST_PIECES);
    }

    #[test]
    fn received_bytes_go_behind_others_so_many_at_a_time() {
        let (socket, mut client) = connected();
        client.write_all(b"abcde").expect("write");
        drop(client);
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(b"->");
        for (most, expected) in [(2, "->ab"), (9, "->abcde"), (9, "->abcde")] {
            let before = bytes.len();
            let count = loop {
                match recv_behind(&socket, &mut bytes, most) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        std::thread::yield_now();
                    }
                    other => break other.expect("receive"),
                }
            };
            assert_eq!(bytes, expected.as_bytes());
            assert_eq!(count, bytes.len() - before);
        }
    }

    #[test]
    fn nothing_ever_waits_even_on_a_blocking_socket() {
        let (socket, mut client) = connected();
        let flags = fcntl_getfl(&socket).expect("flags");
        fcntl_setfl(&socket, flags - OFlags::NONBLOCK).expect("blocking");
        let mut bytes = [0; 16];
        let empty = recv_into(&socket, &mut bytes).map_err(|e| e.kind());
        assert_eq!(empty, Err(ErrorKind::WouldBlock));
        client.write_all(b"hey").expect("write");
        let count = loop {
            match recv_into(&socket, &mut bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                other => break other.expect("receive"),
            }
        };
        assert_eq!(&bytes[..count], b"hey");
        let chunk = vec![1; 1 << 20];
        let full = loop {
            if let Err(error) = send_vectored(&socket, &[IoSlice::new(&chunk)]) {
                break error.kind();
            }
        };
        assert_eq!(full, ErrorKind::WouldBlock);
    }

    #[test]
    fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        let (socket, client) = connected();
        drop(client);
        let gone = loop {
            match send_vectored(&socket, &[IoSlice::new(b"x")]) {
                Ok(_) => std::thread::yield_now(),
                Err(error) => break error.kind(),
            }
        };
        assert!(matches!(gone, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{gone:?}");
    }

    #[test]
    fn buffer_sizes_are_doubled_by_the_kernel() {
        let (socket, _client) = connected();
        let wanted = SocketBuffers { send: 65_536, receive: 32_768 };
        set_socket_buffers(&socket, wanted).expect("set");
        let present = socket_buffers(&socket).expect("get");
        assert_eq!(present, SocketBuffers { send: 131_072, receive: 65_536 });
    }

    #[test]
    fn a_blocking_socket_becomes_non_blocking() {
        let (_socket, mut client) = connected();
        set_nonblocking(&client).expect("set");
        assert_eq!(client.read(&mut [0]).map_err(|e| e.kind()), Err(ErrorKind::WouldBlock));
    }
}
