//! `corelog topic describe`

use std::fmt;

use corelog_wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse,
};
use serde::Serialize;

use crate::cli::client::{ClientArguments, Cluster, EARLIEST, Found, LATEST, Partition, Topic};
use crate::cli::failure::{Failure, check};
use crate::cli::output::{Table, counted, print};

/// Kafka's number for a resource that is a topic.
const TOPIC: i8 = 2;

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Described {
    name: String,
    id: String,
    internal: bool,
    partitions: Vec<PartitionRow>,
    /// Those that are not default.
    configs: Vec<ConfigRow>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct PartitionRow {
    partition: i32,
    leader: Option<i32>,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    /// Null without a leader to ask.
    earliest: Option<i64>,
    /// The offset of the next record.
    latest: Option<i64>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ConfigRow {
    name: String,
    /// Null when it is secret.
    value: Option<String>,
    source: &'static str,
}

pub(super) fn run(name: &str, client: &ClientArguments) -> Result<(), Failure> {
    let mut cluster = Cluster::connect(&client.bootstrap)?;
    let topic = cluster.topic(name)?;
    let led: Vec<i32> = led_partitions(&topic);
    let earliest = cluster.offsets(&topic, &led, EARLIEST)?;
    let latest = cluster.offsets(&topic, &led, LATEST)?;
    let configs = configs(name, cluster.any().call(&configs_request(name))?)?;
    print(client.output, &Described::new(&topic, &earliest, &latest, configs))
}

fn led_partitions(topic: &Topic) -> Vec<i32> {
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    led.map(|partition| partition.index).collect()
}

fn configs_request(name: &str) -> DescribeConfigsRequest {
    DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: TOPIC,
            resource_name: name.into(),
            configuration_keys: None,
        }],
        ..Default::default()
    }
}

fn configs(name: &str, response: DescribeConfigsResponse) -> Result<Vec<ConfigRow>, Failure> {
    let what = || format!("settings of topic `{name}`");
    let Some(topic) = response.results.into_iter().next() else {
        return Err(Failure::NoAnswer { what: what() });
    };
    check(topic.error_code, topic.error_message, what)?;
    let mut rows: Vec<ConfigRow> = topic.configs.into_iter().filter_map(config_row).collect();
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(rows)
}

/// Nothing for a default.
fn config_row(config: DescribeConfigsResourceResult) -> Option<ConfigRow> {
    let source = match config.config_source {
        1 => "topic",
        2 => "broker, dynamic",
        3 => "all brokers, dynamic",
        4 => "broker, static",
        5 => return None,
        _ => "other",
    };
    let value = config.value.filter(|_| !config.is_sensitive).map(String::from);
    Some(ConfigRow { name: String::from(config.name), value, source })
}

impl Described {
    fn new(topic: &Topic, earliest: &Found, latest: &Found, configs: Vec<ConfigRow>) -> Described {
        let row = |partition: &Partition| PartitionRow {
            partition: partition.index,
            leader: partition.leader,
            replicas: partition.replicas.clone(),
            in_sync: partition.in_sync.clone(),
            earliest: earliest.get(&partition.index).copied().flatten(),
            latest: latest.get(&partition.index).copied().flatten(),
        };
        Described {
            name: topic.name.clone(),
            id: topic.id.to_string(),
            internal: topic.internal,
            partitions: topic.partitions.iter().map(row).collect(),
            configs,
        }
    }
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions = counted(self.partitions.len(), "partition");
        let internal = if self.internal { ", internal" } else { "" };
        writeln!(f, "{}: {partitions}, id {}{internal}\n", self.name, self.id)?;
        let head = ["partition", "leader", "replicas", "in sync", "earliest", "latest"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.partitions.iter().map(PartitionRow::words));
        Table(rows).fmt(f)?;
        if !self.configs.is_empty() {
            f.write_str("\n")?;
        }
        for ConfigRow { name, value, source } in &self.configs {
            let value = value.as_deref().unwrap_or("(hidden)");
            write!(f, "\n{name} = {value}  ({source})")?;
        }
        Ok(())
    }
}

impl PartitionRow {
    fn words(&self) -> Vec<String> {
        let number = |number: Option<i64>| number.map_or("-".to_owned(), |n| n.to_string());
        let list = |nodes: &[i32]| nodes.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        vec![
            self.partition.to_string(),
            number(self.leader.map(i64::from)),
            list(&self.replicas),
            list(&self.in_sync),
            number(self.earliest),
            number(self.latest),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::error_code::ErrorCode;
    use corelog_wire::messages::describe_configs::DescribeConfigsResult;
    use corelog_wire::uuid::Uuid;

    fn partition(index: i32, leader: Option<i32>) -> Partition {
        Partition { index, leader, replicas: vec![1, 2], in_sync: vec![1] }
    }

    fn described(configs: Vec<ConfigRow>) -> Described {
        let topic = Topic {
            name: "t".to_owned(),
            id: Uuid([1; 16]),
            internal: false,
            partitions: vec![partition(0, Some(1)), partition(1, None)],
        };
        assert_eq!(led_partitions(&topic), [0]);
        Described::new(&topic, &[(0, Some(3))].into(), &[(0, Some(12))].into(), configs)
    }

    fn answer(configs: Vec<DescribeConfigsResourceResult>) -> DescribeConfigsResponse {
        let result = DescribeConfigsResult { configs, ..Default::default() };
        DescribeConfigsResponse { results: vec![result], ..Default::default() }
    }

    #[test]
    fn partitions_and_settings_are_shown() {
        let config = |name: &str, source, sensitive| DescribeConfigsResourceResult {
            name: name.into(),
            value: Some("v".into()),
            config_source: source,
            is_sensitive: sensitive,
            ..Default::default()
        };
        let response =
            answer(vec![config("z", 1, false), config("a", 5, false), config("b", 4, true)]);
        let described = described(configs("t", response).expect("configs"));
        assert_eq!(
            described.to_string(),
            "t: 2 partitions, id AQEBAQEBAQEBAQEBAQEBAQ\n\n\
             partition  leader  replicas  in sync  earliest  latest\n\
             0          1       1,2       1        3         12\n\
             1          -       1,2       1        -         -\n\n\
             b = (hidden)  (broker, static)\n\
             z = v  (topic)"
        );
        let json = serde_json::to_value(&described).expect("serializes");
        assert_eq!(json["partitions"][0]["latest"], 12);
        assert_eq!(json["partitions"][1]["leader"], serde_json::Value::Null);
        assert_eq!(json["configs"][0]["value"], serde_json::Value::Null);
        assert_eq!(json["configs"][1]["source"], "topic");
    }

    #[test]
    fn without_settings_the_table_ends_it() {
        let text = described(Vec::new()).to_string();
        assert!(text.ends_with("-         -"), "{text}");
    }

    #[test]
    fn a_refusal_is_told() {
        let mut response = answer(Vec::new());
        response.results[0].error_code = ErrorCode::TopicAuthorizationFailed;
        let text = configs("t", response).expect_err("refused").to_string();
        assert!(text.starts_with("settings of topic `t`: "), "{text}");
    }
}
