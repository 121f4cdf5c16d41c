//! Corelog, a Kafka-compatible broker: the daemon and its command line.

fn main() {}
