//! Everybody at work at once: writers, the tail reader, and the administrator where wanted.

use std::io;
use std::net::SocketAddr;
use std::thread::{scope, sleep};
use std::time::Duration;

use corelog_wire::populate::Seed;

use crate::ledger::Delivery;
use crate::world::World;
use crate::writer::Writer;
use crate::{admin, tail};

const WRITERS: [Delivery; 4] =
    [Delivery::Plain, Delivery::Idempotent, Delivery::Plain, Delivery::Idempotent];

/// Two plain writers and two idempotent ones.
pub(crate) fn writers(seed: &mut Seed) -> Vec<Writer> {
    WRITERS.map(|delivery| Writer::new(delivery, seed.next_u64())).into()
}

/// Lets everybody work for a while, then does `end`, which enters the phase that ends the work.
/// Topics come and go when there is a seed for that.
pub(crate) fn load(
    address: SocketAddr,
    world: &World,
    writers: &mut [Writer],
    mut topics: Option<Seed>,
    time: Duration,
    end: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    world.begin_load();
    scope(|scope| {
        for writer in writers {
            scope.spawn(|| writer.run(address, world));
        }
        scope.spawn(|| tail::run(address, world));
        if let Some(seed) = &mut topics {
            scope.spawn(|| admin::run(address, world, seed));
        }
        sleep(time);
        end()
    })
}
