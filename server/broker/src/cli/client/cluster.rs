//! A cluster: its brokers, which of them leads which partition, and a connection to each that was
//! asked.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use super::connection::Connection;
use super::error::ClientError;
use crate::cli::failure::{Failure, check};

/// How long a topic may take to show up: a broker of a cluster learns of a new one with a delay.
const TOPIC_PATIENCE: Duration = Duration::from_secs(1);
const TOPIC_PAUSE: Duration = Duration::from_millis(100);

/// The brokers known so far.
#[derive(Debug)]
pub(in crate::cli) struct Cluster {
    bootstrap: Connection,
    controller: i32,
    /// `HOST:PORT` by number.
    addresses: BTreeMap<i32, String>,
    connections: BTreeMap<i32, Connection>,
}

/// A topic, its partitions in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Topic {
    pub(in crate::cli) name: String,
    /// Zero from brokers that are older than topic ids.
    pub(in crate::cli) id: Uuid,
    pub(in crate::cli) internal: bool,
    pub(in crate::cli) partitions: Vec<Partition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Partition {
    pub(in crate::cli) index: i32,
    pub(in crate::cli) leader: Option<i32>,
    pub(in crate::cli) replicas: Vec<i32>,
    pub(in crate::cli) in_sync: Vec<i32>,
}

impl Cluster {
    /// Connects to the first broker of `HOST:PORT[,HOST:PORT...]` that answers.
    ///
    /// # Errors
    /// That of the last one.
    pub(in crate::cli) fn connect(bootstrap: &str) -> Result<Cluster, ClientError> {
        let mut failure = ClientError::NotAnAddress(bootstrap.to_owned());
        for address in bootstrap.split(',').map(str::trim) {
            match Connection::open(address) {
                Ok(bootstrap) => return Ok(Cluster::new(bootstrap)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn new(bootstrap: Connection) -> Cluster {
        let (addresses, connections) = (BTreeMap::new(), BTreeMap::new());
        Cluster { bootstrap, controller: -1, addresses, connections }
    }

    /// The topic of this name. It is not created.
    ///
    /// # Errors
    /// [`Failure::NoTopic`], after a moment.
    pub(in crate::cli) fn topic(&mut self, name: &str) -> Result<Topic, Failure> {
        let deadline = Instant::now() + TOPIC_PATIENCE;
        loop {
            let wanted = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
            let found = self.metadata(Some(vec![wanted]))?.topics.into_iter().next();
            match found {
                Some(topic) if topic.error_code == ErrorCode::UnknownTopicOrPartition => {
                    if Instant::now() > deadline {
                        return Err(Failure::NoTopic(name.to_owned()));
                    }
                    thread::sleep(TOPIC_PAUSE);
                }
                Some(topic) => {
                    check(topic.error_code, None, || format!("topic `{name}`"))?;
                    return Ok(Topic::new(topic));
                }
                None => return Err(Failure::NoAnswer { what: format!("topic `{name}`") }),
            }
        }
    }

    /// All topics, by name.
    pub(in crate::cli) fn topics(&mut self) -> Result<Vec<Topic>, Failure> {
        let found = self.metadata(None)?.topics;
        let mut topics: Vec<Topic> = found.into_iter().map(Topic::new).collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    fn metadata(
        &mut self,
        topics: Option<Vec<MetadataRequestTopic>>,
    ) -> Result<MetadataResponse, ClientError> {
        // Older brokers create topics that are asked for, whatever one says.
        let oldest_without = 4;
        let can_say = self.bootstrap.version::<MetadataRequest>()? >= oldest_without;
        let request =
            MetadataRequest { topics, allow_auto_topic_creation: !can_say, ..Default::default() };
        let response = self.bootstrap.call(&request)?;
        self.controller = response.controller_id;
        let named =
            |broker: &MetadataResponseBroker| (broker.node_id, address(&broker.host, broker.port));
        self.addresses = response.brokers.iter().map(named).collect();
        Ok(response)
    }

    /// Where a broker is that metadata may not have named yet.
    pub(super) fn learn(&mut self, node: i32, host: &str, port: i32) {
        self.addresses.insert(node, address(host, port));
    }

    /// The numbers of all brokers.
    pub(in crate::cli) fn brokers(&mut self) -> Result<Vec<i32>, ClientError> {
        self.metadata(Some(Vec::new()))?;
        Ok(self.addresses.keys().copied().collect())
    }

    /// The broker of this number, which another has named.
    pub(in crate::cli) fn broker(&mut self, node: i32) -> Result<&mut Connection, ClientError> {
        use std::collections::btree_map::Entry;
        match self.connections.entry(node) {
            Entry::Occupied(connection) => Ok(connection.into_mut()),
            Entry::Vacant(place) => {
                let address = self.addresses.get(&node).ok_or(ClientError::NoBroker(node))?;
                let opened =
                    Connection::open(address).map_err(|error| ClientError::Advertised {
                        node,
                        address: address.clone(),
                        error: Box::new(error),
                    })?;
                Ok(place.insert(opened))
            }
        }
    }

    /// The broker that changes topics.
    pub(in crate::cli) fn controller(&mut self) -> Result<&mut Connection, ClientError> {
        self.metadata(Some(Vec::new()))?;
        self.broker(self.controller)
    }

    /// A broker that answers what any of them can.
    pub(in crate::cli) fn any(&mut self) -> &mut Connection {
        &mut self.bootstrap
    }
}

impl Topic {
    fn new(topic: MetadataResponseTopic) -> Topic {
        let mut partitions: Vec<Partition> =
            topic.partitions.into_iter().map(Partition::new).collect();
        partitions.sort_by_key(|partition| partition.index);
        Topic {
            name: topic.name.map(String::from).unwrap_or_default(),
            id: topic.topic_id,
            internal: topic.is_internal,
            partitions,
        }
    }

    pub(in crate::cli) fn wire_name(&self) -> Str {
        Str::from(self.name.as_str())
    }

    /// The partition of this number.
    ///
    /// # Errors
    /// [`Failure::NoPartition`].
    pub(in crate::cli) fn partition(&self, index: i32) -> Result<&Partition, Failure> {
        let found = self.partitions.iter().find(|partition| partition.index == index);
        found.ok_or_else(|| Failure::NoPartition {
            topic: self.name.clone(),
            partition: index,
            count: self.partitions.len(),
        })
    }

    /// The leader of a partition.
    ///
    /// # Errors
    /// The partition does not exist, or has none.
    pub(in crate::cli) fn leader(&self, index: i32) -> Result<i32, Failure> {
        self.partition(index)?
            .leader
            .ok_or_else(|| Failure::NoLeader { topic: self.name.clone(), partition: index })
    }
}

impl Partition {
    fn new(partition: MetadataResponsePartition) -> Partition {
        Partition {
            index: partition.partition_index,
            leader: (partition.leader_id >= 0).then_some(partition.leader_id),
            replicas: partition.replica_nodes,
            in_sync: partition.isr_nodes,
        }
    }
}

/// Gathers what belongs to partitions by their leaders.
///
/// # Errors
/// A partition has no leader.
pub(in crate::cli) fn by_leader<T>(
    topic: &Topic,
    items: impl IntoIterator<Item = T>,
    partition: impl Fn(&T) -> i32,
) -> Result<BTreeMap<i32, Vec<T>>, Failure> {
    let mut gathered: BTreeMap<i32, Vec<T>> = BTreeMap::new();
    for item in items {
        gathered.entry(topic.leader(partition(&item))?).or_default().push(item);
    }
    Ok(gathered)
}

fn address(host: &str, port: i32) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}
