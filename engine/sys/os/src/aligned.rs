//! Memory that O_DIRECT accepts: owned, 4,096-aligned, whole blocks, always initialised.
//!
//! The address never changes while the buffer lives, however often the handle is moved. That is
//! what lets a [`Ring`](crate::ring::Ring) lend it to the kernel.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

pub use corelog_mem::BLOCK;

/// An owned buffer of whole blocks, zero-filled when made.
pub struct AlignedBuf {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the allocation is owned by this handle alone and is plain bytes.
unsafe impl Send for AlignedBuf {}
// SAFETY: `&AlignedBuf` only reads.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// `len` zero bytes.
    ///
    /// # Panics
    /// When `len` is zero or not a multiple of [`BLOCK`].
    #[must_use]
    pub fn zeroed(len: usize) -> AlignedBuf {
        let layout = Self::layout(len);
        // SAFETY: the layout's size is not zero (`layout` asserts it).
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        AlignedBuf { start, len }
    }

    fn layout(len: usize) -> Layout {
        assert!(len > 0 && len.is_multiple_of(BLOCK), "whole blocks only: {len}");
        Layout::from_size_align(len, BLOCK).expect("a buffer is far smaller than isize::MAX")
    }

    /// Where the kernel may write, for as long as it owns the buffer.
    pub(crate) fn as_kernel_target(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this very layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.len)) }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes, allocated zeroed, hence initialised; nobody writes while borrowed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` is the only handle.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({})", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_zeroed_aligned_and_keeps_its_address_when_moved() {
        let mut buf = AlignedBuf::zeroed(3 * BLOCK);
        assert!(buf.iter().all(|byte| *byte == 0));
        assert_eq!((buf.len(), buf.as_ptr().addr() % BLOCK), (3 * BLOCK, 0));
        buf[BLOCK] = 7;
        let before = buf.as_ptr();
        let moved = std::thread::spawn(move || vec![buf]).join().expect("no panic");
        assert_eq!((moved[0].as_ptr(), moved[0][BLOCK]), (before, 7));
    }

    #[test]
    #[should_panic(expected = "whole blocks only")]
    fn refuses_partial_blocks() {
        let _ = AlignedBuf::zeroed(BLOCK + 1);
    }
}
