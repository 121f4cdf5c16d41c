//! Cores: which there are, and which of them a thread runs on.

use std::fs;
use std::io;
use std::mem;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A core, by the kernel's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(pub u16);

const ONLINE: &str = "/sys/devices/system/cpu/online";

/// The cores this thread may run on, ascending: what a container or taskset left of the machine.
///
/// # Errors
/// What the kernel says.
pub fn allowed_cores() -> io::Result<Vec<CoreId>> {
    let set = sched_getaffinity(None)?;
    let numbers = (0..CpuSet::MAX_CPU).filter(|number| set.is_set(*number));
    Ok(numbers.filter_map(|number| u16::try_from(number).ok()).map(CoreId).collect())
}

/// The cores the machine has switched on, ascending.
///
/// # Errors
/// When the kernel's list is not there, or InvalidData when it reads like nothing we know.
pub fn online_cores() -> io::Result<Vec<CoreId>> {
    let list = fs::read_to_string(ONLINE)?;
    parse_list(&list).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, list))
}

/// `0-3,8` is 0, 1, 2, 3 and 8.
fn parse_list(list: &str) -> Option<Vec<CoreId>> {
    let mut cores = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        cores.extend((first..=last).map(CoreId));
    }
    Some(cores)
}

/// Binds this thread, and the threads it starts from now on, to some cores.
///
/// # Errors
/// InvalidInput for none, for a core number out of range, or for cores that are not allowed.
pub fn pin_current_thread(cores: &[CoreId]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(in_range(*core)?);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// The same set as the kernel's own structure, for calls that take it raw.
pub(crate) fn kernel_mask(cores: &[CoreId]) -> io::Result<libc::cpu_set_t> {
    // SAFETY: a `cpu_set_t` is an array of integers, for which zeros are a value: no core.
    let mut mask: libc::cpu_set_t = unsafe { mem::zeroed() };
    for core in cores {
        let number = in_range(*core)?;
        // SAFETY: the number is within the mask.
        unsafe { libc::CPU_SET(number, &mut mask) };
    }
    Ok(mask)
}

fn in_range(core: CoreId) -> io::Result<usize> {
    let number = usize::from(core.0);
    if number < CpuSet::MAX_CPU { Ok(number) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn core_lists_are_read() {
        let cases: [(&str, Option<&[u16]>); 7] = [
            ("0\n", Some(&[0])),
            ("0-3\n", Some(&[0, 1, 2, 3])),
            ("0-1,4,6-7\n", Some(&[0, 1, 4, 6, 7])),
            ("", None),
            ("0-", None),
            ("a", None),
            ("70000", None),
        ];
        for (list, cores) in cases {
            let cores = cores.map(|numbers| numbers.iter().copied().map(CoreId).collect());
            assert_eq!(parse_list(list), cores, "{list:?}");
        }
    }

    #[test]
    fn a_pinned_thread_runs_where_it_was_pinned() {
        let allowed = allowed_cores().expect("affinity");
        let online = online_cores().expect("list");
        assert!(allowed.iter().all(|core| online.contains(core)), "{allowed:?} of {online:?}");
        for core in allowed {
            let seen = thread::spawn(move || {
                pin_current_thread(&[core]).expect("pin");
                (allowed_cores().expect("affinity"), rustix::thread::sched_getcpu())
            });
            assert_eq!(seen.join().expect("no panic"), (vec![core], usize::from(core.0)));
        }
    }

    #[test]
    fn impossible_cores_are_refused() {
        for cores in [&[][..], &[CoreId(1024)], &[CoreId(1023)]] {
            let refused = thread::spawn(move || pin_current_thread(cores));
            let kind = refused.join().expect("no panic").map_err(|e| e.kind());
            assert_eq!(kind, Err(io::ErrorKind::InvalidInput), "{cores:?}");
        }
        assert!(kernel_mask(&[CoreId(1023)]).is_ok() && kernel_mask(&[CoreId(1024)]).is_err());
    }
}
