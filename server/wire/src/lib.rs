//! Kafka's wire format: one table of messages, bounded decode, encode.
//!
//! `api` is the table of APIs and their served versions, `messages` the table of what their
//! requests and responses consist of. Everything else is how any table of that kind is read and
//! written. This crate knows no record, no socket and no clock: bytes in, values out.
//!
//! ```
//! use corelog_wire::api::Message;
//! use corelog_wire::header::{RequestHeader, encode_request, encode_response};
//! use corelog_wire::messages::metadata::{MetadataRequest, MetadataResponse};
//! use corelog_wire::reader::Reader;
//!
//! let request = MetadataRequest { topics: None, ..Default::default() };
//! let frame = encode_request(12, 7, Some("client"), &request)?.into_bytes().unwrap();
//!
//! let mut reader = Reader::new(frame.slice(4..)); // without the size prefix
//! let header = RequestHeader::decode(&mut reader)?;
//! assert_eq!(MetadataRequest::decode(&mut reader, header.version)?, request);
//!
//! let response = MetadataResponse { controller_id: 1, ..Default::default() };
//! let frame = encode_response(header.version, header.correlation_id, &response)?;
//! for piece in frame.into_pieces() { /* send it */ }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Adding a message
//!
//! 1. Write its structs into a file of `messages`, in the language that `table` describes.
//! 2. Name versions and messages in the API's row at the end of `api`.
//!
//! A new version of a message is a new upper bound in that row and the fields it brings. The tests
//! take every message and version from the tables.

#[macro_use]
mod table;

pub mod api;
pub mod messages;

pub mod error_code;
pub mod records;
pub mod text;
pub mod uuid;

pub mod frame;
pub mod header;
pub mod keys;

pub mod error;
pub mod reader;
pub mod writer;

mod codec;

#[cfg(feature = "populate")]
pub mod populate;
