//! One connection to a broker: requests out, responses in, nothing hidden.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use corelog_wire::api::Request;
use corelog_wire::error::{DecodeError, EncodeError};
use corelog_wire::frame::{self, FrameError, PREFIX};
use corelog_wire::header::{decode_response, encode_request};

/// What the client calls itself.
const CLIENT_ID: &str = "corelog-tests";
/// More than any response that is asked for.
const RESPONSE_MAX: usize = 256 << 20;

/// A connection. Responses are received in the order of the requests.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    sent: i32,
    received: i32,
}

/// Why there is no response.
#[derive(Debug)]
pub enum ClientError {
    /// The connection failed, was closed, or was silent for too long.
    Io(io::Error),
    /// The size prefix is none.
    Frame(FrameError),
    /// The response is not what its API says.
    Decode(DecodeError),
    /// The request cannot be said in that version.
    Encode(EncodeError),
    /// Another request's response.
    Correlation {
        /// Of the oldest request without response.
        expected: i32,
        /// Of what came.
        found: i32,
    },
}

impl ClientError {
    /// Whether the broker closed the connection, or there is none; otherwise it broke the protocol
    /// or said nothing.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset};
        let kinds = [BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset];
        match self {
            ClientError::Io(error) => {
                kinds.contains(&error.kind()) || error.kind() == io::ErrorKind::UnexpectedEof
            }
            _ => false,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Io(error) => write!(f, "connection: {error}"),
            ClientError::Frame(error) => error.fmt(f),
            ClientError::Decode(error) => error.fmt(f),
            ClientError::Encode(error) => error.fmt(f),
            ClientError::Correlation { expected, found } => {
                write!(f, "response to request {found}, that to {expected} comes first")
            }
        }
    }
}

impl std::error::Error for ClientError {}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> ClientError {
        ClientError::Io(error)
    }
}

impl Client {
    /// Connects; every later wait is bounded by `patience`.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(address: SocketAddr, patience: Duration) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Client { stream, sent: 0, received: 0 })
    }

    /// Sends a request without waiting for its response.
    ///
    /// # Errors
    /// The version cannot say it, or the connection failed.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<(), ClientError> {
        let frame = encode_request(version, self.sent, Some(CLIENT_ID), request);
        // Only responses have holes.
        let frame = frame.map_err(ClientError::Encode)?.into_bytes().unwrap_or_default();
        self.sent = self.sent.wrapping_add(1);
        Ok(self.stream.write_all(&frame)?)
    }

    /// Waits for the response to the oldest request that has none, which is an `R` of `version`.
    ///
    /// # Errors
    /// The connection failed, or what came is no such response.
    pub fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response, ClientError> {
        let response = self.receive_frame()?;
        let (found, response) = decode_response(response, version).map_err(ClientError::Decode)?;
        let expected = self.received;
        self.received = self.received.wrapping_add(1);
        if found == expected {
            Ok(response)
        } else {
            Err(ClientError::Correlation { expected, found })
        }
    }

    /// Sends a request and waits for its response.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Client::receive`].
    pub fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        self.send(version, request)?;
        self.receive::<R>(version)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection failed.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Waits for one frame, without its size prefix.
    ///
    /// # Errors
    /// The connection failed, or the prefix is none.
    pub fn receive_frame(&mut self) -> Result<Bytes, ClientError> {
        let mut prefix = [0; PREFIX];
        self.stream.read_exact(&mut prefix)?;
        let size = frame::size(prefix, RESPONSE_MAX).map_err(ClientError::Frame)?;
        let mut frame = vec![0; size];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Bounds later waits anew.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))?;
        self.stream.set_write_timeout(Some(patience))
    }
}
