//! Patterns that are checked, and compiled: both may take milliseconds, so no coordinator does it.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::group::pattern::translate;

/// Bytes of a pattern.
pub(crate) const MAX_PATTERN: usize = 1_000;
/// Bytes that a compiled pattern may take.
const COMPILED_BYTES: usize = 1 << 20;
/// Expressions within each other in a compiled pattern; a group or an operator are up to three.
const MAX_NESTED: u32 = 200;

/// A pattern of names of topics as a member brings it, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    fault: Option<String>,
}

impl Pattern {
    /// Checks a pattern, which may take milliseconds. One that is too long is not looked at.
    #[must_use]
    pub fn new(text: &str) -> Pattern {
        let fault = if text.len() > MAX_PATTERN { None } else { compile(text).err() };
        Pattern { text: text.into(), fault }
    }

    /// As the member wrote it.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Why it is no pattern.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

/// A pattern that a topic's whole name has to match, in time linear in the name's length.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let pattern = translate(pattern).map_err(|malformed| malformed.to_string())?;
    RegexBuilder::new(&format!(r"\A{pattern}\z"))
        .size_limit(COMPILED_BYTES)
        .nest_limit(MAX_NESTED)
        .build()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        for (regex, name, expected) in [
            ("foo*", "fo", true),
            ("foo*", "fooo", true),
            ("foo*", "foobar", false),
            ("a|b", "b", true),
            ("a|b", "ab", false),
            ("a|ab", "ab", true),
            ("", "a", false),
            ("t\\.[0-9]+", "t.17", true),
            ("(?i)T", "t", true),
        ] {
            let found = compile(regex).expect(regex).is_match(name);
            assert_eq!(found, expected, "{regex} {name}");
        }
        for regex in ["[", "a)(b", "(?=a)", "(a)\\1", "a{1000}{1000}", "*"] {
            assert!(compile(regex).is_err(), "{regex}");
        }
    }
}
