//! Record batches of a fetch response.

use bytes::Bytes;

/// Record batches, in memory or promised.
///
/// Record contents are opaque here; a length is all that is needed to write the frame around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// The batches themselves; the only form a decoded message has.
    Bytes(Bytes),
    /// `len` bytes that whoever sends the frame puts here; `id` is theirs, to tell holes apart.
    Hole {
        /// The sender's name for the bytes.
        id: u32,
        /// How many bytes will be sent.
        len: u32,
    },
}

impl Records {
    /// The batches, if they are in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Records::Bytes(bytes) => Some(bytes),
            Records::Hole { .. } => None,
        }
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Records::Bytes(bytes)
    }
}
