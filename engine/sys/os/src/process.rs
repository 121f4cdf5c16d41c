//! The process as the kernel sees it: its limits, its use of the machine, its randomness.

use std::ffi::CString;
use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::thread::{CapabilitySet, capabilities, set_name};
use rustix::time::{ClockId, clock_gettime};

/// A limit set on the process from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Memory that may be locked or lent to io_uring, in bytes, for all processes of the user.
    LockedMemory,
    /// Open descriptors of this process.
    OpenFiles,
}

/// How much of a [`Limit`] there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowance {
    /// So much and no more.
    UpTo(u64),
    /// No limit.
    Unlimited,
}

impl Allowance {
    fn new(value: Option<u64>) -> Allowance {
        value.map_or(Allowance::Unlimited, Allowance::UpTo)
    }

    /// Whether it is enough for `needed`.
    #[must_use]
    pub fn covers(self, needed: u64) -> bool {
        self >= Allowance::UpTo(needed)
    }
}

impl Limit {
    fn resource(self) -> Resource {
        match self {
            Limit::LockedMemory => Resource::Memlock,
            Limit::OpenFiles => Resource::Nofile,
        }
    }

    /// What is enforced now (the soft limit).
    #[must_use]
    pub fn current(self) -> Allowance {
        Allowance::new(getrlimit(self.resource()).current)
    }

    /// Raises what is enforced to what is permitted (soft to hard), and says how much that is.
    ///
    /// # Errors
    /// What the kernel says; then nothing has changed.
    pub fn raise(self) -> io::Result<Allowance> {
        let permitted = getrlimit(self.resource()).maximum;
        let raised = Rlimit { current: permitted, maximum: permitted };
        setrlimit(self.resource(), raised)?;
        Ok(Allowance::new(permitted))
    }
}

/// Whether [`Limit::LockedMemory`] does not apply to this thread (CAP_IPC_LOCK).
#[must_use]
pub fn may_lock_without_limit() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}

/// Names this thread for `top` and debuggers; the kernel keeps the first 15 bytes.
///
/// # Errors
/// InvalidInput when the name contains a zero byte.
pub fn name_thread(name: &str) -> io::Result<()> {
    Ok(set_name(&CString::new(name)?)?)
}

/// Fills `bytes` with randomness fit for keys.
///
/// # Errors
/// What the kernel says; never once the machine has booted.
pub fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match getrandom(&mut bytes[done..], GetRandomFlags::empty()) {
            Ok(count) => done += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether a process is there to run: not one that has ended and only waits to be noticed, nor one
/// that another container hides.
#[must_use]
pub fn is_alive(process: u32) -> bool {
    let account = fs::read_to_string(format!("/proc/{process}/stat"));
    account.is_ok_and(|account| !matches!(parse_state(&account), Some('Z' | 'X')))
}

/// The account reads `812 (a name) S 1 …`; a name may hold anything.
fn parse_state(account: &str) -> Option<char> {
    account.rsplit_once(") ")?.1.chars().next()
}

/// Memory of this process that is in RAM, in bytes.
///
/// # Errors
/// When the kernel's account cannot be read.
pub fn resident_bytes() -> io::Result<u64> {
    let account = fs::read_to_string("/proc/self/status")?;
    parse_resident(&account).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The line reads `VmRSS:     3736 kB`.
fn parse_resident(account: &str) -> Option<u64> {
    let line = account.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Processor time this process has used on all cores, the kernel's work for it included.
#[must_use]
pub fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.cast_unsigned(), used.tv_nsec as u32)
}

/// Processor time that the calling thread has used, the kernel's work for it included.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.cast_unsigned(), used.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn allowances_compare_with_needs() {
        for (allowance, needed, enough) in [
            (Allowance::UpTo(8), 8, true),
            (Allowance::UpTo(7), 8, false),
            (Allowance::Unlimited, u64::MAX, true),
        ] {
            assert_eq!(allowance.covers(needed), enough, "{allowance:?} {needed}");
        }
    }

    #[test]
    fn raising_reaches_the_permitted_limit() {
        let permitted = Allowance::new(getrlimit(Resource::Nofile).maximum);
        assert_eq!(Limit::OpenFiles.raise().expect("raise"), permitted);
        assert_eq!(Limit::OpenFiles.current(), permitted);
        assert!(Limit::LockedMemory.current().covers(1));
    }

    #[test]
    fn the_dead_and_the_undertakers_are_told_from_the_living() {
        for (account, state) in [
            ("812 (a name) S 1 812", Some('S')),
            ("812 (odd) Z ) name) Z 1", Some('Z')),
            ("", None),
        ] {
            assert_eq!(parse_state(account), state, "{account:?}");
        }
        assert!(is_alive(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().expect("spawn");
        let ended = || !is_alive(child.id());
        assert!((0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            ended()
        }));
        child.wait().expect("reaped");
        assert!(!is_alive(child.id()));
    }

    #[test]
    fn a_thread_bears_its_name() {
        let name = std::thread::spawn(|| {
            name_thread("corelog-shard-12345").expect("name");
            rustix::thread::name().expect("name")
        });
        assert_eq!(name.join().expect("no panic").to_str(), Ok("corelog-shard-1"));
        assert_eq!(name_thread("a\0b").map_err(|e| e.kind()), Err(io::ErrorKind::InvalidInput));
    }

    #[test]
    fn randomness_differs() {
        let (mut one, mut other) = ([0; 300], [0; 300]);
        fill_random(&mut one).expect("random");
        fill_random(&mut other).expect("random");
        assert_ne!(one, other);
        assert!(one[256..].iter().any(|byte| *byte != 0));
    }

    #[test]
    fn resident_memory_is_read_and_grows_with_use() {
        for (account, bytes) in [
            ("Name:\tx\nVmRSS:\t    3736 kB\n", Some(3736 * 1024)),
            ("VmRSS:\t3736\n", None),
            ("VmRSS:\tx kB\n", None),
            ("", None),
        ] {
            assert_eq!(parse_resident(account), bytes, "{account:?}");
        }
        let before = resident_bytes().expect("status");
        // Far more than the tests beside this one hold and free meanwhile.
        let memory = black_box(vec![1u8; 256 << 20]);
        assert!(resident_bytes().expect("status") > before + (128 << 20));
        drop(memory);
    }

    #[test]
    fn processor_time_is_spent_by_work() {
        let before = cpu_time();
        let mut sum = 0u64;
        while cpu_time() < before + Duration::from_millis(5) {
            sum = black_box(sum.wrapping_mul(31).wrapping_add(1));
        }
        assert!(cpu_time() > before);
    }
}
