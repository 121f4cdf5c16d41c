//! `corelog group list`

use std::collections::BTreeMap;
use std::fmt;

use clap::Args;
use corelog_wire::messages::list_groups::{ListGroupsRequest, ListedGroup};
use serde::Serialize;

use super::{some, word};
use crate::cli::client::{ClientArguments, Cluster, patiently};
use crate::cli::failure::{Failure, check};
use crate::cli::output::{Table, print};

/// The first version that knows of states, and the first that knows of types.
const STATES_FROM: i16 = 4;
const TYPES_FROM: i16 = 5;

/// Kafka's names, of groups of both types.
const STATES: [&str; 7] = [
    "Stable",
    "Empty",
    "PreparingRebalance",
    "CompletingRebalance",
    "Assigning",
    "Reconciling",
    "Dead",
];

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Only groups in these states
    #[arg(
        long = "state",
        value_name = "STATE,...",
        value_delimiter = ',',
        ignore_case = true,
        value_parser = STATES
    )]
    states: Vec<String>,
    /// Only groups of this type
    #[arg(
        long = "type",
        value_name = "TYPE",
        ignore_case = true,
        value_parser = ["classic", "consumer"]
    )]
    kind: Option<String>,
    #[command(flatten)]
    client: ClientArguments,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listed {
    groups: Vec<Row>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    name: String,
    /// What the members do; null without any members so far.
    protocol_type: Option<String>,
    /// Brokers older than Kafka 3.8 do not tell.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Brokers older than Kafka 2.6 do not tell.
    state: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut cluster = Cluster::connect(&arguments.client.bootstrap)?;
    // By name: a group that moves meanwhile is told of by two brokers.
    let mut groups = BTreeMap::new();
    for node in cluster.brokers()? {
        let listed = patiently(|| groups_of(&mut cluster, node, arguments))?;
        groups.extend(listed.into_iter().map(|group| (group.group_id.clone(), Row::new(&group))));
    }
    print(arguments.client.output, &Listed { groups: groups.into_values().collect() })
}

fn groups_of(
    cluster: &mut Cluster,
    node: i32,
    arguments: &Arguments,
) -> Result<Vec<ListedGroup>, Failure> {
    let broker = cluster.broker(node)?;
    let version = broker.version::<ListGroupsRequest>()?;
    let response = broker.call(&request(version, &arguments.states, arguments.kind.as_deref())?)?;
    check(response.error_code, None, || format!("groups of broker {node}"))?;
    Ok(response.groups)
}

fn request(
    version: i16,
    states: &[String],
    kind: Option<&str>,
) -> Result<ListGroupsRequest, Failure> {
    if !states.is_empty() && version < STATES_FROM {
        return Err(Failure::NoFilter("--state"));
    }
    if kind.is_some() && version < TYPES_FROM {
        return Err(Failure::NoFilter("--type"));
    }
    // To older brokers upper and lower case are different.
    let named = |state: &String| {
        STATES.into_iter().find(|known| known.eq_ignore_ascii_case(state)).unwrap_or(state).into()
    };
    Ok(ListGroupsRequest {
        states_filter: states.iter().map(named).collect(),
        types_filter: kind.into_iter().map(Into::into).collect(),
    })
}

impl Row {
    fn new(group: &ListedGroup) -> Row {
        Row {
            name: group.group_id.to_string(),
            protocol_type: some(&group.protocol_type),
            kind: some(&group.group_type).map(|kind| kind.to_ascii_lowercase()),
            state: some(&group.group_state),
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.groups.is_empty() {
            return f.write_str("no groups");
        }
        let head = ["group", "protocol type", "type", "state"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.groups.iter().map(|row| {
            vec![
                row.name.clone(),
                word(row.protocol_type.as_deref()),
                word(row.kind.as_deref()),
                word(row.state.as_deref()),
            ]
        }));
        Table(rows).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::header::encode_request;

    #[test]
    fn groups_are_listed() {
        let new = ListedGroup {
            group_id: "readers".into(),
            protocol_type: "consumer".into(),
            group_state: "Stable".into(),
            group_type: "Consumer".into(),
        };
        let old = ListedGroup { group_id: "g".into(), ..Default::default() };
        let listed = Listed { groups: vec![Row::new(&old), Row::new(&new)] };
        assert_eq!(
            listed.to_string(),
            "group    protocol type  type      state\n\
             g        -              -         -\n\
             readers  consumer       consumer  Stable"
        );
        assert_eq!(
            serde_json::to_string(&listed).expect("serializes"),
            "{\"groups\":[\
             {\"name\":\"g\",\"protocol_type\":null,\"type\":null,\"state\":null},\
             {\"name\":\"readers\",\"protocol_type\":\"consumer\",\"type\":\"consumer\",\
             \"state\":\"Stable\"}]}"
        );
        assert_eq!(Listed { groups: Vec::new() }.to_string(), "no groups");
    }

    #[test]
    fn a_filter_is_sent_or_refused_but_never_ignored() {
        let states = ["stable".to_owned(), "Empty".to_owned()];
        for version in 0..=5 {
            let everything = request(version, &[], None).expect("no filter");
            assert_eq!(everything, ListGroupsRequest::default());
            let by_state = request(version, &states, None);
            let by_type = request(version, &[], Some("classic"));
            assert_eq!(by_state.is_ok(), version >= 4, "version {version}");
            assert_eq!(by_type.is_ok(), version >= 5, "version {version}");
            for request in [Ok(everything), by_state, by_type].into_iter().flatten() {
                assert!(encode_request(version, 0, None, &request).is_ok(), "version {version}");
            }
        }
        let asked = request(4, &states, None).expect("states").states_filter;
        assert_eq!(asked, ["Stable", "Empty"]);
        let failure = request(3, &states, None).expect_err("too old").to_string();
        assert!(failure.contains("--state"), "{failure}");
    }
}
