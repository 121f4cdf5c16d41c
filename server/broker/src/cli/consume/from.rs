//! Where to begin.

use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// The oldest record there is.
    Start,
    /// The next record to come.
    End,
    /// This offset.
    Offset(i64),
    /// The first record that is not older, in milliseconds since 1970.
    Time(i64),
}

impl FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<From, &'static str> {
        let number = |digits: &str| digits.parse().ok().filter(|number| *number >= 0);
        let from = match (text, text.strip_prefix('@')) {
            ("start", _) => Some(From::Start),
            ("end", _) => Some(From::End),
            (_, Some(time)) => number(time).map(From::Time),
            (offset, None) => number(offset).map(From::Offset),
        };
        from.ok_or("not one of start, end, OFFSET, @MILLISECONDS")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_words_offsets_and_times() {
        for (text, from) in [
            ("start", Some(From::Start)),
            ("end", Some(From::End)),
            ("0", Some(From::Offset(0))),
            ("12", Some(From::Offset(12))),
            ("@1700000000000", Some(From::Time(1_700_000_000_000))),
            ("-1", None),
            ("@-1", None),
            ("@", None),
            ("begin", None),
        ] {
            assert_eq!(text.parse().ok(), from, "{text}");
        }
    }
}
