//! `corelog topic create`

use std::fmt;

use clap::Args;
use corelog_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use serde::Serialize;

use super::TIMEOUT_MS;
use crate::cli::client::{ClientArguments, Cluster};
use crate::cli::failure::{Failure, check};
use crate::cli::output::{counted, print};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Letters, digits, `.`, `_` and `-`
    name: String,
    /// How many partitions [default: the broker's num.partitions]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many brokers have a copy [default: the broker's default.replication.factor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A setting of the topic; may be repeated
    #[arg(long = "config", value_name = "KEY=VALUE", value_parser = pair)]
    configs: Vec<(String, String)>,
    #[command(flatten)]
    client: ClientArguments,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not of the form KEY=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Created {
    name: String,
    /// Brokers older than Kafka 2.8 do not tell.
    id: Option<String>,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut cluster = Cluster::connect(&arguments.client.bootstrap)?;
    let response = cluster.controller()?.call(&request(arguments))?;
    print(arguments.client.output, &created(&arguments.name, response)?)
}

/// -1 leaves the choice to the broker.
fn request(arguments: &Arguments) -> CreateTopicsRequest {
    let config = |(name, value): &(String, String)| CreatableTopicConfig {
        name: name.as_str().into(),
        value: Some(value.as_str().into()),
    };
    CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: arguments.name.as_str().into(),
            num_partitions: arguments.partitions.unwrap_or(-1),
            replication_factor: arguments.replication_factor.unwrap_or(-1),
            assignments: Vec::new(),
            configs: arguments.configs.iter().map(config).collect(),
        }],
        timeout_ms: TIMEOUT_MS,
        validate_only: false,
    }
}

fn created(name: &str, response: CreateTopicsResponse) -> Result<Created, Failure> {
    let what = || format!("topic `{name}` cannot be created");
    let Some(topic) = response.topics.into_iter().next() else {
        return Err(Failure::NoAnswer { what: what() });
    };
    check(topic.error_code, topic.error_message, what)?;
    Ok(Created {
        name: name.to_owned(),
        id: (!topic.topic_id.is_zero()).then(|| topic.topic_id.to_string()),
        partitions: (topic.num_partitions > 0).then_some(topic.num_partitions),
        replication_factor: (topic.replication_factor > 0).then_some(topic.replication_factor),
    })
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "created `{}`", self.name)?;
        if let (Some(partitions), Some(replicas)) = (self.partitions, self.replication_factor) {
            let partitions = counted(partitions.unsigned_abs() as usize, "partition");
            write!(f, " with {partitions}, replication factor {replicas}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::error_code::ErrorCode;
    use corelog_wire::messages::create_topics::CreatableTopicResult;
    use corelog_wire::uuid::Uuid;

    fn answer(result: CreatableTopicResult) -> Result<Created, Failure> {
        created("t", CreateTopicsResponse { topics: vec![result], ..Default::default() })
    }

    #[test]
    fn what_the_broker_chose_is_told() {
        let full = CreatableTopicResult {
            topic_id: Uuid([1; 16]),
            num_partitions: 3,
            replication_factor: 1,
            ..Default::default()
        };
        for (result, text, json) in [
            (
                full,
                "created `t` with 3 partitions, replication factor 1",
                "{\"name\":\"t\",\"id\":\"AQEBAQEBAQEBAQEBAQEBAQ\",\"partitions\":3,\
                 \"replication_factor\":1}",
            ),
            (
                CreatableTopicResult::default(),
                "created `t`",
                r#"{"name":"t","id":null,"partitions":null,"replication_factor":null}"#,
            ),
        ] {
            let created = answer(result).expect("created");
            assert_eq!(created.to_string(), text);
            assert_eq!(serde_json::to_string(&created).expect("serializes"), json);
        }
    }

    #[test]
    fn refusals_are_told() {
        let error_code = ErrorCode::InvalidPartitions;
        let refused = answer(CreatableTopicResult { error_code, ..Default::default() });
        let text = refused.expect_err("refused").to_string();
        assert!(text.starts_with("topic `t` cannot be created: "), "{text}");
        assert!(text.ends_with(" (INVALID_PARTITIONS)"), "{text}");
        let nothing = created("t", CreateTopicsResponse::default());
        assert!(matches!(nothing, Err(Failure::NoAnswer { .. })));
    }

    #[test]
    fn configs_are_pairs() {
        assert_eq!(pair("a = b=c"), Ok(("a".to_owned(), " b=c".to_owned())));
        assert!(pair("a").is_err());
    }
}
