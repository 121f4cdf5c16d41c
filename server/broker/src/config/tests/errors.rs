//! Every kind of problem, word for word: the place, what is wrong, what to do.

use super::super::load::{UnknownNames, load};
use super::super::problem::Notice;
use super::{accepted, loaded, map, refused, sources, toml};

/// A file with one mistake, and what is said of it.
const TOML_MISTAKES: &[(&str, &str)] = &[
    (
        "num.partition = 3",
        "c.toml:1: unknown setting `num.partition`; did you mean `num.partitions`?",
    ),
    (
        "\n[colour]\nof = 3",
        "c.toml:3: unknown setting `colour.of`; remove it; `corelog config list` shows every \
         setting",
    ),
    (
        "num.partitions = 0",
        "c.toml:1: num.partitions = 0: must be at least 1; or leave it out, the default is `1`",
    ),
    (
        "num.partitions = \"3\"",
        "c.toml:1: num.partitions = \"3\": expected a whole number, found a string in quotes; \
         allowed is at least 1, the default is `1`",
    ),
    (
        "delete.topic.enable = \"yes\"",
        "c.toml:1: delete.topic.enable = \"yes\": expected true or false, found a string in \
         quotes; allowed is true or false, the default is `true`",
    ),
    (
        "broker.rack = 3",
        "c.toml:1: broker.rack = 3: expected a string, found an integer; allowed is some \
         text, the default is unset",
    ),
    (
        "log.segment.bytes = \"64MB\"",
        "c.toml:1: log.segment.bytes = \"64MB\": expected a number of bytes, or a number with \
         B, KiB, MiB, GiB or TiB; allowed is at least 1MiB, the default is `1GiB`",
    ),
    (
        "journal.file.bytes = 1048577",
        "c.toml:1: journal.file.bytes = 1048577: must be 1MiB to 1GiB, a multiple of 4KiB; \
         or leave it out, the default is `32MiB`",
    ),
    (
        "compression.type = \"brotli\"",
        "c.toml:1: compression.type = \"brotli\": must be one of: uncompressed, zstd, lz4, \
         snappy, gzip, producer; or leave it out, the default is `producer`",
    ),
    (
        "log.cleanup.policy = [\"delete\", \"delete\"]",
        "c.toml:1: log.cleanup.policy = [delete, delete]: delete is listed twice; allowed is \
         any of compact, delete, the default is `delete`",
    ),
    (
        "log.cleaner.min.cleanable.ratio = 1.5",
        "c.toml:1: log.cleaner.min.cleanable.ratio = 1.5: must be 0 to 1; or leave it out, \
         the default is `0.5`",
    ),
    (
        "retention.ms = 3",
        "c.toml:1: `retention.ms` belongs to a topic, not to the broker; set its default for \
         all topics: `log.retention.ms`",
    ),
    (
        "write.caching = true",
        "c.toml:1: `write.caching` belongs to a topic, not to the broker; set it on the topic",
    ),
    (
        "num.io.threads = 8",
        "c.toml:1: `num.io.threads` is a setting of Kafka that Corelog does not have: each \
         core runs one thread, `cores` says which; remove it",
    ),
    (
        "'num.partitions' = 1\n[num]\npartitions = 2\n[log]\ndir = 'a'\ndirs = 'b'\ndirs = 'c'",
        "c.toml:7: duplicate key; correct the line\n\
         c.toml:3: `num.partitions` is set to something else at c.toml:1; keep one of the two\n\
         c.toml:6: `data.dir` is set to something else at c.toml:5; keep one of the two",
    ),
];

#[test]
fn a_toml_file_with_one_mistake() {
    for (text, expected) in TOML_MISTAKES {
        assert_eq!(&refused(loaded((Some(("c.toml", text)), &[], &[]))), expected, "{text}");
    }
}

#[test]
fn a_properties_file_with_one_mistake() {
    let table = [
        (
            "log.retention.hours=a week",
            "s.properties:1: log.retention.hours = a week: expected a number of hours, or a number \
             with h or d; allowed is at least 1h, or -1, the default is `7d`",
        ),
        (
            "\nauthorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "s.properties:2: `authorizer.class.name` cannot be honoured: there is no \
             authorization, every client may do everything; remove it",
        ),
        (
            "process.roles=controller",
            "s.properties:1: `process.roles` cannot be honoured: this file is of a controller, \
             not of a broker; remove it",
        ),
        (
            "log.dirs=/a,/b",
            "s.properties:1: log.dirs = /a,/b: expected one path, without commas; or leave it out, \
             the default is `./corelog-data`",
        ),
        (
            "node.id=1\nbroker.id=2",
            "s.properties:2: `node.id` is set to something else at s.properties:1; keep one of the \
             two",
        ),
        ("a=\\u12", "s.properties:1: \\u takes four hexadecimal digits; correct the line"),
    ];
    for (text, expected) in table {
        assert_eq!(refused(loaded((Some(("s.properties", text)), &[], &[]))), expected, "{text}");
    }
}

/// Names in a `server.properties` that are not for Corelog: what is said of them, and with
/// `--strict`.
const STRANGE_NAMES: &[(&str, &str, Option<&str>)] = &[
    (
        "num.io.thread=8",
        "num.io.thread: not a setting of brokers, and ignored as by Kafka; did you mean \
         `num.io.threads`?",
        Some("unknown setting `num.io.thread`; did you mean `num.io.threads`?"),
    ),
    (
        "vendor.thing=1",
        "vendor.thing: not a setting of brokers, and ignored as by Kafka; remove it; `corelog \
         config list` shows every setting",
        Some(
            "unknown setting `vendor.thing`; remove it; `corelog config list` shows every \
             setting",
        ),
    ),
    (
        "port=6667",
        "port: not a setting of brokers, and ignored as by Kafka; use `listeners`",
        Some("`port` is not a setting of the broker; use `listeners`"),
    ),
    (
        "max.message.bytes=1",
        "max.message.bytes: not a setting of brokers, and ignored as by Kafka; set its default \
         for all topics: `message.max.bytes`",
        Some(
            "`max.message.bytes` belongs to a topic, not to the broker; set its default for all \
             topics: `message.max.bytes`",
        ),
    ),
    (
        "max.request.size=1",
        "max.request.size: not a setting of brokers, and ignored as by Kafka; it is for \
         producers; the broker's limit is `message.max.bytes`",
        Some(
            "`max.request.size` is not a setting of the broker; it is for producers; the \
             broker's limit is `message.max.bytes`",
        ),
    ),
    ("log.dirs=/a\nlog.dir=/b", "log.dir: ignored: `log.dirs` is set", None),
    ("log.dir=/b\nlog.dirs=/a", "log.dir: ignored: `log.dirs` is set", None),
];

#[test]
fn names_that_are_not_for_corelog_are_warned_of_or_refused() {
    for (text, warning, problem) in STRANGE_NAMES {
        let notices = super::properties(text).notices;
        let [notice] = notices.as_slice() else { panic!("{notices:?}") };
        assert!(notice.to_string().ends_with(warning), "{notice}");
        assert_eq!(Notice::lines(&notices), [notice.to_string()]);
        let mut strict = sources((Some(("s.properties", text)), &[], &[]));
        strict.unknown = UnknownNames::Refused;
        match problem {
            Some(problem) => {
                assert_eq!(refused(load(&strict)), format!("s.properties:1: {problem}"))
            }
            None => assert!(load(&strict).is_ok()),
        }
    }
}

/// Beginnings of names that real files have, and names that older Kafkas had: one line for all.
const IGNORED: &str = "confluent.license.topic=x strimzi.x=1 kafka.timeline.metrics.hosts=x \
    kafka.ganglia.metrics.host=x external.kafka.metrics.include.prefix=x \
    kafka.graphite.metrics.host=x prometheus.metrics.reporter.listener=x \
    client.quota.callback.static.produce=1 controlled.shutdown.max.retries=3 \
    controlled.shutdown.enable=true offsets.commit.required.acks=-1 \
    delegation.token.master.key=x eligible.leader.replicas.enable=true \
    group.coordinator.new.enable=true group.share.enable=true \
    metadata.log.segment.min.bytes=1 replica.lag.max.messages=4000 quota.producer.default=1 \
    quota.consumer.default=1 zookeeper.connect=z:2181";

#[test]
fn what_is_ignored_is_one_line() {
    let lines = IGNORED.split_ascii_whitespace().collect::<Vec<_>>();
    for mode in [UnknownNames::Ignored, UnknownNames::Refused] {
        let text = lines.join("\n");
        let mut from = sources((Some(("s.properties", &text)), &[], &[]));
        from.unknown = mode;
        let told = Notice::lines(&accepted(load(&from)).notices);
        let [line] = told.as_slice() else { panic!("{told:?}") };
        assert!(line.starts_with(
            "s.properties: settings that Corelog has no use for are ignored, 20 of them: \
             confluent.license.topic, strimzi.x,"
        ));
        assert!(line.ends_with("zookeeper.connect; `corelog config check s.properties` says why"));
    }
}

#[test]
fn the_protocols_of_groups_are_always_on() {
    let table = [("classic,consumer,streams", 0), ("classic,consumer", 1), ("classic", 1)];
    for (protocols, notices) in table {
        let text = format!("group.coordinator.rebalance.protocols={protocols}\n");
        assert_eq!(super::properties(&text).notices.len(), notices, "{protocols}");
    }
    let bad = "group.coordinator.rebalance.protocols = 'raft'";
    assert!(refused(loaded((Some(("c.toml", bad)), &[], &[]))).contains("must be one of"));
}

#[test]
fn listeners_that_do_not_go_together() {
    let table = [
        (
            "listeners=SASL_SSL://:9092",
            "s.properties:1: listener SASL_SSL uses SASL_SSL, and only PLAINTEXT is served; use a \
             PLAINTEXT listener, on a network that is safe without encryption",
        ),
        (
            "listeners=IN://:1,PLAINTEXT://:2\nlistener.security.protocol.map=IN:SSL",
            "s.properties:1: listener IN uses SSL, and only PLAINTEXT is served; use a PLAINTEXT \
             listener, on a network that is safe without encryption\n\
             s.properties:1: listener PLAINTEXT has no security protocol; add PLAINTEXT:PLAINTEXT \
             to `listener.security.protocol.map`",
        ),
        (
            "listeners=PLAINTEXT://a:1,PLAINTEXT://b:2",
            "s.properties:1: two listeners are named PLAINTEXT; give each listener its own name",
        ),
        (
            "listeners=PLAINTEXT://a:1,B://b:1\nlistener.security.protocol.map=\\\n\
             B:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "s.properties:1: two listeners are on port 1; give each listener its own port",
        ),
        (
            "listeners=CONTROLLER://:9093",
            "s.properties:1: no listener is left for clients; add one such as PLAINTEXT://:9092 to \
             `listeners`",
        ),
        (
            "\nadvertised.listeners=PLAINTEXT://0.0.0.0:9092,B://b:1",
            "s.properties:2: listener PLAINTEXT advertises every address of the machine; advertise \
             a name or address that clients can connect to\n\
             s.properties:2: B is advertised and is not a listener; add B to `listeners`",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(refused(loaded((Some(("s.properties", text)), &[], &[]))), expected, "{text}");
    }
}

#[test]
fn settings_that_do_not_go_together() {
    let table = [
        (
            "message.max.bytes = \"16MiB\"",
            "c.toml:1: message.max.bytes is 16MiB, more than a quarter of journal.file.bytes \
             (8MiB); lower it, or raise journal.file.bytes to 64MiB",
        ),
        (
            "message.max.bytes = 8388609",
            "c.toml:1: message.max.bytes is 8388609B, more than a quarter of journal.file.bytes \
             (8MiB); lower it, or raise journal.file.bytes to 32772KiB",
        ),
        (
            "message.max.bytes = \"300MiB\"",
            "c.toml:1: message.max.bytes is 300MiB, more than a quarter of journal.file.bytes \
             (8MiB); lower it; journal.file.bytes is at most 1GiB",
        ),
        (
            "journal.file.bytes = \"1MiB\"",
            "c.toml:1: message.max.bytes is 1048588B, more than a quarter of journal.file.bytes \
             (256KiB); lower it, or raise journal.file.bytes to 4100KiB",
        ),
        (
            "journal.file.bytes = '1GiB'\nmessage.max.bytes = '100MiB'\nmemory.share.dirty = 10",
            "c.toml:2: message.max.bytes is 100MiB, more than memory.share.dirty of \
             memory.per.core (53687090B); lower it, or raise memory.per.core",
        ),
        (
            "memory.per.core = '64MiB'\nmemory.share.requests = 1",
            "c.toml:1: message.max.bytes is 1048588B, more than memory.share.requests of \
             memory.per.core (671088B); lower it, or raise memory.per.core",
        ),
        (
            "memory.share.tail = 41",
            "c.toml:1: the memory.share settings add up to 96 percent; lower some until they add \
             up to at most 95",
        ),
        (
            "log.cleaner.min.compaction.lag.ms = '1h'\nlog.cleaner.max.compaction.lag.ms = '1m'",
            "c.toml:1: log.cleaner.min.compaction.lag.ms is 1h, more than \
             log.cleaner.max.compaction.lag.ms (1m); lower the first or raise the second",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(refused(loaded((Some(("c.toml", text)), &[], &[]))), expected, "{text}");
    }
    toml("message.max.bytes = 8388608");
    toml("memory.share.tail = 40");
}

#[test]
fn times_of_groups_that_do_not_go_together() {
    let table = [
        (
            "'group.consumer.session.timeout.ms' = '10s'",
            "c.toml:1: group.consumer.session.timeout.ms is 10s, not from 45s to 1m \
             (group.consumer.min.session.timeout.ms and group.consumer.max.session.timeout.ms); \
             change it, or its bounds",
        ),
        (
            "'group.consumer.min.heartbeat.interval.ms' = '6s'",
            "c.toml:1: group.consumer.heartbeat.interval.ms is 5s, not from 6s to 15s \
             (group.consumer.min.heartbeat.interval.ms and \
             group.consumer.max.heartbeat.interval.ms); change it, or its bounds",
        ),
        (
            "group.consumer.min.session.timeout.ms = 1\ngroup.consumer.session.timeout.ms = '5s'",
            "c.toml:2: group.consumer.heartbeat.interval.ms is 5s, not less than \
             group.consumer.session.timeout.ms (5s); lower the first or raise the second",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(refused(loaded((Some(("c.toml", text)), &[], &[]))), expected, "{text}");
    }
}

#[test]
fn the_environment_and_flags() {
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a str);
    let table: [Row<'_>; 6] = [
        (
            &[("CORELOG_NUM_PARTITION", "3")],
            &[],
            "environment CORELOG_NUM_PARTITION: unknown setting `CORELOG_NUM_PARTITION`; did you \
             mean `CORELOG_NUM_PARTITIONS`?",
        ),
        (
            &[("CORELOG_NUM_PARTITIONS", "many")],
            &[],
            "environment CORELOG_NUM_PARTITIONS: num.partitions = many: expected a whole number; \
             allowed is at least 1, the default is `1`",
        ),
        (
            &[],
            &["num.partitions"],
            "--set: `num.partitions` is not of the form KEY=VALUE; write it as in --set \
             num.partitions=3",
        ),
        (
            &[],
            &["log.levle=warn"],
            "--set log.levle: unknown setting `log.levle`; did you mean `log.level`?",
        ),
        (
            &[],
            &["num.partitions=1", "num.partitions=2"],
            "--set num.partitions: `num.partitions` is set to something else at --set \
             num.partitions; keep one of the two",
        ),
        (
            &[],
            &["broker.rack="],
            "--set broker.rack: broker.rack = : must not be empty; allowed is some text, the \
             default is unset",
        ),
    ];
    for (environment, set, expected) in table {
        assert_eq!(refused(loaded((None, environment, set))), expected);
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let file = "num.partitions = 0\nfoo.bar = 1\nx = \nlog.level = 'loud'\n";
    let environment = [("CORELOG_CORES", "-1")];
    let found = refused(loaded((Some(("c.toml", file)), &environment, &["node.id=-1"])));
    let mut places: Vec<&str> = found.lines().filter_map(|l| l.split(": ").next()).collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            "--set node.id",
            "c.toml:1",
            "c.toml:2",
            "c.toml:3",
            "c.toml:4",
            "environment CORELOG_CORES"
        ]
    );
}

#[test]
fn what_cannot_be_set_over_the_protocol() {
    let table = [
        ("num.partitions", "3", "`num.partitions` cannot be changed while the broker runs"),
        ("log.retention.hours", "3", "`log.retention.hours` cannot be changed while"),
        ("foo", "3", "unknown setting `foo`"),
        ("log.retention.ms", "7d", "log.retention.ms = 7d: not a number of type LONG"),
        ("log.segment.bytes", "3000000000", "3000000000: not a number of type INT"),
        ("message.max.bytes", "100000000", "message.max.bytes is 100000000B, more than a quarter"),
    ];
    let config = toml("");
    for (name, text, expected) in table {
        for (all, this) in [(map(&[(name, text)]), map(&[])), (map(&[]), map(&[(name, text)]))] {
            let problems = config.with_dynamic(&all, &this).unwrap_err();
            let [problem] = problems.as_slice() else { panic!("{problems:?}") };
            let place =
                if this.is_empty() { "set for all brokers: " } else { "set for this broker: " };
            let text = problem.to_string();
            assert!(text.starts_with(place) && text.contains(expected), "{text}");
        }
    }
}
