//! What a process uses, as the kernel accounts for it in `/proc`.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A process by its id; `None` in its place is this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pid(pub(crate) u32);

impl Pid {
    pub(crate) fn own() -> Pid {
        Pid(std::process::id())
    }

    /// Processor time used so far, on all cores, the kernel's work for the process included.
    pub(crate) fn cpu(self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        let ticks = parse_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Memory in RAM, in bytes.
    pub(crate) fn resident(self) -> io::Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most memory in RAM that it ever had, in bytes.
    pub(crate) fn peak(self) -> io::Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(self, field: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        parse_memory(&status, field).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// How often a thread that still runs gave a core away, willingly or not.
    pub(crate) fn switches(self) -> io::Result<u64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0))?;
        // A thread may end while it is looked for.
        let told = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("status")));
        Ok(told.flatten().map(|status| parse_switches(&status)).sum())
    }
}

/// Switches of threads of this process that have ended, which the kernel no longer tells.
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Keeps the account of the thread that calls this and then ends.
pub(crate) fn thread_ends() {
    let status = fs::read_to_string("/proc/thread-self/status");
    ENDED.fetch_add(status.map_or(0, |status| parse_switches(&status)), Ordering::Relaxed);
}

/// User and system time are the 14th and 15th field; the second, the name, may hold anything.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parse_memory(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn parse_switches(status: &str) -> u64 {
    let counts = status.lines().filter_map(|line| {
        let (name, count) = line.split_once(':')?;
        name.ends_with("voluntary_ctxt_switches").then_some(count.trim().parse::<u64>().ok()?)
    });
    counts.sum()
}

/// What the load generator and, where its process is known, the broker took from the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) client: Taken,
    pub(crate) broker: Option<Taken>,
}

/// Processor time, and how often a thread gave a core away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) cpu: Duration,
    pub(crate) switches: u64,
}

impl Taken {
    fn by(process: Pid) -> io::Result<Taken> {
        Ok(Taken { cpu: process.cpu()?, switches: process.switches()? })
    }

    fn since(self, earlier: Taken) -> Taken {
        Taken {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

impl Usage {
    /// What was taken up to now.
    pub(crate) fn now(broker: Option<Pid>) -> io::Result<Usage> {
        let broker = broker.map(Taken::by).transpose()?;
        let own = Taken::by(Pid::own())?;
        let switches = own.switches + ENDED.load(Ordering::Relaxed);
        Ok(Usage { client: Taken { switches, ..own }, broker })
    }

    /// What was taken since `earlier`.
    pub(crate) fn since(self, earlier: Usage) -> Usage {
        let broker = self.broker.zip(earlier.broker).map(|(now, then)| now.since(then));
        Usage { client: self.client.since(earlier.client), broker }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_a_name_of_any_characters() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 8 20 0 4 0 99 0";
        assert_eq!(parse_ticks(stat), Some(300));
        assert_eq!(parse_ticks("42 (a) S 1"), None);
        assert_eq!(parse_ticks(""), None);
    }

    #[test]
    fn memory_is_in_kilobytes() {
        let status = "VmHWM:\t 9 kB\nVmRSS:\t    3736 kB\n";
        assert_eq!(parse_memory(status, "VmRSS:"), Some(3736 * 1024));
        assert_eq!(parse_memory(status, "VmHWM:"), Some(9 * 1024));
        assert_eq!(parse_memory("Name: x\n", "VmRSS:"), None);
    }

    #[test]
    fn switches_of_both_kinds_count() {
        let status = "Threads:\t7\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!((parse_switches(status), parse_switches("Threads:\t7\n")), (7, 0));
    }

    #[test]
    fn this_process_uses_something() {
        let own = Pid::own();
        assert!(own.resident().expect("an account") > 100 << 10);
        assert!(own.peak().expect("an account") >= own.resident().expect("an account"));
        let before = Usage::now(Some(own)).expect("an account");
        let work = || {
            (0..3).for_each(|_| std::thread::sleep(Duration::from_millis(1)));
            thread_ends();
        };
        std::thread::spawn(work).join().expect("a thread");
        let used = Usage::now(Some(own)).expect("an account").since(before);
        assert!(used.client.switches >= 3, "{used:?}");
        assert!(used.broker.is_some());
    }
}
