//! Who reads what: the server-side assignors of consumer groups (KIP-848). Pure: members and
//! topics in, partitions out, in the order of the members.
//!
//! - `uniform`: even numbers, and everyone keeps what it has ([`even`] where all read the same
//!   topics, [`leveled`] where they do not)
//! - `range`: neighbours, the same numbers of every topic, whoever had them before

mod even;
mod leveled;
mod range;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::group::name::{InstanceId, MemberId};
use crate::group::partitions::Partitions;
use crate::id::TopicId;

/// One of them (`group.consumer.assignors`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// `UniformAssignor`.
    Uniform,
    /// `RangeAssignor`.
    Range,
}

/// A member, for an assignor.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) member: &'a MemberId,
    pub(crate) instance: Option<&'a InstanceId>,
    /// Existing topics that it reads.
    pub(crate) topics: Arc<BTreeSet<TopicId>>,
    /// What it was to have before.
    pub(crate) before: &'a Partitions,
}

impl Assignor {
    /// As clients and operators name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Assignor> {
        [Assignor::Uniform, Assignor::Range].into_iter().find(|one| one.name() == name)
    }

    /// Divides the topics' partitions, numbered from 0 to below their counts.
    pub(crate) fn assign(
        self,
        readers: &[Reader<'_>],
        counts: &BTreeMap<TopicId, i32>,
    ) -> Vec<Partitions> {
        let alike = readers.windows(2).all(|pair| pair[0].topics == pair[1].topics);
        match self {
            Assignor::Range => range::assign(readers, counts),
            Assignor::Uniform if alike => even::assign(readers, counts),
            Assignor::Uniform => leveled::assign(readers, counts),
        }
    }
}

#[cfg(test)]
mod tests;
