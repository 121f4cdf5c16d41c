//! IncrementalAlterConfigs: single settings (KIP-339).

use corelog_engine::metadata::command::Mode;
use corelog_wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use crate::broker::alteration::{Changes, Wanted, alter, invalid, refuse_nulls};
use crate::broker::api::{Call, Handled};
use crate::broker::translate::Told;
use crate::config::alteration::Change;

/// Kafka's `AlterConfigOp.OpType`.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) fn handle(
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> Handled<IncrementalAlterConfigsResponse> {
    let mode = if request.validate_only { Mode::ValidateOnly } else { Mode::Apply };
    let wanted = request.resources.into_iter().map(wanted).collect();
    let node = call.node.clone();
    Handled::later(async move {
        let responses = alter(node, wanted, mode).await;
        IncrementalAlterConfigsResponse { responses, ..IncrementalAlterConfigsResponse::default() }
    })
}

fn wanted(resource: AlterConfigsResource) -> Wanted {
    let changes = changes(&resource.configs);
    let AlterConfigsResource { resource_type, resource_name, .. } = resource;
    Wanted { resource_type, resource_name, changes }
}

fn changes(configs: &[AlterableConfig]) -> Result<Changes, Told> {
    let is_null =
        |config: &&AlterableConfig| config.value.is_none() && config.config_operation != DELETE;
    let nulls = configs.iter().filter(is_null).map(|config| &config.name[..]);
    refuse_nulls(&nulls.collect::<Vec<_>>())?;
    let changes: Result<Vec<_>, Told> = configs.iter().map(change).collect();
    changes.map(Changes::Some)
}

fn change(config: &AlterableConfig) -> Result<(String, Change), Told> {
    let value = config.value.as_ref().map(ToString::to_string).unwrap_or_default();
    let change = match config.config_operation {
        SET => Change::Set(value),
        DELETE => Change::Delete,
        APPEND => Change::Append(value),
        SUBTRACT => Change::Subtract(value),
        other => return Err(invalid(format!("Unknown operation type {other}"))),
    };
    Ok((config.name.to_string(), change))
}
