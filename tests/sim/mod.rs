//! The core under a seed: shards in virtual time on a simulated disk, clients, crashes at every
//! effect, and a shadow model that knows what was promised.
//!
//! - [`scenario`]: what a seed draws
//! - [`disk`]: the disk, and everything it may do to bytes
//! - [`world`]: the queue of events; shards, effects, restarts
//! - [`workload`]: the clients
//! - [`model`]: what may be answered
//! - [`trace`]: a run as one number; [`rng`]: where chance comes from

pub mod disk;
pub mod model;
pub mod rng;
pub mod scenario;
pub mod trace;
pub mod workload;
pub mod world;
