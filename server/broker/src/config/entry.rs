//! One setting as some source wrote it, before the table has been asked.

use super::problem::Origin;
use super::value::Raw;

/// A name and what was written for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The name, with dots.
    pub(super) name: String,
    /// The value.
    pub(super) raw: Raw,
    /// Where.
    pub(super) origin: Origin,
}
