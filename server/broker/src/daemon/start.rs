//! From checked settings to the exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use corelog_drive::{Ready, RunError, Settings, Stop};

use super::ready::ReadyLine;
use super::refusal::Refusal;
use super::{logging, remedy, run_settings, signals, storage};
use crate::broker;
use crate::config::load::Loaded;
use crate::config::problem::Notice;

/// Wrong flags or settings.
pub(crate) const MISCONFIGURED: u8 = 2;
/// Could not start, or could not go on.
const FAILED: u8 = 1;

/// Runs the broker until it is stopped.
pub(crate) fn start(loaded: Loaded) -> ExitCode {
    let Loaded { config, notices } = loaded;
    // Dropped last, so that every line is written before the process ends.
    let _flush = logging::start(config.log_level);
    for line in Notice::lines(&notices) {
        tracing::warn!("{line}");
    }
    let settings = match run_settings::of(&config) {
        Ok(settings) => settings,
        Err(refusals) => return refuse(&refusals, MISCONFIGURED),
    };
    let stop = Stop::new();
    let received = match signals::watch(stop.clone()) {
        Ok(received) => received,
        Err(error) => {
            let remedy = "see what limits this process, such as its container";
            let refusal = Refusal::new(format!("signals cannot be received: {error}"), remedy);
            return refuse(&[refusal], FAILED);
        }
    };
    let ended = run(settings, stop, broker::service(Arc::new(config)));
    match ended {
        Err(error) => refuse(&remedy::of_run(&error), FAILED),
        Ok(()) if received.at_once() => ExitCode::from(signals::NOT_GRACEFUL),
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
    }
}

fn run<S: corelog_drive::Service>(
    settings: Settings,
    stop: Stop,
    service: impl Fn(corelog_drive::ShardHandle) -> S + Clone + Send + 'static,
) -> Result<(), RunError> {
    let seen = settings.clone();
    let cores = settings.cores.clone();
    let ready = |ready: &Ready| {
        log_recovery(ready);
        log_storage(&seen);
        let data_dir = run_settings::resolved(&seen.data_dir);
        let line = ReadyLine { ready, data_dir, cores: &cores };
        // Whoever wants the line keeps the pipe open; the broker serves without a reader too.
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    corelog_drive::run(settings, stop, ready, service)
}

fn refuse(refusals: &[Refusal], code: u8) -> ExitCode {
    for refusal in refusals {
        tracing::error!("{refusal}");
    }
    ExitCode::from(code)
}

fn log_storage(settings: &Settings) {
    let told = storage::look(settings);
    if let Some(forgetful) = told.forgetful {
        tracing::warn!("{forgetful}");
    }
    if let Some(small) = told.small {
        tracing::info!("{small}");
    }
}

fn log_recovery(ready: &Ready) {
    let report = &ready.report;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        start = ready.identity.start,
        node = ready.identity.node_id,
        partitions = report.partitions,
        replayed_entries = report.replayed_entries,
        written_bytes = report.written_bytes,
        milliseconds = u64::try_from(ready.took.as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
    if report.rescanned > 0 {
        tracing::warn!(
            partitions = report.rescanned,
            "a manifest was lost, and partitions were made anew from their segments"
        );
    }
    if report.unknown_entries > 0 {
        tracing::warn!(
            entries = report.unknown_entries,
            "the journal has entries of topics that do not exist any more"
        );
    }
    for (partition, why) in &report.offline {
        let refusal = Refusal::new(
            format!("partition {}-{} is offline: {why}", partition.topic, partition.index.0),
            "see `dmesg` for the disk; the other partitions are served",
        );
        tracing::error!("{refusal}");
    }
}
