//! The operating system's errors as the core tells them apart.

use std::io::{self, ErrorKind};

use corelog_engine::shard::event::{Failure, Outcome};
use corelog_os::file::SyncFailed;

/// EIO, for what the kernel reports as success though it is none: a write that is not whole.
const EIO: i32 = 5;
const ENOENT: i32 = 2;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

/// Neither an error nor what was asked for.
pub(crate) const NOT_WHOLE: Failure = Failure::Io(EIO);

/// A file that was there is gone.
pub(crate) fn missing() -> io::Error {
    io::Error::from_raw_os_error(ENOENT)
}

/// A file is shorter than what was written to it.
pub(crate) fn short() -> io::Error {
    ErrorKind::UnexpectedEof.into()
}

pub(crate) fn failure(error: &io::Error) -> Failure {
    if let Some(SyncFailed(number)) = SyncFailed::of(error) {
        return Failure::Io(number);
    }
    match error.raw_os_error() {
        Some(ENOSPC | EDQUOT) => Failure::Full,
        Some(ENOENT) => Failure::Missing,
        Some(number) => Failure::Io(number),
        None if error.kind() == ErrorKind::UnexpectedEof => Failure::Short,
        None => NOT_WHOLE,
    }
}

/// What to report of something that only succeeds or fails.
pub(crate) fn outcome(result: io::Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Failed(failure(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_as_the_core_does() {
        for (number, expected) in [
            (ENOSPC, Failure::Full),
            (EDQUOT, Failure::Full),
            (ENOENT, Failure::Missing),
            (13, Failure::Io(13)),
        ] {
            assert_eq!(failure(&io::Error::from_raw_os_error(number)), expected);
        }
        // What a sync could not write for lack of room is lost like anything else.
        assert_eq!(failure(&SyncFailed(ENOSPC).into()), Failure::Io(ENOSPC));
        assert_eq!(failure(&missing()), Failure::Missing);
        assert_eq!(failure(&short()), Failure::Short);
        assert_eq!(failure(&io::ErrorKind::WriteZero.into()), NOT_WHOLE);
    }
}
