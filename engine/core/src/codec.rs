//! Little-endian fields of the formats that are ours alone: manifest and index files.

use bytes::{BufMut, BytesMut};

/// Reads fields in order; every getter is `None` when the bytes end too early.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields(bytes)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|byte| byte[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A byte string behind its 4-byte length.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    /// A list behind its 4-byte count; memory grows with what is there, not with the count.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Fields<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.u32()?;
        (0..count).map(|_| item(self)).collect()
    }
}

/// A length or count as formats have it.
///
/// # Panics
/// When it does not fit: wrapped, it would be read as damage, or as less than there was. What is
/// put is bounded far below by those who make it.
pub(crate) fn length_of<T: TryFrom<usize>>(len: usize) -> T {
    let Ok(length) = T::try_from(len) else {
        panic!("a length of {len} does not fit into {} bytes", size_of::<T>());
    };
    length
}

pub(crate) fn put_string(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(length_of::<u32>(bytes.len()));
    out.put_slice(bytes);
}

pub(crate) fn put_list<T>(out: &mut BytesMut, items: &[T], mut put: impl FnMut(&mut BytesMut, &T)) {
    out.put_u32_le(length_of::<u32>(items.len()));
    for item in items {
        put(out, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_length_fits() {
        assert_eq!(length_of::<u32>(u32::MAX as usize), u32::MAX);
        assert_eq!(length_of::<i16>(32_767), 32_767);
    }

    #[test]
    #[should_panic(expected = "a length of 4294967296 does not fit")]
    fn a_longer_one_never_wraps() {
        let _: u32 = length_of(u32::MAX as usize + 1);
    }

    #[test]
    #[should_panic(expected = "a length of 32768 does not fit")]
    fn nor_does_that_of_a_short_string() {
        crate::fields::put_fixed_string(&mut BytesMut::new(), &"a".repeat(32_768));
    }
}
