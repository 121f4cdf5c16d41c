//! Zig-zag variable-length integers, as record fields are written. Seven bits a byte, lowest first;
//! the top bit says that another byte follows. Decoding is as lenient as Kafka's `ByteUtils`: a
//! longer spelling than needed is read, and bits that do not fit the type are dropped.

/// The most bytes a 32-bit value may be spelled with.
const MAX_BYTES_I32: u32 = 5;
/// The most bytes a 64-bit value may be spelled with.
const MAX_BYTES_I64: u32 = 10;

/// Appends `value`; also right for 32-bit fields, whose spelling is the same.
pub(crate) fn put(out: &mut Vec<u8>, value: i64) {
    let mut bits = zigzag(value);
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// How many bytes `put` writes for `value`.
pub(crate) fn len(value: i64) -> usize {
    let significant = 64 - (zigzag(value) | 1).leading_zeros();
    significant.div_ceil(7) as usize
}

/// The integer goes on after its longest spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unterminated;

/// Reads a 32-bit value, taking bytes from `next`.
#[inline]
pub(crate) fn get_i32<E: From<Unterminated>>(
    next: impl FnMut() -> Result<u8, E>,
) -> Result<i32, E> {
    let bits = get(MAX_BYTES_I32, next)? as u32;
    Ok((bits >> 1) as i32 ^ -((bits & 1) as i32))
}

/// Reads a 64-bit value, taking bytes from `next`.
#[inline]
pub(crate) fn get_i64<E: From<Unterminated>>(
    next: impl FnMut() -> Result<u8, E>,
) -> Result<i64, E> {
    let bits = get(MAX_BYTES_I64, next)?;
    Ok((bits >> 1) as i64 ^ -((bits & 1) as i64))
}

#[inline]
fn get<E: From<Unterminated>>(
    max_bytes: u32,
    mut next: impl FnMut() -> Result<u8, E>,
) -> Result<u64, E> {
    let mut byte = next()?;
    let mut bits = u64::from(byte & 0x7f);
    let mut place = 1;
    while byte & 0x80 != 0 {
        if place == max_bytes {
            return Err(Unterminated.into());
        }
        byte = next()?;
        bits |= u64::from(byte & 0x7f) << (7 * place);
        place += 1;
    }
    Ok(bits)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq)]
    enum Fault {
        End,
        Unterminated,
    }

    impl From<Unterminated> for Fault {
        fn from(_: Unterminated) -> Fault {
            Fault::Unterminated
        }
    }

    fn bytes_of(bytes: &[u8]) -> impl FnMut() -> Result<u8, Fault> {
        let mut bytes = bytes.iter().copied();
        move || bytes.next().ok_or(Fault::End)
    }

    fn read(bytes: &[u8]) -> (Result<i32, Fault>, Result<i64, Fault>) {
        (get_i32(bytes_of(bytes)), get_i64(bytes_of(bytes)))
    }

    #[test]
    fn spellings_are_those_of_kafka() {
        let table: [(&[u8], i64); 9] = [
            (&[0x00], 0),
            (&[0x01], -1),
            (&[0x02], 1),
            (&[0x7e], 63),
            (&[0x7f], -64),
            (&[0x80, 0x01], 64),
            (&[0xfe, 0xff, 0xff, 0xff, 0x0f], i32::MAX as i64),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], i32::MIN as i64),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], i64::MIN),
        ];
        for (bytes, value) in table {
            let mut written = Vec::new();
            put(&mut written, value);
            assert_eq!((written.as_slice(), len(value)), (bytes, bytes.len()), "{value}");
            assert_eq!(read(bytes).1, Ok(value));
            if let Ok(small) = i32::try_from(value) {
                assert_eq!(read(bytes).0, Ok(small));
            }
        }
    }

    #[test]
    fn odd_spellings() {
        assert_eq!(read(&[0x82, 0x00]), (Ok(1), Ok(1)), "longer than needed");
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x70]).0, Ok(0), "bits past the 32nd");
        assert_eq!(read(&[0x80; 4]), (Err(Fault::End), Err(Fault::End)));
        assert_eq!(read(&[0x80; 5]), (Err(Fault::Unterminated), Err(Fault::End)));
        assert_eq!(read(&[0x80; 11]).1, Err(Fault::Unterminated));
    }

    proptest! {
        #[test]
        fn what_is_put_is_got(value: i64) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            prop_assert_eq!(bytes.len(), len(value));
            prop_assert_eq!(read(&bytes).1, Ok(value));
        }
    }
}
