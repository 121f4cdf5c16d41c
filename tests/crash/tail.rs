//! A reader at the tail of every partition. What it was given must still be there after a crash.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;
use corelog_tests::live::calls::{self, CallError, FETCH, Limits};
use corelog_tests::live::client::Client;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::fetch::PartitionData;

use crate::batch;
use crate::world::{Partition, Phase, World};

const PATIENCE: Duration = Duration::from_secs(20);
const LIMITS: Limits = Limits { max_bytes: 8 << 20, max_wait_ms: 50 };
/// While there is nothing to read from.
const PAUSE: Duration = Duration::from_millis(5);

/// Reads until the broker is killed or told to drain.
pub(crate) fn run(address: SocketAddr, world: &World) {
    let read = read(address, world);
    if let Err(error) = read
        && world.phase() != Phase::Killed
    {
        world.fault(format!("tail reader, while the broker runs: {error}"));
    }
}

fn read(address: SocketAddr, world: &World) -> Result<(), CallError> {
    let client = Client::connect(address, PATIENCE);
    let mut client = client.map_err(|error| CallError::Client(error.into()))?;
    while world.phase() == Phase::Load {
        let places = world.topics().tails();
        if places.is_empty() {
            sleep(PAUSE);
            continue;
        }
        let response = client.call(FETCH, &calls::fetch_request(&places, LIMITS))?;
        if response.error_code != ErrorCode::None {
            return Err(CallError::Refused(response.error_code));
        }
        for topic in &response.responses {
            for data in &topic.partitions {
                let partition = Partition { topic: topic.topic_id, index: data.partition_index };
                take(partition, data, world);
            }
        }
    }
    Ok(())
}

fn take(partition: Partition, data: &PartitionData, world: &World) {
    match data.error_code {
        ErrorCode::None => {}
        // Being deleted, or so new that word has not gone around.
        code if calls::is_transient(code) => return,
        code => return world.fault(format!("tail of {partition:?}: {code}")),
    }
    let empty = Bytes::new();
    let records = data.records.as_ref().and_then(|records| records.as_bytes()).unwrap_or(&empty);
    match batch::stored(records) {
        Ok(batches) => {
            for batch in &batches {
                world.on(partition, |ledger| ledger.seen(batch));
            }
        }
        Err(error) => world.fault(format!("tail of {partition:?}: {error}")),
    }
}
