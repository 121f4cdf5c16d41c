//! What a scenario asks of `corelog-bench`, as far as it translates to other protocols.
//!
//! Whatever is not known here does not translate, lest a result be of another load than the
//! scenario says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use crate::failure::Failure;
use crate::units;

/// A load that translates.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) test: Test,
    pub(crate) shape: Shape,
    pub(crate) pacing: Pacing,
    /// Load that is not measured, before that which is.
    pub(crate) warm_up: Duration,
    /// How long to measure.
    pub(crate) time: Duration,
    /// The scenario's own words, for the result.
    pub(crate) words: Table,
}

/// Which test of `corelog-bench`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Produce,
    Open,
    Tail,
}

/// What is sent over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) partitions: u32,
    pub(crate) connections: usize,
    /// Messages of a request.
    pub(crate) messages: usize,
    pub(crate) message_bytes: usize,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pacing {
    /// So many requests of each connection under way.
    Closed { in_flight: usize },
    /// So many requests per second of all connections, at most `in_flight` of each.
    Open { rate: u32, order: Order, in_flight: usize },
}

/// Which partition is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    InTurn,
    Random,
}

impl Shape {
    /// Bytes of the messages of a request.
    pub(crate) fn request_bytes(&self) -> u64 {
        self.messages as u64 * self.message_bytes as u64
    }
}

impl Test {
    /// As in the result.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Test::Produce => "produce",
            Test::Open => "open",
            Test::Tail => "tail",
        }
    }
}

impl Plan {
    /// Reads the load of a scenario.
    ///
    /// # Errors
    /// The file cannot be read, or something in it does not translate.
    pub(crate) fn read(path: &Path) -> Result<Plan, Failure> {
        let text = fs::read_to_string(path)
            .map_err(|source| Failure::File { path: path.to_owned(), source })?;
        let wrong = |message| Failure::Scenario { path: path.to_owned(), message };
        let file: Table =
            text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
        if file.contains_key("setup") {
            return Err(untranslatable("a load before the load"));
        }
        match file.get("load") {
            Some(Value::Table(load)) => Plan::translate(load),
            _ => Err(wrong("there is no [load]".to_owned())),
        }
    }

    /// The plan of a load's flags.
    ///
    /// # Errors
    /// Something in them does not translate.
    pub(crate) fn translate(load: &Table) -> Result<Plan, Failure> {
        let mut flags = Flags(load.clone());
        let test = match flags.take("command").as_deref() {
            Some("produce") => Test::Produce,
            Some("open") => Test::Open,
            Some("tail") => Test::Tail,
            other => return Err(untranslatable(&format!("`{}`", other.unwrap_or("nothing")))),
        };
        let plan = Plan {
            test,
            shape: flags.shape(test)?,
            pacing: flags.pacing(test)?,
            warm_up: flags.or("warm-up", Duration::from_secs(1), units::time)?,
            time: flags.or("seconds", Duration::from_secs(10), units::time)?,
            words: load.clone(),
        };
        flags.rest()?;
        Ok(plan)
    }
}

fn untranslatable(what: &str) -> Failure {
    Failure::Untranslatable(format!("{what} does not translate to this protocol"))
}

/// The flags that nobody has asked for yet.
struct Flags(Table);

impl Flags {
    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).map(|value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    fn or<T>(
        &mut self,
        name: &str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let text = self.take(name);
        let parsed = text.map_or(Ok(default), |text| parse(&text));
        parsed.map_err(|message| Failure::Untranslatable(format!("{name}: {message}")))
    }

    fn shape(&mut self, test: Test) -> Result<Shape, Failure> {
        let message_bytes = self.or("record-size", 1024, size)?;
        let default = match test {
            Test::Produce => 100 << 10,
            Test::Open | Test::Tail => message_bytes,
        };
        let batch_bytes = self.or("batch-bytes", default, size)?;
        let messages = (batch_bytes / message_bytes.max(1)).max(1);
        Ok(Shape {
            partitions: self.or("partitions", 1, number)?.max(1),
            connections: self.or("connections", 1, number)?.max(1),
            messages: self.or("records-per-batch", messages, number)?.max(1),
            message_bytes,
        })
    }

    fn pacing(&mut self, test: Test) -> Result<Pacing, Failure> {
        if test == Test::Produce {
            return Ok(Pacing::Closed { in_flight: self.or("in-flight", 5, number)?.max(1) });
        }
        Ok(Pacing::Open {
            rate: self.or("rate", 1000, number)?.max(1),
            order: self.or("order", Order::InTurn, order)?,
            in_flight: self.or("in-flight", usize::MAX, number)?.max(1),
        })
    }

    /// What is left must say nothing, or what holds here anyway.
    fn rest(&mut self) -> Result<(), Failure> {
        for (name, harmless) in [
            ("acks", &["all", "-1"][..]),
            ("compression", &["none"]),
            ("idempotent", &["false"]),
            ("partitions-per-request", &["1"]),
        ] {
            match self.take(name) {
                Some(value) if !harmless.contains(&value.as_str()) => {
                    return Err(untranslatable(&format!("`{name} = {value}`")));
                }
                _ => {}
            }
        }
        self.take("topic");
        self.0.keys().next().map_or(Ok(()), |name| Err(untranslatable(&format!("`{name}`"))))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = units::bytes(text)?;
    usize::try_from(bytes).map_err(|_| format!("`{text}` is too large"))
}

fn order(text: &str) -> Result<Order, String> {
    match text {
        "round-robin" => Ok(Order::InTurn),
        "random" => Ok(Order::Random),
        _ => Err(format!("`{text}` is not an order")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(load: &str) -> Result<Plan, Failure> {
        Plan::translate(&load.parse().expect("TOML"))
    }

    #[test]
    fn loads_translate() {
        let closed = |in_flight| Pacing::Closed { in_flight };
        let open = |rate, order, in_flight| Pacing::Open { rate, order, in_flight };
        for (load, test, [partitions, connections, messages, bytes], pacing) in [
            ("command = 'produce'", Test::Produce, [1, 1, 100, 1024], closed(5)),
            (
                "command = 'produce'\npartitions = 3\nconnections = 2\nin-flight = 7\n\
                 batch-bytes = '1KiB'\nrecord-size = 100\nacks = 'all'\ntopic = 't'",
                Test::Produce,
                [3, 2, 10, 100],
                closed(7),
            ),
            (
                "command = 'open'\nrate = 2000\norder = 'random'\nrecords-per-batch = 4\nacks = -1",
                Test::Open,
                [1, 1, 4, 1024],
                open(2000, Order::Random, usize::MAX),
            ),
            (
                "command = 'tail'\nrate = 10\nrecord-size = '100B'\ncompression = 'none'",
                Test::Tail,
                [1, 1, 1, 100],
                open(10, Order::InTurn, usize::MAX),
            ),
        ] {
            let plan = translate(load).expect(load);
            let shape = Shape {
                partitions: u32::try_from(partitions).expect("a number"),
                connections,
                messages,
                message_bytes: bytes,
            };
            assert_eq!((plan.test, plan.shape, plan.pacing), (test, shape, pacing), "{load}");
        }
        let timed = translate("command = 'open'\nwarm-up = '250ms'\nseconds = 2").expect("a plan");
        assert_eq!((timed.warm_up.as_millis(), timed.time.as_secs()), (250, 2));
    }

    #[test]
    fn what_does_not_translate_is_named() {
        for (load, named) in [
            ("command = 'fetch'", "`fetch`"),
            ("partitions = 1", "`nothing`"),
            ("command = 'produce'\nacks = 0", "`acks = 0`"),
            ("command = 'produce'\ncompression = 'lz4'", "`compression = lz4`"),
            ("command = 'produce'\nidempotent = true", "`idempotent = true`"),
            ("command = 'produce'\ntopic-config = ['a=b']", "`topic-config`"),
            ("command = 'produce'\nrate = 1", "`rate`"),
            ("command = 'open'\nrate = 'x'", "rate: `x`"),
            ("command = 'open'\norder = 'x'", "order: `x`"),
        ] {
            match translate(load) {
                Err(Failure::Untranslatable(line)) => assert!(line.starts_with(named), "{line}"),
                other => panic!("{load}: {other:?}"),
            }
        }
    }
}
