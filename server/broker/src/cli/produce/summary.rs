//! What was written where.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::send::Written;
use crate::cli::output::{Table, counted};

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    topic: String,
    records: usize,
    #[serde(serialize_with = "rows")]
    partitions: BTreeMap<i32, Share>,
}

/// What one partition got. Records of others may lie between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Share {
    partition: i32,
    records: usize,
    /// Null where nobody acknowledges.
    first_offset: Option<i64>,
    last_offset: Option<i64>,
}

fn rows<S: serde::Serializer>(shares: &BTreeMap<i32, Share>, out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(shares.values())
}

impl Summary {
    pub(super) fn new(topic: &str) -> Summary {
        Summary { topic: topic.to_owned(), records: 0, partitions: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, batches: &[Written]) {
        for batch in batches {
            let Written { partition, records, first_offset } = *batch;
            let share = self.partitions.entry(partition).or_insert(Share {
                partition,
                records: 0,
                first_offset,
                last_offset: None,
            });
            self.records += records;
            share.records += records;
            share.last_offset = first_offset.map(|first| first + records as i64 - 1);
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let acknowledged = self.partitions.values().all(|share| share.first_offset.is_some());
        let done = if acknowledged { "written" } else { "sent" };
        write!(f, "{} {done} to `{}`", counted(self.records, "record"), self.topic)?;
        if self.partitions.is_empty() {
            return Ok(());
        }
        let offset = |offset: Option<i64>| offset.map_or("-".to_owned(), |o| o.to_string());
        let head = ["partition", "records", "first offset", "last offset"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.partitions.values().map(|share| {
            vec![
                share.partition.to_string(),
                share.records.to_string(),
                offset(share.first_offset),
                offset(share.last_offset),
            ]
        }));
        write!(f, "\n{}", Table(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let mut summary = Summary::new("t");
        assert_eq!(summary.to_string(), "0 records written to `t`");
        let written =
            |partition, records, first_offset| Written { partition, records, first_offset };
        summary.add(&[written(0, 3, Some(10))]);
        assert!(summary.to_string().starts_with("3 records written to `t`\n"), "{summary}");
        summary.add(&[written(2, 1, None), written(0, 2, Some(20))]);
        assert_eq!(
            summary.to_string(),
            "6 records sent to `t`\n\
             partition  records  first offset  last offset\n\
             0          5        10            21\n\
             2          1        -             -"
        );
        assert_eq!(
            serde_json::to_string(&summary).expect("serializes"),
            r#"{"topic":"t","records":6,"partitions":["#.to_owned()
                + r#"{"partition":0,"records":5,"first_offset":10,"last_offset":21},"#
                + r#"{"partition":2,"records":1,"first_offset":null,"last_offset":null}]}"#
        );
    }
}
