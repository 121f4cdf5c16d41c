//! Every bound that is no setting, and how bounds relate.

/// Idempotent producers of a partition that recovery takes in, whatever the setting: as many as the
/// setting allows at most.
pub const RECOVERED_PRODUCERS: usize = 1_000_000;

/// Milliseconds between two looks of a log that is written to for producers that have expired, as
/// Kafka's `producer.id.expiration.check.interval.ms`.
pub const EXPIRE_PRODUCERS_MS: u64 = 600_000;

/// Requests of one shard that may be open on another at a time.
pub const CREDITS: u32 = 256;

/// Bytes of one segment write. The disk serves it before the journal writes behind it: with 4 MiB
/// one partition took 218 MB/s of 100 KiB batches with a p99 of 6.4 ms, with 1 MiB 300 MB/s and 2.6
/// ms.
pub const SEGMENT_WRITE_BYTES: u64 = 1 << 20;

/// Bytes that make a segment write worth its while when nothing presses.
pub const WORTH_FLUSHING: u64 = 1 << 20;

/// Segment writes of a shard in flight when bytes press.
pub const SEGMENT_WRITES: usize = 8;

/// The same when there is time: what is in the disk's cache inflates the next journal write, whose
/// flush covers all of it.
pub const SEGMENT_WRITES_AT_EASE: usize = 2;

/// Readers that a turn wakes at most.
pub const WAKES: usize = 256;

/// Logs that a turn looks at for something to flush.
pub const FLUSH_LOOKS: usize = 1024;

/// Slabs that a turn gives back at most.
pub const EVICTIONS: usize = 1024;

/// Bytes of a journal buffer, unless a batch is larger.
pub const JOURNAL_BUFFER: usize = 1 << 20;

/// Milliseconds after which a quiet partition's last bytes go to its segment.
pub const QUIET_MS: u64 = 5_000;

/// Milliseconds between looks at what has become old.
pub const HOUSEKEEPING_MS: u64 = 1_000;

/// Milliseconds between two times that the operator is told of a full disk.
pub const DISK_FULL_TOLD_MS: u64 = 60_000;

/// Milliseconds without a commit after which an empty one says that the last was durable.
pub const SEAL_AFTER_MS: u64 = 20;

/// Logs that one barrier is asked for at most, and what they may add to their index files. A shard
/// takes them all in at once.
pub const BARRIER_LOGS: usize = 4096;
/// See [`BARRIER_LOGS`].
pub const BARRIER_INDEX_BYTES: usize = 1 << 20;

/// How manifests are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestLimits {
    /// Bytes below which one is not made anew.
    pub least_bytes: u64,
    /// Logs that are encoded in one go.
    pub part_logs: usize,
    /// Bytes that are, unless a log has more to say.
    pub part_bytes: usize,
}

impl Default for ManifestLimits {
    fn default() -> ManifestLimits {
        ManifestLimits { least_bytes: 1 << 20, part_logs: 1024, part_bytes: 256 << 10 }
    }
}

const _: () = assert!(WORTH_FLUSHING <= SEGMENT_WRITE_BYTES);
const _: () = assert!(SEGMENT_WRITE_BYTES.is_multiple_of(corelog_mem::BLOCK as u64));
const _: () = assert!(SEAL_AFTER_MS < HOUSEKEEPING_MS);
