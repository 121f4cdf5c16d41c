//! The broker's process: started, found ready, killed, asked for what it uses.

use std::env;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::calls;
use super::client::Client;

/// What the log says of a step that took too long.
const STALL: &str = "held up its shard";

/// Between two looks at a broker that is starting or ending.
const POLL: Duration = Duration::from_millis(2);
/// For one request to a broker that is starting.
const STARTING_PATIENCE: Duration = Duration::from_secs(5);

/// Where ports are looked for.
const PORTS: Range<u16> = 20_000..30_000;

/// How to start a broker.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
    address: SocketAddr,
    settings: Vec<String>,
}

/// A broker that was started. Killed when dropped.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    /// Where it listens, or will listen.
    pub address: SocketAddr,
    started: Instant,
    log: PathBuf,
}

/// A port of loopback that nobody listens on, and that no connection will be given while the broker
/// is down: it is below the range that the system takes those from.
///
/// # Errors
/// There is none, or what the system says.
pub fn free_address() -> io::Result<SocketAddr> {
    let start = RandomState::new().hash_one(process::id()) as u16;
    let ports =
        (0..PORTS.len() as u16).map(|at| PORTS.start + start.wrapping_add(at) % PORTS.len() as u16);
    for port in ports {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr();
        }
    }
    Err(io::Error::other("no port is free"))
}

impl Launch {
    /// Of `program`, with its data and its log in `dir`, at an address that stays the same.
    ///
    /// # Errors
    /// The directory cannot be made, or there is no port.
    pub fn new(program: &Path, dir: &Path) -> io::Result<Launch> {
        fs::create_dir_all(dir)?;
        Ok(Launch {
            program: program.to_owned(),
            data: dir.join("data"),
            log: dir.join("broker.log"),
            address: free_address()?,
            settings: Vec::new(),
        })
    }

    /// The same with its data elsewhere.
    #[must_use]
    pub fn data(mut self, data: PathBuf) -> Launch {
        self.data = data;
        self
    }

    /// The same with a setting, `name=value`.
    #[must_use]
    pub fn set(mut self, setting: impl Into<String>) -> Launch {
        self.settings.push(setting.into());
        self
    }

    /// Starts a process on these cores (`0`, `0,1`). It is not ready yet.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(&self, cores: &str) -> io::Result<Broker> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.arg("start").arg("--data-dir").arg(&self.data);
        command.args(["--listen", &self.address.to_string(), "--cores", cores]);
        command.args(self.settings.iter().flat_map(|setting| ["--set", setting]));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Settings come from here alone.
        let settings = env::vars_os().map(|(name, _)| name);
        for name in settings.filter(|name| name.as_encoded_bytes().starts_with(b"CORELOG_")) {
            command.env_remove(name);
        }
        let started = Instant::now();
        let child = command.spawn()?;
        Ok(Broker { child, address: self.address, started, log: self.log.clone() })
    }

    /// Starts a process on these cores and waits until it is ready.
    ///
    /// # Errors
    /// As [`Launch::start`] and [`Broker::wait_ready`].
    pub fn ready(&self, cores: &str, within: Duration) -> io::Result<(Broker, Duration)> {
        let mut broker = self.start(cores)?;
        let took = broker.wait_ready(within)?;
        Ok((broker, took))
    }
}

impl Broker {
    /// Waits until it serves metadata; gives the time since its start.
    ///
    /// # Errors
    /// It ended, or did not serve in time.
    pub fn wait_ready(&mut self, within: Duration) -> io::Result<Duration> {
        loop {
            if let Ok(mut client) = Client::connect(self.address, STARTING_PATIENCE)
                && calls::topics(&mut client).is_ok()
            {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the broker ended: {status}")));
            }
            if self.started.elapsed() > within {
                return Err(io::Error::other(format!("the broker is not ready after {within:?}")));
            }
            sleep(POLL);
        }
    }

    /// A connection to it.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(&self, patience: Duration) -> io::Result<Client> {
        Client::connect(self.address, patience)
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// It had ended by itself, or what the system says.
    pub fn kill(mut self) -> io::Result<()> {
        self.check_alive()?;
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Asks it to stop (SIGTERM), and waits for that.
    ///
    /// # Errors
    /// It did not end in time, or what the system says.
    pub fn stop(mut self, within: Duration) -> io::Result<ExitStatus> {
        let asked = Instant::now();
        kill_process(self.pid(), Signal::TERM)?;
        while asked.elapsed() < within {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(POLL);
        }
        Err(io::Error::other(format!("the broker did not stop in {within:?}")))
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// It ended.
    pub fn check_alive(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!("the broker ended by itself: {status}"))),
        }
    }

    /// The bytes of memory it has resident.
    ///
    /// # Errors
    /// What the system says.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = field.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("no resident size"))
    }

    /// How many descriptors it has open.
    ///
    /// # Errors
    /// What the system says.
    pub fn descriptors(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// What it has said so far, one line each.
    ///
    /// # Errors
    /// What the system says.
    pub fn log_lines(&self) -> io::Result<usize> {
        Ok(fs::read(&self.log)?.iter().filter(|byte| **byte == b'\n').count())
    }

    /// The lines of its log about steps that took too long.
    ///
    /// # Errors
    /// What the system says.
    pub fn stalls(&self) -> io::Result<Vec<String>> {
        let log = fs::read(&self.log)?;
        let log = String::from_utf8_lossy(&log);
        Ok(log.lines().filter(|line| line.contains(STALL)).map(str::to_owned).collect())
    }

    /// Lines of its log that contain `text`, those of earlier runs included.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn logged(&self, text: &str) -> io::Result<usize> {
        let log = fs::read(&self.log)?;
        Ok(String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).count())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
