//! What comes back from a connection that misbehaves.

use std::io;

use bytes::Bytes;
use corelog_tests::live::client::{Client, ClientError};
use corelog_tests::live::report::NotPassed;

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A frame, without its size prefix.
    Frame(Bytes),
    /// The broker hung up.
    Closed,
    /// Nothing, for as long as the connection's patience.
    Silent,
}

/// Sends bytes and waits for what comes back.
pub(crate) fn answer(client: &mut Client, bytes: &[u8]) -> Result<Answer, NotPassed> {
    let sent = client.send_bytes(bytes).map_err(ClientError::Io);
    classify(sent.and_then(|()| client.receive_frame()))
}

/// Waits for what comes back.
pub(crate) fn next(client: &mut Client) -> Result<Answer, NotPassed> {
    classify(client.receive_frame())
}

fn classify(received: Result<Bytes, ClientError>) -> Result<Answer, NotPassed> {
    use io::ErrorKind::{TimedOut, WouldBlock};
    match received {
        Ok(frame) => Ok(Answer::Frame(frame)),
        Err(error) if error.is_disconnect() => Ok(Answer::Closed),
        Err(ClientError::Io(error)) if [TimedOut, WouldBlock].contains(&error.kind()) => {
            Ok(Answer::Silent)
        }
        Err(error) => Err(error.into()),
    }
}

/// Fails unless the broker hung up.
pub(crate) fn expect_closed(found: Answer, what: &str) -> Result<(), NotPassed> {
    match found {
        Answer::Closed => Ok(()),
        Answer::Silent => Err(NotPassed::Failed(format!("{what}: neither answered nor closed"))),
        Answer::Frame(frame) => {
            let start = &frame[..frame.len().min(24)];
            Err(NotPassed::Failed(format!("{what}: answered {} bytes, {start:x?}", frame.len())))
        }
    }
}
