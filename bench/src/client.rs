//! A connection to a broker: which versions both sides know, and one request after the other.
//!
//! This is for everything around the load. What is measured goes past [`Connection::call`], to the
//! socket itself ([`crate::load`], [`crate::fetch`]).

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use corelog_wire::api::{ApiKey, Request};
use corelog_wire::error::{DecodeError, EncodeError};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::frame::{self, FrameError};
use corelog_wire::header::{correlation_id, decode_response, encode_request};
use corelog_wire::messages::api_versions::{ApiVersion, ApiVersionsRequest};
use corelog_wire::writer::{Frame, Piece};

/// The name that brokers see.
pub(crate) const CLIENT_ID: &str = "corelog-bench";
/// A broker that says nothing for so long is taken for dead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(2);
/// The largest response that is read.
pub(crate) const MAX_RESPONSE: usize = 1 << 30;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = parts.ok_or_else(|| format!("`{text}` is not host:port"))?;
        Ok(Address { host: host.trim_matches(['[', ']']).to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a broker could not be used any further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot connect to {address}: {source}")]
    Connect { address: Address, source: io::Error },
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the broker closed the connection")]
    Closed,
    #[error("the broker said nothing for {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the broker sent {0}")]
    Frame(#[from] FrameError),
    #[error("a response is broken: {0}")]
    Decode(#[from] DecodeError),
    #[error("a request cannot be written: {0}")]
    Encode(#[from] EncodeError),
    #[error("a response answers request {got}, not {expected}")]
    Order { expected: i32, got: i32 },
    #[error("the broker serves no version of {0} that is known here")]
    NoVersion(ApiKey),
    #[error("the answer to {api} lacks what was asked for")]
    Missing { api: ApiKey },
    #[error("{api}: {code}")]
    Refused { api: ApiKey, code: ErrorCode },
}

/// `Ok` when the broker reports no error.
pub(crate) fn accepted(api: ApiKey, code: ErrorCode) -> Result<(), ClientError> {
    match code {
        ErrorCode::None => Ok(()),
        code => Err(ClientError::Refused { api, code }),
    }
}

/// Does something again until the broker no longer asks to try again, as it does while it takes up
/// what was just made.
///
/// # Errors
/// The first error of another kind; or the last one when it has not come to an end in time.
pub(crate) fn persist<T>(
    mut attempt: impl FnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(ClientError::Refused { code, .. })
                if code.retriable() && Instant::now() < deadline =>
            {
                thread::sleep(BETWEEN_ATTEMPTS);
            }
            result => return result,
        }
    }
}

/// A connection with the versions that its broker serves.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    served: Vec<ApiVersion>,
    next_id: i32,
}

impl Connection {
    /// Connects, and asks which versions the broker serves.
    ///
    /// # Errors
    /// Nobody answers there, or not as a Kafka broker does.
    pub(crate) fn open(address: &Address) -> Result<Connection, ClientError> {
        let connect = TcpStream::connect((address.host.as_str(), address.port));
        let stream =
            connect.map_err(|source| ClientError::Connect { address: address.clone(), source })?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut connection = Connection { stream, served: Vec::new(), next_id: 0 };
        // Version 0 is the one that every broker serves.
        let versions = connection.call_version(0, &ApiVersionsRequest::default())?;
        accepted(ApiKey::ApiVersions, versions.error_code)?;
        connection.served = versions.api_keys;
        Ok(connection)
    }

    /// The newest version of a request that both sides know.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn version<R: Request>(&self) -> Result<i16, ClientError> {
        let served = self.served.iter().find(|served| served.api_key == R::API as i16);
        served
            .map(|served| served.max_version.min(R::SERVED.max))
            .filter(|version| served.is_some_and(|served| served.min_version <= *version))
            .filter(|version| R::SERVED.contains(*version))
            .ok_or(ClientError::NoVersion(R::API))
    }

    /// Sends a request and waits for its response.
    ///
    /// # Errors
    /// The connection fails, or the response is none.
    pub(crate) fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, ClientError> {
        self.call_version(self.version::<R>()?, request)
    }

    fn call_version<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        self.send(version, request)?;
        let frame = self.receive()?;
        self.expect_own(&frame)?;
        Ok(decode_response(frame, version)?.1)
    }

    /// Sends a request in a version, without waiting.
    ///
    /// # Errors
    /// The version cannot carry it, or the connection fails.
    pub(crate) fn send<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<(), ClientError> {
        self.next_id = self.next_id.wrapping_add(1);
        self.write(encode_request(version, self.next_id, Some(CLIENT_ID), request)?)
    }

    /// That a response is the one to the last request sent.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn expect_own(&self, frame: &[u8]) -> Result<(), ClientError> {
        let got = correlation_id(frame).ok_or(ClientError::Closed)?;
        let expected = self.next_id;
        if got == expected { Ok(()) } else { Err(ClientError::Order { expected, got }) }
    }

    fn write(&mut self, frame: Frame) -> Result<(), ClientError> {
        for piece in frame.into_pieces() {
            if let Piece::Bytes(bytes) = piece {
                self.stream.write_all(&bytes).map_err(read_error)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Bytes, ClientError> {
        let mut frame = BytesMut::zeroed(self.receive_size()?);
        self.receive_exact(&mut frame)?;
        Ok(frame.freeze())
    }

    /// Waits for the next response, and says how large it is.
    ///
    /// # Errors
    /// The connection fails, or what comes is no response.
    pub(crate) fn receive_size(&mut self) -> Result<usize, ClientError> {
        let mut prefix = [0; frame::PREFIX];
        self.receive_exact(&mut prefix)?;
        Ok(frame::size(prefix, MAX_RESPONSE)?)
    }

    /// Fills `bytes` with what comes next.
    ///
    /// # Errors
    /// The connection fails before that.
    pub(crate) fn receive_exact(&mut self, bytes: &mut [u8]) -> Result<(), ClientError> {
        self.stream.read_exact(bytes).map_err(read_error)
    }

    /// The socket, for those who pipeline; nothing may be outstanding.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// What a failed read or write of a socket with a time limit means.
pub(crate) fn read_error(error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Silent,
        io::ErrorKind::UnexpectedEof => ClientError::Closed,
        _ => ClientError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("localhost:9092", Some(("localhost", 9092))),
            ("[::1]:1", Some(("::1", 1))),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:70000", None),
        ] {
            let expected = expected.map(|(host, port)| Address { host: host.to_owned(), port });
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }
}
