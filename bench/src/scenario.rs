//! A scenario: a file that says which load is put on which systems, in the words of the command
//! line. It can say nothing that the command line cannot.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::claims::{Claim, Goal};
use crate::failure::Failure;
use crate::units;

const COMMAND: &str = "command";
/// What a load can be.
const COMMANDS: [&str; 8] = ["produce", "open", "fetch", "tail", "mixed", "ramp", "groups", START];
/// The one that starts brokers itself.
const START: &str = "start";

/// A scenario file.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// That of the file.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    text: String,
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    title: String,
    claim: String,
    #[serde(default)]
    systems: Vec<String>,
    /// Whether it is among those that tell quickly that everything works.
    #[serde(default)]
    quick: bool,
    /// For those who judge results.
    #[serde(default, rename = "goal")]
    goals: Vec<Goal>,
    load: Load,
    setup: Option<Load>,
}

/// Flags by their names, and the command that they are for.
type Load = BTreeMap<Spanned<String>, Spanned<Value>>;

/// Which of a scenario's two loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Runs before, and is not measured.
    Setup,
    Load,
}

/// How long a load goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Full,
    /// A quarter of all times and bytes.
    Quick,
}

/// A command line without the program's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) command: String,
    pub(crate) flags: Vec<String>,
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// There is none, or it is no scenario.
    pub(crate) fn read(path: &Path) -> Result<Scenario, Failure> {
        let text = fs::read_to_string(path)
            .map_err(|source| Failure::File { path: path.to_owned(), source })?;
        Scenario::parse(path, text)
    }

    /// The scenario that is written in a file of that name.
    ///
    /// # Errors
    /// It is none, or is to be better than a system that it is not run with.
    pub(crate) fn parse(path: &Path, text: String) -> Result<Scenario, Failure> {
        let wrong = |what| Failure::Scenario { path: path.to_owned(), what };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let content: Content = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let mut against = content.goals.iter().filter_map(|goal| goal.against.as_ref());
        match against.find(|rival| !content.systems.contains(rival)) {
            Some(rival) => Err(wrong(format!("a goal is against `{rival}`, none of `systems`"))),
            None => Ok(Scenario { name, path: path.to_owned(), text, content }),
        }
    }

    /// Reads the files of a folder in the order of their names; of these only, if there are any.
    ///
    /// # Errors
    /// As [`Scenario::read`].
    pub(crate) fn all(folder: &Path, names: &[String]) -> Result<Vec<Scenario>, Failure> {
        let mut paths: Vec<PathBuf> =
            names.iter().map(|name| folder.join(format!("{name}.toml"))).collect();
        if names.is_empty() {
            let entries = fs::read_dir(folder)
                .map_err(|source| Failure::File { path: folder.to_owned(), source })?;
            let files = entries.flatten().map(|entry| entry.path());
            paths.extend(files.filter(|path| path.extension().is_some_and(|e| e == "toml")));
            paths.sort();
        }
        paths.iter().map(|path| Scenario::read(path)).collect()
    }

    /// What it is to show.
    pub(crate) fn claim(self) -> Claim {
        let Content { title, claim, systems, goals, .. } = self.content;
        Claim { name: self.name, title, claim, systems, goals }
    }

    pub(crate) fn title(&self) -> &str {
        &self.content.title
    }

    /// Who it is run with, beside Corelog.
    pub(crate) fn systems(&self) -> &[String] {
        &self.content.systems
    }

    /// Whether it is among those that tell quickly that everything works.
    pub(crate) fn is_quick(&self) -> bool {
        self.content.quick
    }

    /// Whether its load only produces.
    pub(crate) fn only_produces(&self) -> bool {
        ["produce", "open", "ramp"].map(Some).contains(&self.command())
    }

    /// Whether it is about starting brokers, so that nobody else does.
    pub(crate) fn starts_brokers(&self) -> bool {
        self.command() == Some(START)
    }

    fn command(&self) -> Option<&str> {
        self.content.load.get(COMMAND).and_then(|name| name.get_ref().as_str())
    }

    /// The command line of a part, if there is that part. `known` says whether a command has a
    /// flag.
    ///
    /// # Errors
    /// A key is no flag, or its value none that a flag can have.
    pub(crate) fn words(
        &self,
        part: Part,
        extent: Extent,
        known: impl Fn(&str, &str) -> bool,
    ) -> Result<Option<Words>, Failure> {
        let load = match part {
            Part::Setup => self.content.setup.as_ref(),
            Part::Load => Some(&self.content.load),
        };
        load.map(|load| self.expand(load, extent, known)).transpose()
    }

    fn expand(
        &self,
        load: &Load,
        extent: Extent,
        known: impl Fn(&str, &str) -> bool,
    ) -> Result<Words, Failure> {
        let command = load.get(COMMAND).ok_or_else(|| Failure::Scenario {
            path: self.path.clone(),
            what: format!("a load has no `{COMMAND}`"),
        })?;
        let name = command.get_ref().as_str().filter(|name| COMMANDS.contains(name));
        let name = name.ok_or_else(|| {
            self.wrong(command.span(), &format!("`{COMMAND}` is one of {}", COMMANDS.join(", ")))
        })?;
        let mut flags = Vec::new();
        for (key, value) in load.iter().filter(|(key, _)| key.get_ref() != COMMAND) {
            let flag = key.get_ref();
            if !known(name, flag) {
                return Err(self.wrong(key.span(), &format!("`{name}` has no flag --{flag}")));
            }
            let values = texts(value.get_ref()).ok_or_else(|| {
                self.wrong(value.span(), &format!("--{flag} cannot have this value"))
            })?;
            flags.extend(values.into_iter().map(|value| match value {
                Some(value) => format!("--{flag}={}", extent.of(flag, value)),
                None => format!("--{flag}"),
            }));
        }
        Ok(Words { command: name.to_owned(), flags })
    }

    fn wrong(&self, at: Range<usize>, what: &str) -> Failure {
        let line = self.text[..at.start].matches('\n').count() + 1;
        Failure::Scenario { path: self.path.clone(), what: format!("line {line}: {what}") }
    }
}

impl Extent {
    fn of(self, flag: &str, value: String) -> String {
        if self == Extent::Full {
            return value;
        }
        // What is none of these is told when the flags are read.
        match flag {
            "seconds" | "warm-up" | "idle" => {
                units::time(&value).map_or(value, |time| format!("{}", time.as_secs_f64() / 4.0))
            }
            "bytes" | "fill" => units::bytes(&value).map_or(value, |bytes| (bytes / 4).to_string()),
            _ => value,
        }
    }
}

/// The values of a flag, `None` for one that has none; no values where it is not set.
fn texts(value: &Value) -> Option<Vec<Option<String>>> {
    Some(match value {
        Value::String(text) => vec![Some(text.clone())],
        Value::Integer(number) => vec![Some(number.to_string())],
        Value::Float(number) => vec![Some(number.to_string())],
        Value::Boolean(true) => vec![None],
        Value::Boolean(false) => Vec::new(),
        Value::Array(values) => values.iter().map(texts).collect::<Option<Vec<_>>>()?.concat(),
        Value::Datetime(_) | Value::Table(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held::Temporary;

    fn scenario(loads: &str) -> Result<Scenario, Failure> {
        let path = std::env::temp_dir().join(format!(
            "corelog-bench-{}-{:?}.toml",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::write(&path, format!("title = \"T\"\nclaim = \"C\"\n{loads}")).expect("a file");
        let scenario = Scenario::read(&path);
        fs::remove_file(&path).expect("a file");
        scenario
    }

    fn known(command: &str, flag: &str) -> bool {
        let flags = ["seconds", "bytes", "acks", "topic-config", "idempotent"];
        command == "produce" && flags.contains(&flag)
    }

    fn words(loads: &str, part: Part, extent: Extent) -> Result<String, String> {
        let words = scenario(loads).and_then(|scenario| scenario.words(part, extent, known));
        let words = words.map_err(|failure| failure.to_string())?;
        Ok(words.map_or(String::new(), |w| format!("{} {}", w.command, w.flags.join(" "))))
    }

    #[test]
    fn files_are_read_by_name_and_others_passed_over() {
        let folder = std::env::temp_dir().join(format!("corelog-scenarios-{}", std::process::id()));
        let folder = Temporary::new(folder);
        fs::create_dir(folder.path()).expect("a folder");
        let text = "title = \"T\"\nclaim = \"C\"\n[load]\ncommand = \"produce\"";
        for file in ["b.toml", "a.toml", "notes.md"] {
            fs::write(folder.path().join(file), text).expect("a file");
        }
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let all = Scenario::all(folder.path(), &names).ok()?;
            Some(all.into_iter().map(|scenario| scenario.name).collect::<Vec<_>>().concat())
        };
        let told = [names(&[]), names(&["b"]), names(&["c"])];
        assert_eq!(told.each_ref().map(Option::as_deref), [Some("ab"), Some("b"), None]);
    }

    #[test]
    fn keys_are_flags() {
        let load = "[load]\ncommand = \"produce\"\nseconds = 10\nacks = \"-1\"\nidempotent = true\n\
                    bytes = \"4MB\"\ntopic-config = [\"a=1\", \"b=2\"]\n\
                    [setup]\ncommand = \"produce\"\n\
                    idempotent = false";
        for (part, extent, expected) in [
            (
                Part::Load,
                Extent::Full,
                "produce --acks=-1 --bytes=4MB --idempotent --seconds=10 --topic-config=a=1 \
                 --topic-config=b=2",
            ),
            (
                Part::Load,
                Extent::Quick,
                "produce --acks=-1 --bytes=1000000 --idempotent --seconds=2.5 --topic-config=a=1 \
                 --topic-config=b=2",
            ),
            (Part::Setup, Extent::Full, "produce "),
        ] {
            assert_eq!(words(load, part, extent).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (load, part) in [
            ("[load]\ncommand = \"produce\"\npartitionz = 1", "line 5: `produce` has no flag"),
            ("[load]\ncommand = \"compare\"", "line 4: `command` is one of"),
            ("[load]\ncommand = \"produce\"\nacks = { a = 1 }", "line 5: --acks cannot"),
            ("[load]\nacks = 1", "no `command`"),
            (
                "[[goal]]\nmetric = \"m\"\nat_most = 1\nagainst = \"k\"\n[load]",
                "a goal is against `k`",
            ),
            ("[[goal]]\nmetric = \"m\"\nat_mots = 1\n[load]", "unknown field `at_mots`"),
            ("loads = 1\n[load]\ncommand = \"produce\"", "loads"),
            ("", "load"),
        ] {
            let told = words(load, Part::Load, Extent::Full).expect_err("a wrong scenario");
            assert!(told.contains(part) && told.contains(".toml"), "{part} in {told}");
        }
    }
}
