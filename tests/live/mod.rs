//! A real broker under test: its process, a blocking client, and one line per test.
//!
//! Everything is on loopback. The client is small on purpose: one connection, no retries and no
//! background threads, so that a test knows exactly what was sent and what was answered.

pub mod calls;
pub mod client;
pub mod process;
pub mod report;
