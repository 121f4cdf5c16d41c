//! What members read: topics by name and by pattern, and whether these have changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use twox_hash::XxHash3_64;

use crate::group::consumer::ConsumerGroup;
use crate::group::history::Cause;
use crate::group::lookup::Lookup;
use crate::group::pattern::{MAX_PATTERN, Pattern};
use crate::group::record::{GroupEpoch, MemberMetadata, Record, ResolvedRegex};
use crate::group::request::{GroupError, Refused};
use crate::group::turn::Turn;
use crate::id::TopicId;
use crate::metadata::Image;

/// Patterns that one group may use.
const MAX_REGEXES: usize = 100;
/// Milliseconds after which a look that was asked for, and has come to nothing, is asked for again.
const LOST_MS: i64 = 10_000;

/// Milliseconds between two looks at all topics because one of them is new. (Kafka: 10,000.)
const RESOLVE_MS: i64 = 1_000;

impl ConsumerGroup {
    /// Topics that exist and that somebody reads who says this of itself.
    pub(super) fn topics_of(&self, metadata: &MemberMetadata, image: &Image) -> BTreeSet<TopicId> {
        let matched = self.regexes.get(&metadata.regex).map(|resolved| &resolved.topics);
        let names = metadata.topics.iter().chain(matched.into_iter().flatten());
        names.filter_map(|name| Some(image.topic(name)?.id)).collect()
    }

    /// Makes the group's epoch rise if it must: members have changed what they read, or the topics
    /// have changed (`hasMetadataExpired`, and what follows from it).
    pub(super) fn refresh(&mut self, changed: Option<Cause>, turn: &mut Turn<'_>) {
        let version = turn.image.topics_version();
        if changed.is_none() && self.compared == Some(version) {
            return;
        }
        let complete = self.look_up(turn);
        let hash = self.topics_hash(turn.image);
        if changed.is_some() || hash != self.hash {
            let value = GroupEpoch { epoch: self.epoch.next(), hash };
            self.write(Record::GroupEpoch(self.id.clone(), Some(value)), turn);
            turn.began(&self.id, changed.unwrap_or(Cause::TopicsChanged));
        }
        self.compared = complete.then_some(version);
    }

    /// A pattern was looked up. Members learn of it with their next heartbeats, as in Kafka.
    pub(crate) fn matched(&mut self, regex: &Arc<str>, found: ResolvedRegex, turn: &mut Turn<'_>) {
        self.looking.remove(regex);
        if !self.is_used(regex) {
            return;
        }
        match self.regexes.get_mut(regex) {
            Some(known) if known.version > found.version => {}
            // Not worth a record.
            Some(known) if known.topics == found.topics => *known = Arc::new(found),
            _ => {
                self.write(Record::Regex(self.id.clone(), regex.clone(), Some(found)), turn);
                self.refresh(Some(Cause::TopicsChanged), turn);
                self.retarget(turn);
            }
        }
    }

    /// What identifies the state of the topics that are read; 0 if there are none. Only ever
    /// compared with itself: Kafka's own number for the same would be another.
    pub(super) fn topics_hash(&self, image: &Image) -> u64 {
        let named = self.members.values().flat_map(|member| &member.metadata.topics);
        let matched = self.regexes.values().flat_map(|resolved| &resolved.topics);
        let names: BTreeSet<&Arc<str>> = named.chain(matched).collect();
        let mut bytes = Vec::new();
        for topic in names.into_iter().filter_map(|name| image.topic(name)) {
            bytes.extend(topic.id.0);
            bytes.extend(topic.partitions.to_be_bytes());
        }
        if bytes.is_empty() { 0 } else { XxHash3_64::oneshot(&bytes) }
    }

    fn is_used(&self, regex: &str) -> bool {
        self.members.values().any(|member| &*member.metadata.regex == regex)
    }

    /// Refuses a pattern that is none. One that is in use already was looked at.
    pub(super) fn check_regex(&self, pattern: &Pattern) -> Result<(), Refused> {
        let regex = pattern.text();
        if regex.is_empty() || self.is_used(regex) {
            return Ok(());
        }
        let patterns: BTreeSet<&Arc<str>> =
            self.members.values().map(|member| &member.metadata.regex).collect();
        if regex.len() > MAX_PATTERN || patterns.len() > MAX_REGEXES {
            let why = format!(
                "SubscribedTopicRegex is longer than {MAX_PATTERN} bytes, or the group uses more \
                 than {MAX_REGEXES} patterns already; subscribe with fewer and shorter ones."
            );
            return Err(Refused::new(GroupError::InvalidRegex, why));
        }
        pattern.fault().map_or(Ok(()), |fault| {
            let why = format!(
                "SubscribedTopicRegex `{regex}` is not a valid regular expression: {fault}."
            );
            Err(Refused::new(GroupError::InvalidRegex, why))
        })
    }

    /// Forgets what patterns match that nobody uses any more.
    pub(super) fn drop_regexes(&mut self, turn: &mut Turn<'_>) {
        let unused: Vec<_> =
            self.regexes.keys().filter(|regex| !self.is_used(regex)).cloned().collect();
        for regex in unused {
            self.write(Record::Regex(self.id.clone(), regex, None), turn);
        }
    }

    /// Has looked up what patterns match that are new, or all when topics have come since; each
    /// again after a while at the soonest. Whether all is known.
    fn look_up(&mut self, turn: &mut Turn<'_>) -> bool {
        let used: BTreeSet<Arc<str>> = self
            .members
            .values()
            .map(|member| member.metadata.regex.clone())
            .filter(|regex| !regex.is_empty())
            .collect();
        let (version, now) = (turn.image.topics_version(), turn.now.wall);
        let mut complete = true;
        for regex in used {
            if let Some(known) = self.regexes.get(&regex) {
                let is_soon = (0..RESOLVE_MS).contains(&(now.0 - known.time.0));
                complete &= known.version == version;
                if known.version == version || is_soon {
                    continue;
                }
            }
            complete = false;
            let asked = self.looking.get(&regex);
            if asked.is_some_and(|asked| (0..LOST_MS).contains(&(now.0 - asked.0))) {
                continue;
            }
            self.looking.insert(regex.clone(), now);
            let (group, image) = (self.id.clone(), turn.image.clone());
            turn.lookups.push(Lookup { group, regex, image, time: now });
        }
        complete
    }
}
