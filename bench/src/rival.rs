//! A system that can be compared: a folder that says how it is had, started and spoken to.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::broker::{Broker, Launch, Sign, free_port};
use crate::failure::Failure;
use crate::held::Group;

/// Ports behind the one that a system listens at, which are free too: some need more than one.
const FURTHER_PORTS: u16 = 3;

/// A system that is there.
#[derive(Debug)]
pub(crate) struct Rival {
    /// That of the folder.
    pub(crate) name: String,
    pub(crate) about: About,
    /// See [`Launch`].
    words: Vec<String>,
}

/// The name of the system that is this program itself.
pub(crate) const ECHO: &str = "echo";

/// What `rival.toml` says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct About {
    pub(crate) title: String,
    pub(crate) protocol: Protocol,
    /// Whether an acknowledged record is on the disk.
    pub(crate) durable: bool,
    /// How it is configured, and why.
    pub(crate) note: String,
}

impl About {
    /// Reads what a system's folder says of it.
    ///
    /// # Errors
    /// It cannot be read, or says something else.
    pub(crate) fn read(folder: &Path) -> Result<About, Failure> {
        let path = folder.join("rival.toml");
        let text = fs::read_to_string(&path)
            .map_err(|source| Failure::File { path: path.clone(), source })?;
        toml::from_str(&text).map_err(|error| Failure::Scenario { path, what: error.to_string() })
    }
}

/// How clients speak to it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Kafka,
    Nats,
    Rabbitmq,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Kafka => "kafka",
            Protocol::Nats => "nats",
            Protocol::Rabbitmq => "rabbitmq",
        }
    }
}

impl Rival {
    /// Sees to it that the system of that name can be started; or says why it cannot.
    ///
    /// # Errors
    /// Its folder is there and cannot be read.
    pub(crate) fn fetch(rivals: &Path, name: &str) -> Result<Result<Rival, String>, Failure> {
        // Named whole: its programs may look for what is beside them.
        let folder = rivals.join(name).canonicalize().ok().filter(|folder| folder.is_dir());
        let Some(folder) = folder else {
            return Ok(Err("there is no such folder among the rivals".to_owned()));
        };
        let about = About::read(&folder)?;
        let why = match install(&folder) {
            Ok(why) => why,
            Err(error) => Some(format!("fetch: {error}")),
        };
        if let Some(why) = why {
            return Ok(Err(why));
        }
        let start = folder.join("start").to_string_lossy().into_owned();
        let words = vec![start, "{port}".to_owned(), "{dir}".to_owned()];
        Ok(Ok(Rival { name: name.to_owned(), about, words }))
    }

    /// The broker that keeps nothing, see [`crate::echo`]; `program` is this one.
    pub(crate) fn echo(program: &Path) -> Rival {
        let program = program.to_string_lossy().into_owned();
        let words = [program.as_str(), "echo", "--listen", "{address}"].map(str::to_owned).to_vec();
        let about = About {
            title: "A broker that keeps nothing".to_owned(),
            protocol: Protocol::Kafka,
            durable: false,
            note: "It answers at once: what client, sockets and codec cost.".to_owned(),
        };
        Rival { name: ECHO.to_owned(), about, words }
    }

    /// How it is started with data in `dir`, on ports that are free.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn launch(&self, dir: &Path) -> Result<Launch, Failure> {
        let address = free_port(FURTHER_PORTS).map_err(Failure::NoPort)?;
        Launch::new(self.words.clone(), dir, Some(&address))
    }

    /// Starts it with data in `dir`, and waits until it serves.
    ///
    /// # Errors
    /// It ends, or does not serve in time.
    pub(crate) fn start(&self, dir: &Path) -> Result<(Broker, Launch), Failure> {
        let launch = self.launch(dir)?;
        let mut broker = launch.start()?;
        broker.wait_for(&match self.about.protocol {
            Protocol::Kafka => Sign::Answer(&launch.address),
            Protocol::Nats | Protocol::Rabbitmq => Sign::Listening(&launch.address),
        })?;
        Ok((broker, launch))
    }
}

/// Why a system cannot be had, if it cannot.
fn install(folder: &Path) -> io::Result<Option<String>> {
    let mut command = Command::new(folder.join("fetch"));
    // What it says beside its errors is for people, and none of this program's results.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut group = Group::spawn(&mut command)?;
    let mut told = String::new();
    if let Some(mut errors) = group.errors() {
        errors.read_to_string(&mut told)?;
    }
    let status = group.wait()?;
    let last = told.lines().rfind(|line| !line.trim().is_empty());
    Ok((!status.success()).then(|| last.map_or_else(|| status.to_string(), str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held::Temporary;
    use std::os::unix::fs::PermissionsExt;

    fn rivals(fetch: &str) -> Temporary {
        let id = std::thread::current().id();
        let name = format!("corelog-bench-rivals-{}-{id:?}", std::process::id());
        let rivals = Temporary::new(std::env::temp_dir().join(name));
        let folder = rivals.path().join("x");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(
            folder.join("rival.toml"),
            "title = \"X\"\nprotocol = \"nats\"\ndurable = true\nnote = \"\"",
        )
        .expect("a file");
        fs::write(folder.join("fetch"), format!("#!/bin/sh\n{fetch}\n")).expect("a file");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join("fetch"), executable).expect("a file");
        rivals
    }

    #[test]
    fn who_cannot_be_had_is_told_why() {
        for (fetch, name, expected) in [
            ("echo much; echo more >&2", "x", Ok(Protocol::Nats)),
            ("echo first >&2; echo not here >&2; exit 1", "x", Err("not here")),
            ("exit 7", "x", Err("exit status: 7")),
            ("", "y", Err("there is no such folder among the rivals")),
        ] {
            let rivals = rivals(fetch);
            let rival = Rival::fetch(rivals.path(), name).expect("a readable folder");
            let told = rival.map(|rival| rival.about.protocol);
            assert_eq!(told, expected.map_err(str::to_owned), "{fetch}");
        }
    }

    #[test]
    fn folders_say_how_to_speak_to_them() {
        let about: About =
            toml::from_str("title = \"\"\nprotocol = \"kafka\"\ndurable = true\nnote = \"\"")
                .expect("a rival");
        assert_eq!(about.protocol.name(), "kafka");
        assert!(toml::from_str::<About>("protocol = \"smtp\"").is_err());
    }
}
