//! Kafka's 128-bit identifiers of topics and directories.

use std::fmt;

/// A topic or directory id as it lies on the wire, most significant byte first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id that stands for "none".
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// Whether this is [`Uuid::ZERO`].
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Uuid::ZERO
    }
}

/// As Kafka prints it: URL-safe base64 without padding, 22 characters.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let number = u128::from_be_bytes(self.0);
        // 128 bits are 21 digits of 6 bits and a last one of 2 bits, filled up with zeros.
        for shift in (2..128).step_by(6).rev() {
            let digit = DIGITS[(number >> shift & 63) as usize];
            write!(f, "{}", char::from(digit))?;
        }
        write!(f, "{}", char::from(DIGITS[((number & 3) << 4) as usize]))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_kafka_does() {
        let mut counting = Uuid::ZERO;
        counting.0.iter_mut().zip(0..).for_each(|(byte, number)| *byte = number);
        for (uuid, text) in [
            (Uuid::ZERO, "AAAAAAAAAAAAAAAAAAAAAA"),
            (Uuid([0xff; 16]), "_____________________w"),
            (counting, "AAECAwQFBgcICQoLDA0ODw"),
        ] {
            assert_eq!(uuid.to_string(), text);
        }
    }
}
