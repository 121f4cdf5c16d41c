//! AlterConfigs: a resource's settings as a whole.

use corelog_engine::metadata::command::Mode;
use corelog_wire::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResponse,
};

use crate::broker::alteration::{Changes, Wanted, alter, refuse_nulls};
use crate::broker::api::{Call, Handled};
use crate::broker::translate::Told;

pub(crate) fn handle(call: &Call, request: AlterConfigsRequest) -> Handled<AlterConfigsResponse> {
    let mode = if request.validate_only { Mode::ValidateOnly } else { Mode::Apply };
    let wanted = request.resources.into_iter().map(wanted).collect();
    let node = call.node.clone();
    Handled::later(async move {
        let responses = alter(node, wanted, mode).await;
        AlterConfigsResponse { responses, ..AlterConfigsResponse::default() }
    })
}

fn wanted(resource: AlterConfigsResource) -> Wanted {
    let changes = changes(&resource);
    let AlterConfigsResource { resource_type, resource_name, .. } = resource;
    Wanted { resource_type, resource_name, changes }
}

fn changes(resource: &AlterConfigsResource) -> Result<Changes, Told> {
    let configs = &resource.configs;
    let nulls = configs.iter().filter(|config| config.value.is_none());
    refuse_nulls(&nulls.map(|config| &config.name[..]).collect::<Vec<_>>())?;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let set = configs.iter().filter_map(|config| Some(pair(&config.name, config.value.as_ref()?)));
    Ok(Changes::All(set.collect()))
}
