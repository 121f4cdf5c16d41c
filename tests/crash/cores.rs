//! The layout on disk does not depend on the number of cores: what two cores wrote, one core has,
//! and two again, however they ended.

use std::time::Duration;

use corelog_tests::live::calls::{self, NewTopic};
use corelog_tests::live::process::{Broker, Launch};
use corelog_tests::live::report::{NotPassed, Outcome, Report};
use corelog_wire::populate::Seed;

use crate::load::{load, writers};
use crate::options::Options;
use crate::rounds::{PATIENCE, READY_WITHIN};
use crate::verify::verify;
use crate::world::{Phase, World};

const CORES: [&str; 4] = ["0,1", "0", "0,1", "1"];
const TOPICS: usize = 4;
const PARTITIONS: usize = 6;
const LOAD: Duration = Duration::from_millis(700);
const STOP_WITHIN: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
enum End {
    Stopped,
    Killed,
}

/// Runs both tests.
pub(crate) fn run(options: &Options, report: &mut Report) {
    for (name, end) in [("stopped", End::Stopped), ("killed", End::Killed)] {
        report.test(&format!("cores/{name}"), || {
            let dir = options.dir.join(format!("cores-{name}"));
            let _ = std::fs::remove_dir_all(&dir);
            let words = two_one_two_one(&Launch::new(&options.broker, &dir)?, end, options.seed)?;
            Ok(std::fs::remove_dir_all(dir).map(|()| words)?)
        });
    }
}

fn two_one_two_one(launch: &Launch, end: End, seed: u64) -> Outcome {
    let mut seed = Seed(seed);
    let world = World::new(&mut seed);
    let mut writers = writers(&mut seed);
    let mut told = Vec::new();
    for (start, cores) in CORES.into_iter().enumerate() {
        let (broker, ready) = launch.ready(cores, READY_WITHIN)?;
        let mut client = broker.connect(PATIENCE)?;
        for number in 0..if start == 0 { TOPICS } else { 0 } {
            let name = format!("cores-{number}");
            let topic = NewTopic { name: &name, partitions: PARTITIONS as i32, configs: &[] };
            let id = calls::create_topic(&mut client, topic)?;
            world.topics().created(&name, id, PARTITIONS);
        }
        let compared = verify(&mut client, &world)
            .map_err(|why| NotPassed::Failed(format!("on {cores}, after {told:?}: {why}")))?;
        let (mib, ready) = (compared.bytes >> 20, ready.as_secs_f64());
        told.push(format!("on {cores} ready in {ready:.3} s with {mib} MiB"));
        let address = broker.address;
        load(address, &world, &mut writers, None, LOAD, || {
            world.enter(Phase::Drain);
            Ok(())
        })?;
        finish(broker, end)?;
    }
    Ok(told.join(", "))
}

fn finish(broker: Broker, end: End) -> Result<(), NotPassed> {
    match end {
        End::Killed => Ok(broker.kill()?),
        End::Stopped => match broker.stop(STOP_WITHIN)? {
            status if status.success() => Ok(()),
            status => Err(NotPassed::Failed(format!("asked to stop, it ended with {status}"))),
        },
    }
}
