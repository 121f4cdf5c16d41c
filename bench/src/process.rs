//! What a process uses, as the kernel accounts for it in `/proc`.

use std::fs;
use std::io;
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
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        parse_resident(&status).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// User and system time are the 14th and 15th field; the second, the name, may hold anything.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Processor time of the load generator and, where its process is known, of the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuUse {
    pub(crate) client: Duration,
    pub(crate) broker: Option<Duration>,
}

impl CpuUse {
    /// What was used up to now.
    pub(crate) fn now(broker: Option<Pid>) -> io::Result<CpuUse> {
        let broker = broker.map(Pid::cpu).transpose()?;
        Ok(CpuUse { client: Pid::own().cpu()?, broker })
    }

    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: CpuUse) -> CpuUse {
        let broker = self.broker.zip(earlier.broker).map(|(now, then)| now.saturating_sub(then));
        CpuUse { client: self.client.saturating_sub(earlier.client), broker }
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
    fn resident_memory_is_in_kilobytes() {
        assert_eq!(parse_resident("VmHWM:\t 9 kB\nVmRSS:\t    3736 kB\n"), Some(3736 * 1024));
        assert_eq!(parse_resident("Name: x\n"), None);
    }

    #[test]
    fn this_process_uses_something() {
        assert!(Pid::own().resident().expect("an account") > 100 << 10);
        let before = CpuUse::now(Some(Pid::own())).expect("an account");
        let used = CpuUse::now(Some(Pid::own())).expect("an account").since(before);
        assert_eq!(used.broker.map(|broker| broker >= Duration::ZERO), Some(true));
    }
}
