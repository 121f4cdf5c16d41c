//! A broker of one test, on a free port and with a directory of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity};

/// A directory on a disk (temporary directories are in memory on some machines), removed at the
/// end of the test.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cli-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("the target directory is writable");
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The binary, with nothing of the environment that is meant for another broker.
pub(crate) fn corelog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corelog"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CORELOG_") {
            command.env_remove(name);
        }
    }
    command
}

pub(crate) fn first_core() -> String {
    let allowed = sched_getaffinity(None).expect("cores");
    (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core)).expect("a core").to_string()
}

/// `corelog start` on one core, with little memory and disk.
pub(crate) fn start_command(directory: &Directory, listen: &str) -> Command {
    let mut command = corelog();
    command.args(["start", "--listen", listen, "--cores", &first_core(), "--data-dir"]);
    command.arg(&directory.0);
    // It is for clients, and no setting that a broker does not know.
    command.env("CORELOG_BOOTSTRAP", "127.0.0.1:1");
    for setting in [
        "memory.per.core=128MiB",
        "journal.file.bytes=8MiB",
        "journal.files=2",
        "group.initial.rebalance.delay.ms=0",
    ] {
        command.args(["--set", setting]);
    }
    command
}

/// Runs a command to its end, with this input.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    // A command that fails early closes its input.
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("its output")
}

pub(crate) struct Broker {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    /// What it said when it was ready.
    pub(crate) line: String,
    address: String,
}

impl Broker {
    pub(crate) fn start(directory: &Directory) -> Broker {
        let mut command = start_command(directory, "127.0.0.1:0");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("UTF-8");
        let line = line.trim_end().to_owned();
        let address =
            line.strip_prefix("corelog ready on ").and_then(|rest| rest.split(',').next());
        let Some(address) = address.map(str::to_owned) else {
            let output = child.wait_with_output().expect("its output");
            panic!("not ready: {line:?} {}", String::from_utf8_lossy(&output.stderr));
        };
        Broker { child, _stdout: stdout, line, address }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A client command against this broker.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        self.feed(arguments, b"")
    }

    /// The same with standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = corelog();
        command.args(arguments).args(["--bootstrap", &self.address]);
        run(command, input)
    }

    /// Asks it to end, and waits for that; its exit code and log.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it runs");
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("piped");
        stderr.read_to_string(&mut log).expect("UTF-8");
        (self.child.wait().expect("it ends"), log)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
