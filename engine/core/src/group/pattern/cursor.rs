//! What is left of a pattern.

/// A place in a pattern. A copy is a look ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    pub(super) fn new(pattern: &'a str) -> Cursor<'a> {
        Cursor(pattern)
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.0.chars().next()
    }

    pub(super) fn pop(&mut self) -> Option<char> {
        let mut rest = self.0.chars();
        let next = rest.next();
        self.0 = rest.as_str();
        next
    }

    pub(super) fn starts_with(&self, text: &str) -> bool {
        self.0.starts_with(text)
    }

    /// Goes past the text if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// What comes before `end`, and goes past that; `None` if there is no such end.
    pub(super) fn until_found(&mut self, end: &str) -> Option<&'a str> {
        let (before, behind) = self.0.split_once(end)?;
        self.0 = behind;
        Some(before)
    }

    /// What comes before `end`, or all that is left.
    pub(super) fn until(&mut self, end: &str) -> &'a str {
        self.until_found(end).unwrap_or_else(|| std::mem::take(&mut self.0))
    }

    /// A count in braces, `{3}`, `{3,}` or `{3,5}`, if that comes next; else the cursor is
    /// anywhere. Numbers that are too large for any count are `u32::MAX`.
    pub(super) fn count(&mut self) -> Option<(u32, Option<u32>)> {
        self.eat("{");
        let min = self.number()?;
        let max = match self.eat(",") {
            false => Some(min),
            true if self.starts_with("}") => None,
            true => Some(self.number()?),
        };
        self.eat("}").then_some((min, max))
    }

    /// A decimal number without zeros before it.
    fn number(&mut self) -> Option<u32> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        let fits = !number.is_empty() && (number.len() == 1 || !number.starts_with('0'));
        fits.then(|| number.parse().unwrap_or(u32::MAX))
    }
}
