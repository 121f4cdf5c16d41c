//! What a topic's settings mean for its requests, kept as long as the topic stays the same.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use corelog_engine::id::{PartitionIndex, TopicId, TopicPartition};
use corelog_engine::metadata::{Image, Topic};
use corelog_engine::record::{Rules, TimestampRule};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::text::Str;
use corelog_wire::uuid::Uuid;

use crate::config::broker::Config;
use crate::config::topic::{Cleanup, Timestamps, TopicConfig};

/// Topics of which more than this are known are looked up anew.
const CACHED: usize = 10_000;

/// A topic with what its settings mean.
pub(crate) struct KnownTopic {
    pub(crate) topic: Arc<Topic>,
    pub(crate) config: TopicConfig,
}

impl KnownTopic {
    /// What a batch must satisfy to be appended, from a client of this Produce version.
    pub(crate) fn rules(&self, produce_version: i16) -> Rules {
        let compacted = matches!(self.config.cleanup, Cleanup::Compact | Cleanup::CompactAndDelete);
        Rules {
            max_batch_bytes: self.config.max_message_bytes as usize,
            timestamps: match self.config.timestamps {
                Timestamps::LogAppendTime => TimestampRule::LogAppend,
                Timestamps::CreateTime { before_max_ms, after_max_ms } => TimestampRule::Create {
                    before_max_ms: i64::try_from(before_max_ms).unwrap_or(i64::MAX),
                    after_max_ms: i64::try_from(after_max_ms).unwrap_or(i64::MAX),
                },
            },
            compacted,
            zstd_allowed: produce_version >= 7,
            ..Rules::default()
        }
    }

    /// One of its partitions.
    pub(crate) fn partition(&self, index: i32) -> Result<TopicPartition, ErrorCode> {
        partition(&self.topic, index)
    }
}

/// A partition of a topic, if it has it.
pub(crate) fn partition(topic: &Topic, index: i32) -> Result<TopicPartition, ErrorCode> {
    match u32::try_from(index) {
        Ok(number) if number < topic.partitions => {
            Ok(TopicPartition { topic: topic.id, index: PartitionIndex(number) })
        }
        _ => Err(ErrorCode::UnknownTopicOrPartition),
    }
}

/// Finds a topic as a request names it: by id when it gives one, else by name.
pub(crate) fn find(image: &Image, id: Uuid, name: &Str) -> Result<Arc<Topic>, ErrorCode> {
    if id.is_zero() {
        return image.topic(name).cloned().ok_or(ErrorCode::UnknownTopicOrPartition);
    }
    image.topic_by_id(TopicId(id.0)).cloned().ok_or(ErrorCode::UnknownTopicId)
}

/// Known topics of one shard.
pub(crate) struct TopicCache {
    config: Arc<Config>,
    known: RefCell<HashMap<TopicId, Rc<KnownTopic>>>,
}

impl TopicCache {
    pub(crate) fn new(config: Arc<Config>) -> TopicCache {
        TopicCache { config, known: RefCell::new(HashMap::new()) }
    }

    /// What the settings of this topic mean.
    pub(crate) fn get(&self, topic: &Arc<Topic>) -> Rc<KnownTopic> {
        let mut known = self.known.borrow_mut();
        if let Some(found) = known.get(&topic.id).filter(|k| Arc::ptr_eq(&k.topic, topic)) {
            return found.clone();
        }
        if known.len() >= CACHED {
            known.clear();
        }
        let (config, _) = TopicConfig::restore(&self.config, &topic.configs);
        let fresh = Rc::new(KnownTopic { topic: topic.clone(), config });
        known.insert(topic.id, fresh.clone());
        fresh
    }
}
