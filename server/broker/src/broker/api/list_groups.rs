//! ListGroups: all groups, or those in some states and of some types.

use corelog_engine::group::request::{GroupError, GroupType, Listing, Reply, Request};
use corelog_wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled, make};
use crate::broker::{groups, translate};

pub(crate) fn handle(call: &Call, request: ListGroupsRequest) -> Handled<ListGroupsResponse> {
    let asked = groups::ask_all(&call.node, &Request::List);
    let (node, header) = (call.node.clone(), call.header.clone());
    Handled::Made(Box::pin(async move {
        let mut listed = Vec::new();
        let mut error = None;
        for asked in asked {
            match asked.await {
                Ok(Reply::List(groups)) => listed.push(groups),
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
        make(&node, &header, answer).await
    }))
}

fn list(request: &ListGroupsRequest, listed: impl Iterator<Item = Listing>) -> ListGroupsResponse {
    let groups = listed.map(told).filter(|group| is_asked_for(request, group));
    ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
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

/// Upper and lower case are the same to filters; around states, blanks are nothing. As in Kafka.
fn is_asked_for(request: &ListGroupsRequest, group: &ListedGroup) -> bool {
    let state = |asked: &Str| asked.trim().eq_ignore_ascii_case(&group.group_state);
    let kind = |asked: &Str| asked.eq_ignore_ascii_case(&group.group_type);
    let (states, types) = (&request.states_filter, &request.types_filter);
    (states.is_empty() || states.iter().any(state)) && (types.is_empty() || types.iter().any(kind))
}

fn failed(error: GroupError) -> ListGroupsResponse {
    ListGroupsResponse { error_code: translate::group(error), ..ListGroupsResponse::default() }
}
