//! Escapes that stand for one character.

use super::Malformed;
use super::cursor::Cursor;

/// A code point, as a pattern may name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Char(char),
    /// Half of a UTF-16 pair, which is no character.
    Surrogate(u32),
}

impl Code {
    /// The code point with this number, if there is one.
    fn new(number: u32) -> Option<Code> {
        match char::from_u32(number) {
            Some(character) => Some(Code::Char(character)),
            None => (0xd800..0xe000).contains(&number).then_some(Code::Surrogate(number)),
        }
    }

    pub(super) fn number(self) -> u32 {
        match self {
            Code::Char(character) => character as u32,
            Code::Surrogate(number) => number,
        }
    }
}

/// Reads an escape sequence for one character. The cursor is at the backslash.
pub(super) fn single(rest: &mut Cursor<'_>) -> Result<Code, Malformed> {
    rest.eat("\\");
    let number = match rest.pop().ok_or(Malformed::Backslash)? {
        // One digit by itself would refer back to a group.
        '1'..='7' if !rest.peek().is_some_and(|next| next.is_digit(8)) => None,
        first @ '0'..='7' => Some(octal(first, rest)),
        'x' => hexadecimal(rest),
        'a' => Some(0x07),
        't' => Some(0x09),
        'n' => Some(0x0a),
        'v' => Some(0x0b),
        'f' => Some(0x0c),
        'r' => Some(0x0d),
        other => (!other.is_ascii_alphanumeric()).then_some(other as u32),
    };
    number.and_then(Code::new).ok_or(Malformed::Escape)
}

/// Up to three octal digits.
fn octal(first: char, rest: &mut Cursor<'_>) -> u32 {
    let mut number = first.to_digit(8).unwrap_or_default();
    for _ in 0..2 {
        let Some(digit) = rest.peek().and_then(|next| next.to_digit(8)) else { break };
        rest.pop();
        number = number * 8 + digit;
    }
    number
}

/// Two hexadecimal digits, or any number of them in braces.
fn hexadecimal(rest: &mut Cursor<'_>) -> Option<u32> {
    if rest.eat("{") {
        let digits = rest.until_found("}")?;
        let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = digits.trim_start_matches('0');
        return all.then(|| u32::from_str_radix(&format!("0{digits}"), 16).ok())?;
    }
    let (high, low) = (rest.pop()?.to_digit(16)?, rest.pop()?.to_digit(16)?);
    Some(high * 16 + low)
}
