//! The forms that text may have to have, and the values that are read out of them again.

use std::collections::BTreeSet;

use super::listener::{Address, ListenerSpec};
use super::setting::Form;
use super::value::Invalid;

/// The highest core number that can be listed.
const CORE_MAX: u16 = 1023;

impl Form {
    /// `text`, trimmed, in its canonical spelling.
    pub(super) fn parse(self, text: &str) -> Result<String, Invalid> {
        if text.is_empty() && self != Form::ThrottledReplica {
            return Err(Invalid::Empty);
        }
        if let Form::OneOf(words) = self
            && !words.contains(&text)
        {
            return Err(Invalid::NotOneOf(words));
        }
        let fits = match self {
            Form::Any | Form::OneOf(_) => true,
            Form::ThrottledReplica => text.is_empty() || text == "*" || is_replica(text),
            Form::Listener => return listener(text).ok_or(Invalid::Malformed(self.expected())),
            Form::ProtocolMap => text.split(',').all(is_mapping),
            Form::Cores => cores(text).is_some(),
            Form::Path => !text.contains(',') && !text.contains('\0'),
            Form::ClusterId => {
                text.len() <= 64
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            }
        };
        match fits {
            true => Ok(text.to_owned()),
            false => Err(Invalid::Malformed(self.expected())),
        }
    }

    /// The form, for people.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Form::Any => "some text",
            Form::OneOf(_) => "one of the words",
            Form::ThrottledReplica => "partition:broker, or `*` alone",
            Form::Listener => "NAME://host:port, or host:port",
            Form::ProtocolMap => "NAME:PROTOCOL,NAME:PROTOCOL,...",
            Form::Cores => "\"all\", or numbers and ranges such as 0,1,4-7",
            Form::Path => "one path, without commas",
            Form::ClusterId => "at most 64 letters, digits, - and _",
        }
    }
}

/// The core numbers in `text`, ascending; `None` when it is malformed or names one twice.
/// `all` is an empty list.
pub(super) fn cores(text: &str) -> Option<Vec<u16>> {
    if text == "all" {
        return Some(Vec::new());
    }
    let mut listed = BTreeSet::new();
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if last < first || last > CORE_MAX {
            return None;
        }
        for core in first..=last {
            if !listed.insert(core) {
                return None;
            }
        }
    }
    Some(listed.into_iter().collect())
}

/// The listener names and protocols in `text`, upper case.
pub(super) fn protocol_map(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once(':'));
    pairs.map(|(name, protocol)| (upper(name), upper(protocol))).collect()
}

fn upper(text: &str) -> String {
    text.trim().to_ascii_uppercase()
}

fn is_mapping(text: &str) -> bool {
    text.split_once(':').is_some_and(|(name, protocol)| {
        !name.trim().is_empty() && !protocol.trim().is_empty() && !protocol.contains(':')
    })
}

fn is_replica(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once(':').is_some_and(|(partition, broker)| digits(partition) && digits(broker))
}

fn listener(text: &str) -> Option<String> {
    let spec = ListenerSpec::parse(text)?;
    let Address { host, port } = spec.address;
    match host.contains(':') {
        true => Some(format!("{}://[{host}]:{port}", spec.name)),
        false => Some(format!("{}://{host}:{port}", spec.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let good = [
            (Form::ThrottledReplica, "", ""),
            (Form::Any, "a b", "a b"),
            (Form::ThrottledReplica, "0:1", "0:1"),
            (Form::ThrottledReplica, "*", "*"),
            (Form::Listener, "PLAINTEXT://:9092", "PLAINTEXT://:9092"),
            (Form::Listener, "internal://kafka-1.local:9092", "INTERNAL://kafka-1.local:9092"),
            (Form::Listener, "127.0.0.1:0", "PLAINTEXT://127.0.0.1:0"),
            (Form::Listener, "PLAINTEXT://[::1]:9092", "PLAINTEXT://[::1]:9092"),
            (Form::ProtocolMap, "A:PLAINTEXT, B:SSL", "A:PLAINTEXT, B:SSL"),
            (Form::Cores, "all", "all"),
            (Form::Cores, "0,1,4-7", "0,1,4-7"),
            (Form::Path, "/var/lib/corelog", "/var/lib/corelog"),
            (Form::ClusterId, "MkU3OEVBNTcwNTJENDM2Qk", "MkU3OEVBNTcwNTJENDM2Qk"),
        ];
        for (form, text, expected) in good {
            assert_eq!(form.parse(text).as_deref(), Ok(expected), "{form:?}");
        }
        let bad = [
            (Form::ThrottledReplica, "0"),
            (Form::ThrottledReplica, "a:1"),
            (Form::ThrottledReplica, "0:"),
            (Form::Listener, "PLAINTEXT://localhost"),
            (Form::Listener, "://localhost:9092"),
            (Form::Listener, "PLAINTEXT://a b:9092"),
            (Form::Listener, "PLAINTEXT://localhost:70000"),
            (Form::Listener, "PLAINTEXT://localhost:-1"),
            (Form::Listener, "PLAINTEXT://[::1:9092"),
            (Form::ProtocolMap, "PLAINTEXT"),
            (Form::ProtocolMap, "A:B:C"),
            (Form::ProtocolMap, "A:"),
            (Form::Cores, "some"),
            (Form::Cores, "3-1"),
            (Form::Cores, "1,1"),
            (Form::Cores, "0-1024"),
            (Form::Cores, "1,"),
            (Form::Path, "/a,/b"),
            (Form::ClusterId, "a b"),
        ];
        for (form, text) in bad {
            assert_eq!(form.parse(text), Err(Invalid::Malformed(form.expected())), "{text}");
        }
        assert_eq!(Form::Any.parse(""), Err(Invalid::Empty));
        assert_eq!(Form::OneOf(&["a"]).parse("b"), Err(Invalid::NotOneOf(&["a"])));
    }

    #[test]
    fn cores_are_listed_in_order() {
        assert_eq!(cores("all"), Some(vec![]));
        assert_eq!(cores("4-6,1"), Some(vec![1, 4, 5, 6]));
    }

    #[test]
    fn protocols_are_listed_by_name() {
        let expected =
            [("A", "PLAINTEXT"), ("B", "SSL")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(protocol_map("a:plaintext, B:SSL"), expected);
    }
}
