//! Clients that alter the configs of one topic at the same time.

use std::thread;

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use corelog_wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::broker::{Broker, Directory};
use crate::printed;
use crate::wire::Connection;

const TOPIC: i8 = 2;
const TIMES: u32 = 100;

fn set(connection: &mut Connection, name: &'static str, value: &str) -> ErrorCode {
    let config =
        AlterableConfig { name: name.into(), value: Some(value.into()), ..Default::default() };
    let resource = AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: "t".into(),
        configs: vec![config],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    connection.call(1, &request).responses[0].error_code
}

fn get(connection: &mut Connection, name: &'static str) -> Option<String> {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: "t".into(),
        configuration_keys: Some(vec![name.into()]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let described = connection.call(4, &request);
    described.results[0].configs[0].value.as_ref().map(ToString::to_string)
}

/// Each changes a config that nobody else does: it is never refused, and never as it was before.
#[test]
fn of_several_who_alter_configs_at_once_nobody_loses_a_change() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    printed(broker.ask(&["topic", "create", "t"]));
    thread::scope(|scope| {
        for name in ["retention.ms", "file.delete.delay.ms", "delete.retention.ms", "segment.ms"] {
            let address = broker.address();
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                for value in 1..=TIMES {
                    let value = value.to_string();
                    assert_eq!(set(&mut connection, name, &value), ErrorCode::None, "{name}");
                    assert_eq!(get(&mut connection, name), Some(value), "{name}");
                }
            });
        }
    });
}

/// Whatever a client sends, it gets an answer that fits into a response.
#[test]
fn a_refusal_does_not_repeat_everything() {
    let directory = Directory::new();
    let broker = Broker::start(&directory);
    printed(broker.ask(&["topic", "create", "t"]));
    let mut connection = Connection::open(broker.address());
    let name: &'static str = "x".repeat(32_760).leak();
    assert_eq!(set(&mut connection, name, "1"), ErrorCode::InvalidConfig);
    assert_eq!(set(&mut connection, "retention.ms", "1"), ErrorCode::None);
}
