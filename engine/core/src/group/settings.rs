//! Bounds and times of groups, as the operator sets them (`group.*`, `offsets.*`).

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
        }
    }
}
