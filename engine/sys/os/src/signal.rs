//! Signals that ask for an end, read as messages from a descriptor instead of interrupting code.
//!
//! Block them in the first thread before any other starts: threads inherit the mask, and one thread
//! without it would be killed.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// From a supervisor: SIGTERM.
    Terminate,
    /// From a keyboard: SIGINT.
    Interrupt,
}

/// Receives the signals that [`Signals::block`] has blocked.
#[derive(Debug)]
pub struct Signals(OwnedFd);

const SIZE: usize = size_of::<libc::signalfd_siginfo>();

impl Signals {
    /// Blocks SIGTERM and SIGINT in this thread, and in all that it starts from now on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn block() -> io::Result<Signals> {
        let set = ending_signals();
        // SAFETY: the set is initialised and outlives the call; no old mask is asked for.
        let refused =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
        if refused != 0 {
            return Err(io::Error::from_raw_os_error(refused));
        }
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is initialised and outlives the call; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just opened it for us.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// A signal that has arrived, if any.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        let mut message = [0; SIZE];
        match read(&self.0, &mut message) {
            Ok(_) => Ok(signal_of(&message)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sleeps until a signal arrives.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn wait(&self) -> io::Result<Signal> {
        loop {
            if let Some(signal) = self.next()? {
                return Ok(signal);
            }
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn ending_signals() -> libc::sigset_t {
    // SAFETY: a `sigset_t` is an array of integers; `sigemptyset` then makes it a proper empty set,
    // and both numbers are valid signals, so none of the calls can fail.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::sigaddset(&raw mut set, libc::SIGINT);
        set
    }
}

/// The number of the signal is the first field of the kernel's message.
fn signal_of(message: &[u8; SIZE]) -> Option<Signal> {
    let number = u32::from_ne_bytes(*message.first_chunk()?);
    match number.cast_signed() {
        libc::SIGTERM => Some(Signal::Terminate),
        libc::SIGINT => Some(Signal::Interrupt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// To this thread only, so that the test runner never sees it.
    fn send_to_this_thread(number: libc::c_int) {
        // SAFETY: a thread may always signal itself.
        let refused = unsafe { libc::pthread_kill(libc::pthread_self(), number) };
        assert_eq!(refused, 0);
    }

    #[test]
    fn blocked_signals_become_messages() {
        let test = thread::spawn(|| {
            let signals = Signals::block().expect("block");
            assert_eq!(signals.next().expect("next"), None);
            send_to_this_thread(libc::SIGTERM);
            assert_eq!(signals.wait().expect("wait"), Signal::Terminate);
            send_to_this_thread(libc::SIGINT);
            assert_eq!(signals.next().expect("next"), Some(Signal::Interrupt));
            assert_eq!(signals.next().expect("next"), None);
        });
        test.join().expect("no panic");
    }
}
