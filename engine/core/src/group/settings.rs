//! Bounds and times of groups, as the operator sets them (`group.*`, `offsets.*`).

use std::ops::RangeInclusive;

use crate::group::assignor::Assignor;
use crate::metadata::image::Configs;

/// A group's own config for how long its members may be silent.
pub const SESSION_CONFIG: &str = "consumer.session.timeout.ms";
/// A group's own config for how often its members are heard of.
pub const HEARTBEAT_CONFIG: &str = "consumer.heartbeat.interval.ms";
/// A group's own config for the least time between two assignments.
pub const ASSIGNMENT_INTERVAL_CONFIG: &str = "consumer.assignment.interval.ms";

/// One coordinator's settings. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// The shortest session that a classic member may ask for (`group.min.session.timeout.ms`).
    pub min_session_ms: i32,
    /// The longest (`group.max.session.timeout.ms`).
    pub max_session_ms: i32,
    /// How long the first members of a group wait for others (`group.initial.rebalance.delay.ms`).
    pub initial_delay_ms: u64,
    /// The most members of a classic group (`group.max.size`).
    pub max_size: usize,
    /// The most UTF-16 code units of an offset's metadata (`offset.metadata.max.bytes`).
    pub max_metadata: usize,
    /// How long offsets are kept that nobody uses (`offsets.retention.minutes`).
    pub retention_ms: u64,
    /// How often that is looked after (`offsets.retention.check.interval.ms`).
    pub expiry_interval_ms: u64,
    /// The most groups of one partition of `__consumer_offsets`; ours.
    pub max_groups: usize,
    /// Those of consumer groups (`group.consumer.*`).
    pub consumer: ConsumerSettings,
}

/// Settings of consumer groups (KIP-848). Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// Of groups that have none of their own.
    pub times: ConsumerTimes,
    /// Within which groups may have their own.
    pub bounds: TimeBounds,
    /// The most members of a group (`group.consumer.max.size`).
    pub max_size: usize,
    /// The assignors that members may prefer; the first is for those who do not
    /// (`group.consumer.assignors`).
    pub assignors: Vec<Assignor>,
    /// Which way groups with members may change their protocol
    /// (`group.consumer.migration.policy`).
    pub migration: Migration,
}

/// Times of a consumer group, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerTimes {
    /// After which a member's silence means that it is gone (`group.consumer.session.timeout.ms`).
    pub session_ms: i32,
    /// How often members should be heard of (`group.consumer.heartbeat.interval.ms`).
    pub heartbeat_ms: i32,
    /// The least time between two assignments of a group
    /// (`group.consumer.assignment.interval.ms`, KIP-1263).
    pub assignment_interval_ms: i32,
}

/// Bounds of the times that groups may have of their own, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    /// `group.consumer.min.session.timeout.ms` and `.max.`.
    pub session: RangeInclusive<i32>,
    /// `group.consumer.min.heartbeat.interval.ms` and `.max.`.
    pub heartbeat: RangeInclusive<i32>,
    /// `group.consumer.min.assignment.interval.ms` and `.max.`.
    pub assignment_interval: RangeInclusive<i32>,
}

impl ConsumerSettings {
    /// The times of a group with these configs. Its own count within the bounds, which may have
    /// changed since they were given (Kafka's `GroupConfigManager`).
    pub(crate) fn times(&self, configs: Option<&Configs>) -> ConsumerTimes {
        let Some(configs) = configs else { return self.times };
        let own = |name: &str, bounds: &RangeInclusive<i32>, other: i32| {
            let own = configs.get(name).and_then(|value| value.trim().parse::<i32>().ok());
            own.map_or(other, |own| own.max(*bounds.start()).min(*bounds.end()))
        };
        let ConsumerSettings { times, bounds, .. } = self;
        ConsumerTimes {
            session_ms: own(SESSION_CONFIG, &bounds.session, times.session_ms),
            heartbeat_ms: own(HEARTBEAT_CONFIG, &bounds.heartbeat, times.heartbeat_ms),
            assignment_interval_ms: own(
                ASSIGNMENT_INTERVAL_CONFIG,
                &bounds.assignment_interval,
                times.assignment_interval_ms,
            ),
        }
    }
}

/// Which way groups with members may change their protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// Both.
    Bidirectional,
    /// To the new one.
    Upgrade,
    /// To the old one.
    Downgrade,
    /// Neither.
    Disabled,
}

impl Migration {
    pub(crate) fn upgrades(self) -> bool {
        matches!(self, Migration::Bidirectional | Migration::Upgrade)
    }

    pub(crate) fn downgrades(self) -> bool {
        matches!(self, Migration::Bidirectional | Migration::Downgrade)
    }

    pub(crate) fn admits_classic(self) -> bool {
        self != Migration::Disabled
    }
}

impl Default for ConsumerSettings {
    /// Kafka's defaults.
    fn default() -> ConsumerSettings {
        ConsumerSettings {
            times: ConsumerTimes {
                session_ms: 45_000,
                heartbeat_ms: 5_000,
                assignment_interval_ms: 1_000,
            },
            bounds: TimeBounds {
                session: 45_000..=60_000,
                heartbeat: 5_000..=15_000,
                assignment_interval: 0..=15_000,
            },
            max_size: i32::MAX as usize,
            assignors: vec![Assignor::Uniform, Assignor::Range],
            migration: Migration::Bidirectional,
        }
    }
}

impl Default for GroupSettings {
    /// Kafka's defaults.
    fn default() -> GroupSettings {
        GroupSettings {
            min_session_ms: 6_000,
            max_session_ms: 1_800_000,
            initial_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            max_metadata: 4_096,
            retention_ms: 7 * 24 * 3_600_000,
            expiry_interval_ms: 600_000,
            max_groups: 1_000_000,
            consumer: ConsumerSettings::default(),
        }
    }
}
