//! The rows for groups: those of Kafka's `GroupConfig` that are about consumer groups.

use corelog_engine::group::settings::{
    ASSIGNMENT_INTERVAL_CONFIG, HEARTBEAT_CONFIG, SESSION_CONFIG,
};

use super::setting::{INT_MAX, Setting, Unit, group_row, int, same};

/// Everything that a group may set.
pub(super) const GROUP: &[Setting] = &[
    group_row(
        ASSIGNMENT_INTERVAL_CONFIG,
        int(0, INT_MAX).of(Unit::Millis),
        &[same("group.consumer.assignment.interval.ms")],
    )
    .default("1s")
    .doc("The least time between two assignments of the group (KIP-1263)."),
    group_row(
        HEARTBEAT_CONFIG,
        int(1, INT_MAX).of(Unit::Millis),
        &[same("group.consumer.heartbeat.interval.ms")],
    )
    .default("5s")
    .doc("How often the group's members are told to send heartbeats."),
    group_row(
        SESSION_CONFIG,
        int(1, INT_MAX).of(Unit::Millis),
        &[same("group.consumer.session.timeout.ms")],
    )
    .default("45s")
    .doc("How long a member of the group may be silent before it counts as gone."),
];
