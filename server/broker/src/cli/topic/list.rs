//! `corelog topic list`

use std::fmt;

use serde::Serialize;

use crate::cli::client::{ClientArguments, Cluster, Topic};
use crate::cli::failure::Failure;
use crate::cli::output::{Table, print};

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listed {
    topics: Vec<Row>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    name: String,
    id: String,
    partitions: usize,
    replication_factor: usize,
    /// Written by brokers, not by clients.
    internal: bool,
}

pub(super) fn run(client: &ClientArguments) -> Result<(), Failure> {
    let topics = Cluster::connect(&client.bootstrap)?.topics()?;
    print(client.output, &Listed { topics: topics.iter().map(Row::new).collect() })
}

impl Row {
    fn new(topic: &Topic) -> Row {
        Row {
            name: topic.name.clone(),
            id: topic.id.to_string(),
            partitions: topic.partitions.len(),
            replication_factor: topic.partitions.first().map_or(0, |first| first.replicas.len()),
            internal: topic.internal,
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.topics.is_empty() {
            return f.write_str("no topics");
        }
        let mut rows = vec![["topic", "partitions", "replicas", ""].map(str::to_owned).to_vec()];
        rows.extend(self.topics.iter().map(|row| {
            vec![
                row.name.clone(),
                row.partitions.to_string(),
                row.replication_factor.to_string(),
                if row.internal { "internal".to_owned() } else { String::new() },
            ]
        }));
        Table(rows).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_listed() {
        let row = |name: &str, internal| Row {
            name: name.to_owned(),
            id: "AQEBAQEBAQEBAQEBAQEBAQ".to_owned(),
            partitions: 3,
            replication_factor: 1,
            internal,
        };
        let listed = Listed { topics: vec![row("__consumer_offsets", true), row("t", false)] };
        assert_eq!(
            listed.to_string(),
            "topic               partitions  replicas\n\
             __consumer_offsets  3           1         internal\n\
             t                   3           1"
        );
        let json = serde_json::to_value(&listed).expect("serializes");
        assert_eq!(json["topics"][1]["name"], "t");
        assert_eq!(json["topics"][0]["internal"], true);
        assert_eq!(Listed { topics: Vec::new() }.to_string(), "no topics");
    }
}
