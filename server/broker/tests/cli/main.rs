//! The binary as people use it: started, asked, stopped, and told wrong things.

mod answers;
mod broker;
mod configs;
mod groups;
mod member;
mod requests;
mod wire;

use std::fs;
use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use broker::{Broker, Directory, corelog, run};
use serde_json::Value;

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("UTF-8")
}

/// What a successful command printed.
#[track_caller]
fn printed(output: Output) -> String {
    let Output { status, stdout, stderr } = output;
    assert!(status.success(), "{status:?}: {}", text(&stderr));
    text(&stdout).to_owned()
}

#[track_caller]
fn json(output: Output) -> Value {
    serde_json::from_str(&printed(output)).expect("JSON")
}

/// That a command ended with this exit code and said all of these words.
#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

#[test]
fn the_ready_line_names_everything_and_a_signal_ends_it_soon() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    let path = fs::canonicalize(&directory.0).expect("it exists");
    let line = broker.line.clone();
    let rest = line.strip_prefix("corelog ready on 127.0.0.1:").expect(&line);
    let (port, rest) = rest.split_once(", data in ").expect("a directory");
    assert_ne!(port.parse::<u16>().expect("a port"), 0);
    let (data, rest) = rest.split_once(", cores ").expect("cores");
    assert_eq!(data, path.to_str().expect("UTF-8"));
    let (core, cluster) = rest.split_once(", cluster ").expect("a cluster");
    assert_eq!(core, broker::first_core());
    assert_eq!(cluster.len(), 22, "{cluster}");

    let before = Instant::now();
    let (status, log) = broker.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    for words in [" INFO ready ", "signal=\"SIGTERM\"", " INFO stopped"] {
        assert!(log.contains(words), "{words} is not in: {log}");
    }

    let again = Broker::start(&directory);
    assert!(again.line.ends_with(cluster), "the cluster stays: {}", again.line);
}

#[test]
fn a_topic_is_created_listed_described_and_deleted() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    assert_eq!(printed(broker.ask(&["topic", "list"])), "no topics\n");
    let create = ["topic", "create", "t", "--partitions", "3", "--config", "retention.ms=1000"];
    let created = printed(broker.ask(&create));
    assert_eq!(created, "created `t` with 3 partitions, replication factor 1\n");
    refused(&broker.ask(&create), 1, &["TOPIC_ALREADY_EXISTS", "topic `t` cannot be created"]);

    let listed = json(broker.ask(&["topic", "list", "-o", "json"]));
    assert_eq!(listed["topics"][0]["name"], "t");
    assert_eq!(listed["topics"][0]["partitions"], 3);
    let described = json(broker.ask(&["topic", "describe", "t", "-o", "json"]));
    assert_eq!(described["id"], listed["topics"][0]["id"]);
    assert_eq!(described["partitions"][2]["leader"], 1);
    assert_eq!(described["partitions"][2]["latest"], 0);
    let own: Vec<&Value> = described["configs"]
        .as_array()
        .expect("an array")
        .iter()
        .filter(|c| c["source"] == "topic")
        .collect();
    assert_eq!(own.len(), 1, "{described}");
    assert_eq!((&own[0]["name"], &own[0]["value"]), (&"retention.ms".into(), &"1000".into()));
    assert!(printed(broker.ask(&["topic", "describe", "t"])).contains("retention.ms = 1000"));

    assert_eq!(printed(broker.ask(&["topic", "delete", "t"])), "deleted `t`\n");
    assert_eq!(printed(broker.ask(&["topic", "list"])), "no topics\n");
    refused(&broker.ask(&["topic", "describe", "t"]), 1, &["there is no topic `t`"]);
    refused(&broker.ask(&["topic", "delete", "t"]), 1, &["there is no topic `t`"]);
}

#[test]
fn what_is_produced_is_consumed_with_every_codec() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    printed(broker.ask(&["topic", "create", "t"]));
    let mut first = 0;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: String = (0..2000).map(|n| format!("{n}\t{codec} value {n}\n")).collect();
        let produce =
            ["produce", "t", "--key-separator", "\\t", "--compression", codec, "-o", "json"];
        let summary = json(broker.feed(&produce, lines.as_bytes()));
        assert_eq!(summary["records"], 2000);
        assert_eq!(summary["partitions"][0]["first_offset"], first);
        let from = first.to_string();
        let consumed = broker.ask(&["consume", "t", "--from", &from, "--print-key"]);
        assert_eq!(printed(consumed), lines, "{codec}");
        first += 2000;
    }
}

#[test]
fn keys_and_partitions_lead_to_the_same_records() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    printed(broker.ask(&["topic", "create", "t", "--partitions", "4"]));
    let keyed = broker.feed(&["produce", "t", "--key-separator", ":"], b"foobar:1\nfoobar:2\n");
    printed(keyed);
    // Where Kafka's Java producer puts it.
    let partition = ((-790_332_482i32 & i32::MAX) % 4).to_string();
    let consume = ["consume", "t", "--partition", &partition, "--offsets", "-n", "1"];
    assert_eq!(printed(broker.ask(&consume)), format!("{partition}:0\t1\n"));
    let line = json(broker.ask(&["consume", "t", "-o", "json", "-n", "1"]));
    assert_eq!((&line["key"], &line["value"]), (&"foobar".into(), &"1".into()));
    assert_eq!(line["headers"], Value::Array(Vec::new()));

    for (acks, offset) in [("1", Value::from(2)), ("0", Value::Null)] {
        let produce = ["produce", "t", "--partition", &partition, "--acks", acks, "-o", "json"];
        let summary = json(broker.feed(&produce, b"\xff\n"));
        assert_eq!(summary["partitions"][0]["first_offset"], offset, "acks {acks}");
    }
    let consume = ["consume", "t", "--partition", &partition, "--from", "2", "-o", "json"];
    let lines = printed(broker.ask(&consume));
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains(r#""value":{"base64":"/w=="}"#), "{lines}");
}

#[test]
fn mistakes_of_a_client_are_named() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    printed(broker.ask(&["topic", "create", "t"]));
    printed(broker.feed(&["produce", "t"], b"only\n"));
    for (arguments, words) in [
        (&["consume", "nothing"][..], "create it with `corelog topic create nothing`"),
        (&["consume", "t", "--partition", "7"], "topic `t` has no partition 7"),
        (&["consume", "t", "--from", "9"], "no offset 9, it has 0 to 1"),
        (&["produce", "nothing"], "there is no topic `nothing`"),
        (&["topic", "create", "a/b"], "INVALID_TOPIC_EXCEPTION"),
    ] {
        refused(&broker.ask(arguments), 1, &[words]);
    }
    let produce = ["produce", "t", "--key-separator", ":"];
    refused(&broker.feed(&produce, b"a:1\nb\n"), 1, &["line 2 has no `:` between key and value"]);
}

#[test]
fn a_directory_has_one_broker() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    let second = run(broker::start_command(&directory, "127.0.0.1:0"), b"");
    let holder = format!("is in use by process {}", broker.pid());
    refused(&second, 1, &[&holder, "--data-dir"]);
    assert_eq!(text(&second.stdout), "");
    assert_eq!(printed(broker.ask(&["topic", "list"])), "no topics\n");
}

#[test]
fn a_port_has_one_process() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let directory = Directory::new();
    let second = run(broker::start_command(&directory, &address), b"");
    refused(&second, 1, &[&format!("cannot listen on {address}"), "ss -ltnp"]);
}

#[test]
fn another_programs_directory_is_left_alone() {
    let directory = Directory::new();
    let meta = directory.0.join("meta.properties");
    let kafkas = "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\n";
    fs::write(&meta, kafkas).expect("writable");
    let refusal = run(broker::start_command(&directory, "127.0.0.1:0"), b"");
    refused(&refusal, 1, &["meta.properties does not say that this is", "Kafka"]);
    assert_eq!(fs::read_to_string(&meta).expect("still there"), kafkas);
}

#[test]
fn wrong_flags_and_settings_are_told_apart_from_failures() {
    for (arguments, words) in [
        (&["start", "--nonsense"][..], &["--nonsense"][..]),
        (&["start", "--set", "num.partition=3"], &["`num.partition`", "did you mean `num.partit"]),
        (&["start", "--set", "num.partitions=x"], &["--set num.partitions", "num.partitions = x"]),
        (&["start", "--config", "/nowhere.toml"], &["/nowhere.toml: cannot be read"]),
        (&["start", "--cores", "1023"], &["core 1023 of `cores`"]),
        (&["consume", "t", "--from", "nowhere"], &["start, end, OFFSET, @MILLISECONDS"]),
        (&["produce", "t", "--compression", "rar"], &["not one of none, gzip"]),
        (&["group", "list", "--state", "Idle"], &["--state", "PreparingRebalance"]),
        (&["group", "reset", "g", "--topic", "t"], &["--to <earliest|latest|OFFSET", "--by <N>"]),
        (&["group", "reset", "g", "--topic", "t", "--to", "x"], &["not one of earliest, latest"]),
        (&["config", "check", "/nowhere.toml"], &["error: /nowhere.toml: cannot be read"]),
    ] {
        let mut command = corelog();
        command.args(arguments);
        refused(&run(command, b""), 2, words);
    }
}

#[test]
fn settings_are_listed_and_checked() {
    let directory = Directory::new();
    let file = directory.0.join("corelog.toml");
    fs::write(&file, "num.partitions = 3\n").expect("writable");
    let mut check = corelog();
    check.args(["config", "check"]).arg(&file);
    let report = printed(run(check, b""));
    assert!(report.starts_with("num.partitions = 3  ("), "{report}");
    assert!(report.ends_with("\nok\n"), "{report}");

    let mut list = corelog();
    list.args(["config", "list", "-o", "json"]);
    let settings = json(run(list, b""));
    assert!(settings.as_array().expect("an array").iter().any(|row| row["name"] == "data.dir"));
    let mut version = corelog();
    version.arg("--version");
    assert_eq!(printed(run(version, b"")), format!("corelog {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn nobody_at_the_address_is_told() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    for (variable, flags) in [(None, vec!["--bootstrap", &address]), (Some(&address), vec![])] {
        let mut list = corelog();
        list.args(["topic", "list"]).args(flags);
        list.envs(variable.map(|address| ("CORELOG_BOOTSTRAP", address)));
        let words = format!("nothing answers at {address}: is the broker running? corelog start");
        refused(&run(list, b""), 1, &[&words]);
    }
}
