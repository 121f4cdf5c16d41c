//! Whatever becomes of requests, nothing of them is left once the disk has done its work.

use super::*;
use crate::shard::holdings::Holdings;
use crate::shard::request::{Lookup, Target};

/// What becomes of requests while the disk does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Cancelled,
    /// Their partition is deleted.
    Deleted,
    /// Their partition's segment fails.
    Failed,
    /// All is offline.
    Offline,
}

#[test]
fn nothing_is_left_when_all_is_answered_or_cancelled_and_flushed() {
    for fate in [Fate::Answered, Fate::Cancelled, Fate::Deleted, Fate::Failed, Fate::Offline] {
        let mut plan = setup(1, 3);
        plan.limits.tail_bytes = 0;
        let mut world = World::new(plan);
        for _ in 0..20 {
            assert_eq!(world.produce(append(0, 100)), Some(Ok(())));
        }
        world.pass(10_000);
        world.disk = Disk::Hangs;
        let mut tickets = Vec::new();
        for offset in [0, 1, 10, 20] {
            let fetch = world.fetch(0, offset, 1_000);
            tickets.push(world.ask(fetch));
            let target = Target::At(Timestamp(0));
            let lookup = Lookup { partition: partition(0), epoch: None, target };
            tickets.push(world.ask(Request::Lookup(vec![lookup])));
            tickets.push(world.ask(Request::Produce(vec![append(0, 300), append(1, 300)])));
        }
        match fate {
            Fate::Cancelled => {
                tickets.iter().for_each(|ticket| world.step(Event::Cancel(*ticket)));
            }
            Fate::Deleted => {
                world.shard.remove_partition(world.now, partition(0), &mut world.fx);
            }
            Fate::Offline => world.shard.go_offline(world.now, &mut world.fx),
            Fate::Answered | Fate::Failed => {}
        }
        world.disk = match fate {
            Fate::Failed => Disk::Refuses(Failure::Io(5)),
            _ => Disk::Works,
        };
        world.settle();
        world.pass(20_000);
        let answered = world.replies.len();
        let expected = if fate == Fate::Cancelled { 0 } else { tickets.len() };
        assert_eq!(answered, expected, "{fate:?}");
        let unflushed = match fate {
            // It stays in the journal, for the next start.
            Fate::Offline => world.shard.holdings().unflushed,
            _ => 0,
        };
        let nothing = Holdings { unflushed, ..Holdings::default() };
        assert_eq!((world.shard.holdings(), world.shard.slabs()), (nothing, 0), "{fate:?}");
    }
}
