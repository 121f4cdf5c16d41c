//! ListConfigResources: topics, this broker, and the groups that have settings of their own.

use corelog_engine::metadata::Image;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled, make};
use crate::broker::resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};

pub(crate) fn handle(
    call: &Call,
    request: ListConfigResourcesRequest,
) -> Handled<ListConfigResourcesResponse> {
    // Version 0 knows client metrics alone.
    let known: &[i8] = match call.header.version {
        0 => &[CLIENT_METRICS],
        _ => &[GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC],
    };
    let wanted = match request.resource_types.is_empty() {
        true => known.to_vec(),
        false => request.resource_types,
    };
    if !wanted.iter().all(|kind| known.contains(kind)) {
        let error_code = ErrorCode::UnsupportedVersion;
        let refused =
            ListConfigResourcesResponse { error_code, ..ListConfigResourcesResponse::default() };
        return Handled::Now(refused);
    }
    let (id, image) = (call.node.id(), call.node.image());
    Handled::Made(make(&call.node, &call.header, move || {
        let kinds = known.iter().filter(|kind| wanted.contains(kind));
        let config_resources = kinds.flat_map(|kind| listed(id, &image, *kind)).collect();
        ListConfigResourcesResponse { config_resources, ..ListConfigResourcesResponse::default() }
    }))
}

fn listed(id: i32, image: &Image, resource_type: i8) -> Vec<ConfigResource> {
    let names: Vec<String> = match resource_type {
        GROUP => image.configured_groups().map(ToString::to_string).collect(),
        TOPIC => image.topics().map(|topic| topic.name.to_string()).collect(),
        BROKER => vec![id.to_string()],
        _ => Vec::new(),
    };
    let resource = |name| ConfigResource { resource_name: Str::from(name), resource_type };
    names.into_iter().map(resource).collect()
}
