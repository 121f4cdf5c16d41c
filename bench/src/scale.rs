//! Numbers as people read them: three digits, in a unit that fits.

/// A unit, and what values are multiplied with to be told in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) factor: f64,
    pub(crate) unit: String,
}

impl Scale {
    /// A unit in which `typical` is told with few digits.
    pub(crate) fn fitting(unit: &str, typical: f64) -> Scale {
        let (factor, unit) = match unit {
            "us" if typical >= 1e6 => (1e-6, "s"),
            "us" if typical >= 1e3 => (1e-3, "ms"),
            "us" => (1.0, "µs"),
            other => (1.0, other),
        };
        Scale { factor, unit: unit.to_owned() }
    }
}

/// A number with three significant digits, or all those before the point, in groups.
pub(crate) fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let text = format!("{value:.*}", usize::try_from(2 - magnitude).unwrap_or(0).min(9));
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let groups = whole.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    format!("{sign}{}{rest}", groups.collect::<Vec<_>>().join(","))
}

/// As [`digits`], without zeros that say nothing, for the ticks of an axis.
pub(crate) fn brief(value: f64) -> String {
    let text = digits(value);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (0.012_345, "0.0123"),
            (1.0, "1.00"),
            (-12.345, "-12.3"),
            (123.45, "123"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(digits(value), expected, "{value}");
        }
        assert_eq!([0.5, 10.0, 1200.0].map(brief), ["0.5", "10", "1,200"]);
    }

    #[test]
    fn times_change_their_unit() {
        for (unit, typical, expected) in [
            ("us", 999.0, "999 µs"),
            ("us", 1500.0, "1.50 ms"),
            ("us", 2.5e6, "2.50 s"),
            ("MB/s", 2.5e6, "2,500,000 MB/s"),
        ] {
            let scale = Scale::fitting(unit, typical);
            assert_eq!(format!("{} {}", digits(typical * scale.factor), scale.unit), expected);
        }
    }
}
