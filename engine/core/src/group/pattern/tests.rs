//! The table is what RE2/J 1.8 says, the version of Kafka 4.3; `tests/clients` holds it against
//! that library.

use super::class::NOT_IN_NAMES;
use super::compile;
use super::translate;

const TABLE: &str = include_str!("table.tsv");

#[test]
fn patterns_are_re2js() {
    let mut lines = TABLE.lines();
    let names: Vec<&str> = lines.next().unwrap().split(' ').skip(1).collect();
    let mut rows = 0;
    for line in lines {
        let (pattern, expected) = line.split_once('\t').unwrap();
        let found = match compile(pattern) {
            Err(_) => "!".to_owned(),
            Ok(regex) => {
                let matched: Vec<&str> =
                    names.iter().copied().filter(|name| regex.is_match(name)).collect();
                if matched.is_empty() { "?".to_owned() } else { matched.join(" ") }
            }
        };
        assert_eq!(found, expected, "{pattern} is {:?}", translate(pattern));
        rows += 1;
    }
    assert!(rows > 200, "{rows}");
}

#[test]
fn classes_without_characters_of_names_are_read() {
    for class in NOT_IN_NAMES {
        for (pattern, matches) in
            [(format!(r"\p{{{class}}}"), false), (format!(r"\P{{{class}}}"), true)]
        {
            assert_eq!(compile(&pattern).expect(&pattern).is_match("a"), matches, "{pattern}");
        }
    }
}

#[test]
fn what_takes_too_much_is_refused() {
    for (pattern, fits) in [
        ("(".repeat(49) + &")".repeat(49), true),
        ("(".repeat(50) + &")".repeat(50), false),
        // An operator behind an operator, which the empty quotation parts.
        ("a".to_owned() + &r"*\Q\E".repeat(20), true),
        ("a".to_owned() + &r"*\Q\E".repeat(150), false),
        ("a{1000}".to_owned(), true),
        ("(a{1000}){1000}".to_owned(), false),
    ] {
        assert_eq!(compile(&pattern).is_ok(), fits, "{pattern}");
    }
}
