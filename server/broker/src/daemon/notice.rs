//! What the core has to tell the operator, in words. Each line ends with what to do.

use corelog_engine::id::{ShardId, TopicPartition};
use corelog_engine::log::SegmentId;
use corelog_engine::metadata::Image;
use corelog_engine::shard::effect::Notice;
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
}

/// Logs a notice of one shard. The image gives topics their names.
pub(crate) fn log(shard: ShardId, image: &Image, notice: &Notice) {
    let (weight, words) = words(shard, image, notice);
    match weight {
        Weight::Error => tracing::error!("{words}"),
        Weight::Warn => tracing::warn!("{words}"),
        Weight::Info => tracing::info!("{words}"),
    }
}

fn words(shard: ShardId, image: &Image, notice: &Notice) -> (Weight, Refusal) {
    let ShardId(number) = shard;
    match notice {
        Notice::ShardOffline(file, failure) => (
            Weight::Error,
            Refusal::new(
                format!(
                    "shard {number} is offline: writing {} failed: {}",
                    file_name(number, image, *file),
                    reason(*failure)
                ),
                "its partitions answer KAFKA_STORAGE_ERROR; see `dmesg` for the disk, repair it, \
                 then restart the broker: what was acknowledged is on disk",
            ),
        ),
        Notice::DirectoryOffline(file, failure) => (
            Weight::Error,
            Refusal::new(
                format!(
                    "the data directory is offline: syncing {} failed: {}",
                    file_name(number, image, *file),
                    reason(*failure)
                ),
                "all partitions answer KAFKA_STORAGE_ERROR; see `dmesg` for the disk, repair it, \
                 then restart the broker",
            ),
        ),
        Notice::PartitionOffline(segment, failure) => (
            Weight::Error,
            Refusal::new(
                format!(
                    "partition {} is offline: writing segment {} failed: {}",
                    partition_name(image, segment.partition),
                    segment_name(*segment),
                    reason(*failure)
                ),
                "what is not in the segment is in `rescue/` of the data directory; see `dmesg`, \
                 repair the disk, then restart the broker",
            ),
        ),
        Notice::DiskFull => (
            Weight::Error,
            Refusal::new(
                format!("the disk is full: shard {number} refuses producers"),
                "reading and deleting go on; delete topics, make room or enlarge the disk, and \
                 producers are served again without a restart",
            ),
        ),
        Notice::DiskFreed => (
            Weight::Info,
            Refusal::new(
                format!("the disk has room again: shard {number} serves producers"),
                "nothing to do",
            ),
        ),
        Notice::IndexRebuilt(segment) => (
            Weight::Warn,
            Refusal::new(
                format!(
                    "the index of segment {} of {} was missing or damaged and has been rebuilt",
                    segment_name(*segment),
                    partition_name(image, segment.partition)
                ),
                "nothing to do, unless it happens again: then see `dmesg`",
            ),
        ),
        Notice::Damaged(segment, at) => (
            Weight::Error,
            Refusal::new(
                format!(
                    "a stored batch of {} does not match its checksum, at byte {at} of segment {}",
                    partition_name(image, segment.partition),
                    segment_name(*segment)
                ),
                "consumers get CORRUPT_MESSAGE there; the disk has changed what was written: see \
                 `dmesg` and `smartctl`, and copy the topic from a replica or mirror",
            ),
        ),
    }
}

fn file_name(shard: u16, image: &Image, file: FileName) -> String {
    match file {
        FileName::Journal(slot) => format!("journal file {slot} of shard {shard}"),
        FileName::Manifest => format!("the manifest of shard {shard}"),
        FileName::Segment(segment) => {
            let partition = partition_name(image, segment.partition);
            format!("segment {} of {partition}", segment_name(segment))
        }
        FileName::Directory => "all segments".to_owned(),
    }
}

/// As in the file's name.
fn segment_name(segment: SegmentId) -> String {
    format!("{:020}", segment.base.0)
}

/// As Kafka names it; a topic that was deleted meanwhile has only its id.
fn partition_name(image: &Image, partition: TopicPartition) -> String {
    let TopicPartition { topic, index } = partition;
    match image.topic_by_id(topic) {
        Some(found) => format!("{}-{}", found.name, index.0),
        None => format!("{topic}-{}", index.0),
    }
}

fn reason(failure: Failure) -> String {
    match failure {
        Failure::Full => "no space left on the device".to_owned(),
        Failure::Missing => "the file is missing".to_owned(),
        Failure::Io(code) => std::io::Error::from_raw_os_error(code).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_engine::id::{Offset, PartitionIndex, TopicId};

    fn segment() -> SegmentId {
        let partition = TopicPartition { topic: TopicId([0; 16]), index: PartitionIndex(3) };
        SegmentId { partition, base: Offset(42) }
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
                Notice::PartitionOffline(segment(), Failure::Full),
                Weight::Error,
                "partition AAAAAAAAAAAAAAAAAAAAAA-3 is offline: writing segment \
                 00000000000000000042 failed: no space left",
                "rescue/",
            ),
            (Notice::DiskFull, Weight::Error, "the disk is full", "without a restart"),
            (Notice::DiskFreed, Weight::Info, "room again", "nothing to do"),
            (Notice::IndexRebuilt(segment()), Weight::Warn, "index of segment 0000", "dmesg"),
            (Notice::Damaged(segment(), 4096), Weight::Error, "at byte 4096", "CORRUPT_MESSAGE"),
        ] {
            let (found, words) = words(ShardId(1), &Image::default(), &notice);
            assert_eq!(found, weight, "{words}");
            assert!(words.what.contains(what), "{words} lacks {what}");
            assert!(words.remedy.contains(remedy), "{words} lacks {remedy}");
        }
    }
}
