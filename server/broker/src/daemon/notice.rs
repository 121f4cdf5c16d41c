//! What the core has to tell the operator, in words. Each line ends with what to do.

use std::sync::atomic::{AtomicBool, Ordering};

use corelog_engine::id::{ShardId, TopicId, TopicPartition};
use corelog_engine::log::{Lack, SegmentId};
use corelog_engine::metadata::Image;
use corelog_engine::shard::disk::{Found, Shortage};
use corelog_engine::shard::effect::{DiskFull, Notice};
use corelog_engine::shard::event::{Failure, FileName};

use super::refusal::Refusal;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// Something is not served.
    Error,
    /// Something will not be served if it goes on.
    Warn,
    /// Good to know.
    Info,
    /// Good to know that it happens, and usual after a crash.
    Once,
}

/// Whether an index that was completed has been told of.
static INDEX_COMPLETED: AtomicBool = AtomicBool::new(false);

/// Logs a notice of one shard. The image gives topics their names.
pub(crate) fn log(shard: ShardId, image: &Image, notice: &Notice) {
    let (weight, words) = words(shard, image, notice);
    match weight {
        Weight::Once if INDEX_COMPLETED.swap(true, Ordering::Relaxed) => tracing::debug!("{words}"),
        Weight::Once => tracing::info!("{words}; further ones are told at level debug"),
        Weight::Error => tracing::error!("{words}"),
        Weight::Warn => tracing::warn!("{words}"),
        Weight::Info => tracing::info!("{words}"),
    }
}

fn words(shard: ShardId, image: &Image, notice: &Notice) -> (Weight, Refusal) {
    let names = Names { shard, image };
    match notice {
        Notice::ShardOffline(file, failure) => {
            (Weight::Error, names.shard_offline(*file, *failure))
        }
        Notice::DirectoryOffline(file, failure) => {
            (Weight::Error, names.directory_offline(*file, *failure))
        }
        Notice::PartitionOffline(segment, failure) => {
            (Weight::Error, names.partition_offline(*segment, *failure))
        }
        Notice::DiskFull(full) => (Weight::Error, names.disk_full(full)),
        Notice::DiskFreed { free } => (Weight::Info, disk_freed(*free)),
        Notice::IndexRebuilt(segment, Lack::Unfinished) => {
            (Weight::Once, names.index_completed(*segment))
        }
        Notice::IndexRebuilt(segment, Lack::Damaged) => {
            (Weight::Warn, names.index_rebuilt(*segment))
        }
        Notice::Damaged(segment, at) => (Weight::Error, names.damaged(*segment, *at)),
        Notice::GroupsUnreadable(partition, why) => {
            (Weight::Error, names.groups_unreadable(*partition, why))
        }
        Notice::Rebalanced(group, rebalance) => {
            let found = format!("group {group} has rebalanced: {rebalance}");
            (Weight::Info, Refusal::new(found, "nothing to do, unless it happens all the time"))
        }
    }
}

/// What gives numbers their names.
struct Names<'a> {
    shard: ShardId,
    image: &'a Image,
}

impl Names<'_> {
    fn shard_offline(&self, file: FileName, failure: Failure) -> Refusal {
        let (shard, file, reason) = (self.shard.0, self.file(file), reason(failure));
        Refusal::new(
            format!("shard {shard} is offline: writing {file} failed: {reason}"),
            "its partitions answer KAFKA_STORAGE_ERROR; see `dmesg` for the disk, repair it, then \
             restart the broker: what was acknowledged is on disk",
        )
    }

    fn directory_offline(&self, file: FileName, failure: Failure) -> Refusal {
        let (file, reason) = (self.file(file), reason(failure));
        Refusal::new(
            format!("the data directory is offline: syncing {file} failed: {reason}"),
            "all partitions answer KAFKA_STORAGE_ERROR; see `dmesg` for the disk, repair it, then \
             restart the broker",
        )
    }

    fn partition_offline(&self, segment: SegmentId, failure: Failure) -> Refusal {
        let (partition, reason) = (self.partition(segment.partition), reason(failure));
        let segment = segment_name(segment);
        let remedy = match failure {
            Failure::Missing | Failure::Short => {
                "it was removed or cut while the broker ran: stop the broker, put the file back \
                 and start again; what came after it is in `rescue/` of the data directory"
            }
            Failure::Full | Failure::Offline | Failure::Io(_) => {
                "nothing is lost: what the segment would not take is in `rescue/` of the data \
                 directory, and a restart puts it back; see `dmesg` and repair the disk before"
            }
        };
        Refusal::new(
            format!("partition {partition} is offline: writing segment {segment} failed: {reason}"),
            remedy,
        )
    }

    fn disk_full(&self, full: &DiskFull) -> Refusal {
        let Shortage { free, kept_back, found } = full.shortage;
        let (free, kept_back) = (size(free), size(kept_back));
        let found = match found {
            Found::Measured => format!("{free} are free, {kept_back} are kept back"),
            Found::ByWrite => {
                format!("a write was refused, with {free} said to be free; is there a quota?")
            }
        };
        let topic = |(topic, bytes): &(TopicId, u64)| {
            let name = match self.image.topic_by_id(*topic) {
                Some(found) => found.name.to_string(),
                None => topic.to_string(),
            };
            format!("{name} ({})", size(*bytes))
        };
        let topics: Vec<String> = full.largest.iter().map(topic).collect();
        let topics = match topics.is_empty() {
            true => String::new(),
            false => format!("; the largest topics are {}", topics.join(", ")),
        };
        Refusal::new(
            format!("the disk is full, producers are refused: {found}{topics}"),
            "reading and deleting go on; delete topics, make room or enlarge the disk, and \
             producers are served again without a restart; `disk.reserve.bytes` says what is kept \
             back",
        )
    }

    fn index_completed(&self, segment: SegmentId) -> Refusal {
        let (partition, segment) = (self.partition(segment.partition), segment_name(segment));
        Refusal::new(
            format!(
                "the index of segment {segment} of {partition} was not complete, as after a \
                 crash, and has been completed"
            ),
            "nothing to do",
        )
    }

    fn index_rebuilt(&self, segment: SegmentId) -> Refusal {
        let (partition, segment) = (self.partition(segment.partition), segment_name(segment));
        Refusal::new(
            format!(
                "the index of segment {segment} of {partition} was damaged and has been rebuilt"
            ),
            "nothing to do, unless it happens again: then see `dmesg`",
        )
    }

    fn damaged(&self, segment: SegmentId, at: u64) -> Refusal {
        let (partition, segment) = (self.partition(segment.partition), segment_name(segment));
        Refusal::new(
            format!(
                "a stored batch of {partition} does not match its checksum, at byte {at} of \
                 segment {segment}"
            ),
            "consumers get CORRUPT_MESSAGE there; the disk has changed what was written: see \
             `dmesg` and `smartctl`, and copy the topic from a replica or mirror",
        )
    }

    fn groups_unreadable(&self, partition: TopicPartition, why: &str) -> Refusal {
        let partition = self.partition(partition);
        Refusal::new(
            format!("the groups of {partition} cannot be loaded: {why}"),
            "clients of these groups get NOT_COORDINATOR; it is tried again every ten seconds; see \
             `dmesg` and `smartctl` for damage",
        )
    }

    fn file(&self, file: FileName) -> String {
        let shard = self.shard.0;
        match file {
            FileName::Journal(slot) => format!("journal file {slot} of shard {shard}"),
            FileName::Manifest => format!("the manifest of shard {shard}"),
            FileName::Segment(segment) => {
                let partition = self.partition(segment.partition);
                format!("segment {} of {partition}", segment_name(segment))
            }
            FileName::Rescue(partition) => {
                format!("the rescue file of {}", self.partition(partition))
            }
            FileName::Directory => "all segments".to_owned(),
        }
    }

    /// As Kafka names it; a topic that was deleted meanwhile has only its id.
    fn partition(&self, partition: TopicPartition) -> String {
        let TopicPartition { topic, index } = partition;
        match self.image.topic_by_id(topic) {
            Some(found) => format!("{}-{}", found.name, index.0),
            None => format!("{topic}-{}", index.0),
        }
    }
}

fn disk_freed(free: u64) -> Refusal {
    let found = format!("the disk has room again, producers are served: {} are free", size(free));
    Refusal::new(found, "nothing to do")
}

/// Bytes for people: three digits or more.
fn size(bytes: u64) -> String {
    let (shift, unit) = match bytes {
        0..10_240 => (0, "B"),
        10_240..10_485_760 => (10, "KiB"),
        10_485_760..10_737_418_240 => (20, "MiB"),
        _ => (30, "GiB"),
    };
    format!("{} {unit}", bytes >> shift)
}

/// As in the file's name.
fn segment_name(segment: SegmentId) -> String {
    format!("{:020}", segment.base.0)
}

fn reason(failure: Failure) -> String {
    match failure {
        Failure::Full => "no space left on the device".to_owned(),
        Failure::Missing => "the file is missing".to_owned(),
        Failure::Short => "the file is shorter than what was written to it".to_owned(),
        Failure::Offline => "it is offline".to_owned(),
        Failure::Io(code) => std::io::Error::from_raw_os_error(code).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_engine::id::{Offset, PartitionIndex};

    fn segment() -> SegmentId {
        let partition = TopicPartition { topic: TopicId([0; 16]), index: PartitionIndex(3) };
        SegmentId { partition, base: Offset(42) }
    }

    fn disk_full(found: Found) -> Notice {
        let shortage = Shortage { free: 300 << 20, kept_back: 336 << 20, found };
        let largest = vec![(TopicId([0; 16]), 20 << 30), (TopicId([9; 16]), 1000)];
        Notice::DiskFull(Box::new(DiskFull { shortage, largest }))
    }

    #[test]
    fn notices_say_what_where_and_what_to_do() {
        let eio = Failure::Io(5);
        for (notice, weight, what, remedy) in [
            (
                Notice::ShardOffline(FileName::Journal(2), eio),
                Weight::Error,
                "shard 1 is offline: writing journal file 2 of shard 1 failed: Input/output error",
                "restart",
            ),
            (
                Notice::ShardOffline(FileName::Manifest, Failure::Missing),
                Weight::Error,
                "the manifest of shard 1 failed: the file is missing",
                "restart",
            ),
            (
                Notice::DirectoryOffline(FileName::Directory, eio),
                Weight::Error,
                "the data directory is offline: syncing all segments failed",
                "restart",
            ),
            (
                Notice::PartitionOffline(segment(), Failure::Missing),
                Weight::Error,
                "00042 failed: the file is missing",
                "put the file back",
            ),
            (
                Notice::PartitionOffline(segment(), Failure::Full),
                Weight::Error,
                "partition AAAAAAAAAAAAAAAAAAAAAA-3 is offline: writing segment \
                 00000000000000000042 failed: no space left",
                "rescue/",
            ),
            (
                Notice::IndexRebuilt(segment(), Lack::Damaged),
                Weight::Warn,
                "00042 of AAAAAAAAAAAAAAAAAAAAAA-3 was damaged",
                "dmesg",
            ),
            (
                Notice::IndexRebuilt(segment(), Lack::Unfinished),
                Weight::Once,
                "was not complete",
                "nothing to do",
            ),
            (Notice::Damaged(segment(), 4096), Weight::Error, "at byte 4096", "CORRUPT_MESSAGE"),
        ] {
            check(&notice, weight, what, remedy);
        }
    }

    #[test]
    fn a_full_disk_is_told_with_what_is_free_and_what_takes_it() {
        for (notice, weight, what, remedy) in [
            (
                disk_full(Found::Measured),
                Weight::Error,
                "the disk is full, producers are refused: 300 MiB are free, 336 MiB are kept back; \
                 the largest topics are AAAAAAAAAAAAAAAAAAAAAA (20 GiB), \
                 CQkJCQkJCQkJCQkJCQkJCQ (1000 B)",
                "disk.reserve.bytes",
            ),
            (
                disk_full(Found::ByWrite),
                Weight::Error,
                "a write was refused, with 300 MiB said to be free",
                "without a restart",
            ),
            (
                Notice::DiskFreed { free: 9 << 10 },
                Weight::Info,
                "the disk has room again, producers are served: 9216 B are free",
                "nothing to do",
            ),
        ] {
            check(&notice, weight, what, remedy);
        }
    }

    fn check(notice: &Notice, weight: Weight, what: &str, remedy: &str) {
        let (found, words) = words(ShardId(1), &Image::default(), notice);
        assert_eq!(found, weight, "{words}");
        assert!(words.what.contains(what), "{words} lacks {what}");
        assert!(words.remedy.contains(remedy), "{words} lacks {remedy}");
    }
}
