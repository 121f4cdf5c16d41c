//! What a real broker's shards did, the core does again when it is given the same.

mod common;

use std::thread;

use common::client::{Client, batch, partition};
use common::dir::TestDir;
use common::{Broker, settings};
use corelog_drive::{Digest, Recording, Reel, Step};
use corelog_engine::shard::Shard;
use corelog_engine::shard::effect::Effects;
use corelog_engine::shard::event::Event;

#[test]
fn a_recorded_run_is_the_same_when_it_is_replayed() {
    let dir = TestDir::new();
    let recording = Recording::default();
    for start in 0..2 {
        let mut settings = settings(dir.path(), 2);
        settings.record = Some(recording.clone());
        let broker = Broker::start(settings);
        work(&broker, start);
        // The second start recovers what the first has left.
        if start == 0 {
            broker.crash()
        } else {
            broker.stop()
        }
        let reels = recording.take();
        assert_eq!(reels.len(), 2, "one for each shard");
        for reel in reels {
            let events = reel.steps.iter().filter(|step| matches!(step, Step::Event(..))).count();
            assert!(events > 100, "{events} events");
            let mut altered = reel.clone();
            let request = |step: &Step| matches!(step, Step::Event(_, Event::Request(..)));
            if let Some(at) = altered.steps.iter().position(request) {
                altered.steps.remove(at);
                assert!(replay(altered).is_err(), "without a request it is another run");
            }
            assert_eq!(replay(reel), Ok(()));
        }
    }
}

/// Topics, appends from several connections at once, reads, and a deletion.
fn work(broker: &Broker, start: u64) {
    let address = broker.address();
    let mut client = Client::connect(address);
    let topic = client.create(&format!("numbers-{start}"), 4);
    let writers: Vec<_> = (0..4)
        .map(|index| {
            thread::spawn(move || {
                let mut writer = Client::connect_to_shard(address, index as u16 % 2);
                for number in 0..50 {
                    let batch = batch(number, 5_000);
                    writer.append(partition(topic, index), &batch).expect("appended");
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
    for index in 0..4 {
        assert_eq!(client.fetch_all(partition(topic, index), 0).len(), 50);
    }
    let gone = client.create(&format!("gone-{start}"), 1);
    client.append(partition(gone, 0), &batch(1, 100)).expect("appended");
    client.delete(gone);
}

/// Gives the core what a reel says. The first call after which it wants something else is an error.
fn replay(reel: Reel) -> Result<(), String> {
    let mut shard = Shard::new(reel.setup);
    let mut effects = Effects::default();
    for (number, step) in reel.steps.into_iter().enumerate() {
        let (wanted, call) = match step {
            Step::Event(now, event) => {
                shard.step(now, event, &mut effects);
                continue;
            }
            Step::Start(wanted) => {
                shard.start(&mut effects);
                (wanted, "start")
            }
            Step::EndOfTurn(now, wanted) => {
                shard.end_of_turn(now, &mut effects);
                (wanted, "turn")
            }
        };
        if Digest::of(&effects) != wanted {
            return Err(format!("{call} {number}: {effects:?}"));
        }
        effects = Effects::default();
    }
    Ok(())
}
