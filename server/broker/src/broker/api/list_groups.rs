//! ListGroups: all groups, or those in some states and of some types.

use corelog_engine::group::request::{GroupError, Listing, Reply, Request};
use corelog_wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled};
use crate::broker::{groups, translate};

const CLASSIC: &str = "classic";

pub(crate) fn handle(call: &Call, request: ListGroupsRequest) -> Handled<ListGroupsResponse> {
    let asked = groups::ask_all(&call.node, &Request::List);
    Handled::later(async move {
        let mut listed = Vec::new();
        for asked in asked {
            match asked.await {
                Ok(Reply::List(groups)) => listed.extend(groups),
                // Kafka takes these for partitions of others.
                Err(GroupError::NotCoordinator) => {}
                Ok(_) => return failed(GroupError::Unknown),
                Err(error) => return failed(error),
            }
        }
        let groups = listed.into_iter().map(told).filter(|group| is_asked_for(&request, group));
        ListGroupsResponse { groups: groups.collect(), ..ListGroupsResponse::default() }
    })
}

fn told(listing: Listing) -> ListedGroup {
    ListedGroup {
        group_id: Str::from(listing.group.as_str()),
        protocol_type: Str::from(&*listing.protocol_type),
        group_state: Str::from_static(translate::group_state(listing.state)),
        group_type: Str::from_static(CLASSIC),
    }
}

/// Upper and lower case are the same to filters, as in Kafka.
fn is_asked_for(request: &ListGroupsRequest, group: &ListedGroup) -> bool {
    let among = |filter: &[Str], own: &str| {
        filter.is_empty() || filter.iter().any(|asked| asked.trim().eq_ignore_ascii_case(own))
    };
    among(&request.states_filter, &group.group_state)
        && among(&request.types_filter, &group.group_type)
}

fn failed(error: GroupError) -> ListGroupsResponse {
    ListGroupsResponse { error_code: translate::group(error), ..ListGroupsResponse::default() }
}
