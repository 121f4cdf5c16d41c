//! What a process uses, as the kernel accounts for it in `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// A process by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pid(pub(crate) u32);

/// What it used since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time on all cores, the kernel's work for the process included.
    pub(crate) cpu: Duration,
    /// How often its threads gave a core away, willingly or not.
    pub(crate) switches: u64,
    /// The most memory in RAM that it ever had, in bytes.
    pub(crate) peak: u64,
}

impl Pid {
    pub(crate) fn own() -> Pid {
        Pid(std::process::id())
    }

    /// # Errors
    /// There is no such process, or it is not ours to see.
    pub(crate) fn usage(self) -> io::Result<Usage> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let ticks = ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let peak = field(&status, "VmHWM:").ok_or(io::ErrorKind::InvalidData)?;
        let threads = fs::read_dir(format!("/proc/{}/task", self.0))?;
        // A thread may end while it is looked for.
        let told = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("status")));
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        Ok(Usage {
            cpu: Duration::from_secs_f64(ticks as f64 / per_second),
            switches: told.flatten().map(|status| switches(&status)).sum(),
            peak: peak * 1024,
        })
    }
}

impl Usage {
    /// What was used since `earlier`; the peak is that of all time.
    pub(crate) fn since(self, earlier: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            switches: self.switches.saturating_sub(earlier.switches),
            peak: self.peak,
        }
    }
}

/// User and system time are the 14th and 15th field; the second, the name, may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn switches(status: &str) -> u64 {
    let kinds = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
    kinds.into_iter().filter_map(|kind| field(status, kind)).sum()
}

/// The number behind a name at the start of a line.
fn field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 8 20 0 4 0 99 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("42 (a) S 1"), None);
        let status = "VmHWM:\t 9 kB\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!(field(status, "VmHWM:"), Some(9));
        assert_eq!(field(status, "VmRSS:"), None);
        assert_eq!(switches(status), 12);
    }

    #[test]
    fn this_process_uses_something() {
        let before = Pid::own().usage().expect("an account");
        assert!(before.peak > 100 << 10);
        let used = Pid::own().usage().expect("an account").since(before);
        assert!(used.peak >= before.peak);
    }
}
