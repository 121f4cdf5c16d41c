//! Why a message could not be read or written.

use std::fmt;

/// A frame that is not the message it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// `Struct.field` being read, or empty before the first one.
    pub field: &'static str,
    /// What is wrong there.
    pub cause: Malformed,
}

/// What can be wrong with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A value reaches beyond the end of the frame (or of its tagged field).
    Truncated {
        /// Bytes the value takes.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Null where this version has none.
    Null,
    /// A string longer than the format's 32,767 bytes.
    StringTooLong(usize),
    /// A string that is not UTF-8.
    NotUtf8,
    /// A varint of more than 32 bits.
    Varint,
    /// An array of more elements than the rest of the frame can hold.
    ArrayTooLong {
        /// Elements claimed.
        count: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Arrays that would take more memory than the reader may spend.
    ArrayMemory,
    /// A tag that does not follow its predecessor.
    TagOrder(u32),
    /// A tagged field whose content is shorter than its size.
    TagSize(u32),
    /// A version of the message that is not served.
    Version(i16),
}

impl DecodeError {
    /// Names the field, unless a field inside of it already did.
    pub(crate) fn at(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }
}

impl From<Malformed> for DecodeError {
    #[cold]
    fn from(cause: Malformed) -> Self {
        DecodeError { field: "", cause }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            "" => write!(f, "{}", self.cause),
            field => write!(f, "{field}: {}", self.cause),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, left } => write!(f, "needs {needed} bytes, {left} left"),
            Self::Null => f.write_str("null is not allowed"),
            Self::StringTooLong(len) => write!(f, "a string of {len} bytes, 32767 is the limit"),
            Self::NotUtf8 => f.write_str("a string that is not UTF-8"),
            Self::Varint => f.write_str("a varint of more than 32 bits"),
            Self::ArrayTooLong { count, left } => {
                write!(f, "an array of {count} elements in {left} bytes")
            }
            Self::ArrayMemory => f.write_str("arrays need more memory than may be spent"),
            Self::TagOrder(tag) => write!(f, "tag {tag} does not follow its predecessor"),
            Self::TagSize(tag) => write!(f, "tag {tag} is longer than its content"),
            Self::Version(version) => write!(f, "version {version} is not served"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A value that its version cannot carry. The frame is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// Null in a version that has none.
    Null {
        /// `Struct.field`.
        field: &'static str,
        /// The version written.
        version: i16,
    },
    /// A request's field has a value that changes its meaning, and the version lacks the field.
    Lost {
        /// `Struct.field`.
        field: &'static str,
        /// The version written.
        version: i16,
    },
    /// A string longer than the format's 32,767 bytes.
    StringTooLong(usize),
    /// A frame of 2 GiB or more.
    FrameTooLong(usize),
    /// A version of the message that is not served.
    Version {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null { field, version } => write!(f, "{field}: version {version} has no null"),
            Self::Lost { field, version } => write!(f, "{field}: not in version {version}"),
            Self::StringTooLong(len) => write!(f, "a string of {len} bytes, 32767 is the limit"),
            Self::FrameTooLong(len) => write!(f, "a frame of {len} bytes, 2147483647 is the limit"),
            Self::Version { message, version } => {
                write!(f, "{message}: version {version} is not served")
            }
        }
    }
}

impl std::error::Error for EncodeError {}
