//! Processes, files and directories that must not outlive this process, whatever ends it.
//!
//! They end with their owner. When a signal comes first, a thread that waits for it ends them all,
//! and holds the list until the process is gone, so that nothing new begins meanwhile.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitOptions, kill_process, kill_process_group, waitpgid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::process::Pid;

static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());
/// How long processes may take to stop after a signal came, unless they end others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(2);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    /// The first process of a group of its own.
    Group(rustix::process::Pid),
    Path(PathBuf),
}

fn list() -> MutexGuard<'static, Vec<Held>> {
    // A list whose user panicked is still one.
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn release(held: &Held) {
    list().retain(|other| other != held);
}

/// Lets SIGINT, SIGTERM and SIGHUP end all that is held, which may take so long, and then this
/// process.
///
/// # Errors
/// The signals cannot be waited for.
pub(crate) fn end_on_signals(patience: Duration) -> io::Result<()> {
    // Who starts this with `nohup` wants it to go on without a terminal.
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hang_up))?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let held = list();
            end(&held, patience);
            // As a shell says it.
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Whether this process was started with a signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

fn end(held: &[Held], patience: Duration) {
    let groups = || {
        held.iter().filter_map(|held| match held {
            Held::Group(leader) => Some(*leader),
            Held::Path(_) => None,
        })
    };
    // Who has ended already cannot be told to.
    for leader in groups() {
        let _ = kill_process(leader, Signal::TERM);
    }
    let deadline = Instant::now() + patience;
    for leader in groups() {
        while matches!(waitpgid(leader, WaitOptions::NOHANG), Ok(None)) && Instant::now() < deadline
        {
            thread::sleep(GLANCE);
        }
        let _ = kill_process_group(leader, Signal::KILL);
    }
    held.iter().for_each(|held| {
        if let Held::Path(path) = held {
            remove(path);
        }
    });
}

fn remove(path: &Path) {
    // If it cannot be removed there is nobody to tell.
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
}

/// A process and those that it starts, which are killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
}

impl Group {
    /// Starts the first process of the group.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Group> {
        let mut held = list();
        let child = command.process_group(0).spawn()?;
        held.push(Held::Group(rustix::process::Pid::from_child(&child)));
        Ok(Group { child })
    }

    /// The first process.
    pub(crate) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// What it says, if it was asked to be read; once.
    pub(crate) fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its errors, likewise.
    pub(crate) fn errors(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Whether the first process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the first process ends.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Asks the first process to stop, and waits so long for it; how long it took.
    pub(crate) fn stop(mut self, patience: Duration) -> Duration {
        let asked = Instant::now();
        // If it has ended meanwhile, that is what was asked for.
        let _ = kill_process(self.leader(), Signal::TERM);
        while !self.has_ended() && asked.elapsed() < patience {
            thread::sleep(GLANCE);
        }
        asked.elapsed()
    }

    fn leader(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // All fail only where nobody is left.
        let _ = kill_process_group(self.leader(), Signal::KILL);
        let _ = self.child.wait();
        release(&Held::Group(self.leader()));
    }
}

/// A file or a directory that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Holds a path, whether there is something already or not.
    pub(crate) fn new(path: PathBuf) -> Temporary {
        list().push(Held::Path(path.clone()));
        Temporary(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves what is there for somebody to look at.
    pub(crate) fn keep(mut self) -> PathBuf {
        let path = std::mem::take(&mut self.0);
        release(&Held::Path(path.clone()));
        path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // There is nothing at the path of what is kept.
        remove(&self.0);
        release(&Held::Path(self.0.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Group {
        Group::spawn(Command::new("sh").args(["-c", script])).expect("a shell")
    }

    #[test]
    fn what_a_process_started_ends_with_it() {
        let path = std::env::temp_dir().join(format!("corelog-bench-held-{}", std::process::id()));
        let pid = Temporary::new(path.clone());
        let mut group = shell(&format!(
            "sleep 1000 & echo $! > {}.new; mv {0}.new {0}; wait",
            pid.path().display()
        ));
        while !path.exists() {
            thread::sleep(GLANCE);
        }
        let inner = fs::read_to_string(pid.path()).expect("a number");
        assert!(!group.has_ended());
        assert!(group.stop(Duration::from_secs(10)) < Duration::from_secs(10));
        drop(pid);
        assert!(!path.exists());
        fs::write(&path, b"").expect("a file");
        assert_eq!(Temporary::new(path.clone()).keep(), path);
        assert!(path.exists());
        drop(Temporary::new(path));
        let ended = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", inner.trim()));
            stat.map_or(true, |stat| stat.contains(") Z"))
        };
        while !ended() {
            thread::sleep(GLANCE);
        }
    }

    #[test]
    fn a_signal_ends_all() {
        let dir = std::env::temp_dir().join(format!("corelog-bench-end-{}", std::process::id()));
        fs::create_dir_all(dir.join("inner")).expect("a directory");
        let group = shell("trap '' TERM; exec sleep 0.2");
        end(&[Held::Group(group.leader()), Held::Path(dir.clone())], PATIENCE);
        assert!(!dir.exists());
    }
}
