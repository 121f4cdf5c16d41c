//! Strings of messages.

/// UTF-8 text that shares the bytes of the frame it was read from.
///
/// Derefs to `str`; `From<&str>` copies, `Str::from_static` and `From<String>` do not.
pub use bytestring::ByteString as Str;
