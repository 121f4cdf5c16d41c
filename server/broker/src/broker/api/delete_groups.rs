//! DeleteGroups: groups without members, with their offsets.

use corelog_engine::group::request::{GroupError, Reply, Request};
use corelog_wire::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use crate::broker::api::{Call, Handled};
use crate::broker::{groups, translate};

pub(crate) fn handle(call: &Call, request: DeleteGroupsRequest) -> Handled<DeleteGroupsResponse> {
    let mut names = request.groups_names;
    // A name that comes twice is answered once, as by Kafka.
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let asked = names.into_iter().map(|group_id| {
        let question = Request::Delete((*group_id).into());
        (group_id.clone(), groups::ask(&call.node, &group_id, question))
    });
    let asked: Vec<_> = asked.collect();
    Handled::later(async move {
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
