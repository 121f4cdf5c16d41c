//! Lines of the input, and whether another one is at hand: what is at hand is sent together, and
//! nothing waits for a line that may never come.

use std::io::{self, BufRead, BufReader, Read};

/// Read at a time: a pipe has less, a file fills a batch.
const BUFFER: usize = 1 << 20;

pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Lines<R> {
        Lines { input: BufReader::with_capacity(BUFFER, input), line: Vec::new(), number: 0 }
    }

    /// The next line, without its newline, and its number from 1; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        self.line.clear();
        if self.input.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(Some((self.number, line)))
    }

    /// Whether the next line can be read without waiting.
    pub(super) fn is_at_hand(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one part at each read, as a pipe does.
    struct Parts(Vec<&'static [u8]>);

    impl Read for Parts {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let part = self.0.remove(0);
            out[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }

    #[test]
    fn lines_come_whole_and_tell_when_none_is_at_hand() {
        let mut lines = Lines::new(Parts(vec![b"a\nb\nc", b"d\r\n\n", b"last"]));
        let mut seen = Vec::new();
        while let Some((number, line)) = lines.next().expect("reads") {
            let line = String::from_utf8(line.to_vec()).expect("UTF-8");
            seen.push((number, line, lines.is_at_hand()));
        }
        let expected = [
            (1, "a", true),
            (2, "b", false),
            (3, "cd\r", true),
            (4, "", false),
            (5, "last", false),
        ];
        assert_eq!(seen, expected.map(|(number, line, more)| (number, line.to_owned(), more)));
    }
}
