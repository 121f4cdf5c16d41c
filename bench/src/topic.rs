//! The topic under load: made if it is missing, with who leads each of its partitions.

use std::collections::BTreeMap;

use clap::Args;
use corelog_wire::api::ApiKey;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use corelog_wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;
use serde::Serialize;

use crate::client::{Address, ClientError, Connection, accepted, persist};
use crate::offsets::{End, offsets};

const UNKNOWN: ErrorCode = ErrorCode::UnknownTopicOrPartition;

/// Which broker and which topic.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct TopicArgs {
    /// Address of any broker of the cluster
    #[arg(long, default_value = "127.0.0.1:9092")]
    pub(crate) bootstrap: Address,
    /// Made if it does not exist
    #[arg(long, default_value = "bench")]
    pub(crate) topic: String,
    /// Partitions of the topic; 1 if it is made, any number if it exists
    #[arg(long)]
    pub(crate) partitions: Option<u32>,
    /// Settings of the topic if it is made, as name=value
    #[arg(long = "topic-config", value_parser = name_and_value)]
    pub(crate) configs: Vec<(String, String)>,
}

impl TopicArgs {
    /// A topic with so many partitions.
    pub(crate) fn of(bootstrap: &Address, topic: &str, partitions: u32) -> TopicArgs {
        TopicArgs {
            bootstrap: bootstrap.clone(),
            topic: topic.to_owned(),
            partitions: Some(partitions),
            configs: Vec::new(),
        }
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or_else(|| format!("`{text}` is not name=value"))?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}

/// Why a topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("topic {topic} has {there} partitions, not {asked}")]
    Partitions { topic: String, there: usize, asked: u32 },
    #[error(
        "{leaders} brokers lead partitions, which takes as many connections, not {connections}"
    )]
    Connections { leaders: usize, connections: usize },
}

/// A topic with its leaders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: Str,
    pub(crate) id: Uuid,
    leaders: BTreeMap<Address, Vec<i32>>,
}

/// What one connection works on: partitions that one broker leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) leader: Address,
    pub(crate) partitions: Vec<i32>,
}

impl Topic {
    /// Finds the topic, or makes it, and waits until its leaders serve it.
    ///
    /// # Errors
    /// It has another number of partitions, or the cluster does not do its part.
    pub(crate) fn prepare(args: &TopicArgs) -> Result<Topic, TopicError> {
        let mut connection = Connection::open(&args.bootstrap)?;
        let mut found = find(&mut connection, args);
        if matches!(found, Err(ClientError::Refused { code, .. }) if code == UNKNOWN) {
            create(&mut connection, args)?;
            found = persist(|| find(&mut connection, args));
        } else if found.is_err() {
            // After a restart leaders come up one after the other.
            found = persist(|| find(&mut connection, args));
        }
        let topic = found?.checked(args)?;
        for share in topic.shares(topic.leaders())? {
            let mut connection = Connection::open(&share.leader)?;
            persist(|| offsets(&mut connection, &topic, &share.partitions, End::Last))?;
        }
        Ok(topic)
    }

    fn checked(self, args: &TopicArgs) -> Result<Topic, TopicError> {
        let there = self.partitions();
        match args.partitions {
            Some(asked) if asked as usize != there => {
                Err(TopicError::Partitions { topic: args.topic.clone(), there, asked })
            }
            _ => Ok(self),
        }
    }

    /// A topic of one broker that does not exist.
    #[cfg(test)]
    pub(crate) fn for_tests(name: &'static str, partitions: i32) -> Topic {
        let leader = Address { host: String::new(), port: 0 };
        let leaders = BTreeMap::from([(leader, (0..partitions).collect())]);
        Topic { name: Str::from_static(name), id: Uuid([7; 16]), leaders }
    }

    /// How many partitions it has.
    pub(crate) fn partitions(&self) -> usize {
        self.leaders.values().map(Vec::len).sum()
    }

    /// How many brokers lead its partitions.
    pub(crate) fn leaders(&self) -> usize {
        self.leaders.len()
    }

    /// Divides the partitions among so many connections. A partition has one connection, unless
    /// there are more connections than partitions.
    ///
    /// # Errors
    /// Fewer connections than leaders.
    pub(crate) fn shares(&self, connections: usize) -> Result<Vec<Share>, TopicError> {
        let leaders = self.enough(connections)?;
        let shares = self.leaders.iter().enumerate().flat_map(|(place, (leader, partitions))| {
            let own = connections / leaders + usize::from(place < connections % leaders);
            (0..own).map(move |nth| Share {
                leader: leader.clone(),
                partitions: dealt(partitions, own, nth),
            })
        });
        Ok(shares.collect())
    }

    /// So many connections, each with all partitions of a leader.
    ///
    /// # Errors
    /// Fewer connections than leaders.
    pub(crate) fn whole_shares(&self, connections: usize) -> Result<Vec<Share>, TopicError> {
        self.enough(connections)?;
        let shares = self.leaders.iter().map(|(leader, partitions)| Share {
            leader: leader.clone(),
            partitions: partitions.clone(),
        });
        Ok(shares.cycle().take(connections).collect())
    }

    fn enough(&self, connections: usize) -> Result<usize, TopicError> {
        let leaders = self.leaders();
        match connections < leaders {
            true => Err(TopicError::Connections { leaders, connections }),
            false => Ok(leaders),
        }
    }
}

/// The `nth` of `hands` equal hands of the partitions; a single one if there are not enough.
fn dealt(partitions: &[i32], hands: usize, nth: usize) -> Vec<i32> {
    let hands = hands.min(partitions.len());
    partitions.iter().copied().skip(nth % hands).step_by(hands).collect()
}

/// The topic, if there is one whose partitions have leaders.
fn find(connection: &mut Connection, args: &TopicArgs) -> Result<Topic, ClientError> {
    let topic = MetadataRequestTopic {
        name: Some(args.topic.as_str().into()),
        ..MetadataRequestTopic::default()
    };
    let response = connection.call(&MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    })?;
    let refused = |code| ClientError::Refused { api: ApiKey::Metadata, code };
    let found = response.topics.first().ok_or(refused(UNKNOWN))?;
    accepted(ApiKey::Metadata, found.error_code)?;
    with_leaders(&response, found).ok_or(refused(ErrorCode::LeaderNotAvailable))
}

fn with_leaders(response: &MetadataResponse, found: &MetadataResponseTopic) -> Option<Topic> {
    let mut leaders: BTreeMap<Address, Vec<i32>> = BTreeMap::new();
    for partition in &found.partitions {
        let broker =
            response.brokers.iter().find(|broker| broker.node_id == partition.leader_id)?;
        let port = u16::try_from(broker.port).ok()?;
        let address = Address { host: broker.host.to_string(), port };
        leaders.entry(address).or_default().push(partition.partition_index);
    }
    leaders.values_mut().for_each(|partitions| partitions.sort_unstable());
    let name = found.name.clone()?;
    (!leaders.is_empty()).then_some(Topic { name, id: found.topic_id, leaders })
}

fn create(connection: &mut Connection, args: &TopicArgs) -> Result<(), ClientError> {
    let configs = args.configs.iter().map(|(name, value)| CreatableTopicConfig {
        name: name.as_str().into(),
        value: Some(value.as_str().into()),
    });
    let topic = CreatableTopic {
        name: args.topic.as_str().into(),
        num_partitions: args.partitions.map_or(1, |count| i32::try_from(count).unwrap_or(i32::MAX)),
        replication_factor: -1,
        configs: configs.collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
    let response = connection.call(&request)?;
    let codes = response.topics.iter().map(|topic| topic.error_code);
    codes
        .filter(|code| *code != ErrorCode::TopicAlreadyExists)
        .try_for_each(|code| accepted(ApiKey::CreateTopics, code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::messages::metadata::{MetadataResponseBroker, MetadataResponsePartition};

    fn topic(leaders: &[(u16, &[i32])]) -> Topic {
        let leaders =
            leaders.iter().map(|(port, partitions)| (address(*port), partitions.to_vec()));
        Topic { name: "t".into(), id: Uuid::ZERO, leaders: leaders.collect() }
    }

    fn address(port: u16) -> Address {
        Address { host: "h".to_owned(), port }
    }

    #[test]
    fn connections_divide_the_partitions_of_their_leader() {
        let one = topic(&[(1, &[0, 1, 2, 3, 4])]);
        let two = topic(&[(1, &[0, 2, 4]), (2, &[1, 3])]);
        let few = topic(&[(1, &[0, 1])]);
        type Shares<'a> = &'a [(u16, &'a [i32])];
        let table: [(&Topic, usize, Shares<'_>); 5] = [
            (&one, 1, &[(1, &[0, 1, 2, 3, 4])]),
            (&one, 2, &[(1, &[0, 2, 4]), (1, &[1, 3])]),
            (&two, 2, &[(1, &[0, 2, 4]), (2, &[1, 3])]),
            (&two, 3, &[(1, &[0, 4]), (1, &[2]), (2, &[1, 3])]),
            (&few, 3, &[(1, &[0]), (1, &[1]), (1, &[0])]),
        ];
        for (topic, connections, expected) in table {
            let shares = topic.shares(connections).expect("enough connections");
            let told: Vec<_> =
                shares.iter().map(|s| (s.leader.port, s.partitions.as_slice())).collect();
            assert_eq!(told, expected, "{connections} connections");
        }
        let whole = two.whole_shares(3).expect("enough connections");
        let told: Vec<_> = whole.iter().map(|s| (s.leader.port, s.partitions.len())).collect();
        assert_eq!(told, [(1, 3), (2, 2), (1, 3)]);
        assert!(two.whole_shares(1).is_err());
        assert!(matches!(two.shares(1), Err(TopicError::Connections { leaders: 2, .. })));
    }

    #[test]
    fn a_topic_is_usable_once_all_partitions_have_leaders() {
        let partition = |partition_index, leader_id| MetadataResponsePartition {
            partition_index,
            leader_id,
            ..MetadataResponsePartition::default()
        };
        let broker = MetadataResponseBroker {
            node_id: 7,
            host: "h".into(),
            port: 1,
            ..MetadataResponseBroker::default()
        };
        for (leader_of_second, expected) in [(7, Some(topic(&[(1, &[0, 1])]))), (-1, None)] {
            let found = MetadataResponseTopic {
                name: Some("t".into()),
                partitions: vec![partition(1, leader_of_second), partition(0, 7)],
                ..MetadataResponseTopic::default()
            };
            let response =
                MetadataResponse { brokers: vec![broker.clone()], ..MetadataResponse::default() };
            assert_eq!(with_leaders(&response, &found), expected);
        }
    }
}
