//! Why a group has rebalanced lately. Only Corelog tells, in a field that other brokers pass over.

use corelog_wire::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedRebalance,
};
use serde::Serialize;

use crate::cli::client::Cluster;
use crate::cli::failure::Failure;

/// The first version with room for the field.
const TOLD_FROM: i16 = 5;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Rebalance {
    /// How long ago it began.
    pub(super) seconds_ago: i64,
    /// The generation or epoch that it led to; null while it goes on.
    pub(super) number: Option<i32>,
    pub(super) milliseconds: i64,
    /// Partitions that came to another member.
    pub(super) moved: i32,
    pub(super) cause: String,
}

/// The last rebalances of a group, the newest last; none where the broker does not tell.
pub(super) fn find(
    cluster: &mut Cluster,
    name: &str,
    now_ms: i64,
) -> Result<Vec<Rebalance>, Failure> {
    let request = |version| DescribeGroupsRequest {
        groups: vec![name.into()],
        include_history: version >= TOLD_FROM,
        ..Default::default()
    };
    cluster.ask_coordinator(name, request, |response| Ok(told(response, now_ms)))
}

fn told(response: DescribeGroupsResponse, now_ms: i64) -> Vec<Rebalance> {
    let history = response.groups.into_iter().flat_map(|group| group.history);
    history.map(|rebalance| one(rebalance, now_ms)).collect()
}

fn one(rebalance: DescribedRebalance, now_ms: i64) -> Rebalance {
    Rebalance {
        seconds_ago: now_ms.saturating_sub(rebalance.time_ms).max(0) / 1000,
        number: (rebalance.number >= 0).then_some(rebalance.number),
        milliseconds: rebalance.took_ms,
        moved: rebalance.moved,
        cause: rebalance.cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::messages::describe_groups::DescribedGroup;

    #[test]
    fn what_is_told_is_read() {
        let one = |number| DescribedRebalance {
            time_ms: 1_000,
            cause: "x left".into(),
            number,
            took_ms: 5,
            moved: 2,
        };
        let group = DescribedGroup { history: vec![one(3), one(-1)], ..Default::default() };
        let response = DescribeGroupsResponse { groups: vec![group], ..Default::default() };
        let found = told(response, 4_500);
        let expected = |number| Rebalance {
            seconds_ago: 3,
            number,
            milliseconds: 5,
            moved: 2,
            cause: "x left".to_owned(),
        };
        assert_eq!(found, [expected(Some(3)), expected(None)]);
    }
}
