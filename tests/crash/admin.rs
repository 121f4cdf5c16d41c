//! Creates, changes and deletes topics all the time. Names come from a small set, so that a
//! deleted topic's name is soon another topic's.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use corelog_tests::live::calls::{self, CallError, NewTopic};
use corelog_tests::live::client::Client;
use corelog_wire::populate::Seed;

use crate::world::{Phase, World};

const PATIENCE: Duration = Duration::from_secs(20);
const TOPICS_MIN: usize = 3;
const TOPICS_MAX: usize = 10;
const PARTITIONS_MAX: usize = 8;
/// Between two commands, at most.
const PAUSE_MS_MAX: usize = 150;
/// Segments roll all the time, or never.
const CONFIGS: [&[(&str, &str)]; 2] = [
    &[("file.delete.delay.ms", "100"), ("segment.bytes", "1048576")],
    &[("file.delete.delay.ms", "100")],
];

const SEGMENT_BYTES: [&str; 3] = ["1048576", "4194304", "1073741824"];

/// Works until the broker is killed or told to drain.
pub(crate) fn run(address: SocketAddr, world: &World, seed: &mut Seed) {
    let done = Client::connect(address, PATIENCE)
        .map_err(|error| CallError::Client(error.into()))
        .and_then(|mut client| work(&mut client, world, seed));
    if let Err(error) = done
        && world.phase() != Phase::Killed
    {
        world.fault(format!("administrator, while the broker runs: {error}"));
    }
}

fn work(client: &mut Client, world: &World, seed: &mut Seed) -> Result<(), CallError> {
    while world.phase() == Phase::Load {
        let too_few = world.topics().by_id.len() < TOPICS_MIN;
        match seed.below(5) {
            drawn if too_few || drawn < 2 => create(client, world, seed)?,
            2 => grow(client, world, seed)?,
            3 => alter(client, world, seed)?,
            _ => delete(client, world, seed)?,
        }
        if !too_few {
            sleep(Duration::from_millis(seed.below(PAUSE_MS_MAX) as u64));
        }
    }
    Ok(())
}

fn create(client: &mut Client, world: &World, seed: &mut Seed) -> Result<(), CallError> {
    let name = format!("crash-{}", seed.below(TOPICS_MAX));
    let partitions = 1 + seed.below(PARTITIONS_MAX);
    let configs = CONFIGS[seed.below(CONFIGS.len())];
    {
        let mut topics = world.topics();
        if topics.is_taken(&name) {
            return Ok(());
        }
        topics.creating(&name);
    }
    let topic = NewTopic { name: &name, partitions: partitions as i32, configs };
    match calls::create_topic(client, topic) {
        Ok(id) => world.topics().created(&name, id, partitions),
        Err(CallError::Refused(code)) => {
            world.topics().not_created(&name);
            world.fault(format!("topic {name} not created: {code}"));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn delete(client: &mut Client, world: &World, seed: &mut Seed) -> Result<(), CallError> {
    let Some(id) = world.topics().pick_topic(TOPICS_MIN, seed) else { return Ok(()) };
    world.topics().deleting(id);
    match calls::delete_topic(client, id) {
        Ok(()) => world.topics().deleted(id),
        Err(CallError::Refused(code)) => {
            world.topics().not_deleted(id);
            world.fault(format!("topic {id} not deleted: {code}"));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn grow(client: &mut Client, world: &World, seed: &mut Seed) -> Result<(), CallError> {
    let growing = {
        let mut topics = world.topics();
        let id = topics.pick_topic(0, seed);
        id.and_then(|id| Some((id, topics.growing(id)?)))
    };
    let Some((id, (name, partitions))) = growing else { return Ok(()) };
    match calls::grow_topic(client, &name, partitions as i32) {
        Ok(()) => world.topics().grown(id),
        Err(CallError::Refused(code)) => world.fault(format!("topic {name} not grown: {code}")),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Changes when segments roll, while batches come in.
fn alter(client: &mut Client, world: &World, seed: &mut Seed) -> Result<(), CallError> {
    let name = {
        let topics = world.topics();
        topics.pick_topic(0, seed).and_then(|id| Some(topics.by_id.get(&id)?.name.clone()))
    };
    let Some(name) = name else { return Ok(()) };
    let config = ("segment.bytes", SEGMENT_BYTES[seed.below(SEGMENT_BYTES.len())]);
    match calls::alter_topic(client, &name, config) {
        Err(CallError::Refused(code)) => {
            world.fault(format!("topic {name} not altered: {code}"));
            Ok(())
        }
        done => done,
    }
}
