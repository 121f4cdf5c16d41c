//! Sizes and times with a suffix: `64MiB`, `7d`.

use super::setting::{GIB, KIB, MIB, Unit};

const SIZES: [(&str, i64); 5] =
    [("TiB", 1024 * GIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];
const TIMES: [(&str, i64); 5] =
    [("d", 24 * HOUR), ("h", HOUR), ("m", 60_000), ("s", 1000), ("ms", 1)];
const HOUR: i64 = 60 * 60_000;

impl Unit {
    /// The suffixes, largest first, and how many of the smallest each is.
    fn suffixes(self) -> &'static [(&'static str, i64)] {
        match self {
            Unit::Count => &[],
            Unit::Bytes => &SIZES,
            Unit::Millis | Unit::Minutes | Unit::Hours => &TIMES,
        }
    }

    /// How many of the smallest suffix one of this unit is.
    fn scale(self) -> i64 {
        match self {
            Unit::Count | Unit::Bytes | Unit::Millis => 1,
            Unit::Minutes => 60_000,
            Unit::Hours => HOUR,
        }
    }

    /// The unit's name; plain things have none.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Unit::Count => None,
            Unit::Bytes => Some("bytes"),
            Unit::Millis => Some("milliseconds"),
            Unit::Minutes => Some("minutes"),
            Unit::Hours => Some("hours"),
        }
    }

    /// How a value of this unit may be written, for people.
    pub(super) fn written(self) -> &'static str {
        match self {
            Unit::Count => "a whole number",
            Unit::Bytes => "a number of bytes, or a number with B, KiB, MiB, GiB or TiB",
            Unit::Millis => "a number of milliseconds, or a number with ms, s, m, h or d",
            Unit::Minutes => "a number of minutes, or a number with m, h or d",
            Unit::Hours => "a number of hours, or a number with h or d",
        }
    }
}

/// Reads `text`, a whole number with or without one of the suffixes of `unit`, as a number of
/// `unit`. `None` when it is neither, does not fit, or is not a whole number of `unit`.
pub(super) fn parse(text: &str, unit: Unit) -> Option<i64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let suffix = &text[number.len()..];
    let count: i64 = number.trim_end().parse().ok()?;
    if suffix.is_empty() {
        return Some(count);
    }
    let (_, scale) = unit.suffixes().iter().find(|(name, _)| *name == suffix)?;
    let smallest = count.checked_mul(*scale)?;
    (smallest % unit.scale() == 0).then(|| smallest / unit.scale())
}

/// `value` with the largest suffix that leaves a whole number.
pub(super) fn pretty(value: i64, unit: Unit) -> String {
    let Some(smallest) = value.checked_mul(unit.scale()) else { return value.to_string() };
    let fits = |(_, scale): &&(&str, i64)| smallest % scale == 0 && smallest / scale != 0;
    match unit.suffixes().iter().find(fits) {
        Some((suffix, scale)) if value > 0 && value != i64::MAX => {
            format!("{}{suffix}", smallest / scale)
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_carry_a_suffix_of_its_unit() {
        let table = [
            ("64MiB", Unit::Bytes, Some(64 << 20)),
            ("64 MiB", Unit::Bytes, Some(64 << 20)),
            ("1TiB", Unit::Bytes, Some(1 << 40)),
            ("17B", Unit::Bytes, Some(17)),
            ("17", Unit::Bytes, Some(17)),
            ("-1", Unit::Bytes, Some(-1)),
            ("+5", Unit::Bytes, Some(5)),
            ("9000000TiB", Unit::Bytes, None),
            ("64mib", Unit::Bytes, None),
            ("64MB", Unit::Bytes, None),
            ("1.5GiB", Unit::Bytes, None),
            ("MiB", Unit::Bytes, None),
            ("", Unit::Bytes, None),
            ("7d", Unit::Millis, Some(604_800_000)),
            ("500ms", Unit::Millis, Some(500)),
            ("10m", Unit::Minutes, Some(10)),
            ("90s", Unit::Minutes, None),
            ("7d", Unit::Hours, Some(168)),
            ("168", Unit::Hours, Some(168)),
            ("30m", Unit::Hours, None),
            ("7d", Unit::Count, None),
            ("7", Unit::Count, Some(7)),
            ("5µs", Unit::Millis, None),
        ];
        for (text, unit, expected) in table {
            assert_eq!(parse(text, unit), expected, "{text} {unit:?}");
        }
    }

    #[test]
    fn a_number_is_shown_with_its_largest_whole_suffix() {
        let table = [
            (1 << 30, Unit::Bytes, "1GiB"),
            (1_048_588, Unit::Bytes, "1048588B"),
            (604_800_000, Unit::Millis, "7d"),
            (1500, Unit::Millis, "1500ms"),
            (168, Unit::Hours, "7d"),
            (0, Unit::Bytes, "0"),
            (-1, Unit::Millis, "-1"),
            (i64::MAX, Unit::Millis, "9223372036854775807"),
            (i64::MAX, Unit::Hours, "9223372036854775807"),
            (3, Unit::Count, "3"),
        ];
        for (value, unit, expected) in table {
            assert_eq!(pretty(value, unit), expected);
        }
    }
}
