//! What becomes of a request to change configs. The rules are those of Kafka's
//! `ConfigurationControlManager`, but that the new configs are made and checked by the caller, who
//! knows what each config means: they hold only if nobody else has changed them meanwhile.

use crate::metadata::command::{AlterConfigs, Alteration, Mode};
use crate::metadata::image::{Configs, Image};
use crate::metadata::record::{ConfigRecord, ConfigResource, MAX_STRING, Record};
use crate::metadata::refusal::AlterRefusal;

/// Records that change the configs which can be, and what became of each resource.
pub(super) fn decide(
    image: &Image,
    command: &AlterConfigs,
) -> (Vec<Record>, Vec<Result<(), AlterRefusal>>) {
    let mut records = Vec::new();
    let results = command.alterations.iter().map(|alteration| {
        check(image, alteration)?;
        if command.mode == Mode::Apply {
            records.extend(changes(alteration));
        }
        Ok(())
    });
    let results = results.collect();
    (records, results)
}

fn check(image: &Image, alteration: &Alteration) -> Result<(), AlterRefusal> {
    if *alteration.from != *present(image, alteration)? {
        return Err(AlterRefusal::Overtaken);
    }
    let lengths = alteration.to.iter().map(|(name, value)| name.len().max(value.len()));
    match lengths.max() {
        Some(length) if length > MAX_STRING => Err(AlterRefusal::TooLong { length }),
        _ => Ok(()),
    }
}

fn present(image: &Image, alteration: &Alteration) -> Result<Configs, AlterRefusal> {
    let name = &alteration.name;
    match alteration.resource {
        ConfigResource::Topic => match image.topic(name) {
            Some(topic) => Ok(topic.configs.clone()),
            None => Err(AlterRefusal::UnknownTopic(name.clone())),
        },
        ConfigResource::Group => Ok(image.group_configs(name).cloned().unwrap_or_default()),
        other => Err(AlterRefusal::Resource(other)),
    }
}

/// A record for each config that becomes another or goes.
fn changes(alteration: &Alteration) -> impl Iterator<Item = Record> {
    let Alteration { resource, name, from, to } = alteration;
    let record = |config: &String, value: Option<&String>| {
        Record::Config(ConfigRecord {
            resource: *resource,
            resource_name: name.to_string(),
            name: config.clone(),
            value: value.cloned(),
        })
    };
    let gone = from.keys().filter(|config| !to.contains_key(*config));
    let gone = gone.map(move |config| record(config, None));
    let others = to.iter().filter(|(config, value)| from.get(*config) != Some(value));
    gone.chain(others.map(move |(config, value)| record(config, Some(value))))
}
