//! From the static sources to a `Config`: every entry is looked up in the table, the stronger
//! source wins, and whatever is wrong is said all at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::broker::Config;
use super::entry::Entry;
use super::kafka_only::{self, Verdict};
use super::problem::{Detail, Notice, Origin, Problem, Rejected, Wrong};
use super::setting::{Effect, Setting};
use super::settings::{Assigned, Settings, Source};
use super::value::{Dialect, Raw, Value};
use super::{properties, table, toml_file};

/// How names in the environment begin.
const ENVIRONMENT_PREFIX: &str = "CORELOG_";
/// Some editors begin a file of UTF-8 with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The variable that names the file; it is for whoever reads the command line.
pub(crate) const CONFIG_FILE_VARIABLE: &str = "CORELOG_CONFIG";

/// Everything that settings are read from.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// What the broker is started for.
    pub mode: Mode,
    /// The file, if there is one.
    pub file: Option<ConfigFile>,
    /// The environment; only `CORELOG_` matters.
    pub environment: Vec<(String, String)>,
    /// The command line.
    pub flags: Flags,
    /// What becomes of a name in a `server.properties` that nobody knows.
    pub unknown: UnknownNames,
    /// The machine's name, which is advertised for listeners on every address.
    pub host_name: String,
}

/// What the broker is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Work.
    Production,
    /// Trying things out on one machine (`--dev`): advertises `localhost`, clamps replication.
    Dev,
}

/// What becomes of a name in a `server.properties` that neither Kafka nor Corelog has. In a source
/// of our own it always stops the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownNames {
    /// It is ignored with a warning, as by Kafka, whose plug-ins have settings of their own.
    Ignored,
    /// It stops the start (`--strict`).
    Refused,
}

/// The flags that are settings, as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// `--set KEY=VALUE`, any number of times.
    pub set: Vec<String>,
    /// `--data-dir`
    pub data_dir: Option<String>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--advertise`
    pub advertise: Option<String>,
    /// `--cores`
    pub cores: Option<String>,
}

/// A file's text and format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    path: Arc<str>,
    format: Format,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Toml,
    Properties,
}

impl ConfigFile {
    /// A file of this text; its format follows from the path's extension, else from the text.
    #[must_use]
    pub(crate) fn new(path: &str, text: String) -> ConfigFile {
        let format = match Path::new(path).extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Format::Toml,
            Some("properties") => Format::Properties,
            _ if toml_file::is_toml(&text) => Format::Toml,
            _ if text.lines().any(|line| line.trim_start().starts_with('[')) => Format::Toml,
            _ => Format::Properties,
        };
        ConfigFile { path: Arc::from(path), format, text }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When the system does not let it be read, or it is not text.
    pub(crate) fn read(path: &Path) -> Result<ConfigFile, Rejected> {
        let name = path.display().to_string();
        let is_properties = path.extension().is_some_and(|extension| extension == "properties");
        let text = std::fs::read(path).map_err(|error| error.to_string()).and_then(|bytes| {
            let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes).to_vec();
            match String::from_utf8(bytes) {
                Ok(text) => Ok(text),
                // Java reads these as Latin-1, in which a byte is a character.
                Err(other) if is_properties => {
                    Ok(other.as_bytes().iter().copied().map(char::from).collect())
                }
                Err(other) => Err(other.to_string()),
            }
        });
        match text {
            Ok(text) => Ok(ConfigFile::new(&name, text)),
            Err(why) => {
                let origin = Origin::File { path: Arc::from(name), line: 0 };
                let problem = Problem { origin, wrong: Wrong::Unreadable(why) };
                Err(Rejected { problems: vec![problem], notices: Vec::new() })
            }
        }
    }
}

/// A configuration with which the broker starts.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// What the settings mean.
    pub config: Config,
    /// What whoever wrote them should know.
    pub notices: Vec<Notice>,
}

/// Reads all sources.
///
/// # Errors
/// Every entry that is wrong; when none is, every set of settings that do not go together.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, Rejected> {
    let mut loader =
        Loader { settings: Settings::defaults(), notices: Vec::new(), problems: Vec::new() };
    if sources.mode == Mode::Dev {
        loader.level(vec![dev_entry()], Names::Ours);
    }
    if let Some(file) = &sources.file {
        loader.file(file, sources.unknown);
    }
    let entries = loader.environment(&sources.environment);
    loader.level(entries, Names::Ours);
    let entries = loader.flags(&sources.flags);
    loader.level(entries, Names::Ours);
    loader.finish(sources)
}

fn dev_entry() -> Entry {
    let name = "clamp.replication.factor".to_owned();
    Entry { name, raw: Raw::Bool(true), origin: Origin::Dev }
}

/// Which names a source may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// Ours.
    Ours,
    /// Kafka's too: what only Kafka has is a notice.
    Kafkas,
    /// Any: what nobody has is a notice, too.
    Any,
}

impl Names {
    fn is_for_kafka(self) -> bool {
        self != Names::Ours
    }
}

struct Loader {
    settings: Settings,
    notices: Vec<Notice>,
    problems: Vec<Problem>,
}

impl Loader {
    fn file(&mut self, file: &ConfigFile, unknown: UnknownNames) {
        let ((entries, problems), names) = match file.format {
            Format::Toml => (toml_file::parse(&file.path, &file.text), Names::Ours),
            Format::Properties => {
                let names = match unknown {
                    UnknownNames::Ignored => Names::Any,
                    UnknownNames::Refused => Names::Kafkas,
                };
                (properties::parse(&file.path, &file.text), names)
            }
        };
        self.problems.extend(problems);
        self.level(entries, names);
    }

    /// Takes over the entries of one source, which is stronger than those before it.
    fn level(&mut self, mut entries: Vec<Entry>, names: Names) {
        if names.is_for_kafka() && entries.iter().any(|entry| entry.name == "log.dirs") {
            entries.retain(|entry| !self.is_outranked(entry));
        }
        let mut level: BTreeMap<&'static str, (String, Assigned)> = BTreeMap::new();
        for entry in entries {
            let Some(setting) = table::find_broker(&entry.name) else {
                self.no_setting(entry, names);
                continue;
            };
            let value = match setting.parse(&entry.raw, Dialect::Suffixes) {
                Ok(value) => value,
                Err(invalid) => {
                    let wrong = Wrong::bad_value(setting, &entry.name, &entry.raw, invalid);
                    self.problems.push(Problem { origin: entry.origin, wrong });
                    continue;
                }
            };
            if let Some((spelling, earlier)) = level.get(setting.name)
                && earlier.value != value
            {
                // The same name twice is legal in a .properties file, and the later one counts.
                if names.is_for_kafka() && *spelling == entry.name {
                    let why = format!("replaces the value at {}", earlier.origin);
                    self.notice(&entry.origin, &entry.name, why);
                } else {
                    let wrong =
                        Wrong::SetTwice { name: setting.name, first: earlier.origin.clone() };
                    self.problems.push(Problem { origin: entry.origin, wrong });
                    continue;
                }
            }
            level.insert(setting.name, (entry.name, Assigned { value, origin: entry.origin }));
        }
        for (name, (_, assigned)) in level {
            self.settings.assign(name, assigned);
        }
    }

    /// As in Kafka, `log.dir` is read only where there is no `log.dirs`.
    fn is_outranked(&mut self, entry: &Entry) -> bool {
        let outranked = entry.name == "log.dir";
        if outranked {
            self.notice(&entry.origin, &entry.name, "ignored: `log.dirs` is set".to_owned());
        }
        outranked
    }

    fn notice(&mut self, origin: &Origin, name: &str, why: String) {
        self.notices.push(Notice::new(origin.clone(), name, why));
    }

    /// An entry that names no broker setting of ours.
    fn no_setting(&mut self, entry: Entry, names: Names) {
        let Entry { name, raw, origin } = entry;
        let wrong = match kafka_only::verdict(&name, &raw.to_string()) {
            Some(Verdict::Ignored(why)) if names.is_for_kafka() => {
                let why = format!("ignored: {why}");
                return self.notices.push(Notice { origin, name, why, detail: Detail::Name });
            }
            Some(Verdict::Ignored(why)) => Wrong::KafkaOnly { name: name.clone(), why },
            Some(Verdict::Refused(why)) => Wrong::Refused { name: name.clone(), why },
            Some(Verdict::Replaced(instead)) => Wrong::Replaced { name: name.clone(), instead },
            None => unknown(name.clone(), names),
        };
        if names == Names::Any && !matches!(wrong, Wrong::Refused { .. }) {
            let why =
                format!("not a setting of brokers, and ignored as by Kafka; {}", wrong.remedy());
            return self.notice(&origin, &name, why);
        }
        self.problems.push(Problem { origin, wrong });
    }

    fn environment(&mut self, environment: &[(String, String)]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (variable, text) in environment {
            let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            if variable == CONFIG_FILE_VARIABLE || is_service_link(rest) {
                continue;
            }
            let origin = Origin::Environment(variable.clone());
            let known = known_names(Names::Ours);
            match known.into_iter().find(|name| environment_name(name) == *variable) {
                Some(name) => entries.push(Entry {
                    name: name.to_owned(),
                    raw: Raw::Plain(text.clone()),
                    origin,
                }),
                None => {
                    let names: Vec<String> =
                        known_names(Names::Ours).map(environment_name).collect();
                    let nearest = table::nearest(variable, names.iter().map(String::as_str));
                    let nearest = nearest.map(str::to_owned);
                    let wrong = Wrong::UnknownKey { name: variable.clone(), nearest };
                    self.problems.push(Problem { origin, wrong });
                }
            }
        }
        entries
    }

    fn flags(&mut self, flags: &Flags) -> Vec<Entry> {
        let named = [
            ("--data-dir", "data.dir", &flags.data_dir),
            ("--listen", "listeners", &flags.listen),
            ("--advertise", "advertised.listeners", &flags.advertise),
            ("--cores", "cores", &flags.cores),
        ];
        let entry = |flag: &str, name: &str, text: &str| Entry {
            name: name.to_owned(),
            raw: Raw::Plain(text.to_owned()),
            origin: Origin::Flag(flag.to_owned()),
        };
        let mut entries = Vec::new();
        for (flag, name, text) in named {
            entries.extend(text.as_deref().map(|text| entry(flag, name, text)));
        }
        for pair in &flags.set {
            match pair.split_once('=') {
                Some((name, text)) => {
                    let name = name.trim();
                    entries.push(entry(&format!("--set {name}"), name, text));
                }
                None => {
                    let origin = Origin::Flag("--set".to_owned());
                    self.problems.push(Problem { origin, wrong: Wrong::NotAPair(pair.clone()) });
                }
            }
        }
        entries
    }

    fn finish(mut self, sources: &Sources) -> Result<Loaded, Rejected> {
        self.notice_what_has_no_effect();
        let host_name = match sources.mode {
            Mode::Production => &sources.host_name,
            Mode::Dev => "localhost",
        };
        let built = match self.problems.is_empty() {
            true => Config::build(self.settings, host_name),
            false => Err(self.problems),
        };
        match built {
            Ok((config, notices)) => {
                self.notices.extend(notices);
                Ok(Loaded { config, notices: self.notices })
            }
            Err(problems) => Err(Rejected { problems, notices: self.notices }),
        }
    }

    /// Somebody who sets something to other than its default expects it to do something.
    fn notice_what_has_no_effect(&mut self) {
        for setting in table::broker() {
            let (Effect::Later(why) | Effect::Never(why)) = setting.effect else { continue };
            let Some(assigned) = self.settings.at(setting.name, Source::Static) else { continue };
            let default: Option<Value> = setting.default_value();
            if default.as_ref() != Some(&assigned.value) {
                let origin = assigned.origin.clone();
                self.notice(&origin, setting.name, format!("has no effect: {why}"));
            }
        }
    }
}

/// What is wrong with a name that no broker has.
fn unknown(name: String, names: Names) -> Wrong {
    match table::find_topic(&name) {
        Some(setting) => Wrong::TopicKey { name, instead: broker_default(setting) },
        None => {
            let nearest = table::nearest(&name, known_names(names)).map(str::to_owned);
            Wrong::UnknownKey { name, nearest }
        }
    }
}

fn broker_default(setting: &Setting) -> Option<&'static str> {
    setting.scope.synonyms().first().map(|synonym| synonym.name)
}

fn known_names(names: Names) -> impl Iterator<Item = &'static str> {
    let ours = table::broker()
        .flat_map(|row| std::iter::once(row.name).chain(row.aliases.iter().copied()));
    let kafkas = kafka_only::names().filter(move |_| names.is_for_kafka());
    ours.chain(kafkas)
}

/// `num.partitions` is `CORELOG_NUM_PARTITIONS`.
fn environment_name(name: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", name.to_ascii_uppercase().replace('.', "_"))
}

/// Container platforms describe a service called `corelog` in variables of their own, such as
/// `CORELOG_SERVICE_HOST` and `CORELOG_PORT_9092_TCP`. No setting looks like one of them.
fn is_service_link(rest: &str) -> bool {
    rest == "PORT"
        || rest.ends_with("_PORT")
        || rest.contains("SERVICE_HOST")
        || rest.contains("SERVICE_PORT")
        || rest.split("PORT_").skip(1).any(|after| after.starts_with(|c: char| c.is_ascii_digit()))
}
