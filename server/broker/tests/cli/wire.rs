//! A connection to a broker.

use std::io::{Read, Write};
use std::net::TcpStream;

use corelog_wire::api::Request;
use corelog_wire::header::{decode_response, encode_request};

pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn open(address: &str) -> Connection {
        Connection(TcpStream::connect(address).expect("it listens"))
    }

    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let frame = encode_request(version, 0, Some("test"), request).expect("encodes");
        let bytes = frame.into_bytes().expect("no holes");
        self.0.write_all(&bytes).expect("a reader");
        let mut size = [0; 4];
        self.0.read_exact(&mut size).expect("a frame");
        let mut frame = vec![0; u32::from_be_bytes(size) as usize];
        self.0.read_exact(&mut frame).expect("a whole frame");
        decode_response(frame.into(), version).expect("a response").1
    }
}
