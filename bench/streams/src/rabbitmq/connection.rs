//! A connection that speaks RabbitMQ's stream protocol.
//!
//! The protocol's own client asks servers for the versions of their commands, which those before
//! 3.11 take for an error. So its codec is used without it.

use std::collections::HashMap;

use bytes::{Buf, BytesMut};
use rabbitmq_stream_protocol::codec::{Decoder, Encoder};
use rabbitmq_stream_protocol::commands::open::OpenCommand;
use rabbitmq_stream_protocol::commands::peer_properties::PeerPropertiesCommand;
use rabbitmq_stream_protocol::commands::sasl_authenticate::SaslAuthenticateCommand;
use rabbitmq_stream_protocol::commands::sasl_handshake::SaslHandshakeCommand;
use rabbitmq_stream_protocol::commands::tune::TunesCommand;
use rabbitmq_stream_protocol::{Request, Response, ResponseCode, ResponseKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::failure::Failure;
use crate::system::Address;

/// The largest frame, as the server proposes it.
pub(super) const MAX_FRAME: u32 = 1 << 20;
/// Bytes in front of a frame, which say how long it is.
const LENGTH: usize = 4;
/// User and password that a server has when it is new, for clients on its machine.
const LOGIN: &[u8] = b"\0guest\0guest";

/// What the server said unasked; `None` is the end of the connection.
pub(super) type Event = Option<Response>;

/// Where requests go out.
#[derive(Clone, Debug)]
pub(super) struct Outbox(UnboundedSender<Request>);

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    outbox: Outbox,
    answers: UnboundedReceiver<Response>,
    questions: u32,
}

impl Outbox {
    /// Sends it as soon as what was given before is on its way.
    ///
    /// # Errors
    /// The connection is closed.
    pub(super) fn send(&self, request: impl Into<Request>) -> Result<(), Failure> {
        self.0.send(request.into()).map_err(|_| closed())
    }
}

impl Connection {
    /// Connects and signs on. `handler` gets what the server says unasked.
    ///
    /// # Errors
    /// The server refuses.
    pub(super) async fn open(
        address: &Address,
        handler: impl FnMut(&Outbox, Event) + Send + 'static,
    ) -> Result<Connection, Failure> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
        let stream = stream.map_err(Failure::broker)?;
        stream.set_nodelay(true).map_err(Failure::broker)?;
        let (reader, writer) = stream.into_split();
        let (requests, outgoing) = unbounded_channel();
        let (answered, answers) = unbounded_channel();
        let outbox = Outbox(requests);
        tokio::spawn(write(writer, outgoing));
        tokio::spawn(read(reader, answered, outbox.clone(), handler));
        let mut connection = Connection { outbox, answers, questions: 0 };
        connection.sign_on().await?;
        Ok(connection)
    }

    async fn sign_on(&mut self) -> Result<(), Failure> {
        self.ask(|id| PeerPropertiesCommand::new(id, HashMap::new())).await?;
        self.ask(SaslHandshakeCommand::new).await?;
        self.ask(|id| SaslAuthenticateCommand::new(id, "PLAIN".to_owned(), LOGIN.to_vec())).await?;
        // The server goes on with its limits, to which this is the answer; no heartbeats.
        self.answers.recv().await.ok_or_else(closed)?;
        self.outbox.send(TunesCommand::new(MAX_FRAME, 0))?;
        self.ask(|id| OpenCommand::new(id, "/".to_owned())).await
    }

    /// Sends a request, which is made with the number of the question, and waits for the answer.
    ///
    /// # Errors
    /// The server refuses.
    pub(super) async fn ask<R: Into<Request>>(
        &mut self,
        request: impl FnOnce(u32) -> R,
    ) -> Result<(), Failure> {
        self.questions += 1;
        self.outbox.send(request(self.questions))?;
        let answer = self.answers.recv().await.ok_or_else(closed)?;
        let code = match answer.kind_ref() {
            ResponseKind::Generic(generic) => generic.code(),
            ResponseKind::Open(open) => open.code(),
            _ => &ResponseCode::Ok,
        };
        match code {
            ResponseCode::Ok | ResponseCode::StreamAlreadyExists => Ok(()),
            refused => Err(Failure::Broker(format!("{refused:?}"))),
        }
    }

    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }
}

fn closed() -> Failure {
    Failure::Broker("it closed the connection".to_owned())
}

/// Writes requests until nobody can send any more, those that wait together at once.
async fn write(mut writer: OwnedWriteHalf, mut outgoing: UnboundedReceiver<Request>) {
    let mut bytes = Vec::new();
    while let Some(first) = outgoing.recv().await {
        bytes.clear();
        let others = std::iter::from_fn(|| outgoing.try_recv().ok());
        let encoded = std::iter::once(first).chain(others).try_for_each(|r| r.encode(&mut bytes));
        // Then there will be no answer, which is what whoever waits for it says.
        if encoded.is_err() || writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Reads answers, and what comes unasked, until the connection ends.
async fn read(
    mut reader: OwnedReadHalf,
    answered: UnboundedSender<Response>,
    outbox: Outbox,
    mut handler: impl FnMut(&Outbox, Event),
) {
    let mut received = BytesMut::new();
    while let Ok(1..) = reader.read_buf(&mut received).await {
        while let Some(frame) = split(&mut received) {
            let Ok((_, response)) = Response::decode(&frame) else { return handler(&outbox, None) };
            match response.kind_ref() {
                ResponseKind::Tunes(_) => drop(answered.send(response)),
                _ if response.correlation_id().is_some() => drop(answered.send(response)),
                _ => handler(&outbox, Some(response)),
            }
        }
    }
    handler(&outbox, None);
}

/// A whole frame with its length in front, if there is one.
fn split(received: &mut BytesMut) -> Option<BytesMut> {
    let len = (&received[..]).try_get_u32().ok()? as usize + LENGTH;
    (received.len() >= len).then(|| received.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_whole() {
        let mut received = BytesMut::from(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9, 0, 0, 0][..]);
        assert_eq!(split(&mut received).as_deref(), Some(&[0, 0, 0, 2, 7, 8][..]));
        assert_eq!(split(&mut received).as_deref(), Some(&[0, 0, 0, 1, 9][..]));
        assert_eq!(split(&mut received), None);
        received.extend_from_slice(&[1]);
        assert_eq!(split(&mut received), None);
    }
}
