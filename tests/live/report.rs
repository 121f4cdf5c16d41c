//! One line per test, and the totals.

use std::fmt;
use std::process::ExitCode;
use std::time::Instant;

/// How tests went.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Why a test did not pass.
#[derive(Debug)]
pub enum NotPassed {
    /// What is wrong.
    Failed(String),
    /// What this machine lacks.
    Skipped(String),
}

/// What a test gives: words for its line.
pub type Outcome = Result<String, NotPassed>;

impl<E: fmt::Display> From<E> for NotPassed {
    fn from(error: E) -> NotPassed {
        NotPassed::Failed(error.to_string())
    }
}

impl Report {
    /// Runs a test and prints its line. Whether it did not fail.
    pub fn test(&mut self, name: &str, body: impl FnOnce() -> Outcome) -> bool {
        let started = Instant::now();
        let outcome = body();
        let took = started.elapsed().as_secs_f64();
        match outcome {
            Ok(words) => {
                self.passed += 1;
                let separator = if words.is_empty() { "" } else { ": " };
                println!("ok {name} ({took:.1} s){separator}{words}");
            }
            Err(NotPassed::Skipped(why)) => {
                self.skipped += 1;
                println!("skipped {name}: {why}");
            }
            Err(NotPassed::Failed(why)) => {
                self.failed += 1;
                println!("FAILED {name} ({took:.1} s): {why}");
                return false;
            }
        }
        true
    }

    /// Prints the totals. Fails unless something passed and nothing failed.
    #[must_use]
    pub fn close(&self) -> ExitCode {
        let Report { passed, failed, skipped } = self;
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        match (passed, failed) {
            (1.., 0) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}
