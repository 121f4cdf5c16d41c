//! Patterns of topic names, which are RE2/J's (KIP-848), in the syntax of the `regex` crate.
//!
//! ```text
//! pattern ── translate ──▶ the same language of names, or what RE2/J refuses it for
//! ```
//!
//! The grammar is that of RE2/J's `Parser` with its default flags. Names of topics are ASCII, so
//! only what a pattern says of ASCII matters. All that is written is plain: no flag reaches further
//! than its own atom, and every character that is not a letter or digit is a number, so that
//! nothing has a meaning for the `regex` crate that it had not for RE2/J.

mod checked;
mod class;
mod cursor;
mod escape;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::{fmt, mem};

pub use checked::Pattern;
pub(crate) use checked::{MAX_PATTERN, compile};

use cursor::Cursor;

/// Groups within each other.
const MAX_DEPTH: usize = 50;
/// Times that something may be repeated.
const MAX_COUNT: u32 = 1000;

/// Why something is no pattern. RE2/J's `PatternSyntaxException`, and its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Class,
    OpenClass,
    Escape,
    Backslash,
    Name,
    NameTwice,
    Flags,
    RepeatedTwice,
    Count,
    NothingToRepeat,
    Parenthesis,
    TooDeep,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Class => "invalid character class range",
            Malformed::OpenClass => "missing closing ]",
            Malformed::Escape => "invalid escape sequence",
            Malformed::Backslash => "trailing backslash at end of expression",
            Malformed::Name => "invalid named capture",
            Malformed::NameTwice => "duplicate capture group name",
            Malformed::Flags => "invalid or unsupported Perl syntax",
            Malformed::RepeatedTwice => "invalid nested repetition operator",
            Malformed::Count => "invalid repeat count",
            Malformed::NothingToRepeat => "missing argument to repetition operator",
            Malformed::Parenthesis => "a parenthesis without its counterpart",
            Malformed::TooDeep => "groups are nested too deeply",
        })
    }
}

/// The pattern in the syntax of the `regex` crate, to be matched with a whole name.
///
/// # Errors
/// RE2/J refuses it, or it is too deep.
pub(crate) fn translate(pattern: &str) -> Result<String, Malformed> {
    let mut parser = Parser {
        rest: Cursor::new(pattern),
        flags: Flags::default(),
        group: Group::default(),
        outer: Vec::new(),
        names: BTreeSet::new(),
        repeated: false,
    };
    while let Some(next) = parser.rest.peek() {
        parser.repeated = parser.step(next)?;
    }
    if parser.outer.is_empty() { Ok(parser.group.close()) } else { Err(Malformed::Parenthesis) }
}

/// What `(?ims)` changes. Greed is nothing to whole names.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    fold_case: bool,
    lines: bool,
    dot_is_all: bool,
}

/// A group whose end has not come.
#[derive(Debug, Default)]
struct Group {
    /// Alternatives that are complete, each with its bar.
    before: String,
    /// What follows one another in the one under way, each closed in itself.
    atoms: Vec<String>,
    /// Those outside of it.
    flags: Flags,
}

impl Group {
    fn close(self) -> String {
        let last = self.atoms.concat();
        format!(r"(?:{}{last})", self.before)
    }
}

struct Parser<'a> {
    rest: Cursor<'a>,
    flags: Flags,
    /// The innermost group, the whole pattern at first, and those around it.
    group: Group,
    outer: Vec<Group>,
    names: BTreeSet<&'a str>,
    /// Whether what was read last is an operator that must not be repeated.
    repeated: bool,
}

impl Parser<'_> {
    /// Reads on; says whether that was a repetition, or, for RE2/J, looked like one.
    fn step(&mut self, next: char) -> Result<bool, Malformed> {
        match next {
            '[' => {
                let class = class::bracketed(&mut self.rest)?;
                self.class(class);
                return Ok(false);
            }
            '\\' => return self.escape().map(|()| false),
            '(' if self.rest.starts_with("(?") => return self.special_group().map(|()| false),
            '{' => return self.counted().map(|()| true),
            _ => {}
        }
        self.rest.pop();
        match next {
            '(' => self.open_group()?,
            ')' => self.close_group()?,
            '|' => {
                let done = mem::take(&mut self.group.atoms).concat();
                self.group.before.push_str(&done);
                self.group.before.push('|');
            }
            '*' | '+' | '?' => return self.repeat(&next.to_string()).map(|()| true),
            '^' => self.atom(if self.flags.lines { "(?m:^)" } else { r"\A" }),
            '$' => self.atom(if self.flags.lines { "(?m:$)" } else { r"\z" }),
            '.' => self.atom(if self.flags.dot_is_all { "(?s:.)" } else { "." }),
            other => self.literal(other),
        }
        Ok(false)
    }

    fn atom(&mut self, atom: impl Into<String>) {
        self.group.atoms.push(atom.into());
    }

    fn class(&mut self, class: String) {
        let class = if self.flags.fold_case { format!("(?i:{class})") } else { class };
        self.atom(class);
    }

    fn literal(&mut self, character: char) {
        match self.flags.fold_case && character.is_alphabetic() {
            true => self.atom(format!("(?i:{})", class::number(character as u32))),
            false if character.is_ascii_alphanumeric() => self.atom(character),
            false => self.atom(class::number(character as u32)),
        }
    }

    fn repeat(&mut self, operator: &str) -> Result<(), Malformed> {
        self.rest.eat("?");
        if self.repeated {
            return Err(Malformed::RepeatedTwice);
        }
        let atom = self.group.atoms.pop().ok_or(Malformed::NothingToRepeat)?;
        self.atom(format!("(?:{atom}){operator}"));
        Ok(())
    }

    /// `{n}`, `{n,}`, `{n,m}`; any other brace is itself.
    fn counted(&mut self) -> Result<(), Malformed> {
        let start = self.rest;
        let Some((min, max)) = self.rest.count() else {
            self.rest = start;
            self.rest.pop();
            self.literal('{');
            return Ok(());
        };
        let most = max.unwrap_or(min);
        if min > MAX_COUNT || most > MAX_COUNT || most < min {
            return Err(Malformed::Count);
        }
        self.repeat(&format!("{{{min},{}}}", max.map_or(String::new(), |max| max.to_string())))
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let mut ahead = self.rest;
        ahead.eat("\\");
        let anchor = match ahead.pop() {
            Some('A') => r"\A",
            Some('z') => r"\z",
            Some('b') => r"\b",
            Some('B') => r"\B",
            Some('Q') => {
                self.rest = ahead;
                self.rest.until("\\E").chars().for_each(|quoted| self.literal(quoted));
                return Ok(());
            }
            _ => "",
        };
        if !anchor.is_empty() {
            self.rest = ahead;
            self.atom(format!("(?:{anchor})"));
        } else if let Some(class) = class::escaped(&mut self.rest)? {
            self.class(class);
        } else {
            match escape::single(&mut self.rest)? {
                escape::Code::Char(character) => self.literal(character),
                // No name has it.
                escape::Code::Surrogate(_) => self.atom(class::NOTHING),
            }
        }
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), Malformed> {
        let inner = Group { flags: self.flags, ..Group::default() };
        self.outer.push(mem::replace(&mut self.group, inner));
        if self.outer.len() >= MAX_DEPTH { Err(Malformed::TooDeep) } else { Ok(()) }
    }

    fn close_group(&mut self) -> Result<(), Malformed> {
        let outer = self.outer.pop().ok_or(Malformed::Parenthesis)?;
        let inner = mem::replace(&mut self.group, outer);
        self.flags = inner.flags;
        self.atom(inner.close());
        Ok(())
    }

    /// What begins with `(?`: a group with a name, or flags, or both a group and flags.
    fn special_group(&mut self) -> Result<(), Malformed> {
        if self.rest.eat("(?P<") || self.rest.eat("(?<") {
            return self.named_group();
        }
        self.rest.eat("(?");
        let mut flags = self.flags;
        let (mut on, mut said) = (true, false);
        while let Some(next) = self.rest.pop() {
            match next {
                'i' => flags.fold_case = on,
                'm' => flags.lines = on,
                's' => flags.dot_is_all = on,
                'U' => {}
                '-' if on => {
                    (on, said) = (false, false);
                    continue;
                }
                ':' | ')' if on || said => {
                    if next == ':' {
                        self.open_group()?;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => return Err(Malformed::Flags),
            }
            said = true;
        }
        Err(Malformed::Flags)
    }
}

impl<'a> Parser<'a> {
    fn named_group(&mut self) -> Result<(), Malformed> {
        let name: &'a str = self.rest.until_found(">").ok_or(Malformed::Name)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(Malformed::Name);
        }
        self.open_group()?;
        if self.names.insert(name) { Ok(()) } else { Err(Malformed::NameTwice) }
    }
}
