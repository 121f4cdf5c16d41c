//! The rows for topics: every topic setting of Kafka 4.3 with its type, bounds and default, and
//! ours. The broker-wide defaults in `broker_settings` take type, bounds and text from here.

use super::setting::{
    Effect, Form, INT_MAX, Kind, LONG_MAX, MIB, Setting, Unit, hours, int, long, minutes, same,
    topic_row,
};

/// Where compression stands, for the five settings of it.
const STORED_AS_SENT: Effect =
    Effect::Later("batches are stored as the producer sent them, whatever is asked for here");
const NO_RETENTION: Effect = Effect::Later("nothing is dropped, a log grows until it is deleted");
const NO_COMPACTION: Effect = Effect::Later("logs are not compacted");
const ONE_COPY: Effect = Effect::Later("a partition has one replica");
const NO_TIERS: Effect = Effect::Later("there is no tiered storage, all data is local");
const ONE_IN_SYNC: Effect = Effect::Later(
    "a partition has one replica, which is in sync, and as in Kafka no more are asked for",
);
const ALWAYS_FLUSHED: Effect =
    Effect::Never("every batch goes to the disk at once, whether the producer waits for it or not");

/// Everything that a topic may set.
pub(super) const TOPIC: &[Setting] = &[
    topic_row(
        "cleanup.policy",
        Kind::List(Form::OneOf(&["compact", "delete"])),
        &[same("log.cleanup.policy")],
    )
    .default("delete")
    .effect(Effect::Partly("`compact` is accepted, and every record is kept"))
    .doc(
        "What happens to old records: `delete` drops whole segments by age and size, `compact` \
         keeps the newest record of each key. Empty keeps everything.",
    ),
    topic_row(
        "compression.gzip.level",
        int(1, 9).or(-1).of(Unit::Count),
        &[same("compression.gzip.level")],
    )
    .default("-1")
    .effect(STORED_AS_SENT)
    .doc("How hard to try when `compression.type` is `gzip`; -1 is the library's own default."),
    topic_row(
        "compression.lz4.level",
        int(1, 17).of(Unit::Count),
        &[same("compression.lz4.level")],
    )
    .default("9")
    .effect(STORED_AS_SENT)
    .doc("How hard to try when `compression.type` is `lz4`."),
    topic_row(
        "compression.type",
        Kind::Choice(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        &[same("compression.type")],
    )
    .default("producer")
    .effect(STORED_AS_SENT)
    .doc("The codec in which batches are stored; `producer` leaves them as they came."),
    topic_row(
        "compression.zstd.level",
        int(-131_072, 22).of(Unit::Count),
        &[same("compression.zstd.level")],
    )
    .default("3")
    .effect(STORED_AS_SENT)
    .doc("How hard to try when `compression.type` is `zstd`."),
    topic_row(
        "delete.retention.ms",
        long(0, LONG_MAX).of(Unit::Millis),
        &[same("log.cleaner.delete.retention.ms")],
    )
    .default("1d")
    .effect(NO_COMPACTION)
    .doc("How long a compacted topic keeps the marker of a deleted key."),
    topic_row(
        "file.delete.delay.ms",
        long(0, LONG_MAX).of(Unit::Millis),
        &[same("log.segment.delete.delay.ms")],
    )
    .default("1m")
    .effect(Effect::Never("a file goes when the last reader of it is done"))
    .doc("How long a segment's file outlives the segment."),
    topic_row(
        "flush.messages",
        long(1, LONG_MAX).of(Unit::Count),
        &[same("log.flush.interval.messages")],
    )
    .default("9223372036854775807")
    .effect(ALWAYS_FLUSHED)
    .doc("Force data to the disk after so many records."),
    topic_row(
        "flush.ms",
        long(0, LONG_MAX).of(Unit::Millis),
        &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
    )
    .default("9223372036854775807")
    .effect(ALWAYS_FLUSHED)
    .doc("Force data to the disk after this time."),
    topic_row("follower.replication.throttled.replicas", Kind::List(Form::ThrottledReplica), &[])
        .default("")
        .effect(ONE_COPY)
        .doc(
            "Replicas whose catching up is slowed down, as `partition:broker` pairs, or `*` for \
             all.",
        ),
    topic_row(
        "index.interval.bytes",
        int(0, INT_MAX).of(Unit::Bytes),
        &[same("log.index.interval.bytes")],
    )
    .default("4KiB")
    .effect(Effect::Never("an index has an entry for every 64 KiB"))
    .doc("At most so many bytes of log lie between two entries of its index."),
    topic_row("leader.replication.throttled.replicas", Kind::List(Form::ThrottledReplica), &[])
        .default("")
        .effect(ONE_COPY)
        .doc(
            "Replicas to which a leader sends more slowly, as `partition:broker` pairs, or `*` \
             for all.",
        ),
    topic_row(
        "local.retention.bytes",
        long(-2, LONG_MAX).of(Unit::Bytes),
        &[same("log.local.retention.bytes")],
    )
    .default("-2")
    .effect(NO_TIERS)
    .doc("How much of a tiered partition stays on this disk; -2 follows `retention.bytes`."),
    topic_row(
        "local.retention.ms",
        long(-2, LONG_MAX).of(Unit::Millis),
        &[same("log.local.retention.ms")],
    )
    .default("-2")
    .effect(NO_TIERS)
    .doc("How long records of a tiered partition stay on this disk; -2 follows `retention.ms`."),
    topic_row(
        "max.compaction.lag.ms",
        long(1, LONG_MAX).of(Unit::Millis),
        &[same("log.cleaner.max.compaction.lag.ms")],
    )
    .default("9223372036854775807")
    .effect(NO_COMPACTION)
    .doc("A record is compacted at the latest after this time."),
    topic_row("max.message.bytes", int(0, INT_MAX).of(Unit::Bytes), &[same("message.max.bytes")])
        .default("1048588")
        .doc(
            "The largest record batch, as it is stored (compressed if it is). At most a quarter \
             of `journal.file.bytes`.",
        ),
    topic_row(
        "message.timestamp.after.max.ms",
        long(0, LONG_MAX).of(Unit::Millis),
        &[same("log.message.timestamp.after.max.ms")],
    )
    .default("1h")
    .doc("A producer's timestamp may be ahead of the broker's clock by so much."),
    topic_row(
        "message.timestamp.before.max.ms",
        long(0, LONG_MAX).of(Unit::Millis),
        &[same("log.message.timestamp.before.max.ms")],
    )
    .default("9223372036854775807")
    .doc("A producer's timestamp may be behind the broker's clock by so much."),
    topic_row(
        "message.timestamp.type",
        Kind::Choice(&["CreateTime", "LogAppendTime"]),
        &[same("log.message.timestamp.type")],
    )
    .default("CreateTime")
    .doc("Whose clock stamps the records: the producer's, or the broker's when it appends them."),
    topic_row(
        "min.cleanable.dirty.ratio",
        Kind::Double(0.0, 1.0),
        &[same("log.cleaner.min.cleanable.ratio")],
    )
    .default("0.5")
    .effect(NO_COMPACTION)
    .doc("Compact when at least this part of the log has not been compacted."),
    topic_row(
        "min.compaction.lag.ms",
        long(0, LONG_MAX).of(Unit::Millis),
        &[same("log.cleaner.min.compaction.lag.ms")],
    )
    .default("0")
    .effect(NO_COMPACTION)
    .doc("A record is not compacted before it has this age."),
    topic_row(
        "min.insync.replicas",
        int(1, INT_MAX).of(Unit::Count),
        &[same("min.insync.replicas")],
    )
    .default("1")
    .effect(ONE_IN_SYNC)
    .doc(
        "With `acks=all` a batch is refused while fewer replicas are in sync, or fewer than there \
         are.",
    ),
    topic_row("preallocate", Kind::Bool, &[same("log.preallocate")])
        .default("false")
        .effect(Effect::Never("only the journal is preallocated, segments grow as they fill"))
        .doc("Reserve a segment's full size on the disk when it is created."),
    topic_row("remote.log.copy.disable", Kind::Bool, &[])
        .default("false")
        .effect(NO_TIERS)
        .doc("Copy nothing more to tiered storage."),
    topic_row("remote.log.delete.on.disable", Kind::Bool, &[])
        .default("false")
        .effect(NO_TIERS)
        .doc("Delete what is in tiered storage when the topic leaves it."),
    topic_row("remote.storage.enable", Kind::Bool, &[])
        .default("false")
        .effect(Effect::Later("there is no tiered storage, and `true` is refused"))
        .doc("Keep old segments in tiered storage."),
    topic_row(
        "retention.bytes",
        long(i64::MIN, LONG_MAX).of(Unit::Bytes),
        &[same("log.retention.bytes")],
    )
    .default("-1")
    .effect(NO_RETENTION)
    .doc("Drop the oldest segments of a partition that is larger; negative is no limit."),
    topic_row(
        "retention.ms",
        long(-1, LONG_MAX).of(Unit::Millis),
        &[same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")],
    )
    .default("7d")
    .effect(NO_RETENTION)
    .doc("Drop segments whose newest record is older; -1 is no limit."),
    topic_row("segment.bytes", int(MIB, INT_MAX).of(Unit::Bytes), &[same("log.segment.bytes")])
        .default("1GiB")
        .doc("A segment that would grow beyond this is closed, and the next one begins."),
    topic_row(
        "segment.index.bytes",
        int(4, INT_MAX).of(Unit::Bytes),
        &[same("log.index.size.max.bytes")],
    )
    .default("10MiB")
    .effect(Effect::Never("indexes are sized by what they hold"))
    .doc("The size that is reserved for a segment's index."),
    topic_row(
        "segment.jitter.ms",
        long(0, LONG_MAX).of(Unit::Millis),
        &[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")],
    )
    .default("0")
    .effect(Effect::Later("segments are closed when they are as old as `segment.ms`"))
    .doc(
        "Close a segment earlier than `segment.ms` by up to this time, so that not all partitions \
         do it at once.",
    ),
    topic_row(
        "segment.ms",
        long(1, LONG_MAX).of(Unit::Millis),
        &[same("log.roll.ms"), hours("log.roll.hours")],
    )
    .default("7d")
    .doc("A segment is closed after this time even if it is not full."),
    topic_row(
        "unclean.leader.election.enable",
        Kind::Bool,
        &[same("unclean.leader.election.enable")],
    )
    .default("false")
    .effect(ONE_COPY)
    .doc("Let a replica that is behind become leader when no other is left, and lose records."),
    topic_row("write.caching", Kind::Bool, &[]).default("false").doc(
        "Acknowledge before the batch is on the disk, as Kafka does. The write follows at once; a \
         crash in between loses acknowledged records.",
    ),
];
