//! Consumer groups with times of their own.

use super::consumer::{Consumer, SESSION};
use super::*;
use crate::group::request::GroupState;
use crate::group::settings::{ASSIGNMENT_INTERVAL_CONFIG, HEARTBEAT_CONFIG, SESSION_CONFIG};

#[test]
fn a_groups_own_times_count_within_the_brokers_bounds() {
    let table = [
        // The config, its value, then session, heartbeat and interval.
        (SESSION_CONFIG, "50000", (50_000, 5_000, 0)),
        (SESSION_CONFIG, " 50000 ", (50_000, 5_000, 0)),
        (SESSION_CONFIG, "10", (45_000, 5_000, 0)),
        (SESSION_CONFIG, "60001", (60_000, 5_000, 0)),
        (HEARTBEAT_CONFIG, "6000", (45_000, 6_000, 0)),
        (HEARTBEAT_CONFIG, "1", (45_000, 5_000, 0)),
        (HEARTBEAT_CONFIG, "2147483647", (45_000, 15_000, 0)),
        (ASSIGNMENT_INTERVAL_CONFIG, "77", (45_000, 5_000, 77)),
        (ASSIGNMENT_INTERVAL_CONFIG, "-1", (45_000, 5_000, 0)),
        (ASSIGNMENT_INTERVAL_CONFIG, "15001", (45_000, 5_000, 15_000)),
        // What an older or newer program may have let pass.
        (SESSION_CONFIG, "long", (45_000, 5_000, 0)),
        ("consumer.something.else", "1", (45_000, 5_000, 0)),
    ];
    for (name, value, expected) in table {
        let mut world = World::prompt();
        world.topics.configure(GROUP, name, Some(value));
        let times = world.settings.consumer.times(world.topics.image().group_configs(GROUP));
        let found = (times.session_ms, times.heartbeat_ms, times.assignment_interval_ms);
        assert_eq!(found, expected, "{name}={value}");
    }
}

#[test]
fn members_are_told_and_timed_by_their_groups_own_times() {
    let mut world = World::prompt();
    world.topics.create("t", 1);
    let mut a = Consumer::new("a");
    assert_eq!(world.enters(&mut a, &["t"]).interval_ms, 5_000);
    world.topics.configure(GROUP, HEARTBEAT_CONFIG, Some("15000"));
    world.topics.configure(GROUP, SESSION_CONFIG, Some("60000"));
    assert_eq!(world.stays(&mut a).interval_ms, 15_000);
    world.pass(SESSION);
    assert_eq!(world.state(), GroupState::Stable, "it may be silent for longer now");
    world.pass(60_000 - SESSION);
    assert_eq!(world.state(), GroupState::Empty);

    world.enters(&mut a, &["t"]);
    world.topics.configure(GROUP, HEARTBEAT_CONFIG, None);
    world.topics.configure(GROUP, SESSION_CONFIG, None);
    assert_eq!(world.stays(&mut a).interval_ms, 5_000);
    world.pass(SESSION);
    assert_eq!(world.state(), GroupState::Empty);
}

#[test]
fn a_group_waits_as_long_between_two_assignments_as_it_says() {
    let mut world = World::prompt();
    world.topics.create("t", 2);
    world.topics.configure(GROUP, ASSIGNMENT_INTERVAL_CONFIG, Some("2000"));
    let (mut a, mut b) = (Consumer::new("a"), Consumer::new("b"));
    world.enters(&mut a, &["t"]);
    world.enters(&mut b, &["t"]);
    world.pass(1_999);
    world.stays(&mut b);
    assert_eq!(world.state(), GroupState::Assigning);
    world.pass(1);
    world.stays(&mut b);
    assert_ne!(world.state(), GroupState::Assigning);
}
