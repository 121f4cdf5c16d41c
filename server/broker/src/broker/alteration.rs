//! Altering the settings of topics and groups: what IncrementalAlterConfigs and AlterConfigs have
//! in common. Rules: Kafka's `ConfigAdminManager` and `ControllerConfigurationValidator`.
//!
//! The new settings are made and checked here, of those that the image has; the controller takes
//! them only if nobody was faster, else they are made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use corelog_engine::metadata::command::{AlterConfigs, Alteration, Altered, Configured, Mode};
use corelog_engine::metadata::image::Configs;
use corelog_engine::metadata::{Command, Image, Outcome, name};
use corelog_engine::shard::request::{Reply, Request};
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::alter_configs::AlterConfigsResourceResponse;
use corelog_wire::text::Str;

use crate::broker::node::Node;
use crate::broker::resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::broker::translate::{self, Told};
use crate::config::alteration::{self, Change};
use crate::config::setting::Setting;
use crate::config::topic::{self, TopicConfig};
use crate::config::{group, table};

/// The most groups that may have settings of their own: nothing else bounds their names.
const GROUPS: usize = 100_000;

/// A resource, and what it is to become.
pub(crate) struct Wanted {
    pub(crate) resource_type: i8,
    pub(crate) resource_name: Str,
    /// Or what is wrong with them.
    pub(crate) changes: Result<Changes, Told>,
}

/// What a resource's settings are to become.
pub(crate) enum Changes {
    /// As they are, but for these.
    Some(Vec<(String, Change)>),
    /// These, and no others.
    All(Vec<(String, String)>),
}

/// What became of one resource.
pub(crate) type Verdict = Result<(), Told>;

/// Alters what can be altered, and says what became of each.
pub(crate) async fn alter(
    node: Rc<Node>,
    wanted: Vec<Wanted>,
    mode: Mode,
) -> Vec<AlterConfigsResourceResponse> {
    let twice = named_twice(&wanted);
    let mut results: Vec<Option<Verdict>> = Vec::with_capacity(wanted.len());
    for one in &wanted {
        node.shard.breathe().await;
        results.push(match twice.contains(&(one.resource_type, one.resource_name.clone())) {
            true => Some(Err(invalid("Each resource must appear at most once."))),
            false => check(&node, one).err().map(Err),
        });
    }
    while results.iter().any(Option::is_none) {
        attempt(&node, &wanted, mode, &mut results).await;
    }
    wanted
        .into_iter()
        .zip(results.into_iter().flatten())
        .map(|(one, result)| response(one, result))
        .collect()
}

pub(crate) fn invalid(why: impl Into<String>) -> Told {
    Told::new(ErrorCode::InvalidRequest, why)
}

fn named_twice(wanted: &[Wanted]) -> BTreeSet<(i8, Str)> {
    let mut seen = BTreeSet::new();
    let key = |one: &Wanted| (one.resource_type, one.resource_name.clone());
    wanted.iter().map(key).filter(|key| !seen.insert(key.clone())).collect()
}

/// Says which settings have no value where they need one.
pub(crate) fn refuse_nulls(names: &[&str]) -> Verdict {
    match names {
        [] => Ok(()),
        names => Err(invalid(format!("Null value not supported for : {}", names.join(", ")))),
    }
}

/// What is wrong with a request whatever is set now.
fn check(node: &Node, wanted: &Wanted) -> Verdict {
    let names: Vec<&str> = match wanted.changes.as_ref().map_err(Told::clone)? {
        Changes::Some(changes) => changes.iter().map(|(name, _)| name.as_str()).collect(),
        Changes::All(configs) => configs.iter().map(|(name, _)| name.as_str()).collect(),
    };
    let distinct: BTreeSet<_> = names.iter().collect();
    if distinct.len() < names.len() {
        return Err(invalid("Name each config once."));
    }
    let resource = &wanted.resource_name;
    match wanted.resource_type {
        TOPIC if resource.is_empty() => Err(invalid("Default topic resources are not allowed.")),
        TOPIC => name::check(resource)
            .map_err(|fault| Told::new(ErrorCode::InvalidTopicException, fault.to_string())),
        GROUP if resource.is_empty() => Err(invalid("Default group resources are not allowed.")),
        GROUP => Ok(()),
        BROKER if !resource.is_empty() && resource.parse() != Ok(node.id()) => {
            let id = node.id();
            Err(invalid(format!("Unexpected broker id, expected {id}, but received {resource}")))
        }
        BROKER | BROKER_LOGGER => Err(invalid(
            "This broker's settings are taken up when it starts: change its file and start it \
             again.",
        )),
        CLIENT_METRICS => Err(invalid("There are no client metrics on this broker.")),
        other => Err(invalid(format!("Unknown resource type {other}"))),
    }
}

/// Alters those that have no result yet, against the image as it is now. Those that somebody else
/// has altered meanwhile have none after that either.
async fn attempt(node: &Node, wanted: &[Wanted], mode: Mode, results: &mut [Option<Verdict>]) {
    let image = node.image();
    let (mut places, mut alterations) = (Vec::new(), Vec::new());
    for (place, one) in wanted.iter().enumerate() {
        if results[place].is_some() {
            continue;
        }
        node.shard.breathe().await;
        match alteration(node, &image, one) {
            Ok(alteration) => {
                places.push(place);
                alterations.push(alteration);
            }
            Err(told) => results[place] = Some(Err(told)),
        }
    }
    if places.is_empty() {
        return;
    }
    let command = AlterConfigs { alterations, mode, max_groups: GROUPS };
    let command = Command::AlterConfigs(command);
    match node.shard.submit(Request::Metadata(command)).await {
        Reply::Metadata(Ok(Outcome::Altered(altered))) => {
            for (place, altered) in places.into_iter().zip(altered) {
                results[place] = match altered {
                    Ok(Altered::Done) => Some(Ok(())),
                    Ok(Altered::Overtaken) => None,
                    Err(refusal) => Some(Err(translate::alter(&refusal))),
                };
            }
        }
        Reply::Metadata(Err(error)) => {
            let told = translate::metadata(&error);
            places.into_iter().for_each(|place| results[place] = Some(Err(told.clone())));
        }
        _ => {
            let told = Told::of(ErrorCode::UnknownServerError);
            places.into_iter().for_each(|place| results[place] = Some(Err(told.clone())));
        }
    }
}

fn alteration(node: &Node, image: &Image, wanted: &Wanted) -> Result<Alteration, Told> {
    let name: Arc<str> = Arc::from(&wanted.resource_name[..]);
    let changes = wanted.changes.as_ref().map_err(Told::clone)?;
    let config = &node.config;
    let refused = |why: String| Told::new(ErrorCode::InvalidConfig, why);
    let (of, from, to) = if wanted.resource_type == GROUP {
        let from = image.group_configs(&name).cloned().unwrap_or_default();
        let to = after(table::find_group, &from, changes)?;
        let counting = counting(&to, changes, |name, value| group::accepts(config, name, value));
        group::validate(config, &counting).map_err(|error| refused(error.to_string()))?;
        (Configured::Group(name), from, to)
    } else {
        // That there is no such topic is said by the controller, after what is wrong with configs.
        let from = image.topic(&name).map(|topic| topic.configs.clone()).unwrap_or_default();
        let to = after(table::find_topic, &from, changes)?;
        let counting = counting(&to, changes, |name, value| topic::accepts(config, name, value));
        TopicConfig::validate(config, &counting).map_err(|error| refused(error.to_string()))?;
        (Configured::Topic(name), from, to)
    };
    Ok(Alteration { of, from, to: Arc::new(to) })
}

fn after(
    find: impl Fn(&str) -> Option<&'static Setting>,
    from: &Configs,
    changes: &Changes,
) -> Result<BTreeMap<String, String>, Told> {
    match changes {
        Changes::Some(changes) => alteration::apply(find, from, changes)
            .map_err(|error| Told::new(ErrorCode::InvalidConfig, error.to_string())),
        Changes::All(configs) => Ok(configs.iter().cloned().collect()),
    }
}

/// What is to be checked: without what was accepted once, by this program or another, would not be
/// now, and is not touched. It does not count, and must not keep anything else from being altered.
fn counting(
    to: &BTreeMap<String, String>,
    changes: &Changes,
    accepts: impl Fn(&str, &str) -> bool,
) -> BTreeMap<String, String> {
    let is_touched = |name: &str| match changes {
        Changes::Some(changes) => changes.iter().any(|(changed, _)| changed == name),
        Changes::All(_) => true,
    };
    let counts = |name: &str, value: &str| is_touched(name) || accepts(name, value);
    let pairs = to.iter().filter(|(name, value)| counts(name, value));
    pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn response(wanted: Wanted, result: Verdict) -> AlterConfigsResourceResponse {
    let told = result.err();
    AlterConfigsResourceResponse {
        error_code: told.as_ref().map_or(ErrorCode::None, |told| told.code),
        error_message: told.and_then(|told| told.message),
        resource_type: wanted.resource_type,
        resource_name: wanted.resource_name,
    }
}
