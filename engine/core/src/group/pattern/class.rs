//! Classes of characters: in brackets, and as escapes.

use super::Malformed;
use super::cursor::Cursor;
use super::escape::{self, Code};

/// A class that nothing is in.
pub(super) const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";
const EVERYTHING: &str = r"[\x{0}-\x{10FFFF}]";

/// The POSIX classes of ASCII.
const POSIX: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// The categories and scripts of RE2/J 1.8. Of the latter those that a topic's name may have
/// characters of, and the others, which are read and match nothing of a name.
#[rustfmt::skip]
const UNICODE: &[&str] = &[
    "Any",
    "C", "Cc", "Cf", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd",
    "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z",
    "Zl", "Zp", "Zs",
    "Common", "Latin",
];
#[rustfmt::skip]
pub(super) const NOT_IN_NAMES: &[&str] = &[
    "Cs",
    "Arabic", "Armenian", "Avestan", "Balinese", "Bamum", "Batak", "Bengali", "Bopomofo", "Brahmi",
    "Braille", "Buginese", "Buhid", "Canadian_Aboriginal", "Carian", "Cham", "Cherokee", "Coptic",
    "Cuneiform", "Cypriot", "Cyrillic", "Deseret", "Devanagari", "Egyptian_Hieroglyphs", "Ethiopic",
    "Georgian", "Glagolitic", "Gothic", "Greek", "Gujarati", "Gurmukhi", "Han", "Hangul", "Hanunoo",
    "Hebrew", "Hiragana", "Imperial_Aramaic", "Inherited", "Inscriptional_Pahlavi",
    "Inscriptional_Parthian", "Javanese", "Kaithi", "Kannada", "Katakana", "Kayah_Li", "Kharoshthi",
    "Khmer", "Lao", "Lepcha", "Limbu", "Linear_B", "Lisu", "Lycian", "Lydian", "Malayalam",
    "Mandaic", "Meetei_Mayek", "Mongolian", "Myanmar", "New_Tai_Lue", "Nko", "Ogham", "Ol_Chiki",
    "Old_Italic", "Old_Persian", "Old_South_Arabian", "Old_Turkic", "Oriya", "Osmanya", "Phags_Pa",
    "Phoenician", "Rejang", "Runic", "Samaritan", "Saurashtra", "Shavian", "Sinhala", "Sundanese",
    "Syloti_Nagri", "Syriac", "Tagalog", "Tagbanwa", "Tai_Le", "Tai_Tham", "Tai_Viet", "Tamil",
    "Telugu", "Thaana", "Thai", "Tibetan", "Tifinagh", "Ugaritic", "Unknown", "Vai", "Yi",
];

/// A character, by its number.
pub(super) fn number(character: u32) -> String {
    format!(r"\x{{{character:X}}}")
}

/// A class that is one escape, such as `\d` and `\p{Lu}`, if that comes next.
pub(super) fn escaped(rest: &mut Cursor<'_>) -> Result<Option<String>, Malformed> {
    for (escape, class) in [
        (r"\d", "[0-9]"),
        (r"\D", "[^0-9]"),
        (r"\s", r"[\t\n\f\r\x{20}]"),
        (r"\S", r"[^\t\n\f\r\x{20}]"),
        (r"\w", "[0-9A-Za-z_]"),
        (r"\W", "[^0-9A-Za-z_]"),
    ] {
        if rest.eat(escape) {
            return Ok(Some(class.to_owned()));
        }
    }
    match (rest.eat(r"\p"), rest.eat(r"\P")) {
        (false, false) => Ok(None),
        (_, negated) => unicode(rest, negated).map(Some),
    }
}

/// What follows `\p` or `\P`: a letter, or a name in braces.
fn unicode(rest: &mut Cursor<'_>, mut negated: bool) -> Result<String, Malformed> {
    let mut letter = [0; 4];
    let mut name = match rest.pop().ok_or(Malformed::Class)? {
        '{' => rest.until_found("}").ok_or(Malformed::Class)?,
        other => other.encode_utf8(&mut letter),
    };
    if let Some(rest) = name.strip_prefix('^') {
        (name, negated) = (rest, !negated);
    }
    let sign = if negated { 'P' } else { 'p' };
    match name {
        name if UNICODE.contains(&name) => Ok(format!(r"\{sign}{{{name}}}")),
        name if NOT_IN_NAMES.contains(&name) && negated => Ok(EVERYTHING.to_owned()),
        name if NOT_IN_NAMES.contains(&name) => Ok(NOTHING.to_owned()),
        _ => Err(Malformed::Class),
    }
}

/// A class in brackets, which the cursor is at.
pub(super) fn bracketed(rest: &mut Cursor<'_>) -> Result<String, Malformed> {
    rest.eat("[");
    let negated = rest.eat("^");
    let mut items = String::new();
    // A bracket that comes first is one of the characters.
    let mut first = true;
    while first || !rest.eat("]") {
        first = false;
        items.push_str(&item(rest)?);
    }
    Ok(match (items.is_empty(), negated) {
        (true, false) => NOTHING.to_owned(),
        (true, true) => EVERYTHING.to_owned(),
        (false, false) => format!("[{items}]"),
        (false, true) => format!("[^{items}]"),
    })
}

/// One item of a class: a class itself, a character, or a range of them.
fn item(rest: &mut Cursor<'_>) -> Result<String, Malformed> {
    if rest.starts_with("[:")
        && let Some(class) = posix(rest)?
    {
        return Ok(class);
    }
    if let Some(class) = escaped(rest)? {
        return Ok(class);
    }
    let low = character(rest)?;
    let mut behind = *rest;
    // A hyphen that comes last is one of the characters.
    if !behind.eat("-") || behind.starts_with("]") {
        return Ok(range(low, low));
    }
    *rest = behind;
    let high = character(rest)?;
    if high.number() < low.number() { Err(Malformed::Class) } else { Ok(range(low, high)) }
}

/// `[:name:]`; `None` if no such end comes, when the bracket is a character.
fn posix(rest: &mut Cursor<'_>) -> Result<Option<String>, Malformed> {
    let mut ahead = *rest;
    ahead.eat("[");
    let Some(name) = ahead.until_found(":]") else { return Ok(None) };
    // Of `[:]` the colon is that of the end.
    let name = name.strip_prefix(':').ok_or(Malformed::Class)?;
    if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
        return Err(Malformed::Class);
    }
    *rest = ahead;
    Ok(Some(format!("[:{name}:]")))
}

fn character(rest: &mut Cursor<'_>) -> Result<Code, Malformed> {
    match rest.peek().ok_or(Malformed::OpenClass)? {
        '\\' => escape::single(rest),
        plain => {
            rest.pop();
            Ok(Code::Char(plain))
        }
    }
}

/// The characters of a range; none where both ends are halves of UTF-16 pairs.
fn range(low: Code, high: Code) -> String {
    let low = match low {
        Code::Char(character) => character as u32,
        Code::Surrogate(_) => 0xe000,
    };
    let high = match high {
        Code::Char(character) => character as u32,
        Code::Surrogate(_) => 0xd7ff,
    };
    match low <= high {
        true => format!("{}-{}", number(low), number(high)),
        false => String::new(),
    }
}
