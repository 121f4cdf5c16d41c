//! A segment that somebody removes or cuts under a running broker: its partition goes offline, the
//! others go on, and no file is made anew in the middle of a log.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::client::{Client, batch, partition};
use common::dir::TestDir;
use common::{Broker, eventually, settings};
use corelog_engine::id::TopicId;

/// Bytes of a batch.
const LEN: usize = 100_000;

/// More than memory holds: so many batches are flushed in part.
const ENOUGH: u64 = 150;

fn segments(root: &Path, topic: TopicId, index: u32) -> Vec<PathBuf> {
    let directory = root.join("topics").join(topic.to_string()).join(index.to_string());
    let names = fs::read_dir(directory).into_iter().flatten();
    let paths = names.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |facts| facts.len())
}

#[test]
fn a_segment_that_vanishes_takes_its_partition_offline_and_no_other() {
    let removed: fn(&Path) = |path| fs::remove_file(path).expect("removed");
    let cut: fn(&Path) = |path| {
        fs::File::options().write(true).open(path).and_then(|f| f.set_len(4096)).expect("cut");
    };
    for (vanish, left) in [(removed, 0), (cut, 4096)] {
        let dir = TestDir::new();
        let broker = Broker::start(settings(dir.path(), 1));
        let mut client = Client::connect(broker.address());
        let topic = client.create("numbers", 2);
        let (hit, spared) = (partition(topic, 0), partition(topic, 1));
        for number in 0..ENOUGH {
            client.append(hit, &batch(number, LEN)).expect("appended");
        }
        let mut written = Vec::new();
        eventually("a segment is written", || {
            written = segments(dir.path(), topic, 0);
            written.first().is_some_and(|path| size(path) > 1 << 20)
        });
        vanish(&written[0]);
        let mut number = ENOUGH;
        eventually("its partition is offline", || {
            number += 1;
            client.append(hit, &batch(number, LEN)).is_err()
        });
        assert_eq!(size(&written[0]), left, "nothing was written there");
        assert_eq!(client.append(spared, &batch(1, LEN)), Ok(0));
        let rescued = fs::read_dir(dir.path().join("rescue")).expect("readable").count();
        assert_eq!(rescued, 1, "what the segment did not take");
        broker.stop();

        // What is lost is not passed over in silence by the next start either.
        let broker = Broker::start(settings(dir.path(), 1));
        let mut client = Client::connect(broker.address());
        client.append(hit, &batch(number, LEN)).expect_err("offline");
        assert_eq!(client.append(spared, &batch(2, LEN)), Ok(1));
        assert_eq!(size(&written[0]), left, "nothing was written there");
        broker.stop();
    }
}
