//! A broker started from here: how long it takes to serve, and how it ends.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use corelog_wire::api::ApiKey;
use corelog_wire::messages::produce::ProduceRequest;

use crate::batch::{BatchSpec, Fill};
use crate::client::{Address, Connection, accepted};
use crate::failure::Failure;
use crate::held::Group;
use crate::process::Pid;
use crate::request::{Acks, produce_request};
use crate::topic::{Topic, TopicArgs};

/// How long a start may take.
const START: Duration = Duration::from_secs(300);
/// How long a clean stop may take before it is ended.
const STOP: Duration = Duration::from_secs(60);
/// How long the ready line may come after everything else.
const LINE: Duration = Duration::from_secs(1);
/// Between two attempts to connect.
const ATTEMPT: Duration = Duration::from_millis(1);

/// How a broker is started. In its command's words `{dir}`, `{address}` and `{port}` are replaced.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) words: Vec<String>,
    pub(crate) dir: PathBuf,
    pub(crate) address: Address,
}

/// When a start had come how far, counted from the start of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timings {
    /// The first request answered.
    pub(crate) answer: Duration,
    /// A record acknowledged; on a new topic its creation is part of it.
    pub(crate) record: Duration,
}

/// A process that is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Broker {
    group: Group,
    started: Instant,
    line: Receiver<Instant>,
    log: PathBuf,
}

impl Launch {
    /// A launch at an address; where none is given, on a free port of loopback, which the command
    /// then has to take over.
    ///
    /// # Errors
    /// It does not, or there is none.
    pub(crate) fn new(
        words: Vec<String>,
        dir: &Path,
        address: Option<&Address>,
    ) -> Result<Launch, Failure> {
        let asks = |word: &String| word.contains("{port}") || word.contains("{address}");
        let takes_over = words.iter().any(asks);
        let address = match address {
            Some(address) => address.clone(),
            None if takes_over => free_port(0).map_err(Failure::NoPort)?,
            None => return Err(Failure::NoAddress),
        };
        Ok(Launch { words, dir: dir.to_owned(), address })
    }

    fn command(&self) -> Vec<String> {
        let replaced = |word: &String| {
            word.replace("{dir}", &self.dir.to_string_lossy())
                .replace("{address}", &self.address.to_string())
                .replace("{port}", &self.address.port.to_string())
        };
        self.words.iter().map(replaced).collect()
    }

    /// Starts the broker and measures until it has acknowledged a record of `topic`.
    ///
    /// # Errors
    /// It ends, or does not serve in time.
    pub(crate) fn time(&self, topic: &TopicArgs) -> Result<(Broker, Timings), Failure> {
        let mut broker = self.start()?;
        broker.wait_for(&Sign::Answer(&self.address))?;
        let answer = broker.started.elapsed();
        append(topic)?;
        let record = broker.started.elapsed();
        Ok((broker, Timings { answer, record }))
    }

    /// Starts the broker, and does not wait for anything.
    ///
    /// # Errors
    /// The command cannot be started.
    pub(crate) fn start(&self) -> Result<Broker, Failure> {
        let failed = |source| Failure::Start { command: self.words.join(" "), source };
        let log = log_of(&self.dir);
        let errors = OpenOptions::new().append(true).create(true).open(&log).map_err(failed)?;
        let words = self.command();
        let (program, arguments) =
            words.split_first().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let started = Instant::now();
        let mut group = Group::spawn(&mut command).map_err(failed)?;
        let (said, line) = mpsc::channel();
        if let Some(output) = group.output() {
            thread::spawn(move || listen(output, &said));
        }
        Ok(Broker { group, started, line, log })
    }
}

/// The words of a command as somebody types it: blanks divide them, nothing is quoted.
pub(crate) fn typed(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

/// Where the standard error of a broker with that data directory goes.
pub(crate) fn log_of(dir: &Path) -> PathBuf {
    dir.with_extension("log")
}

/// A port of loopback that is free together with the `beside` next ones, which some brokers need.
///
/// # Errors
/// There is none.
pub(crate) fn free_port(beside: u16) -> io::Result<Address> {
    const ATTEMPTS: usize = 100;
    let found = (0..ATTEMPTS).find_map(|_| {
        let first = TcpListener::bind("127.0.0.1:0").ok()?;
        let address = first.local_addr().ok()?;
        let next = |nth| TcpListener::bind((address.ip(), address.port().checked_add(nth)?)).ok();
        (1..=beside).all(|nth| next(nth).is_some()).then_some(address)
    });
    let address = found.ok_or(io::ErrorKind::AddrInUse)?;
    Ok(Address { host: address.ip().to_string(), port: address.port() })
}

/// Tells of the first line, and reads the others so that they do not block the broker.
fn listen(output: ChildStdout, said: &mpsc::Sender<Instant>) {
    for _ in BufReader::new(output).lines().map_while(Result::ok) {
        // Only the first one is waited for.
        let _ = said.send(Instant::now());
    }
}

/// Appends one record to the topic, which is made if need be.
fn append(args: &TopicArgs) -> Result<(), Failure> {
    let topic = Topic::prepare(args)?;
    let batch = BatchSpec::plain(1024, Fill::Records(1)).build()?;
    for share in topic.shares(topic.leaders())? {
        let mut connection = Connection::open(&share.leader)?;
        let request: ProduceRequest =
            produce_request(&topic, Acks::All, &[(share.partitions[0], &batch)]);
        let response = connection.call(&request)?;
        let parts = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        for part in parts {
            accepted(ApiKey::Produce, part.error_code)?;
        }
    }
    Ok(())
}

impl Broker {
    pub(crate) fn pid(&self) -> Pid {
        self.group.pid()
    }

    /// How long ago its process was started.
    pub(crate) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// When its first line on standard output came. It is waited for, so whoever measures something
    /// else does that before.
    pub(crate) fn first_line(&self) -> Option<Duration> {
        let line = self.line.recv_timeout(LINE).ok();
        line.map(|at| at.saturating_duration_since(self.started))
    }

    /// Waits until it gives a sign that it serves.
    ///
    /// # Errors
    /// It ends, or there is none in time.
    pub(crate) fn wait_for(&mut self, sign: &Sign<'_>) -> Result<(), Failure> {
        let deadline = self.started + START;
        while !sign.is_there() {
            if self.group.has_ended() {
                return Err(Failure::Ended(self.log.clone()));
            }
            if Instant::now() > deadline {
                return Err(Failure::Unready(START.as_secs()));
            }
            thread::sleep(ATTEMPT);
        }
        Ok(())
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Asks it to stop and waits for it; how long that took.
    pub(crate) fn stop(self) -> Duration {
        self.group.stop(STOP)
    }
}

/// What tells that a broker serves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign<'a> {
    /// It answers in Kafka's protocol.
    Answer(&'a Address),
    /// It accepts connections.
    Listening(&'a Address),
}

impl Sign<'_> {
    fn is_there(&self) -> bool {
        match self {
            Sign::Answer(address) => Connection::open(address).is_ok(),
            Sign::Listening(Address { host, port }) => {
                TcpStream::connect((host.as_str(), *port)).is_ok()
            }
        }
    }
}

/// What a broker uses when nobody asks it anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    /// Memory in RAM, in bytes.
    pub(crate) resident: u64,
    /// Of one core, 0 to 1 and beyond.
    pub(crate) cpu: f64,
}

impl Idle {
    /// Waits until the broker has settled, then watches it for so long.
    ///
    /// # Errors
    /// The process has ended.
    pub(crate) fn watch(pid: Pid, settle: Duration, time: Duration) -> Result<Idle, Failure> {
        thread::sleep(settle);
        let before = pid.cpu().map_err(Failure::Account)?;
        let start = Instant::now();
        thread::sleep(time);
        let used = pid.cpu().map_err(Failure::Account)?.saturating_sub(before);
        let cpu = used.as_secs_f64() / start.elapsed().as_secs_f64();
        Ok(Idle { resident: pid.resident().map_err(Failure::Account)?, cpu })
    }
}

/// Whether there is nothing in `dir`, or no `dir` at all.
///
/// # Errors
/// It cannot be looked into.
pub(crate) fn is_empty(dir: &Path) -> Result<bool, Failure> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(source) => Err(Failure::File { path: dir.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(command: &str) -> Launch {
        let dir = std::env::temp_dir().join(format!("corelog-bench-{}", std::process::id()));
        Launch { words: typed(command), dir, address: "127.0.0.1:1".parse().expect("valid") }
    }

    #[test]
    fn commands_are_told_where_to_work() {
        let launch = Launch { dir: "/d".into(), ..launch("x  --dir={dir} {address} -p {port}") };
        assert_eq!(launch.command(), ["x", "--dir=/d", "127.0.0.1:1", "-p", "1"]);
        let blank =
            Launch { words: vec!["a b".into(), "{dir}".into()], dir: "c d".into(), ..launch };
        assert_eq!(blank.command(), ["a b", "c d"]);
    }

    #[test]
    fn a_broker_must_be_told_or_say_where_it_listens() {
        let address = "127.0.0.1:7".parse().expect("valid");
        for (command, address, port) in [
            ("x", Some(&address), Some(7)),
            ("x {port}", Some(&address), Some(7)),
            ("x", None, None),
        ] {
            let launch = Launch::new(typed(command), Path::new("/d"), address);
            assert_eq!(launch.ok().map(|launch| launch.address.port), port, "{command}");
        }
        assert!(Launch::new(typed("x {address}"), Path::new("/d"), None).is_ok());
    }

    #[test]
    fn the_first_line_is_heard_and_a_stop_is_clean() {
        let launch = launch("cat /proc/sys/kernel/osrelease -");
        let broker = launch.start().expect("a process");
        let line = broker.line.recv_timeout(Duration::from_secs(10)).expect("a line");
        assert!(line >= broker.started);
        assert!(broker.stop() < STOP);
        fs::remove_file(log_of(&launch.dir)).expect("a log");
    }

    #[test]
    fn a_broker_that_ends_is_noticed() {
        let launch = Launch { dir: "/tmp/corelog-bench-ends".into(), ..launch("true") };
        let topic = TopicArgs::of(&launch.address, "t", 1);
        assert!(matches!(launch.time(&topic), Err(Failure::Ended(_))));
        fs::remove_file(log_of(&launch.dir)).expect("a log");
    }
}
