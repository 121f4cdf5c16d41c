//! Bounds and times of groups, as the operator sets them (`group.*`, `offsets.*`).

use crate::group::assignor::Assignor;

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
    /// After which a member's silence means that it is gone (`group.consumer.session.timeout.ms`).
    pub session_ms: i32,
    /// How often members should be heard of (`group.consumer.heartbeat.interval.ms`).
    pub heartbeat_ms: i32,
    /// The most members of a group (`group.consumer.max.size`).
    pub max_size: usize,
    /// The assignors that members may prefer; the first is for those who do not
    /// (`group.consumer.assignors`).
    pub assignors: Vec<Assignor>,
    /// Which way groups with members may change their protocol
    /// (`group.consumer.migration.policy`).
    pub migration: Migration,
    /// The least time between two assignments of a group
    /// (`group.consumer.assignment.interval.ms`, KIP-1263).
    pub assignment_interval_ms: i64,
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
            session_ms: 45_000,
            heartbeat_ms: 5_000,
            max_size: i32::MAX as usize,
            assignors: vec![Assignor::Uniform, Assignor::Range],
            migration: Migration::Bidirectional,
            assignment_interval_ms: 1_000,
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
