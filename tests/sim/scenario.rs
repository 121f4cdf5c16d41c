//! What a seed draws: how the broker is set up, what is done to it, and what goes wrong. Each fault
//! class is on or off for a whole seed, with a rate of its own, so that seeds differ.

use std::fmt;
use std::sync::Arc;

use corelog_engine::group::GroupSettings;
use corelog_engine::group::settings::{ConsumerSettings, ConsumerTimes};
use corelog_engine::limits::ManifestLimits;
use corelog_engine::log::LogConfig;
use corelog_engine::shard::setup::ShardLimits;

use crate::sim::rng::Rng;

/// Milliseconds that members may be silent, in every life.
pub const SESSION_MS: i32 = 4_000;

/// Bytes between two points of an index: few, so that index files have pages.
const INDEX_SPACING: u64 = 1 << 10;

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// No fault at all; answers must be prompt.
    Calm,
    /// Crashes and restarts, at any step.
    Crashes,
    /// Failed reads, writes and barriers; restarts after them.
    Errors,
    /// A disk that fills and is freed again.
    Full,
    /// All of it.
    Mixed,
    /// Segments that take no more bytes, whose partitions go offline.
    Rescue,
}

impl Scenario {
    /// All kinds.
    pub const ALL: [Scenario; 6] = [
        Scenario::Calm,
        Scenario::Crashes,
        Scenario::Errors,
        Scenario::Full,
        Scenario::Mixed,
        Scenario::Rescue,
    ];

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.to_string() == name)
    }

    /// The kind that a seed runs when nobody chose one.
    #[must_use]
    pub fn of(seed: u64) -> Scenario {
        Scenario::ALL[(seed % Scenario::ALL.len() as u64) as usize]
    }

    fn crashes(self) -> bool {
        matches!(self, Scenario::Crashes | Scenario::Mixed)
    }

    fn errors(self) -> bool {
        matches!(self, Scenario::Errors | Scenario::Mixed)
    }

    fn fills(self) -> bool {
        matches!(self, Scenario::Full | Scenario::Mixed)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scenario::Calm => "calm",
            Scenario::Crashes => "crashes",
            Scenario::Errors => "errors",
            Scenario::Full => "full",
            Scenario::Mixed => "mixed",
            Scenario::Rescue => "rescue",
        })
    }
}

/// How often an operation fails with an I/O error: once in so many times; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Errors {
    /// Journal writes.
    pub journal: u64,
    /// Segment writes.
    pub segment: u64,
    /// Cuts, index files, removed names.
    pub files: u64,
    /// Reads of segments and indexes.
    pub read: u64,
    /// Barriers.
    pub barrier: u64,
    /// Manifest appends and replacements.
    pub manifest: u64,
    /// Anything that a boot does.
    pub boot: u64,
}

impl Errors {
    /// Whether anything fails.
    #[must_use]
    pub fn any(&self) -> bool {
        let Errors { journal, segment, files, read, barrier, manifest, boot } = *self;
        [journal, segment, files, read, barrier, manifest, boot].iter().any(|odds| *odds > 0)
    }
}

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// I/O errors.
    pub errors: Errors,
    /// How often the run ends a life: once in about so many effects and events; 0 is never.
    pub crash: u64,
    /// How often a disk operation takes long: once in so many times.
    pub slow: u64,
    /// Whether the disk fills now and then.
    pub fills: bool,
}

/// How the broker is set up for one life.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// How many shards.
    pub shards: u16,
    /// Bounds of each.
    pub limits: ShardLimits,
    /// How logs are kept.
    pub defaults: Arc<LogConfig>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its kind.
    pub scenario: Scenario,
    /// What goes wrong.
    pub faults: Faults,
    /// How many times the broker is started before the last, quiet life.
    pub lives: u32,
    /// What clients do in one life.
    pub steps: u64,
    /// Whether clients heed the shards' pressure.
    pub heeds_pressure: bool,
}

impl Plan {
    /// The run of a seed.
    #[must_use]
    pub fn draw(scenario: Scenario, rng: &mut Rng) -> Plan {
        let mut odds = |on: bool, odds: u64| if on && rng.one_in(2) { odds } else { 0 };
        let errors = Errors {
            journal: odds(scenario.errors(), 300),
            segment: match scenario {
                Scenario::Rescue => 100,
                _ => odds(scenario == Scenario::Mixed, 100),
            },
            files: odds(scenario.errors(), 50),
            read: odds(scenario.errors(), 100),
            barrier: odds(scenario.errors(), 60),
            manifest: odds(scenario.errors(), 60),
            boot: odds(scenario.errors() || scenario == Scenario::Rescue, 100),
        };
        let crash = if scenario.crashes() || (scenario == Scenario::Rescue && rng.one_in(2)) {
            rng.spread(50..=10_000)
        } else {
            0
        };
        let faults = Faults {
            errors,
            crash,
            slow: if scenario == Scenario::Calm { 0 } else { rng.pick(&[0, 20, 200]) },
            fills: scenario.fills(),
        };
        let lives = if scenario == Scenario::Calm { 2 } else { rng.within(2..=6) as u32 };
        let steps = rng.spread(20..=1500);
        Plan { scenario, faults, lives, steps, heeds_pressure: rng.one_in(2) }
    }
}

fn groups(rng: &mut Rng) -> GroupSettings {
    GroupSettings {
        min_session_ms: 1_000,
        initial_delay_ms: rng.pick(&[0, 100]),
        consumer: ConsumerSettings {
            times: ConsumerTimes {
                session_ms: SESSION_MS,
                assignment_interval_ms: rng.pick(&[0, 500]),
                ..ConsumerSettings::default().times
            },
            ..ConsumerSettings::default()
        },
        ..GroupSettings::default()
    }
}

/// Small, so that manifests are often made anew, and in parts.
fn manifest(rng: &mut Rng) -> ManifestLimits {
    ManifestLimits {
        least_bytes: rng.pick(&[1 << 10, 16 << 10, 1 << 20]),
        part_logs: rng.pick(&[1, 3, 1024]),
        part_bytes: rng.pick(&[100, 256 << 10]),
    }
}

impl Geometry {
    /// The set-up of a life. `journal_file` is that of the run's first life: the largest batch,
    /// which it bounds, must fit into every later journal too.
    #[must_use]
    pub fn draw(journal_file: u64, rng: &mut Rng) -> Geometry {
        let journal_file_bytes = journal_file << rng.pick(&[0, 0, 1]);
        let journal_files = rng.within(2..=5) as u16;
        let capacity = journal_file_bytes * u64::from(journal_files);
        let limits = ShardLimits {
            groups: groups(rng),
            journal_file_bytes,
            journal_files,
            commits_in_flight: rng.within(1..=4) as usize,
            dirty_bytes: capacity / rng.within(2..=4),
            tail_bytes: rng.spread(16 << 10..=1 << 20),
            index_bytes: rng.pick(&[0, 100, 1 << 20]),
            manifest: manifest(rng),
            disk_reserve: rng.pick(&[0, 64 << 10]),
        };
        let defaults = LogConfig {
            segment_bytes: rng.spread(4 << 10..=512 << 10),
            segment_ms: rng.pick(&[200, 5_000, 1 << 40]),
            index_spacing: INDEX_SPACING,
            ..LogConfig::default()
        };
        Geometry { shards: rng.within(1..=4) as u16, limits, defaults: Arc::new(defaults) }
    }
}
