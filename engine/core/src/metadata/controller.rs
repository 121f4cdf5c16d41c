//! Decides commands and replays what they made: for shard 0, one batch of records at a time, each
//! command once, when the batch that it goes with is next.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::id::ProducerId;
use crate::metadata::command::{
    Command, FeatureChange, Mode, Outcome, ProducerIdBlock, SetFeature,
};
use crate::metadata::delta::Delta;
use crate::metadata::image::{
    Image, KRAFT_VERSION, METADATA_VERSION, METADATA_VERSIONS, ReplayError,
};
use crate::metadata::record::{BrokerId, DirectoryId, Record};
use crate::metadata::refusal::Refusal;
use crate::metadata::{alter, create, delete, grow};

/// The most records of one command. Kafka's `MAX_RECORDS_PER_USER_OP`.
pub(super) const MAX_RECORDS: usize = if cfg!(test) { 24 } else { 10_000 };

/// The epoch of a broker that has not registered; this one never does.
const NO_BROKER_EPOCH: i64 = -1;

/// The broker that this is, as records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: BrokerId,
    /// Its one log directory.
    pub directory: DirectoryId,
}

/// What shall become of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// To be appended as one batch; empty when nothing changes.
    pub records: Vec<Record>,
    /// To be answered once the records are replayed.
    pub outcome: Result<Outcome, Refusal>,
}

/// The metadata's one decider.
#[derive(Clone, Debug)]
pub struct Controller {
    broker: Broker,
    image: Arc<Image>,
}

impl Controller {
    /// A controller that goes on from `image`, the whole log replayed.
    #[must_use]
    pub fn new(broker: Broker, image: Image) -> Controller {
        Controller { broker, image: Arc::new(image) }
    }

    /// The durable metadata.
    #[must_use]
    pub fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// The first records of an empty log: `metadata.version` at the newest level that is written,
    /// then the features that are on, by name.
    #[must_use]
    pub fn bootstrap(features: &[(&'static str, i16)]) -> Vec<Record> {
        let mut features: Vec<_> = features
            .iter()
            .filter(|(name, level)| ![METADATA_VERSION, KRAFT_VERSION].contains(name) && *level > 0)
            .collect();
        features.sort_unstable();
        let first = (METADATA_VERSION, *METADATA_VERSIONS.end());
        std::iter::once(&first)
            .chain(features)
            .map(|(name, level)| feature_level(name, *level))
            .collect()
    }

    /// Decides one command against the durable image. Changes nothing.
    #[must_use]
    pub fn decide(&self, command: &Command) -> Decision {
        decide(self.broker, &self.image, command)
    }

    /// Decides commands in order, each as if those before it were durable already. Changes nothing.
    /// Their records must be appended in this order, and become durable in this order.
    ///
    /// # Errors
    ///
    /// Records that could not be replayed: a mistake in this program, found before they are
    /// written.
    pub fn decide_all(&self, commands: &[Command]) -> Result<Vec<Decision>, ReplayError> {
        let mut image = Image::clone(&self.image);
        let mut decisions = Vec::with_capacity(commands.len());
        for command in commands {
            let decision = decide(self.broker, &image, command);
            for record in &decision.records {
                image.replay(record)?;
            }
            decisions.push(decision);
        }
        Ok(decisions)
    }

    /// Applies records that are durable now.
    ///
    /// # Errors
    ///
    /// A record contradicts those before it; the image is as it was.
    pub fn replay(&mut self, records: &[Record]) -> Result<Delta, ReplayError> {
        let mut image = Image::clone(&self.image);
        for record in records {
            image.replay(record)?;
        }
        let old = std::mem::replace(&mut self.image, Arc::new(image));
        Ok(Delta::between(&old, &self.image, records))
    }
}

fn decide(broker: Broker, image: &Image, command: &Command) -> Decision {
    match try_decide(broker, image, command) {
        Ok((records, outcome)) => Decision { records, outcome: Ok(outcome) },
        Err(refusal) => Decision { records: Vec::new(), outcome: Err(refusal) },
    }
}

fn try_decide(
    broker: Broker,
    image: &Image,
    command: &Command,
) -> Result<(Vec<Record>, Outcome), Refusal> {
    let (mut records, outcome) = match command {
        Command::CreateTopics(command) => {
            let (records, results) = create::decide(broker, image, command)?;
            (records, Outcome::Topics(results))
        }
        Command::DeleteTopics(topics) => {
            let (records, results) = delete::decide(image, topics);
            (records, Outcome::Deleted(results))
        }
        Command::CreatePartitions(command) => {
            let (records, results) = grow::decide(broker, image, command);
            (records, Outcome::Grown(results))
        }
        Command::AlterConfigs(command) => {
            let (records, results) = alter::decide(image, command);
            (records, Outcome::Altered(results))
        }
        Command::AllocateProducerIds { count } => allocate(broker, image, *count)?,
        Command::SetFeature(change) => set_feature(image, change)?,
    };
    if records.len() > MAX_RECORDS {
        return Err(Refusal::RecordsPerCommand(MAX_RECORDS));
    }
    if command.mode() == Mode::ValidateOnly {
        records.clear();
    }
    Ok((records, outcome))
}

fn allocate(
    broker: Broker,
    image: &Image,
    count: NonZeroU32,
) -> Result<(Vec<Record>, Outcome), Refusal> {
    let first = image.next_producer_id();
    let next = first.0.checked_add(i64::from(count.get())).map(ProducerId);
    let next = next.ok_or(Refusal::ProducerIdsExhausted(first))?;
    let record = Record::ProducerIds { broker: broker.id, broker_epoch: NO_BROKER_EPOCH, next };
    Ok((vec![record], Outcome::ProducerIds(ProducerIdBlock::new(first, next))))
}

fn set_feature(image: &Image, change: &SetFeature) -> Result<(Vec<Record>, Outcome), Refusal> {
    let (name, level) = (change.name, change.level);
    if name == KRAFT_VERSION {
        return Err(Refusal::FeatureElsewhere(name));
    }
    let supported = match name {
        METADATA_VERSION => readable(&change.supported),
        _ => change.supported.clone(),
    };
    if !supported.contains(&level) {
        return Err(Refusal::FeatureLevel { name, level, supported });
    }
    let current = image.features().get(name).copied().unwrap_or(0);
    let backwards = match change.change {
        FeatureChange::Upgrade => level < current,
        FeatureChange::Downgrade => level > current,
    };
    if backwards {
        return Err(Refusal::FeatureDirection { name, current, level });
    }
    if name == METADATA_VERSION && level < current {
        return Err(Refusal::MetadataDowngrade { current, level });
    }
    Ok((vec![feature_level(name, level)], Outcome::FeatureSet))
}

/// The levels of `metadata.version` that a later start can read again.
fn readable(supported: &RangeInclusive<i16>) -> RangeInclusive<i16> {
    let (start, end) = (METADATA_VERSIONS.start(), METADATA_VERSIONS.end());
    *supported.start().max(start)..=*supported.end().min(end)
}

fn feature_level(name: &str, level: i16) -> Record {
    Record::FeatureLevel { name: name.to_owned(), level }
}
