//! Tests that cross crates.

#[path = "../live/mod.rs"]
pub mod live;
#[path = "../sim/mod.rs"]
pub mod sim;
