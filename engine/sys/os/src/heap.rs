//! The C library's allocator, told how this process uses memory.

/// Bytes from which on an allocation has a mapping of its own. The most that glibc takes.
#[cfg(target_env = "gnu")]
const OWN_MAPPING: libc::c_int = 32 << 20;

/// Bytes that a heap grows by at least.
#[cfg(target_env = "gnu")]
const GROWTH: libc::c_int = 1 << 20;

/// Lets freed memory stay with the process, for its next use.
///
/// By itself glibc gives the end of a heap back to the kernel as soon as it is free, and every
/// frame and slab then pays for fresh pages: measured, two fifths of the processor time of a
/// produce of large batches. What the process holds is bounded by what it has used at a time.
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_TRIM_THRESHOLD, libc::c_int::MAX),
        (libc::M_MMAP_THRESHOLD, OWN_MAPPING),
        (libc::M_TOP_PAD, GROWTH),
    ] {
        // SAFETY: sets a number that the allocator reads under its own lock. A refusal leaves it
        // as it was.
        unsafe { libc::mallopt(parameter, value) };
    }
}
