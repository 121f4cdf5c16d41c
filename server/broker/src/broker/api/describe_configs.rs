//! DescribeConfigs: settings of topics, of groups and of this broker, with where each value comes
//! from.

use std::collections::BTreeSet;
use std::sync::Arc;

use corelog_engine::metadata::{Image, name};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled, make};
use crate::broker::resource::{BROKER, GROUP, TOPIC};
use crate::broker::translate::Told;
use crate::config::broker::Config;
use crate::config::describe::{
    Described, SynonymValue, describe_broker, describe_cluster, describe_group, describe_topic,
};

/// Resources, with names of settings that are asked for, which are described on the shard's thread.
const FEW: usize = 10;

pub(crate) fn handle(
    call: &Call,
    request: DescribeConfigsRequest,
) -> Handled<DescribeConfigsResponse> {
    let (config, image) = (call.node.config.clone(), call.node.image());
    let keys = |resource: &DescribeConfigsResource| {
        resource.configuration_keys.as_ref().map_or(0, Vec::len)
    };
    let asked = request.resources.len() + request.resources.iter().map(keys).sum::<usize>();
    match asked <= FEW {
        true => Handled::Now(describe(&config, &image, &request)),
        false => Handled::Made(make(&call.node, &call.header, move || {
            describe(&config, &image, &request)
        })),
    }
}

fn describe(
    config: &Arc<Config>,
    image: &Image,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let found = find(config, image, resource);
        let (told, entries) = match found {
            Ok(entries) => (None, entries),
            Err(told) => (Some(told), Vec::new()),
        };
        let keys = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
        let keys: Option<BTreeSet<&str>> = keys.map(|keys| keys.iter().map(|key| &**key).collect());
        let is_wanted = |entry: &Described| keys.as_ref().is_none_or(|k| k.contains(entry.name));
        let wanted = entries.into_iter().filter(is_wanted);
        DescribeConfigsResult {
            error_code: told.as_ref().map_or(ErrorCode::None, |told| told.code),
            error_message: told.and_then(|told| told.message),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs: wanted.map(|entry| shown(request, entry)).collect(),
        }
    });
    let results = results.collect();
    DescribeConfigsResponse { results, ..DescribeConfigsResponse::default() }
}

fn find(
    config: &Arc<Config>,
    image: &Image,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Described>, Told> {
    match resource.resource_type {
        TOPIC => topic(config, image, &resource.resource_name),
        BROKER => broker(config, &resource.resource_name),
        GROUP => group(config, image, &resource.resource_name),
        other => {
            let why = format!("Resources of type {other} have no settings on this broker.");
            Err(Told::new(ErrorCode::InvalidRequest, why))
        }
    }
}

fn topic(config: &Arc<Config>, image: &Image, topic: &str) -> Result<Vec<Described>, Told> {
    name::check(topic)
        .map_err(|fault| Told::new(ErrorCode::InvalidTopicException, fault.to_string()))?;
    let topic = image.topic(topic).ok_or_else(|| Told::of(ErrorCode::UnknownTopicOrPartition))?;
    Ok(describe_topic(config, &topic.configs))
}

/// What counts for a group of this name, whether there is one or not.
fn group(config: &Arc<Config>, image: &Image, group: &str) -> Result<Vec<Described>, Told> {
    if group.is_empty() {
        return Err(Told::new(ErrorCode::InvalidRequest, "Group name must not be empty"));
    }
    let own = image.group_configs(group).cloned().unwrap_or_default();
    Ok(describe_group(config, &own))
}

fn broker(config: &Arc<Config>, name: &str) -> Result<Vec<Described>, Told> {
    if name.is_empty() {
        return Ok(describe_cluster(config));
    }
    if name.parse() == Ok(config.node_id) {
        return Ok(describe_broker(config));
    }
    let why = format!("This is broker {}; ask broker '{name}' for its settings.", config.node_id);
    Err(Told::new(ErrorCode::InvalidRequest, why))
}

fn shown(request: &DescribeConfigsRequest, entry: Described) -> DescribeConfigsResourceResult {
    let synonyms = entry.synonyms.into_iter().map(synonym);
    DescribeConfigsResourceResult {
        name: Str::from_static(entry.name),
        value: entry.value.map(Str::from),
        read_only: entry.read_only,
        config_source: entry.source as i8,
        is_sensitive: entry.sensitive,
        synonyms: if request.include_synonyms { synonyms.collect() } else { Vec::new() },
        config_type: entry.config_type as i8,
        documentation: request.include_documentation.then(|| Str::from(entry.documentation)),
    }
}

fn synonym(synonym: SynonymValue) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym {
        name: Str::from_static(synonym.name),
        value: synonym.value.map(Str::from),
        source: synonym.source as i8,
    }
}
