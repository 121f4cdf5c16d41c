//! What stands between the parts of a line.

/// A separator as it is written on the command line: `\t` is a tab.
///
/// # Errors
/// When it is empty.
pub(super) fn parse(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("a separator is at least one character"),
        text => Ok(text.replace("\\t", "\t")),
    }
}

/// What is before and behind the first `separator`.
pub(super) fn split<'a>(line: &'a [u8], separator: &str) -> Option<(&'a [u8], &'a [u8])> {
    let separator = separator.as_bytes();
    let at = line.windows(separator.len()).position(|bytes| bytes == separator)?;
    Some((&line[..at], &line[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_written_with_escapes() {
        assert_eq!(parse("\\t"), Ok("\t".to_owned()));
        assert_eq!(parse("::"), Ok("::".to_owned()));
        assert!(parse("").is_err());
    }

    #[test]
    fn lines_are_split_once() {
        for (line, separator, parts) in [
            ("k:v:w", ":", Some(("k", "v:w"))),
            (":v", ":", Some(("", "v"))),
            ("k::", "::", Some(("k", ""))),
            ("k:v", "::", None),
            ("", ":", None),
        ] {
            let parts = parts.map(|(key, value): (&str, &str)| (key.as_bytes(), value.as_bytes()));
            assert_eq!(split(line.as_bytes(), separator), parts, "{line}");
        }
    }
}
