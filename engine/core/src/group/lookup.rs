//! Which topics a pattern matches: looked up apart from the coordinator, for there may be very many
//! topics, and some patterns take long. Kafka does it in the background too.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::group::name::GroupId;
use crate::group::pattern::compile;
use crate::group::record::ResolvedRegex;
use crate::id::Timestamp;
use crate::metadata::Image;

/// A pattern that is to be looked up.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The group that uses it.
    pub group: GroupId,
    /// The pattern.
    pub regex: Arc<str>,
    /// The topics that there are.
    pub image: Arc<Image>,
    /// When it was asked for.
    pub time: Timestamp,
}

/// A pattern that was looked up.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The group that uses it.
    pub group: GroupId,
    /// The pattern.
    pub regex: Arc<str>,
    /// What it matches.
    pub found: ResolvedRegex,
}

impl Lookup {
    /// Looks at all topics.
    #[must_use]
    pub fn run(self) -> Matched {
        let Lookup { group, regex, image, time } = self;
        let (topics, version) = (matches(&regex, &image), image.topics_version());
        Matched { group, regex, found: ResolvedRegex { topics, version, time } }
    }
}

/// The names of the topics that a pattern matches.
fn matches(regex: &str, image: &Image) -> BTreeSet<Arc<str>> {
    // It was looked at when a member brought it.
    let Ok(regex) = compile(regex) else { return BTreeSet::new() };
    let names = image.topics().map(|topic| &topic.name);
    names.filter(|name| regex.is_match(name)).cloned().collect()
}
