//! A rough reading of Rust source: code without comments and strings, functions with their lengths.
//! Good enough to count and to find words; not a parser.

/// One source file.
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Whether all of it is tests.
    pub(crate) fn is_test(&self) -> bool {
        let path = &self.path;
        path.ends_with("tests.rs") || path.contains("/tests/") || path.starts_with("tests/")
    }

    /// Lines before the inline tests.
    pub(crate) fn lines_outside_tests(&self) -> usize {
        let inline = |line: &str| line.starts_with("mod tests {");
        self.text.lines().take_while(|line| !inline(line)).count()
    }

    /// Numbered lines with comments and the contents of strings blanked.
    pub(crate) fn code_lines(&self) -> Vec<(usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        lines.map(|(number, line)| (number, code_of(line))).collect()
    }

    /// Functions with the number of lines from `fn` to the closing brace, told by indentation,
    /// which the formatter guarantees.
    pub(crate) fn functions(&self) -> Vec<(String, usize)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut found = Vec::new();
        for (start, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = &line[..line.len() - line.trim_start().len()];
            let close = format!("{indent}}}");
            let body = &lines[start..];
            if line.ends_with(';') || line.ends_with('}') {
                continue;
            }
            let end = body.iter().position(|line| **line == close);
            found.push((name.to_owned(), end.unwrap_or(0) + 1));
        }
        found
    }
}

/// A line up to its comment. A `//` within a string is taken for one: words behind it are not seen.
fn code_of(line: &str) -> &str {
    let line = line.find("//").map_or(line, |at| &line[..at]);
    if line.trim_start().starts_with("#[doc") { "" } else { line }
}

fn function_name(line: &str) -> Option<&str> {
    let code = code_of(line).trim_start();
    let at = code.find("fn ").filter(|at| {
        let before = &code[..*at];
        let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
        before.split_whitespace().all(|word| qualifiers.contains(&word))
    })?;
    code[at + 3..].split(['(', '<']).next()
}

/// Whether a line has a word: not as part of a longer identifier, nor inside a string.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let quotes = line[..at].matches('"').count();
        let before = part(line[..at].chars().next_back());
        let after = part(line[at + word.len()..].chars().next());
        quotes.is_multiple_of(2) && !before && !after
    })
}

#[test]
fn words_and_functions_are_found() {
    assert!(has_word("let x = await { 1 };", "await"));
    assert!(!has_word("#[deny(await_code)]", "await"));
    assert!(!has_word("let x = \"await\";", "await"));
    let text = "fn one() {\n    a();\n}\n    pub(crate) async fn two<T>() {\n        b();\n    }\n";
    let source = Source { path: String::new(), text: text.to_owned() };
    assert_eq!(source.functions(), [("one".to_owned(), 3), ("two".to_owned(), 3)]);
}
