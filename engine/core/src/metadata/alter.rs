//! What becomes of a request to change configs. The rules are those of Kafka's
//! `ConfigurationControlManager`, but that the new configs are made and checked by the caller, who
//! knows what each config means: they hold only if nobody else has changed them meanwhile.

use std::sync::Arc;

use crate::metadata::command::{AlterConfigs, Alteration, Altered, Configured};
use crate::metadata::image::{Configs, Image};
use crate::metadata::record::{ConfigRecord, ConfigResource, MAX_STRING, Record};
use crate::metadata::refusal::AlterRefusal;

/// Records that change the configs which can be, and what became of each resource.
pub(super) fn decide(
    image: &Image,
    command: &AlterConfigs,
) -> (Vec<Record>, Vec<Result<Altered, AlterRefusal>>) {
    let mut records = Vec::new();
    // Those that have configs, with those that get their first ones here.
    let mut groups = image.configured_group_count();
    let results = command.alterations.iter().map(|alteration| {
        check_lengths(&alteration.to)?;
        if *alteration.from != *present(image, &alteration.of)? {
            return Ok(Altered::Overtaken);
        }
        if is_new_group(alteration) {
            groups += 1;
            if groups > command.max_groups {
                return Err(AlterRefusal::TooManyGroups(command.max_groups));
            }
        }
        records.extend(changes(alteration));
        Ok(Altered::Done)
    });
    let results = results.collect();
    (records, results)
}

fn check_lengths(configs: &Configs) -> Result<(), AlterRefusal> {
    let lengths = configs.iter().map(|(name, value)| name.len().max(value.len()));
    match lengths.max() {
        Some(length) if length > MAX_STRING => Err(AlterRefusal::TooLong { length }),
        _ => Ok(()),
    }
}

fn present(image: &Image, of: &Configured) -> Result<Configs, AlterRefusal> {
    match of {
        Configured::Topic(name) => match image.topic(name) {
            Some(topic) => Ok(topic.configs.clone()),
            None => Err(AlterRefusal::UnknownTopic(name.clone())),
        },
        Configured::Group(name) => Ok(image.group_configs(name).cloned().unwrap_or_default()),
    }
}

fn is_new_group(Alteration { of, from, to }: &Alteration) -> bool {
    matches!(of, Configured::Group(_)) && from.is_empty() && !to.is_empty()
}

/// A record for each config that becomes another or goes.
fn changes(Alteration { of, from, to }: &Alteration) -> impl Iterator<Item = Record> {
    let (resource, resource_name): (_, &Arc<str>) = match of {
        Configured::Topic(name) => (ConfigResource::Topic, name),
        Configured::Group(name) => (ConfigResource::Group, name),
    };
    let record = move |config: &String, value: Option<&String>| {
        Record::Config(ConfigRecord {
            resource,
            resource_name: resource_name.to_string(),
            name: config.clone(),
            value: value.cloned(),
        })
    };
    let gone = from.keys().filter(|config| !to.contains_key(*config));
    let gone = gone.map(move |config| record(config, None));
    let others = to.iter().filter(|(config, value)| from.get(*config) != Some(value));
    gone.chain(others.map(move |(config, value)| record(config, Some(value))))
}
