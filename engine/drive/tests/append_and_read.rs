//! What is appended is read, on one shard and across two, and after a restart.

mod common;

use common::client::{Client, batch, partition, producers_part};
use common::dir::TestDir;
use common::{Broker, settings};

#[test]
fn what_is_appended_is_read_across_shards() {
    for shards in [1, 2] {
        let dir = TestDir::new();
        let broker = Broker::start(settings(dir.path(), shards));
        let mut client = Client::connect(broker.address());
        let topic = client.create("numbers", 4);
        for index in 0..4 {
            let partition = partition(topic, index);
            for number in 0..20u64 {
                let base = client.append(partition, &batch(number, 100)).expect("appended");
                assert_eq!(base, number as i64);
            }
        }
        for shard in 0..shards as u16 {
            let mut reader = Client::connect_to_shard(broker.address(), shard);
            assert_eq!(reader.topics(), 1);
            for index in 0..4 {
                let partition = partition(topic, index);
                let batches = reader.fetch_all(partition, 0);
                assert_eq!(batches.len(), 20);
                for (number, stored) in (0..).zip(&batches) {
                    assert_eq!(producers_part(stored), producers_part(&batch(number, 100)));
                }
                assert_eq!(reader.latest(partition), Ok(20));
            }
        }
        broker.stop();
    }
}
