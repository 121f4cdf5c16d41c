//! A place in a partition, as it is written on the command line.

use std::str::FromStr;

use toml::value::{Date, Datetime, Offset};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The oldest record there is.
    Start,
    /// The next record to come.
    End,
    /// This offset.
    Offset(i64),
    /// The first record that is not older, in milliseconds since 1970.
    Time(i64),
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Place, &'static str> {
        let number = |digits: &str| digits.parse().ok().filter(|number| *number >= 0);
        let place = match (text, text.strip_prefix('@')) {
            ("start" | "earliest", _) => Some(Place::Start),
            ("end" | "latest", _) => Some(Place::End),
            (_, Some(time)) => number(time).map(Place::Time),
            (text, None) => {
                number(text).map(Place::Offset).or_else(|| milliseconds(text).map(Place::Time))
            }
        };
        place.ok_or("not one of start, end, OFFSET, @MILLISECONDS, 2026-01-31T12:00:00Z")
    }
}

/// Since 1970, of a time as RFC 3339 has it; so does TOML.
fn milliseconds(text: &str) -> Option<i64> {
    let Datetime { date, time, offset } = text.parse().ok()?;
    let (date, time) = (date?, time?);
    let east = match offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let minutes = (days(date) * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute) - east;
    let seconds = minutes * 60 + i64::from(time.second.unwrap_or(0));
    let milliseconds = seconds * 1000 + i64::from(time.nanosecond.unwrap_or(0) / 1_000_000);
    (milliseconds >= 0).then_some(milliseconds)
}

/// Since 1970. With March as the first month, leap days come last.
fn days(Date { year, month, day }: Date) -> i64 {
    let (year, month) = match month {
        1 | 2 => (i64::from(year) - 1, i64::from(month) + 9),
        _ => (i64::from(year), i64::from(month) - 3),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + i64::from(day) - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_words_offsets_and_times() {
        for (text, place) in [
            ("start", Some(Place::Start)),
            ("earliest", Some(Place::Start)),
            ("end", Some(Place::End)),
            ("latest", Some(Place::End)),
            ("0", Some(Place::Offset(0))),
            ("12", Some(Place::Offset(12))),
            ("@1700000000000", Some(Place::Time(1_700_000_000_000))),
            ("-1", None),
            ("@-1", None),
            ("@", None),
            ("begin", None),
        ] {
            assert_eq!(text.parse().ok(), place, "{text}");
        }
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (text, milliseconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T23:59:59.999Z", Some(951_868_799_999)),
            ("2000-03-01 00:00:00Z", Some(951_868_800_000)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000_000)),
            ("2023-11-15T00:13:20.25+02:00", Some(1_700_000_000_250)),
            ("2023-11-14T17:13:20-05:00", Some(1_700_000_000_000)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
            // Of which place?
            ("2023-11-14T22:13:20", None),
            ("2023-11-14", None),
            ("2023-02-29T00:00:00Z", None),
            // There is a meaning to negative numbers.
            ("1969-12-31T23:59:59Z", None),
        ] {
            assert_eq!(text.parse().ok(), milliseconds.map(Place::Time), "{text}");
        }
    }
}
