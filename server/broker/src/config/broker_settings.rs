//! The rows for the broker, in the groups of the documentation: Kafka's names that Corelog honours
//! or that tools read, and Corelog's own.

use super::setting::{
    Change, Effect, Form, GIB, Group, INT_MAX, KIB, Kind, LONG_MAX, MIB, Scope, Setting, Unit, int,
    long, row,
};
use super::topic_settings::TOPIC;

const ONE_REPLICA: Effect = Effect::Partly("a partition has one replica, more are refused");
const NO_RETENTION: Effect = Effect::Later("nothing is dropped, a log grows until it is deleted");
const LEVEL_30: Effect = Effect::Later("it is always 30");
const NO_TRANSACTIONS: Effect = Effect::Later("there are no transactions");

/// Everything that the broker may set.
pub(super) const BROKER: &[Group] = &[
    Group { title: "Identity and network", rows: NETWORK },
    Group { title: "Cores, memory and disk", rows: MACHINE },
    Group { title: "Topics", rows: TOPICS },
    Group { title: "Defaults of topic settings", rows: TOPIC_DEFAULTS },
    Group { title: "Producers and consumers", rows: CLIENTS },
    Group { title: "Consumer groups", rows: GROUPS },
    Group { title: "Running it", rows: OPERATION },
];

const NETWORK: &[Setting] = &[
    row("node.id", int(0, INT_MAX).of(Unit::Count))
        .aliases(&["broker.id"])
        .default("1")
        .doc("This broker's number in its cluster. It must not change once data has been written."),
    row("cluster.id", Kind::Text(Form::ClusterId)).doc(
        "The cluster's identity. Unset, the first start makes one up and every later start keeps \
         it.",
    ),
    row("broker.rack", Kind::Text(Form::Any))
        .doc("Where this broker stands; consumers that know their own rack prefer brokers in it."),
    row("listeners", Kind::List(Form::Listener)).default("PLAINTEXT://127.0.0.1:9092").doc(
        "The addresses to listen on: `NAME://host:port`, or `host:port`. An empty host is every \
         address of the machine, port 0 a free port.",
    ),
    row("advertised.listeners", Kind::List(Form::Listener)).doc(
        "The addresses that clients are told to connect to, by listener name. A listener that is \
         not named here advertises its own address, or the machine's name where it listens on \
         every address.",
    ),
    row("listener.security.protocol.map", Kind::Text(Form::ProtocolMap))
        .default("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT")
        .effect(Effect::Partly("a listener of any protocol but PLAINTEXT is refused"))
        .doc("The security protocol of each listener name."),
    row("controller.listener.names", Kind::List(Form::Any)).default("CONTROLLER").doc(
        "Listeners of these names are for the controllers of a Kafka cluster; Corelog has none \
         and does not open them.",
    ),
    row("socket.request.max.bytes", int(1, INT_MAX).of(Unit::Bytes)).default("100MiB").doc(
        "The largest request. A core never accepts one that is larger than its share for requests \
         (`memory.share.requests`).",
    ),
    row("max.connections", int(0, INT_MAX).of(Unit::Count))
        .default("2147483647")
        .doc("How many client connections the broker accepts."),
    row("connections.max.idle.ms", long(-1, LONG_MAX).of(Unit::Millis)).default("10m").doc(
        "A connection on which nothing happened for this time is closed; -1 \
             never. That holds amid a request or an answer too; but while others wait \
             for memory, a client that moves less than 16 KiB of it in a second is \
             cut off.",
    ),
];

const MACHINE: &[Setting] = &[
    row("data.dir", Kind::Text(Form::Path))
        .aliases(&["log.dirs", "log.dir"])
        .default("./corelog-data")
        .doc("The directory that holds everything Corelog writes."),
    row("cores", Kind::Text(Form::Cores)).default("all").doc(
        "The processor cores to run on, one thread pinned to each: `all` that the process may \
         use, or a list such as `0,1,4-7`.",
    ),
    row("memory.per.core", long(64 * MIB, 1024 * GIB).of(Unit::Bytes)).default("512MiB").doc(
        "The memory that each core may use for requests, records and indexes. It is a limit, not \
         a reservation.",
    ),
    share("memory.share.requests").default("20").doc(
        "Percent of `memory.per.core` for requests: one half while they are \
             received, one half for working on them and for their answers. A request \
             that takes more than both to answer ends its connection.",
    ),
    share("memory.share.dirty").default("15").doc(
        "Percent of `memory.per.core` for records that are in the journal and not yet in their \
         segment, and never more than all journal files but one. Beyond it producers are asked to \
         retry.",
    ),
    share("memory.share.tail").default("40").doc(
        "Percent of `memory.per.core` for the newest records, from which consumers that keep up \
         are served.",
    ),
    share("memory.share.fetches").default("15").doc(
        "Percent of `memory.per.core` for responses on their way to consumers, \
             and for reading them from files.",
    ),
    share("memory.share.indexes")
        .default("5")
        .doc("Percent of `memory.per.core` for indexes of segments."),
    row("journal.file.bytes", long(MIB, GIB).step(4 * KIB).of(Unit::Bytes)).default("32MiB").doc(
        "The size of a journal file. The largest record batch is a quarter of it, and all journal \
         files together are what a restart reads.",
    ),
    row("journal.files", int(2, 64).of(Unit::Count))
        .default("4")
        .doc("How many journal files each core has; they are written in turn."),
    row("disk.reserve.bytes", long(0, LONG_MAX).of(Unit::Bytes)).default("256MiB").doc(
        "Bytes of the disk that producers leave free. They are refused, whatever the size of what \
         they send, while less is free than this and, for each core, its memory for \
         `memory.share.dirty`, whose records still go to their segments; reading, committing \
         offsets and deleting go on. The log says when it begins and when it is over.",
    ),
];

const TOPICS: &[Setting] = &[
    row("num.partitions", int(1, INT_MAX).of(Unit::Count))
        .default("1")
        .doc("How many partitions a topic gets whose creator does not say."),
    row("default.replication.factor", int(1, i16::MAX as i64).of(Unit::Count))
        .default("1")
        .effect(ONE_REPLICA)
        .doc("How many replicas a topic gets whose creator does not say."),
    row("clamp.replication.factor", Kind::Bool).default("false").doc(
        "Create a topic with as many replicas as there are brokers when more are asked for, \
         instead of refusing it. On under `--dev`.",
    ),
    row("auto.create.topics.enable", Kind::Bool)
        .default("true")
        .doc("Create a topic when a client asks for one that does not exist and wants it created."),
    row("delete.topic.enable", Kind::Bool)
        .default("true")
        .doc("Let clients delete topics; otherwise they are refused."),
    row("log.retention.check.interval.ms", long(1, LONG_MAX).of(Unit::Millis))
        .effect(NO_RETENTION)
        .default("5m")
        .doc("How often to look for segments that are too old or too many."),
];

const TOPIC_DEFAULTS: &[Setting] = &[
    default_of("cleanup.policy", "log.cleanup.policy"),
    default_of("compression.type", "compression.type"),
    default_of("compression.gzip.level", "compression.gzip.level"),
    default_of("compression.lz4.level", "compression.lz4.level"),
    default_of("compression.zstd.level", "compression.zstd.level"),
    default_of("delete.retention.ms", "log.cleaner.delete.retention.ms"),
    default_of("file.delete.delay.ms", "log.segment.delete.delay.ms"),
    default_of("flush.messages", "log.flush.interval.messages"),
    default_of("flush.ms", "log.flush.interval.ms").unset(),
    weaker("flush.ms", "log.flush.scheduler.interval.ms", long(0, LONG_MAX).of(Unit::Millis))
        .default("9223372036854775807"),
    default_of("index.interval.bytes", "log.index.interval.bytes"),
    default_of("local.retention.bytes", "log.local.retention.bytes"),
    default_of("local.retention.ms", "log.local.retention.ms"),
    default_of("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"),
    default_of("max.message.bytes", "message.max.bytes"),
    default_of("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms"),
    default_of("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms"),
    default_of("message.timestamp.type", "log.message.timestamp.type"),
    default_of("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio"),
    default_of("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms"),
    default_of("min.insync.replicas", "min.insync.replicas"),
    default_of("preallocate", "log.preallocate"),
    default_of("retention.bytes", "log.retention.bytes"),
    weaker("retention.ms", "log.retention.ms", long(1, LONG_MAX).or(-1).of(Unit::Millis)).live(),
    weaker("retention.ms", "log.retention.minutes", int(1, INT_MAX).or(-1).of(Unit::Minutes)),
    weaker("retention.ms", "log.retention.hours", int(1, INT_MAX).or(-1).of(Unit::Hours))
        .default("7d"),
    default_of("segment.bytes", "log.segment.bytes"),
    default_of("segment.index.bytes", "log.index.size.max.bytes"),
    default_of("segment.jitter.ms", "log.roll.jitter.ms").unset(),
    weaker("segment.jitter.ms", "log.roll.jitter.hours", int(0, INT_MAX).of(Unit::Hours))
        .default("0"),
    default_of("segment.ms", "log.roll.ms").unset(),
    weaker("segment.ms", "log.roll.hours", int(1, INT_MAX).of(Unit::Hours)).default("7d"),
    default_of("unclean.leader.election.enable", "unclean.leader.election.enable"),
];

const CLIENTS: &[Setting] = &[
    row("fetch.max.bytes", int(1024, INT_MAX).of(Unit::Bytes))
        .default("55MiB")
        .doc("The most records, in bytes, that one fetch returns, whatever the consumer asks for."),
    row("max.incremental.fetch.session.cache.slots", int(0, INT_MAX).of(Unit::Count))
        .default("1000")
        .effect(Effect::Later("every fetch is answered in full"))
        .doc("How many consumers may fetch incrementally at the same time."),
    row("producer.id.expiration.ms", int(1, INT_MAX).of(Unit::Millis))
        .default("1d")
        .doc("How long a partition remembers an idempotent producer that is silent."),
    row("producers.per.partition.max", int(1, 1_000_000).of(Unit::Count)).default("10000").doc(
        "How many idempotent producers a partition remembers; beyond it the one that has been \
         silent longest is forgotten.",
    ),
    row("transactional.id.expiration.ms", int(1, INT_MAX).of(Unit::Millis))
        .default("7d")
        .effect(NO_TRANSACTIONS)
        .doc("How long a transactional id without a transaction is remembered."),
    row("transaction.max.timeout.ms", int(1, INT_MAX).of(Unit::Millis))
        .default("15m")
        .effect(NO_TRANSACTIONS)
        .doc("The longest transaction timeout a producer may ask for."),
];

const ASSIGNORS: Form = Form::OneOf(&["uniform", "range"]);
const PROTOCOLS: Form = Form::OneOf(&["classic", "consumer", "share", "streams"]);
/// Kafka 5.0 will have them so (KIP-1237).
const ALWAYS_ON: Effect = Effect::Never(
    "the classic protocol and that of KIP-848 are always on, share and streams groups are not \
     served",
);

const GROUPS: &[Setting] = &[
    row("group.min.session.timeout.ms", int(0, INT_MAX).of(Unit::Millis))
        .default("6s")
        .doc("The shortest session timeout that a member of a classic group may ask for."),
    row("group.max.session.timeout.ms", int(0, INT_MAX).of(Unit::Millis))
        .default("30m")
        .doc("The longest session timeout that a member of a classic group may ask for."),
    row("group.initial.rebalance.delay.ms", int(0, INT_MAX).of(Unit::Millis)).default("3s").doc(
        "How long the first members of an empty classic group wait for others; each that comes \
         meanwhile prolongs it, up to the rebalance timeout.",
    ),
    row("group.max.size", int(1, INT_MAX).of(Unit::Count))
        .default("2147483647")
        .doc("The most members of a classic group."),
    row("group.consumer.session.timeout.ms", int(1, INT_MAX).of(Unit::Millis)).default("45s").doc(
        "How long a member of a consumer group (KIP-848) may be silent before it counts as gone.",
    ),
    row("group.consumer.heartbeat.interval.ms", int(1, INT_MAX).of(Unit::Millis))
        .default("5s")
        .doc("How often members of consumer groups are told to send heartbeats."),
    row("group.consumer.min.session.timeout.ms", int(1, INT_MAX).of(Unit::Millis))
        .default("45s")
        .doc(
            "The least `group.consumer.session.timeout.ms`, and the least \
             `consumer.session.timeout.ms` of a group's own.",
        ),
    row("group.consumer.max.session.timeout.ms", int(1, INT_MAX).of(Unit::Millis))
        .default("1m")
        .doc(
            "The greatest `group.consumer.session.timeout.ms`, and the greatest \
             `consumer.session.timeout.ms` of a group's own.",
        ),
    row("group.consumer.min.heartbeat.interval.ms", int(1, INT_MAX).of(Unit::Millis))
        .default("5s")
        .doc(
            "The least `group.consumer.heartbeat.interval.ms`, and the least \
             `consumer.heartbeat.interval.ms` of a group's own.",
        ),
    row("group.consumer.max.heartbeat.interval.ms", int(1, INT_MAX).of(Unit::Millis))
        .default("15s")
        .doc(
            "The greatest `group.consumer.heartbeat.interval.ms`, and the greatest \
             `consumer.heartbeat.interval.ms` of a group's own.",
        ),
    row("group.consumer.max.size", int(1, INT_MAX).of(Unit::Count))
        .default("2147483647")
        .doc("The most members of a consumer group."),
    row("group.consumer.assignors", Kind::List(ASSIGNORS)).default("uniform,range").doc(
        "The assignors that members of consumer groups may choose; the first is for those who do \
         not.",
    ),
    row(
        "group.consumer.migration.policy",
        Kind::Choice(&["bidirectional", "upgrade", "downgrade", "disabled"]),
    )
    .default("bidirectional")
    .doc(
        "Which way groups with members may change between the classic protocol and that of \
         KIP-848, when members of the other one join or leave.",
    ),
    row("group.consumer.assignment.interval.ms", int(0, INT_MAX).of(Unit::Millis))
        .default("1s")
        .doc("The least time between two assignments of a consumer group (KIP-1263)."),
    row("group.consumer.min.assignment.interval.ms", int(0, INT_MAX).of(Unit::Millis))
        .default("0")
        .doc(
            "The least `group.consumer.assignment.interval.ms`, and the least \
             `consumer.assignment.interval.ms` of a group's own.",
        ),
    row("group.consumer.max.assignment.interval.ms", int(0, INT_MAX).of(Unit::Millis))
        .default("15s")
        .doc(
            "The greatest `group.consumer.assignment.interval.ms`, and the greatest \
             `consumer.assignment.interval.ms` of a group's own.",
        ),
    row("group.coordinator.rebalance.protocols", Kind::List(PROTOCOLS))
        .default("classic,consumer,streams")
        .effect(ALWAYS_ON)
        .doc("The protocols that groups may use."),
    row("offset.metadata.max.bytes", int(0, INT_MAX).of(Unit::Bytes))
        .default("4KiB")
        .doc("The longest text that may be committed with an offset."),
    row("offsets.retention.minutes", int(1, INT_MAX).of(Unit::Count)).default("10080").doc(
        "How many minutes offsets are kept that nobody uses: from the last member's leaving on, or \
         from the commit on where there never were members.",
    ),
    row("offsets.retention.check.interval.ms", long(1, LONG_MAX).of(Unit::Millis))
        .default("10m")
        .doc("How often is looked for offsets that nobody uses, and for groups without any."),
    row("offsets.topic.num.partitions", int(1, 10_000).of(Unit::Count)).default("50").doc(
        "How many partitions the topic gets that keeps groups. It matters only until the first \
         group makes it.",
    ),
    row("offsets.topic.segment.bytes", int(1 << 20, INT_MAX).of(Unit::Bytes))
        .default("100MiB")
        .doc("The size of a segment of the topic that keeps groups."),
];

const OPERATION: &[Setting] = &[
    row("log.level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]))
        .default("info")
        .doc("How much the broker says about itself."),
    row("feature.metadata.version", int(7, 30).of(Unit::Count)).default("30").effect(LEVEL_30).doc(
        "The level of Kafka's `metadata.version` feature that clients are told; 30 is Kafka 4.3.",
    ),
    row("record.path", Kind::Text(Form::Path)).effect(Effect::Later("only tests record")).doc(
        "For finding bugs: write every event that reaches a core to files that begin with this \
         path, to be replayed later.",
    ),
];

/// A percentage of the memory of a core.
const fn share(name: &'static str) -> Setting {
    row(name, int(1, 90).of(Unit::Count))
}

/// The broker-wide default of a topic setting: same type, bounds, default, effect and text.
const fn default_of(topic: &str, name: &'static str) -> Setting {
    let mut index = 0;
    while index < TOPIC.len() {
        let of = TOPIC[index];
        if equal(of.name, topic) {
            return Setting {
                name,
                scope: Scope::TopicDefault(of.name),
                change: Change::Live,
                ..of
            };
        }
        index += 1;
    }
    panic!("a broker setting is the default of a topic setting that does not exist")
}

/// A `default_of` with a type of its own, which is not changed while the broker runs.
const fn weaker(topic: &'static str, name: &'static str, kind: Kind) -> Setting {
    Setting { kind, change: Change::AtStart, ..default_of(topic, name).unset() }
}

const fn equal(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}
