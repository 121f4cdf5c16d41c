//! DeleteGroups: groups without members, with their offsets.

use std::collections::HashSet;

use corelog_engine::group::request::{GroupError, Reply, Request};
use corelog_wire::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use crate::broker::api::{Call, Handled};
use crate::broker::{groups, translate};

pub(crate) fn handle(call: &Call, request: DeleteGroupsRequest) -> Handled<DeleteGroupsResponse> {
    let node = call.node.clone();
    Handled::later(async move {
        // A name that comes twice is answered once, as by Kafka.
        let (mut seen, mut asked) =
            (HashSet::new(), Vec::with_capacity(request.groups_names.len()));
        for group_id in request.groups_names {
            node.shard.breathe().await;
            if seen.insert(group_id.clone()) {
                let question = Request::Delete((*group_id).into());
                let pending = groups::ask(&node, &group_id, question);
                asked.push((group_id, pending));
            }
        }
        let mut results = Vec::with_capacity(asked.len());
        for (group_id, asked) in asked {
            let result = match asked.await {
                Ok(Reply::Delete(result)) => result,
                Ok(_) => Err(GroupError::Unknown),
                Err(error) => Err(error),
            };
            let error_code = translate::group_result(result);
            results.push(DeletableGroupResult { group_id, error_code });
        }
        DeleteGroupsResponse { results, ..DeleteGroupsResponse::default() }
    })
}
