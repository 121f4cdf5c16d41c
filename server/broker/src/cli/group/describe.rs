//! `corelog group describe`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use corelog_engine::id::Timestamp;
use serde::Serialize;

use super::committed::{self, Committed};
use super::members::{self, Group, Member};
use super::why::{self, Rebalance};
use super::{NOTHING, number, unread, word};
use crate::cli::client::{ClientArguments, Cluster, LATEST, Start, Topic};
use crate::cli::clock;
use crate::cli::failure::Failure;
use crate::cli::output::{Table, print};

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Described {
    name: String,
    #[serde(flatten)]
    group: Group,
    /// Those that are committed or assigned.
    partitions: Vec<Row>,
    /// The last rebalances, the newest last.
    rebalances: Vec<Rebalance>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Row {
    topic: String,
    partition: i32,
    /// The offset of the next record that the group will read.
    committed: Option<i64>,
    /// The offset of the next record that will be written; null without a leader to ask.
    latest: Option<i64>,
    /// In records.
    lag: Option<i64>,
    /// The age of the oldest record that the group has not read.
    lag_seconds: Option<i64>,
    /// The id of the member that reads it.
    member: Option<String>,
}

pub(super) fn run(name: &str, client: &ClientArguments) -> Result<(), Failure> {
    let mut cluster = Cluster::connect(&client.bootstrap)?;
    let group = members::find(&mut cluster, name)?;
    let topics = cluster.topics()?;
    let committed = committed::find(&mut cluster, name, &topics)?;
    let mut partitions = rows(&group.members, &committed);
    for topic in &topics {
        look(&mut cluster, topic, &mut partitions)?;
    }
    let rebalances = why::find(&mut cluster, name, clock::now().0)?;
    print(client.output, &Described { name: name.to_owned(), group, partitions, rebalances })
}

fn rows(members: &[Member], committed: &Committed) -> Vec<Row> {
    let mut readers = BTreeMap::new();
    for member in members {
        for (topic, partitions) in &member.partitions {
            let places = partitions.iter().map(|index| (topic.clone(), *index));
            readers.extend(places.map(|place| (place, &member.id)));
        }
    }
    let places: BTreeSet<&(String, i32)> = committed.keys().chain(readers.keys()).collect();
    let row = |place: &(String, i32)| Row {
        topic: place.0.clone(),
        partition: place.1,
        committed: committed.get(place).copied(),
        member: readers.get(place).map(|id| (*id).clone()),
        ..Row::default()
    };
    places.into_iter().map(row).collect()
}

/// Finds out how far the logs of a topic's partitions reach.
fn look(cluster: &mut Cluster, topic: &Topic, rows: &mut [Row]) -> Result<(), Failure> {
    let mut rows: Vec<&mut Row> = rows.iter_mut().filter(|row| row.can_be_asked(topic)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let partitions: Vec<i32> = rows.iter().map(|row| row.partition).collect();
    let latest = cluster.offsets(topic, &partitions, LATEST)?;
    for row in &mut rows {
        row.reaches(latest.get(&row.partition).copied().flatten());
    }
    let behind: Vec<Start> = rows.iter().filter_map(|row| row.unread()).collect();
    if behind.is_empty() {
        return Ok(());
    }
    let since = unread::since(cluster, topic, &behind)?;
    let now = clock::now();
    for row in &mut rows {
        row.waits_since(since.get(&row.partition).copied(), now);
    }
    Ok(())
}

impl Row {
    /// Whether it is one of the topic's partitions, and has a leader.
    fn can_be_asked(&self, topic: &Topic) -> bool {
        self.topic == topic.name && topic.leader(self.partition).is_ok()
    }

    fn reaches(&mut self, latest: Option<i64>) {
        self.latest = latest;
        let lag = |(latest, committed): (i64, i64)| latest.saturating_sub(committed).max(0);
        self.lag = latest.zip(self.committed).map(lag);
        self.lag_seconds = self.lag.filter(|lag| *lag == 0);
    }

    /// Where what is not read begins.
    fn unread(&self) -> Option<Start> {
        let offset = self.committed.filter(|_| self.lag.is_some_and(|lag| lag > 0))?;
        Some(Start { partition: self.partition, offset })
    }

    fn waits_since(&mut self, since: Option<Timestamp>, now: Timestamp) {
        if let Some(since) = since {
            self.lag_seconds = Some(now.0.saturating_sub(since.0).max(0) / 1000);
        }
    }

    fn words(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            number(self.committed),
            number(self.latest),
            number(self.lag),
            number(self.lag_seconds),
            word(self.member.as_deref()),
        ]
    }
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Group { kind, state, protocol_type, assignor, .. } = &self.group;
        write!(f, "{}: {kind} group, {state}", self.name)?;
        if let Some(protocol_type) = protocol_type.as_ref().filter(|_| *kind == "classic") {
            write!(f, ", protocol type {protocol_type}")?;
        }
        if let Some(assignor) = assignor {
            write!(f, ", assignor {assignor}")?;
        }
        if let (Some(epoch), Some(assigned)) = (self.group.epoch, self.group.assignment_epoch) {
            write!(f, ", epoch {epoch}, assigned in epoch {assigned}")?;
        }
        match self.group.members.as_slice() {
            [] => write!(f, "\n\nno members")?,
            members => write!(f, "\n\n{}", members_table(members))?,
        }
        match self.partitions.as_slice() {
            [] => write!(f, "\n\nnothing committed")?,
            rows => write!(f, "\n\n{}", partitions_table(rows))?,
        }
        match self.rebalances.as_slice() {
            [] => Ok(()),
            rebalances => write!(f, "\n\n{}", rebalances_table(rebalances)),
        }
    }
}

fn rebalances_table(rebalances: &[Rebalance]) -> Table {
    let head = ["rebalance", "seconds ago", "took ms", "moved", "because"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(rebalances.iter().map(|one| {
        vec![
            one.number.map_or("going on".to_owned(), |number| number.to_string()),
            one.seconds_ago.to_string(),
            one.milliseconds.to_string(),
            one.moved.to_string(),
            one.cause.clone(),
        ]
    }));
    Table(rows)
}

fn members_table(members: &[Member]) -> Table {
    let head = ["member", "instance", "client", "host", "epoch", "partitions"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(members.iter().map(|member| {
        vec![
            member.id.clone(),
            word(member.instance.as_deref()),
            member.client.clone(),
            member.host.clone(),
            number(member.epoch.map(i64::from)),
            partitions_words(member),
        ]
    }));
    Table(rows)
}

/// `one:0,1,2 other:0`
fn partitions_words(member: &Member) -> String {
    let list = |indexes: &[i32]| indexes.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let topics = member.partitions.iter().filter(|(_, partitions)| !partitions.is_empty());
    let words: Vec<String> =
        topics.map(|(topic, partitions)| format!("{topic}:{}", list(partitions))).collect();
    if words.is_empty() { NOTHING.to_owned() } else { words.join(" ") }
}

fn partitions_table(partitions: &[Row]) -> Table {
    let head = ["topic", "partition", "committed", "latest", "lag", "lag in s", "member"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(partitions.iter().map(Row::words));
    Table(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::Partition;
    use corelog_wire::uuid::Uuid;

    fn member(id: &str, partitions: &[(&str, &[i32])]) -> Member {
        let topic = |(topic, indexes): &(&str, &[i32])| ((*topic).to_owned(), indexes.to_vec());
        Member {
            id: id.to_owned(),
            instance: None,
            client: "c".to_owned(),
            host: "/127.0.0.1".to_owned(),
            epoch: None,
            partitions: partitions.iter().map(topic).collect(),
        }
    }

    fn group(members: Vec<Member>) -> Group {
        Group {
            kind: "classic",
            state: "Stable".to_owned(),
            protocol_type: Some("consumer".to_owned()),
            assignor: Some("range".to_owned()),
            epoch: None,
            assignment_epoch: None,
            members,
        }
    }

    fn row(committed: Option<i64>) -> Row {
        Row { topic: "t".to_owned(), committed, ..Row::default() }
    }

    fn described(group: Group, committed: &Committed) -> Described {
        let partitions = rows(&group.members, committed);
        Described { name: "g".to_owned(), group, partitions, rebalances: Vec::new() }
    }

    #[test]
    fn what_is_committed_or_assigned_is_shown() {
        let members = vec![member("m-1", &[("t", &[0, 1]), ("u", &[0])]), member("m-2", &[])];
        let place = |topic: &str, partition| (topic.to_owned(), partition);
        let committed = Committed::from([(place("t", 0), 7), (place("gone", 2), 1)]);
        let mut described = described(group(members), &committed);
        described.partitions[1].reaches(Some(10));
        described.partitions[1].waits_since(Some(Timestamp(1_000)), Timestamp(13_999));
        assert_eq!(
            described.to_string(),
            "g: classic group, Stable, protocol type consumer, assignor range\n\n\
             member  instance  client  host        epoch  partitions\n\
             m-1     -         c       /127.0.0.1  -      t:0,1 u:0\n\
             m-2     -         c       /127.0.0.1  -      -\n\n\
             topic  partition  committed  latest  lag  lag in s  member\n\
             gone   2          1          -       -    -         -\n\
             t      0          7          10      3    12        m-1\n\
             t      1          -          -       -    -         m-1\n\
             u      0          -          -       -    -         m-1"
        );
        let json = serde_json::to_value(&described).expect("serializes");
        assert_eq!((&json["name"], &json["type"]), (&"g".into(), &"classic".into()));
        assert_eq!(json["epoch"], serde_json::Value::Null);
        assert_eq!(json["members"][0]["partitions"]["t"], serde_json::json!([0, 1]));
        assert_eq!(json["partitions"][1]["lag"], 3);
        assert_eq!(json["partitions"][1]["lag_seconds"], 12);
        assert_eq!(json["partitions"][0]["member"], serde_json::Value::Null);
    }

    #[test]
    fn a_group_may_have_next_to_nothing() {
        let mut group = group(Vec::new());
        (group.protocol_type, group.assignor) = (None, None);
        let text = described(group, &Committed::new()).to_string();
        assert_eq!(text, "g: classic group, Stable\n\nno members\n\nnothing committed");
    }

    #[test]
    fn a_group_says_why_it_has_rebalanced() {
        let mut described = described(group(Vec::new()), &Committed::new());
        let rebalance = |number| Rebalance {
            seconds_ago: 9,
            number,
            milliseconds: 12,
            moved: 3,
            cause: "member m left".to_owned(),
        };
        described.rebalances = vec![rebalance(Some(2)), rebalance(None)];
        let text = described.to_string();
        let end = "rebalance  seconds ago  took ms  moved  because\n\
                   2          9            12       3      member m left\n\
                   going on   9            12       3      member m left";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn consumer_groups_have_epochs() {
        let mut group = group(Vec::new());
        (group.kind, group.epoch, group.assignment_epoch) = ("consumer", Some(4), Some(3));
        let text = described(group, &Committed::new()).to_string();
        let head = "g: consumer group, Stable, assignor range, epoch 4, assigned in epoch 3\n";
        assert!(text.starts_with(head), "{text}");
    }

    #[test]
    fn lag_is_what_there_is_less_what_is_committed() {
        for (committed, latest, lag, seconds) in [
            (Some(7), Some(10), Some(3), None),
            (Some(10), Some(10), Some(0), Some(0)),
            // The log lost its end, or the topic was made anew.
            (Some(11), Some(10), Some(0), Some(0)),
            (None, Some(10), None, None),
            (Some(7), None, None, None),
        ] {
            let mut row = row(committed);
            row.reaches(latest);
            assert_eq!((row.lag, row.lag_seconds), (lag, seconds), "{committed:?} {latest:?}");
            let unread = row.unread().map(|start| start.offset);
            assert_eq!(unread, committed.filter(|_| lag == Some(3)));
        }
        let mut row = row(Some(7));
        row.reaches(Some(10));
        row.waits_since(None, Timestamp(5_000));
        assert_eq!(row.lag_seconds, None);
        row.waits_since(Some(Timestamp(6_000)), Timestamp(5_000));
        assert_eq!(row.lag_seconds, Some(0), "somebody's clock is ahead");
    }

    #[test]
    fn only_partitions_with_a_leader_are_asked() {
        let partition =
            |index, leader| Partition { index, leader, replicas: Vec::new(), in_sync: Vec::new() };
        let topic = Topic {
            name: "t".to_owned(),
            id: Uuid::ZERO,
            internal: false,
            partitions: vec![partition(0, Some(1)), partition(1, None)],
        };
        let can = |index| Row { partition: index, ..row(None) }.can_be_asked(&topic);
        assert_eq!([can(0), can(1), can(2)], [true, false, false]);
        assert!(!Row { topic: "u".to_owned(), ..row(None) }.can_be_asked(&topic));
    }
}
