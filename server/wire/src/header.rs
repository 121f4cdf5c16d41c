//! Headers, and whole frames: header and body together.
//!
//! The header's version follows from the version of the body, which the first eight bytes of a
//! request tell whatever follows them. Flexible versions end the header with tagged fields; two
//! things stay as they were before: the client id is never compact, and the response header of
//! `ApiVersions` never has tagged fields, so that a client can read it without knowing the broker.

use std::fmt;

use bytes::Bytes;

use crate::api::{ApiKey, Request, Response, Served};
use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::text::Str;
use crate::writer::{Frame, Writer};

/// The header of a request that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API asked.
    pub api: ApiKey,
    /// The version of request and response, which is served.
    pub version: i16,
    /// Chosen by the client, to be given back.
    pub correlation_id: i32,
    /// The client's name of itself, empty where it has none.
    pub client_id: Str,
}

/// Why a request cannot be handed to its API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// A key that Kafka does not have.
    UnknownApi(i16),
    /// An API or version that is not served. Kafka closes the connection, except that it answers
    /// an `ApiVersions` with `UNSUPPORTED_VERSION` in version 0, whatever else the request holds.
    NotServed {
        /// The API asked.
        api: ApiKey,
        /// The version asked.
        version: i16,
        /// To be given back.
        correlation_id: i32,
    },
    /// Not a header.
    Malformed(DecodeError),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownApi(key) => write!(f, "there is no API {key}"),
            Self::NotServed { api, version, .. } => write!(f, "{api} {version} is not served"),
            Self::Malformed(error) => write!(f, "request header: {error}"),
        }
    }
}

impl std::error::Error for HeaderError {}

impl From<DecodeError> for HeaderError {
    fn from(error: DecodeError) -> Self {
        HeaderError::Malformed(error)
    }
}

impl RequestHeader {
    /// Reads the header and leaves the reader at the body.
    ///
    /// # Errors
    /// The header is broken, or what it asks for is not served.
    pub fn decode(reader: &mut Reader) -> Result<RequestHeader, HeaderError> {
        let key = i16::from_be_bytes(reader.take()?);
        let version = i16::from_be_bytes(reader.take()?);
        let correlation_id = i32::from_be_bytes(reader.take()?);
        let api = ApiKey::from_i16(key).ok_or(HeaderError::UnknownApi(key))?;
        let served = api
            .served()
            .filter(|served| served.contains(version))
            .ok_or(HeaderError::NotServed { api, version, correlation_id })?;
        let client_id = match reader.short_len()? {
            Some(len) => reader.text(len)?,
            None => Str::new(),
        };
        if version >= served.first_flexible {
            reader.tagged(|_, _| Ok(false))?;
        }
        Ok(RequestHeader { api, version, correlation_id, client_id })
    }

    /// Forgets the client's name, which is a part of the request's frame and keeps all of it. What
    /// an answer needs stays.
    pub fn let_go_of_frame(&mut self) {
        self.client_id = Str::new();
    }
}

/// A request as a client sends it. A client without a name has a null client id.
///
/// # Errors
/// The version is not served, or cannot carry the body.
pub fn encode_request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    body: &R,
) -> Result<Frame, EncodeError> {
    let mut writer = Writer::new();
    writer.put(&(R::API as i16).to_be_bytes());
    writer.put(&version.to_be_bytes());
    writer.put(&correlation_id.to_be_bytes());
    writer.put_short_len(client_id.map(str::len));
    writer.put_text(client_id.unwrap_or_default());
    if version >= R::SERVED.first_flexible {
        writer.put_uvarint(0);
    }
    body.encode(&mut writer, version);
    writer.finish()
}

/// The answer to a request of that version and correlation id.
///
/// # Errors
/// The version is not served, or cannot carry the body.
pub fn encode_response<R: Response>(
    version: i16,
    correlation_id: i32,
    body: &R,
) -> Result<Frame, EncodeError> {
    let mut writer = Writer::new();
    writer.put(&correlation_id.to_be_bytes());
    if response_header_is_flexible(R::API, R::SERVED, version) {
        writer.put_uvarint(0);
    }
    body.encode(&mut writer, version);
    writer.finish()
}

/// The correlation id that a response (without size prefix) begins with.
#[must_use]
pub fn correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk().map(|&id| i32::from_be_bytes(id))
}

/// Reads a response (without size prefix) to a request of that version, with its correlation id.
///
/// # Errors
/// The version is not served, or the bytes are not such a response.
pub fn decode_response<R: Response>(frame: Bytes, version: i16) -> Result<(i32, R), DecodeError> {
    let mut reader = Reader::new(frame);
    let correlation_id = i32::from_be_bytes(reader.take()?);
    if response_header_is_flexible(R::API, R::SERVED, version) {
        reader.tagged(|_, _| Ok(false))?;
    }
    Ok((correlation_id, R::decode(&mut reader, version)?))
}

fn response_header_is_flexible(api: ApiKey, served: Served, version: i16) -> bool {
    version >= served.first_flexible && api != ApiKey::ApiVersions
}
