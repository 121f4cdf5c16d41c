//! `corelog group reset`

use std::fmt;

use clap::{ArgGroup, Args};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use serde::Serialize;

use super::committed::{self, Committed};
use super::number;
use crate::cli::client::{ClientArguments, Cluster, EARLIEST, Found, LATEST, Topic};
use crate::cli::failure::{Failure, check};
use crate::cli::output::{Table, print};
use crate::cli::place::Place;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("where").required(true))]
pub(in crate::cli) struct Arguments {
    /// The group's name; a group that is not there is made
    name: String,
    /// The topic to go on reading elsewhere
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// Only in this partition
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// Go on at: earliest, latest, an offset, or a time, either @ and milliseconds since 1970 or as
    /// 2026-01-31T12:00:00Z
    #[arg(
        long,
        value_name = "earliest|latest|OFFSET|@MS|TIME",
        value_parser = place,
        group = "where"
    )]
    to: Option<Place>,
    /// Go on so many records later, or earlier with a minus
    #[arg(long, value_name = "N", allow_negative_numbers = true, group = "where")]
    by: Option<i64>,
    /// Only show what would be
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    client: ClientArguments,
}

fn place(text: &str) -> Result<Place, &'static str> {
    let words = "not one of earliest, latest, OFFSET, @MILLISECONDS, 2026-01-31T12:00:00Z";
    text.parse().map_err(|_| words)
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Reset {
    group: String,
    dry_run: bool,
    partitions: Vec<Row>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    topic: String,
    partition: i32,
    /// Null where nothing was committed.
    before: Option<i64>,
    after: i64,
}

/// How far the partitions reach.
struct Ends {
    earliest: Found,
    latest: Found,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut cluster = Cluster::connect(&arguments.client.bootstrap)?;
    let topic = cluster.topic(&arguments.topic)?;
    let partitions = match arguments.partition {
        Some(index) => vec![topic.partition(index)?.index],
        None => topic.partitions.iter().map(|partition| partition.index).collect(),
    };
    let group = arguments.name.as_str();
    let before = committed::find(&mut cluster, group, std::slice::from_ref(&topic))?;
    let ends = Ends {
        earliest: cluster.offsets(&topic, &partitions, EARLIEST)?,
        latest: cluster.offsets(&topic, &partitions, LATEST)?,
    };
    let wanted = match (arguments.to, arguments.by) {
        (Some(place), _) => offsets(&mut cluster, &topic, &partitions, place, &ends)?,
        (None, by) => moved(group, &topic, &partitions, &before, by.unwrap_or(0))?,
    };
    let rows = rows(&topic, &before, &wanted, &ends);
    if !arguments.dry_run {
        let request = |_| request(group, &topic, &rows);
        cluster.ask_coordinator(group, request, |response| outcome(group, &topic, response))?;
    }
    let (group, dry_run) = (group.to_owned(), arguments.dry_run);
    print(arguments.client.output, &Reset { group, dry_run, partitions: rows })
}

/// Where a place is in each partition.
fn offsets(
    cluster: &mut Cluster,
    topic: &Topic,
    partitions: &[i32],
    place: Place,
    ends: &Ends,
) -> Result<Found, Failure> {
    Ok(match place {
        Place::Start => ends.earliest.clone(),
        Place::End => ends.latest.clone(),
        Place::Offset(offset) => partitions.iter().map(|index| (*index, Some(offset))).collect(),
        Place::Time(time) => cluster.offsets(topic, partitions, time)?,
    })
}

/// So many records away from what is committed.
fn moved(
    group: &str,
    topic: &Topic,
    partitions: &[i32],
    before: &Committed,
    by: i64,
) -> Result<Found, Failure> {
    let moved = |index: &i32| match before.get(&(topic.name.clone(), *index)) {
        Some(offset) => Ok((*index, Some(offset.saturating_add(by)))),
        None => Err(Failure::NothingCommitted {
            group: group.to_owned(),
            topic: topic.name.clone(),
            partition: *index,
        }),
    };
    partitions.iter().map(moved).collect()
}

/// Within what there is, as Kafka's tool has it. Where no record is so late, the end is meant.
fn rows(topic: &Topic, before: &Committed, wanted: &Found, ends: &Ends) -> Vec<Row> {
    let end = |found: &Found, index: &i32| found.get(index).copied().flatten();
    let row = |(index, wanted): (&i32, &Option<i64>)| {
        let earliest = end(&ends.earliest, index).unwrap_or(0);
        let latest = end(&ends.latest, index).unwrap_or(earliest);
        Row {
            topic: topic.name.clone(),
            partition: *index,
            before: before.get(&(topic.name.clone(), *index)).copied(),
            after: wanted.unwrap_or(latest).min(latest).max(earliest),
        }
    };
    wanted.iter().map(row).collect()
}

/// Of nobody in particular, which a broker takes while there are no members.
fn request(group: &str, topic: &Topic, rows: &[Row]) -> OffsetCommitRequest {
    let partition = |row: &Row| OffsetCommitRequestPartition {
        partition_index: row.partition,
        committed_offset: row.after,
        committed_metadata: Some("".into()),
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.wire_name(),
            topic_id: topic.id,
            partitions: rows.iter().map(partition).collect(),
        }],
        ..Default::default()
    }
}

fn outcome(group: &str, topic: &Topic, response: OffsetCommitResponse) -> Result<(), Failure> {
    use ErrorCode::{
        FencedMemberEpoch, IllegalGeneration, RebalanceInProgress, StaleMemberEpoch,
        UnknownMemberId,
    };
    let mut partitions = response.topics.into_iter().flat_map(|topic| topic.partitions).peekable();
    if partitions.peek().is_none() {
        return Err(Failure::NoAnswer { what: format!("group `{group}` cannot be reset") });
    }
    partitions.try_for_each(|partition| match partition.error_code {
        UnknownMemberId | IllegalGeneration | RebalanceInProgress | StaleMemberEpoch
        | FencedMemberEpoch => Err(Failure::GroupInUse {
            what: format!("group `{group}` cannot be reset"),
            group: group.to_owned(),
        }),
        code => check(code, None, || {
            let index = partition.partition_index;
            format!("group `{group}` cannot be reset in partition {index} of `{}`", topic.name)
        }),
    })
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["topic", "partition", "before", "after"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.partitions.iter().map(|row| {
            vec![
                row.topic.clone(),
                row.partition.to_string(),
                number(row.before),
                row.after.to_string(),
            ]
        }));
        Table(rows).fmt(f)?;
        f.write_str(if self.dry_run { "\n\nnothing was changed (--dry-run)" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use corelog_wire::header::encode_request;
    use corelog_wire::messages::offset_commit::{
        OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    };
    use corelog_wire::uuid::Uuid;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn topic() -> Topic {
        let (name, id) = ("t".to_owned(), Uuid(*b"sixteen letters."));
        Topic { name, id, internal: false, partitions: Vec::new() }
    }

    fn before() -> Committed {
        Committed::from([(("t".to_owned(), 0), 7)])
    }

    /// Where partition 0, of 5 to 9, is gone on with.
    fn after(wanted: Option<i64>) -> i64 {
        let one = |offset| Found::from([(0, offset)]);
        let ends = Ends { earliest: one(Some(5)), latest: one(Some(9)) };
        let rows = rows(&topic(), &before(), &one(wanted), &ends);
        assert_eq!(rows[0].before, Some(7));
        rows[0].after
    }

    #[test]
    fn there_is_one_place_to_go_on() {
        let parsed = |words: &str| {
            let words = format!("corelog g --topic t {words}");
            let line = Line::try_parse_from(words.split_whitespace());
            line.map(|line| (line.arguments.to, line.arguments.by))
        };
        for (words, expected) in [
            ("--to earliest", (Some(Place::Start), None)),
            ("--to latest", (Some(Place::End), None)),
            ("--to 12", (Some(Place::Offset(12)), None)),
            ("--to @12", (Some(Place::Time(12)), None)),
            ("--to 1970-01-01T00:00:01Z", (Some(Place::Time(1000)), None)),
            ("--by -3", (None, Some(-3))),
            ("--by +3", (None, Some(3))),
            ("--by 3 --dry-run", (None, Some(3))),
        ] {
            assert_eq!(parsed(words).expect(words), expected, "{words}");
        }
        for words in ["", "--to earliest --by 1", "--to nowhere", "--by x"] {
            assert!(parsed(words).is_err(), "{words}");
        }
    }

    #[test]
    fn offsets_stay_within_the_log() {
        for (wanted, expected) in
            [(Some(0), 5), (Some(5), 5), (Some(8), 8), (Some(9), 9), (Some(i64::MAX), 9), (None, 9)]
        {
            assert_eq!(after(wanted), expected, "{wanted:?}");
        }
    }

    #[test]
    fn what_is_committed_is_moved() {
        for (by, expected) in [(1, 8), (-2, 5), (-3, 4), (i64::MAX, i64::MAX)] {
            let moved = moved("g", &topic(), &[0], &before(), by).expect("committed");
            assert_eq!(moved, Found::from([(0, Some(expected))]));
        }
        let failure = moved("g", &topic(), &[0, 1], &before(), 1).expect_err("nothing to move");
        let told = "group `g` has committed nothing in partition 1 of `t`";
        assert!(failure.to_string().starts_with(told), "{failure}");
    }

    #[test]
    fn every_version_names_the_topic() {
        let row = Row { topic: "t".to_owned(), partition: 0, before: None, after: 3 };
        let request = request("g", &topic(), std::slice::from_ref(&row));
        for version in 2..=10 {
            let frame = encode_request(version, 0, None, &request).expect("encodes");
            let bytes = frame.into_bytes().expect("no holes");
            let has_id = bytes.windows(16).any(|bytes| bytes == b"sixteen letters.");
            assert_eq!(has_id, version >= 10, "version {version}");
        }
    }

    #[test]
    fn a_group_with_members_is_told_apart() {
        let answer = |codes: &[ErrorCode]| {
            let partition = |(at, code): (i32, &ErrorCode)| OffsetCommitResponsePartition {
                partition_index: at,
                error_code: *code,
            };
            let topic = OffsetCommitResponseTopic {
                partitions: (0..).zip(codes).map(partition).collect(),
                ..Default::default()
            };
            let response = OffsetCommitResponse { topics: vec![topic], ..Default::default() };
            outcome("g", &super::tests::topic(), response)
        };
        assert!(answer(&[ErrorCode::None, ErrorCode::None]).is_ok());
        for (codes, words) in [
            (&[ErrorCode::UnknownMemberId][..], "`corelog group describe g` shows"),
            (&[], "group `g` cannot be reset"),
            (
                &[ErrorCode::None, ErrorCode::TopicAuthorizationFailed],
                "group `g` cannot be reset in partition 1 of `t`: ",
            ),
        ] {
            let text = answer(codes).expect_err("refused").to_string();
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn before_and_after_are_shown() {
        let row = |partition, before| Row { topic: "t".to_owned(), partition, before, after: 5 };
        let mut reset = Reset {
            group: "g".to_owned(),
            dry_run: false,
            partitions: vec![row(0, Some(7)), row(1, None)],
        };
        let table = "topic  partition  before  after\n\
                     t      0          7       5\n\
                     t      1          -       5";
        assert_eq!(reset.to_string(), table);
        reset.dry_run = true;
        assert_eq!(reset.to_string(), format!("{table}\n\nnothing was changed (--dry-run)"));
        let json = serde_json::to_value(&reset).expect("serializes");
        assert_eq!((&json["group"], &json["dry_run"]), (&"g".into(), &true.into()));
        assert_eq!(json["partitions"][1]["before"], serde_json::Value::Null);
        assert_eq!(json["partitions"][1]["after"], 5);
    }
}
