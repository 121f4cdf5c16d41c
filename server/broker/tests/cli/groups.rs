//! `corelog group`, of groups with and without members.

use serde_json::{Value, json};

use crate::broker::{Broker, Directory};
use crate::member::Member;
use crate::{json, printed, refused, text};

/// With a topic `t` of two partitions, and three records in the first.
fn broker(directory: &Directory) -> Broker {
    let broker = Broker::start(directory);
    printed(broker.ask(&["topic", "create", "t", "--partitions", "2"]));
    printed(broker.feed(&["produce", "t", "--partition", "0"], b"a\nb\nc\n"));
    broker
}

/// What both partitions are gone on with.
#[track_caller]
fn reset(broker: &Broker, arguments: &[&str]) -> Value {
    let reset = ["group", "reset", "g", "--topic", "t", "-o", "json"];
    let mut found = json(broker.ask(&[&reset, arguments].concat()));
    let rows = found["partitions"].as_array_mut().expect("an array");
    Value::Array(rows.iter_mut().map(|row| row["after"].take()).collect())
}

#[test]
fn a_group_is_made_by_a_reset_listed_described_and_deleted() {
    let directory = Directory::new();
    let broker = broker(&directory);
    assert_eq!(printed(broker.ask(&["group", "list"])), "no groups\n");
    refused(&broker.ask(&["group", "describe", "g"]), 1, &["there is no group `g`"]);
    let reset = ["group", "reset", "g", "--topic", "t", "--to", "earliest"];
    let dry = printed(broker.ask(&[&reset[..], &["--dry-run"]].concat()));
    assert!(
        dry.ends_with("\nt      1          -       0\n\nnothing was changed (--dry-run)\n"),
        "{dry}"
    );
    assert_eq!(printed(broker.ask(&["group", "list"])), "no groups\n");

    let told = printed(broker.ask(&reset));
    let rows = "t      0          -       0\nt      1          -       0\n";
    assert_eq!(told, format!("topic  partition  before  after\n{rows}"));
    let listed = json(broker.ask(&["group", "list", "-o", "json"]));
    let expected = json!({"name": "g", "protocol_type": null, "type": "classic", "state": "Empty"});
    assert_eq!(listed["groups"], json!([expected]));
    for (filter, is_listed) in [
        (["--state", "empty,Stable"], true),
        (["--state", "Stable"], false),
        (["--type", "classic"], true),
        (["--type", "consumer"], false),
    ] {
        let listed = printed(broker.ask(&[&["group", "list"], &filter[..]].concat()));
        assert_eq!(listed.contains("\ng "), is_listed, "{filter:?} {listed}");
    }

    let described = json(broker.ask(&["group", "describe", "g", "-o", "json"]));
    assert_eq!((&described["type"], &described["state"]), (&"classic".into(), &"Empty".into()));
    let (first, second) = (&described["partitions"][0], &described["partitions"][1]);
    assert_eq!((&first["committed"], &first["latest"]), (&0.into(), &3.into()));
    assert_eq!(first["lag"], 3);
    assert!(first["lag_seconds"].as_i64().is_some_and(|age| age < 60), "{first}");
    assert_eq!((&second["lag"], &second["lag_seconds"]), (&0.into(), &0.into()));

    let deleted = broker.ask(&["group", "delete", "none", "g", "nothing"]);
    refused(&deleted, 1, &["there is no group `none`", "there is no group `nothing`"]);
    assert_eq!(text(&deleted.stdout), "deleted `g`\n");
    assert_eq!(printed(broker.ask(&["group", "list"])), "no groups\n");
}

#[test]
fn a_reset_goes_everywhere_within_the_log() {
    let directory = Directory::new();
    let broker = broker(&directory);
    let reset = |arguments: &[&str]| reset(&broker, arguments);
    let by = ["group", "reset", "g", "--topic", "t", "--by", "1"];
    refused(&broker.ask(&by), 1, &["`g` has committed nothing in partition 0 of `t`", "--to"]);
    assert_eq!(reset(&["--to", "latest"]), json!([3, 0]));
    assert_eq!(reset(&["--by", "-2"]), json!([1, 0]));
    assert_eq!(reset(&["--by", "1", "--dry-run"]), json!([2, 0]));
    assert_eq!(reset(&["--by", "+1", "--partition", "0"]), json!([2]));
    assert_eq!(reset(&["--to", "99"]), json!([3, 0]));
    assert_eq!(reset(&["--to", "1"]), json!([1, 0]));
    assert_eq!(reset(&["--to", "2020-01-01T00:00:00Z"]), json!([0, 0]));
    assert_eq!(reset(&["--to", "2100-01-01T00:00:00Z"]), json!([3, 0]));
    let described = json(broker.ask(&["group", "describe", "g", "-o", "json"]));
    assert_eq!(described["partitions"][0]["committed"], 3);
    for (arguments, words) in [
        (["--topic", "nothing"], "there is no topic `nothing`"),
        (["--topic=t", "--partition=7"], "topic `t` has no partition 7"),
    ] {
        let reset = ["group", "reset", "g", "--to", "earliest"];
        refused(&broker.ask(&[&reset, &arguments[..]].concat()), 1, &[words]);
    }
}

/// Where members are, nothing is reset or deleted.
#[track_caller]
fn is_in_use(broker: &Broker) {
    let words = ["it has members", "`corelog group describe g` shows"];
    refused(&broker.ask(&["group", "reset", "g", "--topic", "t", "--to", "latest"]), 1, &words);
    let dry = ["group", "reset", "g", "--topic", "t", "--to", "latest", "--dry-run"];
    printed(broker.ask(&dry));
    refused(&broker.ask(&["group", "delete", "g"]), 1, &words);
}

#[test]
fn members_of_classic_groups_are_shown_and_in_the_way() {
    let directory = Directory::new();
    let broker = broker(&directory);
    assert_eq!(reset(&broker, &["--to", "1", "--partition", "0"]), json!([1]));
    // Partitions 1 and 0 of `t`.
    let assignment = b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x01\0\0\0\0\xff\xff\xff\xff";
    let member = Member::classic(broker.address(), "g", assignment);
    let described = json(broker.ask(&["group", "describe", "g", "-o", "json"]));
    assert_eq!((&described["type"], &described["state"]), (&"classic".into(), &"Stable".into()));
    assert_eq!(described["protocol_type"], "consumer");
    assert_eq!(described["assignor"], "range");
    assert_eq!(described["members"][0]["id"], member.id);
    assert_eq!(described["members"][0]["client"], "test");
    assert_eq!(described["members"][0]["partitions"], json!({"t": [0, 1]}));
    let (first, second) = (&described["partitions"][0], &described["partitions"][1]);
    assert_eq!((&first["lag"], &first["member"]), (&2.into(), &member.id.as_str().into()));
    assert_eq!((&second["committed"], &second["latest"]), (&Value::Null, &0.into()));
    is_in_use(&broker);
    member.leave();
    assert_eq!(reset(&broker, &["--to", "earliest"]), json!([0, 0]));
    assert_eq!(printed(broker.ask(&["group", "delete", "g"])), "deleted `g`\n");
}

#[test]
fn members_of_consumer_groups_are_shown_and_in_the_way() {
    let directory = Directory::new();
    let broker = broker(&directory);
    let member = Member::consumer(broker.address(), "g", "t");
    let listed = json(broker.ask(&["group", "list", "-o", "json", "--type", "Consumer"]));
    let expected = json!({
        "name": "g", "protocol_type": "consumer", "type": "consumer", "state": "Stable"
    });
    assert_eq!(listed["groups"], json!([expected]));
    let described = json(broker.ask(&["group", "describe", "g", "-o", "json"]));
    assert_eq!(described["type"], "consumer");
    assert_eq!(described["assignor"], "uniform");
    let epoch = described["epoch"].as_i64().expect("an epoch");
    assert_eq!(described["assignment_epoch"], epoch);
    assert_eq!(described["members"][0]["epoch"], epoch);
    assert_eq!(described["members"][0]["partitions"], json!({"t": [0, 1]}));
    assert_eq!(described["partitions"][1]["member"], member.id);
    let why = &described["rebalances"][0];
    let cause = why["cause"].as_str().expect("a cause");
    assert!(cause.contains(&member.id) && cause.ends_with("joined"), "{cause}");
    assert_eq!((&why["number"], &why["moved"]), (&epoch.into(), &2.into()));
    let words = printed(broker.ask(&["group", "describe", "g"]));
    let head = format!("g: consumer group, Stable, assignor uniform, epoch {epoch}, ");
    assert!(words.starts_with(&head), "{words}");
    is_in_use(&broker);
    member.leave();
    assert_eq!(reset(&broker, &["--to", "latest"]), json!([3, 0]));
    assert_eq!(printed(broker.ask(&["group", "delete", "g"])), "deleted `g`\n");
}
