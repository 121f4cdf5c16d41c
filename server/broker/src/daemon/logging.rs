//! Log lines: through `tracing` onto standard error. For people at a terminal short and coloured;
//! for everything else `<UTC time> <LEVEL> <message> key=value`.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::lines::{self, Flush, Lines};
use crate::config::broker::LogLevel;

/// Lines that wait for whoever reads standard error.
const QUEUED_LINES: usize = 8192;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// For programs and files.
    Plain,
    /// For a terminal whose user wants no colours (`NO_COLOR`).
    Compact,
    /// For a terminal.
    Coloured,
}

impl Style {
    fn of_standard_error() -> Style {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match (io::stderr().is_terminal(), no_color) {
            (false, _) => Style::Plain,
            (true, true) => Style::Compact,
            (true, false) => Style::Coloured,
        }
    }
}

/// Begins to log. What is queued is written when the value returned is dropped.
#[must_use]
pub(super) fn start(level: LogLevel) -> Flush {
    let (lines, flush) = lines::start(io::stderr(), QUEUED_LINES);
    let to_all = subscriber(max_level(level), Style::of_standard_error(), Sink(lines));
    // There is one only in tests that start twice in a process, and the first may stay.
    let _ = tracing::subscriber::set_global_default(to_all);
    flush
}

fn max_level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}

fn subscriber<S>(level: Level, style: Style, sink: S) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    S: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(level >= Level::DEBUG)
        .with_ansi(style == Style::Coloured)
        .with_writer(sink);
    match style {
        Style::Plain => Box::new(builder.finish()),
        Style::Compact | Style::Coloured => Box::new(builder.compact().finish()),
    }
}

struct Sink(Lines);

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn logged(level: LogLevel, style: Style) -> String {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let bytes = Arc::clone(&bytes);
            move || Shared(Arc::clone(&bytes))
        };
        tracing::subscriber::with_default(subscriber(max_level(level), style, sink), || {
            tracing::debug!(target: "place", "hidden by default");
            tracing::warn!(target: "place", partitions = 3, path = "/data", "recovered");
        });
        let bytes = bytes.lock().expect("lock").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn plain_lines_have_a_utc_time_a_level_and_fields() {
        let text = logged(LogLevel::Info, Style::Plain);
        let (time, rest) = text.split_once(' ').expect("words");
        assert_eq!(rest, " WARN recovered partitions=3 path=\"/data\"\n");
        assert!(time.starts_with("20") && time.contains('T') && time.ends_with('Z'), "{time}");
    }

    #[test]
    fn levels_hide_and_debug_tells_the_place() {
        assert_eq!(logged(LogLevel::Error, Style::Plain), "");
        let text = logged(LogLevel::Debug, Style::Plain);
        assert!(text.contains("DEBUG place: hidden by default\n"), "{text}");
        assert!(text.contains(" WARN place: recovered "), "{text}");
    }

    #[test]
    fn only_coloured_lines_have_escapes() {
        for (style, coloured) in
            [(Style::Plain, false), (Style::Compact, false), (Style::Coloured, true)]
        {
            let text = logged(LogLevel::Info, style);
            assert!(text.contains("recovered"), "{text}");
            assert_eq!(text.contains('\u{1b}'), coloured, "{style:?}: {text}");
        }
    }
}
