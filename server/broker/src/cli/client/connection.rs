//! A connection to one broker.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::Bytes;
use corelog_wire::api::{ApiKey, Message, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::frame;
use corelog_wire::header::{correlation_id, decode_response, encode_request};
use corelog_wire::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};

use super::error::ClientError;

const CLIENT_ID: &str = "corelog-cli";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// More than any request made here lets a broker wait.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Above any response that is asked for here, and below what the first four bytes of other
/// protocols (`HTTP`, a TLS alert) claim.
const LARGEST_RESPONSE: usize = 256 << 20;

/// A broker that can be asked.
#[derive(Debug)]
pub(in crate::cli) struct Connection {
    address: String,
    stream: TcpStream,
    served: Vec<ApiVersion>,
    next_correlation_id: i32,
}

/// A request that was sent and whose response is to be received.
#[derive(Debug)]
#[must_use]
pub(in crate::cli) struct Pending<R> {
    correlation_id: i32,
    version: i16,
    request: PhantomData<R>,
}

impl<R> Pending<R> {
    fn into_parts(self) -> (i32, i16) {
        (self.correlation_id, self.version)
    }
}

impl Connection {
    /// Connects to `HOST:PORT` and asks for the versions it serves.
    pub(super) fn open(address: &str) -> Result<Connection, ClientError> {
        let stream = connect(address)?;
        let mut connection = Connection {
            address: address.to_owned(),
            stream,
            served: Vec::new(),
            next_correlation_id: 0,
        };
        connection.served = connection.api_versions()?;
        Ok(connection)
    }

    /// Sends a request and waits for its response.
    pub(in crate::cli) fn call<R: Request>(
        &mut self,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        let pending = self.send(request)?;
        self.receive(pending)
    }

    /// Sends a request. Responses are received in the order in which requests were sent.
    pub(in crate::cli) fn send<R: Request>(
        &mut self,
        request: &R,
    ) -> Result<Pending<R>, ClientError> {
        let version = self.version::<R>()?;
        self.send_version(request, version)
    }

    /// Receives the response to the oldest request without one.
    pub(in crate::cli) fn receive<R: Request>(
        &mut self,
        pending: Pending<R>,
    ) -> Result<R::Response, ClientError> {
        let (correlation_id, version) = pending.into_parts();
        let frame = self.receive_frame(R::API, correlation_id)?;
        self.decode::<R>(frame, version)
    }

    /// The newest version of an API that both sides speak.
    pub(in crate::cli) fn version<R: Message>(&self) -> Result<i16, ClientError> {
        let (min, max) = self
            .served
            .iter()
            .find(|served| served.api_key == R::API as i16)
            .map_or((0, -1), |served| (served.min_version, served.max_version));
        let (ours, newest) = (R::SERVED, max.min(R::SERVED.max));
        match newest >= min.max(ours.min) {
            true => Ok(newest),
            false => Err(ClientError::Versions {
                address: self.address.clone(),
                api: R::API,
                theirs: if max < 0 { "none".to_owned() } else { format!("{min} to {max}") },
                ours: format!("{} to {}", ours.min, ours.max),
            }),
        }
    }

    /// A broker that does not know our version of `ApiVersions` answers in version 0, saying so,
    /// and lists the versions of that API, if anything (KIP-511).
    fn api_versions(&mut self) -> Result<Vec<ApiVersion>, ClientError> {
        let newest = ApiVersionsRequest::SERVED.max;
        let answer = self.api_versions_in(newest)?;
        if answer.error_code != ErrorCode::UnsupportedVersion {
            return Ok(answer.api_keys);
        }
        let own = answer.api_keys.iter().find(|row| row.api_key == ApiKey::ApiVersions as i16);
        let version = own.map_or(0, |row| row.max_version.clamp(0, newest));
        Ok(self.api_versions_in(version)?.api_keys)
    }

    fn api_versions_in(&mut self, version: i16) -> Result<ApiVersionsResponse, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: CLIENT_ID.into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        };
        let pending = self.send_version(&request, version)?;
        let frame = self.receive_frame(ApiKey::ApiVersions, pending.correlation_id)?;
        let version = if is_unsupported_version(&frame) { 0 } else { version };
        self.decode::<ApiVersionsRequest>(frame, version)
    }

    fn send_version<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<Pending<R>, ClientError> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.wrapping_add(1);
        let refused =
            |error| ClientError::Request { address: self.address.clone(), api: R::API, error };
        let frame =
            encode_request(version, correlation_id, Some(CLIENT_ID), request).map_err(refused)?;
        // A request has no holes.
        let bytes = frame.into_bytes().unwrap_or_default();
        self.stream.write_all(&bytes).map_err(|error| self.failed(R::API, error))?;
        Ok(Pending { correlation_id, version, request: PhantomData })
    }

    fn receive_frame(&mut self, api: ApiKey, expected: i32) -> Result<Bytes, ClientError> {
        let mut prefix = [0; frame::PREFIX];
        self.stream.read_exact(&mut prefix).map_err(|error| self.failed(api, error))?;
        let size = frame::size(prefix, LARGEST_RESPONSE).map_err(|e| self.not_kafka(&e))?;
        let mut bytes = vec![0; size];
        self.stream.read_exact(&mut bytes).map_err(|error| self.failed(api, error))?;
        match correlation_id(&bytes) {
            Some(id) if id == expected => Ok(bytes.into()),
            id => Err(self.not_kafka(&format_args!("correlation id {id:?} instead of {expected}"))),
        }
    }

    fn decode<R: Request>(&self, frame: Bytes, version: i16) -> Result<R::Response, ClientError> {
        match decode_response(frame, version) {
            Ok((_, response)) => Ok(response),
            Err(error) => Err(self.not_kafka(&error)),
        }
    }

    fn not_kafka(&self, why: &impl Display) -> ClientError {
        ClientError::NotKafka { address: self.address.clone(), why: why.to_string() }
    }

    fn failed(&self, api: ApiKey, error: io::Error) -> ClientError {
        let address = self.address.clone();
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                ClientError::Silent { address, api, after: ANSWER_TIMEOUT }
            }
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                ClientError::Closed { address, api }
            }
            _ => ClientError::Io { address, api, error },
        }
    }
}

/// In every version the error code follows the correlation id.
fn is_unsupported_version(frame: &[u8]) -> bool {
    frame.get(4..6) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes())
}

/// Tries every address of the name; the last failure counts.
fn connect(address: &str) -> Result<TcpStream, ClientError> {
    let named = || address.to_owned();
    let mut failure = None;
    for candidate in look_up(address)? {
        match open(&candidate) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Some(error),
        }
    }
    Err(match failure {
        Some(error) if error.kind() == ErrorKind::ConnectionRefused => {
            ClientError::Refused { address: named() }
        }
        Some(error) => ClientError::Unreachable { address: named(), error },
        None => ClientError::Unknown { address: named(), error: ErrorKind::NotFound.into() },
    })
}

fn look_up(address: &str) -> Result<impl Iterator<Item = SocketAddr>, ClientError> {
    let (host, port) = address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
        .filter(|(host, _)| !host.is_empty())
        .ok_or_else(|| ClientError::NotAnAddress(address.to_owned()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host, port)
        .to_socket_addrs()
        .map_err(|error| ClientError::Unknown { address: address.to_owned(), error })
}

fn open(address: &SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, CONNECT_TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

#[cfg(test)]
mod tests;
