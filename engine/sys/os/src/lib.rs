//! What the kernel offers and the standard library does not: disk ring, splice, locks, affinity.
//!
//! The leaf that holds the `unsafe`. It knows descriptors, bytes and cores, and nothing of what
//! they mean above. Every function reports what the kernel said; none retries or decides, unless
//! its documentation says how often.
//!
//! Reading order: memory the kernel may touch ([`aligned`]), the ring that lends it out ([`ring`]),
//! what feeds a ring ([`event`], [`splice`]), plain calls ([`mod@file`], [`lock`], [`net`]), the
//! process around them ([`cpu`], [`process`], [`signal`]), and what stops a start ([`preflight`]).

pub mod aligned;
pub mod ring;

pub mod event;
pub mod splice;

pub mod file;
pub mod heap;
pub mod lock;
pub mod net;
pub mod pagecache;

pub mod cpu;
pub mod process;
pub mod signal;

pub mod preflight;

#[cfg(test)]
mod testdir;

use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A descriptor that stays open as long as anybody, a ring included, still needs it.
pub type SharedFd = Arc<OwnedFd>;
