//! ListGroups: all groups, or those in some states and of some types.

use std::collections::BTreeSet;

use corelog_engine::group::request::{GroupError, GroupType, Listing, Reply, Request};
use corelog_wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled, make};
use crate::broker::{groups, translate};

/// Bytes of a group without its name.
const LISTED: usize = 384;

pub(crate) fn handle(call: &Call, request: ListGroupsRequest) -> Handled<ListGroupsResponse> {
    let asked = groups::ask_all(&call.node, &Request::List);
    let (node, header) = (call.node.clone(), call.header.clone());
    Handled::made(|mut charge| async move {
        let mut listed = Vec::new();
        let mut error = None;
        for asked in asked {
            match asked.await {
                Ok(Reply::List(groups)) => {
                    let bytes = groups.iter().map(size).sum();
                    node.shard.grow_work(&mut charge, bytes).await;
                    listed.push(groups);
                }
                // Kafka takes these for partitions of others.
                Err(GroupError::NotCoordinator) => {}
                Ok(_) => error = error.or(Some(GroupError::Unknown)),
                Err(other) => error = error.or(Some(other)),
            }
        }
        let answer = move || match error {
            Some(error) => failed(error),
            None => list(&request, listed.into_iter().flatten()),
        };
        make(&node, &header, answer)(charge).await
    })
}

/// Bytes that a group takes, as listed, as told, and encoded.
fn size(group: &Listing) -> u64 {
    (LISTED + 3 * group.group.as_str().len()) as u64
}

fn list(request: &ListGroupsRequest, listed: impl Iterator<Item = Listing>) -> ListGroupsResponse {
    // As in Kafka: blanks around a state are nothing, those around a type are a part of it.
    let states = Filter::new(request.states_filter.iter().map(|state| state.trim()));
    let types = Filter::new(request.types_filter.iter().map(|kind| &**kind));
    let wanted =
        |group: &ListedGroup| states.lets(&group.group_state) && types.lets(&group.group_type);
    let groups = listed.map(told).filter(wanted).collect();
    ListGroupsResponse { groups, ..ListGroupsResponse::default() }
}

/// Values of which one is wanted, or any if there are none; in upper or lower case.
struct Filter(BTreeSet<String>);

impl Filter {
    fn new<'a>(values: impl Iterator<Item = &'a str>) -> Filter {
        Filter(values.map(str::to_ascii_lowercase).collect())
    }

    fn lets(&self, value: &str) -> bool {
        self.0.is_empty() || self.0.contains(&value.to_ascii_lowercase())
    }
}

fn told(listing: Listing) -> ListedGroup {
    ListedGroup {
        group_id: Str::from(listing.group.as_str()),
        protocol_type: Str::from(&*listing.protocol_type),
        group_state: Str::from_static(translate::group_state(listing.state)),
        group_type: Str::from_static(match listing.kind {
            GroupType::Classic => "classic",
            GroupType::Consumer => "consumer",
        }),
    }
}

fn failed(error: GroupError) -> ListGroupsResponse {
    ListGroupsResponse { error_code: translate::group(error), ..ListGroupsResponse::default() }
}
