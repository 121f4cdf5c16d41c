//! What the settings mean, for everything below: typed, resolved, in bytes and milliseconds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use corelog_engine::group::GroupSettings;
use corelog_engine::group::assignor::Assignor;
use corelog_engine::group::settings::{ConsumerSettings, ConsumerTimes, Migration, TimeBounds};

use super::conflict;
use super::form;
use super::listener::{self, Listener};
use super::problem::{Notice, Origin, Problem, Wrong};
use super::setting::{Change, Unit};
use super::settings::{Assigned, Settings};
use super::table;
use super::units::pretty;
use super::value::{Dialect, Raw};

/// At least this much of a core's memory belongs to no class: requests that free space use it.
pub(crate) const MEMORY_RESERVE_PERCENT: u64 = 5;

/// Everything the broker is told when it starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// This broker's number.
    pub node_id: i32,
    /// The cluster's identity; `None` takes the one on the disk, or makes one up.
    pub cluster_id: Option<String>,
    /// Where this broker stands.
    pub rack: Option<String>,
    /// Where to listen; at least one.
    pub listeners: Vec<Listener>,
    /// Limits on connections.
    pub connections: Connections,
    /// Where all data is.
    pub data_dir: PathBuf,
    /// Which cores to run on.
    pub cores: Cores,
    /// The memory of one core.
    pub memory: Memory,
    /// The journal of one core.
    pub journal: Journal,
    /// Refuse producers when less than this many bytes of the disk are free.
    pub disk_reserve_bytes: u64,
    /// How topics come and go.
    pub topics: Topics,
    /// The most record bytes in one fetch response.
    pub fetch_max_bytes: u32,
    /// What is remembered about idempotent producers.
    pub producers: Producers,
    /// Bounds and times of consumer groups.
    pub groups: Groups,
    /// How much the broker says about itself.
    pub log_level: LogLevel,
    /// The level of Kafka's `metadata.version` that clients are told.
    pub metadata_version: i16,
    /// Record every core's events to files that begin with this path.
    pub record_path: Option<PathBuf>,
    settings: Settings,
}

/// Limits on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connections {
    /// How many, for the whole broker.
    pub max: u32,
    /// Close after this many idle milliseconds; `None` never.
    pub idle_ms: Option<u64>,
    /// The largest frame, without its size prefix; within a core's memory for requests.
    pub request_max_bytes: u32,
}

/// Which cores to run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// All that the process may use.
    All,
    /// These, ascending.
    Listed(Vec<u16>),
}

/// The memory of one core, in bytes, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// All of it.
    pub total: u64,
    /// Requests being received and worked on.
    pub requests: u64,
    /// Records in the journal and not yet in their segment; no more than the journal holds back.
    pub dirty: u64,
    /// The newest records, flushed or not.
    pub tail: u64,
    /// Responses on their way to consumers.
    pub fetches: u64,
    /// Indexes of segments.
    pub indexes: u64,
    /// For requests that free space.
    pub reserve: u64,
}

impl Memory {
    /// The part of what is for requests that those being worked on may take, beside the frames
    /// that they came in.
    pub(crate) const fn work(&self) -> u64 {
        self.requests / 2
    }

    /// The settings that divide it.
    pub(super) const SHARES: [&'static str; 5] = [
        "memory.share.requests",
        "memory.share.dirty",
        "memory.share.tail",
        "memory.share.fetches",
        "memory.share.indexes",
    ];

    pub(super) fn of(settings: &Settings) -> Memory {
        let total = settings.count("memory.per.core");
        let [requests, share, tail, fetches, indexes] =
            Memory::SHARES.map(|name| total / 100 * settings.count(name));
        let dirty = share.min(Journal::of(settings).holds_back());
        let reserve = total.saturating_sub(requests + dirty + tail + fetches + indexes);
        Memory { total, requests, dirty, tail, fetches, indexes, reserve }
    }
}

/// The journal of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Journal {
    /// The size of a file, a multiple of 4 KiB.
    pub file_bytes: u64,
    /// How many files, at least two.
    pub files: u32,
}

impl Journal {
    pub(super) fn of(settings: &Settings) -> Journal {
        Journal {
            file_bytes: settings.count("journal.file.bytes"),
            files: settings.count32("journal.files"),
        }
    }

    /// The bytes that are safe from being overwritten: all files but the one being written.
    fn holds_back(self) -> u64 {
        self.file_bytes.saturating_mul(u64::from(self.files) - 1)
    }
}

/// How topics come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Topics {
    /// Partitions of a topic whose creator does not say.
    pub num_partitions: u32,
    /// Replicas of a topic whose creator does not say.
    pub replication_factor: u32,
    /// What to do when there are fewer brokers than replicas.
    pub too_many_replicas: TooManyReplicas,
    /// Create topics that clients ask for.
    pub auto_create: bool,
    /// Let clients delete topics.
    pub delete: bool,
    /// Milliseconds between two looks for segments to drop.
    pub retention_check_ms: u64,
}

/// What to do when a topic wants more replicas than there are brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooManyReplicas {
    /// Refuse it, as Kafka does.
    Refuse,
    /// Create it with one replica per broker.
    Clamp,
}

/// What is remembered about idempotent producers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producers {
    /// Forget one after this many silent milliseconds.
    pub expiration_ms: u64,
    /// Remember at most so many in a partition.
    pub per_partition_max: u32,
}

/// Bounds and times of consumer groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    /// What coordinators go by.
    pub coordinator: GroupSettings,
    /// Partitions of the topic that keeps groups, when it is made.
    pub topic_partitions: i32,
    /// Bytes of its segments.
    pub topic_segment_bytes: u32,
}

/// How much the broker says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    /// What must be looked at.
    Error,
    /// And what may become a problem.
    Warn,
    /// And what happens.
    Info,
    /// And how it happens.
    Debug,
    /// And every request.
    Trace,
}

impl Config {
    /// Makes sense of `settings`, on a machine of this name.
    ///
    /// # Errors
    /// Everything in `settings` that does not go together.
    pub(super) fn build(
        settings: Settings,
        host_name: &str,
    ) -> Result<(Config, Vec<Notice>), Vec<Problem>> {
        let conflicts = conflict::check(&settings);
        match listener::resolve(&settings, host_name) {
            Ok((listeners, mut notices)) if conflicts.is_empty() => {
                let config = Config::assemble(settings, listeners);
                notices.extend(config.smaller_requests());
                Ok((config, notices))
            }
            Ok(_) => Err(conflicts),
            Err(problems) => Err(problems.into_iter().chain(conflicts).collect()),
        }
    }

    fn assemble(settings: Settings, listeners: Vec<Listener>) -> Config {
        let s = &settings;
        let memory = Memory::of(s);
        Config {
            node_id: i32::try_from(s.number("node.id")).unwrap_or(i32::MAX),
            cluster_id: s.optional_text("cluster.id"),
            rack: s.optional_text("broker.rack"),
            listeners,
            connections: connections(s, memory),
            data_dir: PathBuf::from(s.text("data.dir")),
            cores: cores(s.text("cores")),
            memory,
            journal: Journal::of(s),
            disk_reserve_bytes: s.count("disk.reserve.bytes"),
            topics: topics(s),
            fetch_max_bytes: s.count32("fetch.max.bytes"),
            producers: Producers {
                expiration_ms: s.count("producer.id.expiration.ms"),
                per_partition_max: s.count32("producers.per.partition.max"),
            },
            groups: groups(s),
            log_level: log_level(s.text("log.level")),
            metadata_version: i16::try_from(s.number("feature.metadata.version")).unwrap_or(0),
            record_path: s.optional_text("record.path").map(PathBuf::from),
            settings,
        }
    }

    /// Somebody who asks for larger requests than the memory takes should know.
    fn smaller_requests(&self) -> Option<Notice> {
        let name = "socket.request.max.bytes";
        let largest = i64::from(self.connections.request_max_bytes);
        let origin = self.settings.origin(name);
        let cut = self.settings.number(name) > largest && origin != Origin::Default;
        let largest = pretty(largest, Unit::Bytes);
        let why = || format!("memory.share.requests of memory.per.core allows {largest}");
        cut.then(|| Notice::new(origin, name, why()))
    }

    /// Every value, with where it comes from.
    #[must_use]
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// This configuration with what was set over the protocol, for all brokers and for this one,
    /// in place of what was set so before. The listeners stay.
    ///
    /// # Errors
    /// Everything that is unknown, read only at the start, not allowed, or does not go together.
    #[cfg_attr(not(test), allow(dead_code, reason = "clients cannot set them yet"))]
    pub(crate) fn with_dynamic(
        &self,
        all: &BTreeMap<String, String>,
        this: &BTreeMap<String, String>,
    ) -> Result<Config, Vec<Problem>> {
        let mut settings = self.settings.without_dynamic();
        let mut problems = Vec::new();
        for (entries, origin) in [(all, Origin::DynamicDefault), (this, Origin::DynamicBroker)] {
            for (name, text) in entries {
                match dynamic(name, text, &origin) {
                    Ok((name, assigned)) => settings.assign(name, assigned),
                    Err(wrong) => problems.push(Problem { origin: origin.clone(), wrong }),
                }
            }
        }
        if problems.is_empty() {
            problems = conflict::check(&settings);
        }
        match problems.is_empty() {
            true => Ok(Config::assemble(settings, self.listeners.clone())),
            false => Err(problems),
        }
    }
}

#[cfg_attr(not(test), allow(dead_code, reason = "clients cannot set them yet"))]
fn dynamic(name: &str, text: &str, origin: &Origin) -> Result<(&'static str, Assigned), Wrong> {
    let Some(setting) = table::find_broker(name) else {
        return Err(Wrong::UnknownKey { name: name.to_owned(), nearest: None });
    };
    if setting.change == Change::AtStart {
        return Err(Wrong::NotLive(setting.name));
    }
    let raw = Raw::Plain(text.to_owned());
    match setting.parse(&raw, Dialect::Digits) {
        Ok(value) => Ok((setting.name, Assigned { value, origin: origin.clone() })),
        Err(invalid) => Err(Wrong::bad_value(setting, name, &raw, invalid)),
    }
}

fn connections(settings: &Settings, memory: Memory) -> Connections {
    let largest = settings.count("socket.request.max.bytes").min(memory.requests);
    Connections {
        max: settings.count32("max.connections"),
        idle_ms: u64::try_from(settings.number("connections.max.idle.ms")).ok(),
        request_max_bytes: u32::try_from(largest).unwrap_or(u32::MAX),
    }
}

fn cores(text: &str) -> Cores {
    match form::cores(text) {
        Some(listed) if !listed.is_empty() => Cores::Listed(listed),
        _ => Cores::All,
    }
}

fn consumer_groups(s: &Settings) -> ConsumerSettings {
    let whole = |name| i32::try_from(s.number(name)).unwrap_or(i32::MAX);
    let assignors = s.list("group.consumer.assignors");
    ConsumerSettings {
        times: ConsumerTimes {
            session_ms: whole("group.consumer.session.timeout.ms"),
            heartbeat_ms: whole("group.consumer.heartbeat.interval.ms"),
            assignment_interval_ms: whole("group.consumer.assignment.interval.ms"),
        },
        bounds: TimeBounds {
            session: whole("group.consumer.min.session.timeout.ms")
                ..=whole("group.consumer.max.session.timeout.ms"),
            heartbeat: whole("group.consumer.min.heartbeat.interval.ms")
                ..=whole("group.consumer.max.heartbeat.interval.ms"),
            assignment_interval: whole("group.consumer.min.assignment.interval.ms")
                ..=whole("group.consumer.max.assignment.interval.ms"),
        },
        max_size: s.count32("group.consumer.max.size") as usize,
        assignors: assignors.iter().filter_map(|name| Assignor::named(name)).collect(),
        migration: match s.text("group.consumer.migration.policy") {
            "upgrade" => Migration::Upgrade,
            "downgrade" => Migration::Downgrade,
            "disabled" => Migration::Disabled,
            _ => Migration::Bidirectional,
        },
    }
}

fn groups(s: &Settings) -> Groups {
    let whole = |name| i32::try_from(s.number(name)).unwrap_or(i32::MAX);
    let coordinator = GroupSettings {
        min_session_ms: whole("group.min.session.timeout.ms"),
        max_session_ms: whole("group.max.session.timeout.ms"),
        initial_delay_ms: s.count("group.initial.rebalance.delay.ms"),
        max_size: s.count32("group.max.size") as usize,
        max_metadata: s.count32("offset.metadata.max.bytes") as usize,
        retention_ms: s.count("offsets.retention.minutes").saturating_mul(60_000),
        expiry_interval_ms: s.count("offsets.retention.check.interval.ms"),
        consumer: consumer_groups(s),
        ..GroupSettings::default()
    };
    Groups {
        coordinator,
        topic_partitions: whole("offsets.topic.num.partitions"),
        topic_segment_bytes: s.count32("offsets.topic.segment.bytes"),
    }
}

fn topics(settings: &Settings) -> Topics {
    Topics {
        num_partitions: settings.count32("num.partitions"),
        replication_factor: settings.count32("default.replication.factor"),
        too_many_replicas: match settings.bool("clamp.replication.factor") {
            true => TooManyReplicas::Clamp,
            false => TooManyReplicas::Refuse,
        },
        auto_create: settings.bool("auto.create.topics.enable"),
        delete: settings.bool("delete.topic.enable"),
        retention_check_ms: settings.count("log.retention.check.interval.ms"),
    }
}

fn log_level(text: &str) -> LogLevel {
    match text {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => LogLevel::Info,
    }
}
