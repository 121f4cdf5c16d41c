//! The command that creates topics, with the broker's defaults and limits.

use corelog_engine::id::TopicId;
use corelog_engine::metadata::Command;
use corelog_engine::metadata::command::{Clamp, CreateTopics, Defaults, Limits, Mode, NewTopic};

use crate::broker::node::Node;
use crate::config::broker::TooManyReplicas;

/// The most partitions of all topics: an idle one costs kilobytes, and every one a manifest record.
pub(crate) const LIMITS: Limits = Limits { partitions: 1_000_000 };

/// The command for these topics.
pub(crate) fn command(node: &Node, topics: Vec<NewTopic>, mode: Mode) -> Command {
    let settings = &node.config.topics;
    Command::CreateTopics(CreateTopics {
        topics,
        mode,
        defaults: Defaults {
            partitions: settings.num_partitions,
            replication_factor: u16::try_from(settings.replication_factor).unwrap_or(u16::MAX),
        },
        clamp: match settings.too_many_replicas {
            TooManyReplicas::Refuse => Clamp::Off,
            TooManyReplicas::Clamp => Clamp::On,
        },
        limits: LIMITS,
    })
}

/// A random topic id. Like Kafka's it starts with no dash, which tools would take for a flag, and
/// is none of the reserved ones.
pub(crate) fn topic_id(node: &Node) -> TopicId {
    loop {
        let id = TopicId(node.shard.random());
        let reserved = id.0[..15] == [0; 15];
        if !reserved && !id.to_string().starts_with('-') {
            return id;
        }
    }
}
