//! Sizes and times as they are written on a command line.

use std::time::Duration;

const SUFFIXES: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("B", 1),
];

/// Bytes: a whole number, alone or with `B`, `KB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let suffix =
        SUFFIXES.iter().find_map(|(name, factor)| Some((text.strip_suffix(name)?, factor)));
    let (digits, factor) = suffix.unwrap_or((text, &1));
    let number: u64 = digits.trim().parse().map_err(|_| format!("`{text}` is not a size"))?;
    number.checked_mul(*factor).ok_or_else(|| format!("`{text}` is too large"))
}

/// A time in seconds, alone or with `s`; or in milliseconds with `ms`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let (digits, per_second) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1e3),
        (None, Some(digits)) => (digits, 1.0),
        (None, None) => (text, 1.0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| format!("`{text}` is not a time"))?;
    Duration::try_from_secs_f64(number / per_second).map_err(|_| format!("`{text}` is not a time"))
}

/// Millions of bytes per second.
pub(crate) fn mb_per_second(bytes: u64, elapsed: Duration) -> f64 {
    bytes as f64 / 1e6 / elapsed.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("100", Some(100)),
            ("100B", Some(100)),
            ("100KiB", Some(102_400)),
            ("100 KB", Some(100_000)),
            ("10GB", Some(10_000_000_000)),
            ("10G", Some(10_000_000_000)),
            ("2MiB", Some(2 << 20)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551615KB", None),
            ("-1", None),
            ("1.5MB", None),
            ("MB", None),
            ("", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, expected) in [
            ("10", Some(10_000)),
            ("10s", Some(10_000)),
            ("0.25", Some(250)),
            ("250ms", Some(250)),
            ("-1", None),
            ("inf", None),
            ("ms", None),
        ] {
            assert_eq!(time(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
    }
}
