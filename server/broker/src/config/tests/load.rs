//! Sources: what they may look like, and which one counts.

use std::path::PathBuf;

use super::super::broker::{Config, Cores, LogLevel, TooManyReplicas};
use super::super::listener::{Address, Listener};
use super::super::load::{ConfigFile, Flags, Mode, load};
use super::super::problem::Origin;
use super::{accepted, loaded, map, properties, refused, sources, toml, value};

#[test]
fn nothing_written_is_the_defaults() {
    let found = accepted(loaded((None, &[], &[])));
    assert_eq!(found.notices, []);
    let config = found.config;
    let at = |host: &str, port| Address { host: host.to_owned(), port };
    let listener = Listener {
        name: "PLAINTEXT".to_owned(),
        bind: at("127.0.0.1", 9092),
        advertised: at("127.0.0.1", 9092),
    };
    assert_eq!(config.listeners, [listener]);
    assert_eq!(config.data_dir, PathBuf::from("./corelog-data"));
    assert_eq!(config.cores, Cores::All);
    assert_eq!(
        (config.node_id, config.cluster_id.as_deref(), config.rack.as_deref()),
        (1, None, None)
    );
    assert_eq!(config.connections.request_max_bytes, 100 << 20);
    assert_eq!(config.connections.idle_ms, Some(600_000));
    assert_eq!((config.journal.file_bytes, config.journal.files), (32 << 20, 4));
    assert_eq!(config.topics.too_many_replicas, TooManyReplicas::Refuse);
    assert_eq!(config.log_level, LogLevel::Info);
    assert_eq!(config.metadata_version, 30);
    assert_eq!(config.record_path, None);
    let memory = config.memory;
    let classes = [memory.requests, memory.dirty, memory.tail, memory.fetches, memory.indexes];
    assert_eq!(classes.iter().sum::<u64>() + memory.reserve, memory.total);
    assert!(memory.reserve >= memory.total / 20);
}

#[test]
fn the_stronger_source_counts() {
    let file = Some(("c.toml", "num.partitions = 2"));
    let environment: &[(&str, &str)] = &[("CORELOG_NUM_PARTITIONS", "3")];
    let set = &["num.partitions=4"];
    let table = [
        ((None, &[] as &[_], &[] as &[_]), "1", "default"),
        ((file, &[], &[]), "2", "c.toml:1"),
        ((file, environment, &[]), "3", "environment CORELOG_NUM_PARTITIONS"),
        ((file, environment, set), "4", "--set num.partitions"),
        ((file, &[], set), "4", "--set num.partitions"),
        ((None, environment, &[]), "3", "environment CORELOG_NUM_PARTITIONS"),
    ];
    for (written, expected, origin) in table {
        let config = accepted(loaded(written)).config;
        assert_eq!(value(&config, "num.partitions").as_deref(), Some(expected));
        assert_eq!(config.settings().origin("num.partitions").to_string(), origin);
    }
}

#[test]
fn toml_says_the_same_in_many_ways() {
    let table = [
        ("\"num.partitions\" = 3", "num.partitions", "3"),
        ("num.partitions = 3", "num.partitions", "3"),
        ("[num]\npartitions = 3", "num.partitions", "3"),
        ("[log.retention]\nms = 5000", "log.retention.ms", "5000"),
        ("log.retention.ms = \"7d\"", "log.retention.ms", "604800000"),
        ("log.retention.hours = \"7d\"", "log.retention.hours", "168"),
        ("log.retention.ms = -1", "log.retention.ms", "-1"),
        ("log.segment.bytes = \"64MiB\"", "log.segment.bytes", "67108864"),
        ("log.segment.bytes = 0x1000_000", "log.segment.bytes", "16777216"),
        ("log.cleaner.min.cleanable.ratio = 1", "log.cleaner.min.cleanable.ratio", "1.0"),
        ("log.cleaner.min.cleanable.ratio = 0.0001", "log.cleaner.min.cleanable.ratio", "1.0E-4"),
        ("log.cleanup.policy = [\"compact\", \"delete\"]", "log.cleanup.policy", "compact,delete"),
        ("log.cleanup.policy = \"compact, delete\"", "log.cleanup.policy", "compact,delete"),
        ("log.cleanup.policy = []", "log.cleanup.policy", ""),
        ("cores = [0, 2]", "cores", "0,2"),
        ("cores = \"0,4-5\"", "cores", "0,4-5"),
        ("listeners = \"127.0.0.1:9092\"", "listeners", "PLAINTEXT://127.0.0.1:9092"),
        ("delete.topic.enable = false", "delete.topic.enable", "false"),
        ("broker.id = 7", "node.id", "7"),
    ];
    for (text, name, expected) in table {
        assert_eq!(value(&toml(text), name).as_deref(), Some(expected), "{text}");
    }
    assert_eq!(toml("cores = \"5,0-1\"").cores, Cores::Listed(vec![0, 1, 5]));
}

/// A `config/server.properties` with the keys and values of Kafka 4.3's own.
const KAFKA_FILE: &str = "
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\\
    SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
#log.flush.interval.messages=10000
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

#[test]
fn a_server_properties_of_kafka_is_read_as_it_is() {
    let found = properties(KAFKA_FILE);
    let config = found.config;
    assert_eq!(config.data_dir, PathBuf::from("/tmp/kraft-combined-logs"));
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].bind.to_string(), ":9092");
    assert_eq!(config.listeners[0].advertised.to_string(), "localhost:9092");
    let noticed: Vec<&str> = found.notices.iter().map(|notice| notice.name.as_str()).collect();
    assert_eq!(
        noticed,
        [
            "process.roles",
            "controller.quorum.bootstrap.servers",
            "inter.broker.listener.name",
            "num.network.threads",
            "num.io.threads",
            "socket.send.buffer.bytes",
            "socket.receive.buffer.bytes",
            "num.recovery.threads.per.data.dir",
            "offsets.topic.replication.factor",
            "share.coordinator.state.topic.replication.factor",
            "share.coordinator.state.topic.min.isr",
            "transaction.state.log.replication.factor",
            "transaction.state.log.min.isr",
            "listeners",
        ]
    );
    assert_eq!(
        found.notices[3].to_string(),
        "server.properties:11: num.network.threads: ignored: each core runs one thread, `cores` \
         says which"
    );
    assert_eq!(
        found.notices[13].to_string(),
        "server.properties:5: listeners: CONTROLLER is for Kafka's controllers and is not opened"
    );
}

#[test]
fn what_has_no_effect_is_noticed_when_it_is_not_the_default() {
    let found = properties("log.flush.interval.messages=10000\nlog.preallocate=false\n");
    let [notice] = found.notices.as_slice() else { panic!("{:?}", found.notices) };
    assert!(notice.to_string().starts_with(
        "server.properties:1: log.flush.interval.messages: has no effect: every batch goes to"
    ));
}

#[test]
fn the_later_of_two_lines_counts_in_properties() {
    let found = properties("num.partitions=1\nnum.partitions = 2 \nnum.partitions=2\n");
    assert_eq!(found.config.topics.num_partitions, 2);
    let notices: Vec<String> = found.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        ["server.properties:2: num.partitions: replaces the value at server.properties:1"]
    );
}

#[test]
fn the_format_follows_from_the_name_or_the_text() {
    let table = [
        ("corelog.toml", "num.partitions = 3", "3"),
        ("server.properties", "num.partitions: 3", "3"),
        ("conf", "num.partitions = 3", "3"),
        ("conf", "[num]\npartitions = 3", "3"),
        ("conf", "listeners=PLAINTEXT://:9092\nnum.partitions=3", "3"),
    ];
    for (path, text, expected) in table {
        let config = accepted(loaded((Some((path, text)), &[], &[]))).config;
        assert_eq!(value(&config, "num.partitions").as_deref(), Some(expected), "{path} {text}");
    }
    let broken = refused(loaded((Some(("conf", "[num]\npartitions = \n")), &[], &[])));
    assert!(broken.starts_with("conf:2: "), "{broken}");
}

#[test]
fn a_file_is_read_or_the_system_says_why_not() {
    let directory = std::env::temp_dir().join(format!("corelog-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("c.toml");
    let missing = ConfigFile::read(&path).unwrap_err().to_string();
    assert!(missing.contains("c.toml: cannot be read: "), "{missing}");
    std::fs::write(&path, b"# \xe9").unwrap();
    let not_text = ConfigFile::read(&path).unwrap_err().to_string();
    assert!(not_text.contains("c.toml: cannot be read: incomplete utf-8"), "{not_text}");
    std::fs::write(&path, "num.partitions = 9").unwrap();
    let file = ConfigFile::read(&path).unwrap();
    let latin = directory.join("s.properties");
    std::fs::write(&latin, b"broker.rack=caf\xe9").unwrap();
    let latin = ConfigFile::read(&latin).unwrap();
    let marked = directory.join("marked.properties");
    std::fs::write(&marked, b"\xef\xbb\xbfnum.partitions=8").unwrap();
    let marked = ConfigFile::read(&marked).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let mut from = sources((None, &[], &[]));
    from.file = Some(file);
    assert_eq!(accepted(load(&from)).config.topics.num_partitions, 9);
    from.file = Some(marked);
    assert_eq!(accepted(load(&from)).config.topics.num_partitions, 8);
    from.file = Some(latin);
    assert_eq!(accepted(load(&from)).config.rack.as_deref(), Some("café"));
}

#[test]
fn named_flags_are_settings() {
    let mut from = sources((None, &[], &[]));
    from.flags = Flags {
        set: vec!["num.partitions = 6".to_owned()],
        data_dir: Some("/d".to_owned()),
        listen: Some("0.0.0.0:9192".to_owned()),
        advertise: Some("broker:9092".to_owned()),
        cores: Some("1".to_owned()),
    };
    let config = accepted(load(&from)).config;
    assert_eq!(config.data_dir, PathBuf::from("/d"));
    assert_eq!(config.listeners[0].bind.to_string(), "0.0.0.0:9192");
    assert_eq!(config.listeners[0].advertised.to_string(), "broker:9092");
    assert_eq!(config.cores, Cores::Listed(vec![1]));
    assert_eq!(config.topics.num_partitions, 6);
    assert_eq!(config.settings().origin("data.dir"), Origin::Flag("--data-dir".to_owned()));
}

#[test]
fn dev_is_the_weakest_of_what_is_written() {
    let dev = |set: &[&str]| -> Config {
        let mut from = sources((None, &[], set));
        from.mode = Mode::Dev;
        accepted(load(&from)).config
    };
    assert_eq!(dev(&[]).topics.too_many_replicas, TooManyReplicas::Clamp);
    let everywhere = dev(&["listeners=PLAINTEXT://:9092"]);
    assert_eq!(everywhere.listeners[0].advertised.to_string(), "localhost:9092");
    let explicit = dev(&["clamp.replication.factor=false"]);
    assert_eq!(explicit.topics.too_many_replicas, TooManyReplicas::Refuse);
}

#[test]
fn variables_of_container_platforms_are_not_settings() {
    let environment = [
        ("CORELOG_PORT", "tcp://10.0.0.1:9092"),
        ("CORELOG_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("CORELOG_SERVICE_HOST", "10.0.0.1"),
        ("CORELOG_SERVICE_PORT_KAFKA", "9092"),
        ("CORELOG_HEADLESS_SERVICE_HOST", "10.0.0.1"),
        ("CORELOG_CONFIG", "/etc/corelog.toml"),
        ("HOME", "/root"),
        ("CORELOG_LOG_DIRS", "/data"),
    ];
    let found = accepted(loaded((None, &environment, &[])));
    assert_eq!(found.config.data_dir, PathBuf::from("/data"));
    assert_eq!(found.notices, []);
}

#[test]
fn listeners_are_advertised() {
    let table = [
        ("listeners=A://h:1\nlistener.security.protocol.map=A:PLAINTEXT", "A h:1 h:1"),
        ("listeners=PLAINTEXT://[::1]:1", "PLAINTEXT [::1]:1 [::1]:1"),
        ("listeners=PLAINTEXT://[::]:1", "PLAINTEXT [::]:1 machine:1"),
        ("listeners=PLAINTEXT://0.0.0.0:0", "PLAINTEXT 0.0.0.0:0 machine:0"),
        (
            "listeners=PLAINTEXT://:1,B://h:2\nadvertised.listeners=B://x:3\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,B:PLAINTEXT",
            "PLAINTEXT :1 machine:1, B h:2 x:3",
        ),
        (
            "listeners=PLAINTEXT://127.0.0.1:1,B://[::1]:1\n\
             listener.security.protocol.map=plaintext:plaintext,b:plaintext",
            "PLAINTEXT 127.0.0.1:1 127.0.0.1:1, B [::1]:1 [::1]:1",
        ),
        ("listeners=C://:2,PLAINTEXT://h:1\ncontroller.listener.names=C", "PLAINTEXT h:1 h:1"),
    ];
    for (text, expected) in table {
        let listeners = properties(text).config.listeners;
        let shown: Vec<String> = listeners
            .iter()
            .map(|listener| format!("{} {} {}", listener.name, listener.bind, listener.advertised))
            .collect();
        assert_eq!(shown.join(", "), expected, "{text}");
    }
}

#[test]
fn limits_follow_from_each_other() {
    let small = toml("memory.per.core = \"64MiB\"");
    assert_eq!(u64::from(small.connections.request_max_bytes), small.memory.requests);
    let found = properties("socket.request.max.bytes=200MiB\n");
    assert_eq!(u64::from(found.config.connections.request_max_bytes), found.config.memory.requests);
    let [notice] = found.notices.as_slice() else { panic!("{:?}", found.notices) };
    let expected = "memory.share.requests of memory.per.core allows 107374180B";
    assert_eq!(notice.why, expected);
    let large = toml("memory.per.core = \"8GiB\"");
    assert_eq!(large.memory.dirty, 3 * (32 << 20));
    assert_eq!(large.connections.request_max_bytes, 100 << 20);
    assert_eq!(toml("connections.max.idle.ms = -1").connections.idle_ms, None);
}

#[test]
fn what_is_set_over_the_protocol_is_stronger_than_the_file() {
    let config = toml("log.retention.ms = 1\nmessage.max.bytes = 1000\nlisteners = \"h:1\"");
    let all = map(&[("log.retention.ms", "2"), ("log.segment.bytes", "1048576")]);
    let this = map(&[("log.retention.ms", "3")]);
    let found = config.with_dynamic(&all, &this).unwrap();
    assert_eq!(value(&found, "log.retention.ms").as_deref(), Some("3"));
    assert_eq!(value(&found, "log.segment.bytes").as_deref(), Some("1048576"));
    assert_eq!(value(&found, "message.max.bytes").as_deref(), Some("1000"));
    assert_eq!(found.listeners, config.listeners);
    let back = found.with_dynamic(&map(&[]), &map(&[])).unwrap();
    assert_eq!(back, config);
}
