//! A bounded queue of log lines with a thread that writes them, so that no core ever waits for
//! whoever reads standard error. When the queue is full lines are dropped and counted, and the
//! count is written as soon as there is room again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// How long the end of the process waits for lines to be written.
const FLUSH_TIME: Duration = Duration::from_secs(1);

enum Item {
    Line(Vec<u8>),
    End,
}

/// Where lines go in. One `write` is one line; it never blocks and never fails.
#[derive(Clone)]
pub(super) struct Lines {
    queue: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

/// Writes what is queued, for a second at most, when it is dropped.
pub(super) struct Flush {
    queue: SyncSender<Item>,
    ended: Receiver<()>,
}

/// Starts the thread. At most `capacity` lines wait.
pub(super) fn start(out: impl Write + Send + 'static, capacity: usize) -> (Lines, Flush) {
    let (queue, items) = mpsc::sync_channel(capacity);
    let (end, ended) = mpsc::sync_channel(1);
    let dropped = Arc::new(AtomicU64::new(0));
    let lines = Lines { queue: queue.clone(), dropped: Arc::clone(&dropped) };
    thread::spawn(move || {
        write_lines(&items, out, &dropped);
        // Nobody may be waiting for it any more.
        let _ = end.try_send(());
    });
    (lines, Flush { queue, ended })
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Item::Line(line.to_vec())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let deadline = Instant::now() + FLUSH_TIME;
        while let Err(TrySendError::Full(_)) = self.queue.try_send(Item::End) {
            if Instant::now() > deadline {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.ended.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// Ends with the first `End`. An output that fails, such as a closed pipe, swallows lines.
fn write_lines(items: &Receiver<Item>, mut out: impl Write, dropped: &AtomicU64) {
    for item in items {
        let ended = match item {
            Item::Line(line) => {
                let _ = out.write_all(&line);
                false
            }
            Item::End => true,
        };
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let _ = out.write_all(dropped_line(dropped).as_bytes());
        }
        if ended {
            break;
        }
    }
}

fn dropped_line(dropped: u64) -> String {
    let mut time = String::new();
    // Writing to a string does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    format!("{time}  WARN {dropped} lines dropped: standard error is read too slowly\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Takes a line for each permit, and says when it begins to wait for one.
    struct Gate {
        waiting: SyncSender<()>,
        permits: Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.waiting.try_send(());
            let _ = self.permits.recv();
            self.taken.lock().expect("lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_and_their_number_is_told() {
        let (waiting, waits) = mpsc::sync_channel(1);
        let (permit, permits) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (mut lines, flush) = start(Gate { waiting, permits, taken: taken.clone() }, 2);
        lines.write_all(b"written\n").expect("never fails");
        waits.recv().expect("the thread holds the first line");
        for line in ["kept 1\n", "kept 2\n", "lost\n", "lost\n", "lost\n"] {
            lines.write_all(line.as_bytes()).expect("never fails");
        }
        drop(permit);
        drop(flush);
        let text = String::from_utf8(taken.lock().expect("lock").clone()).expect("UTF-8");
        let told: Vec<&str> = text.lines().collect();
        assert_eq!([told[0], told[2], told[3]], ["written", "kept 1", "kept 2"], "{text}");
        let (time, told) = told[1].split_once("  ").expect("a time");
        assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
        assert_eq!(told, "WARN 3 lines dropped: standard error is read too slowly");
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_forever() {
        let (waiting, waits) = mpsc::sync_channel(1);
        let (permit, permits) = mpsc::channel();
        let (mut lines, flush) = start(Gate { waiting, permits, taken: Arc::default() }, 1);
        lines.write_all(b"stuck\n").expect("never fails");
        waits.recv().expect("the thread holds the line");
        lines.write_all(b"queued\n").expect("never fails");
        let before = Instant::now();
        drop(flush);
        assert!(before.elapsed() >= FLUSH_TIME && before.elapsed() < 10 * FLUSH_TIME);
        drop(permit);
    }
}
