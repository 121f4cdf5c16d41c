//! Recovery, step by step: each batch of effects in a random order, and the world may end before,
//! within and after each of them.

use bytes::Bytes;
use corelog_engine::boot::effect::{BootAnswer, BootEffect, BootStep, EntryFile};
use corelog_engine::boot::{Boot, BootPlan, BootRefusal, Recovered};
use corelog_engine::journal::commit::Incarnation;
use corelog_engine::metadata::controller::Broker;
use corelog_engine::metadata::record::{BrokerId, DirectoryId};

use super::{Step, World, broken};
use crate::sim::disk::{Landing, Name, Op};

/// Steps of a boot after which it is taken to hang.
const MOST_STEPS: u64 = 100_000;

/// What an injected error says.
pub(super) const INJECTED: &str = "injected";

/// What a boot has come to.
pub(super) enum Booted {
    /// Shards can run.
    Ready(Box<Recovered>),
    /// The directory is refused.
    Refused(BootRefusal),
}

impl World {
    /// Starts the broker once.
    pub(super) fn boot(&mut self) -> Step<Booted> {
        let incarnations = (0..self.geometry.shards).map(|_| Incarnation(self.rng.setup.id()));
        let mut boot = Boot::new(BootPlan {
            start: self.model.start,
            settled: self.settled,
            incarnations: incarnations.collect(),
            limits: self.geometry.limits.clone(),
            defaults: self.geometry.defaults.clone(),
            broker: Broker { id: BrokerId(1), directory: DirectoryId([7; 16]) },
            now: self.time().wall,
            features: Vec::new(),
        });
        self.trace.note(self.now, "boot", &[u64::from(self.model.start)], &self.geometry);
        let mut answers = Vec::new();
        for _ in 0..MOST_STEPS {
            match boot.step(std::mem::take(&mut answers)) {
                BootStep::Perform(effects) => answers = self.carry_out(&effects)?,
                BootStep::Ready(recovered) => {
                    // The note of it is a change of its own.
                    self.burn()?;
                    self.settled = self.model.start;
                    return Ok(Booted::Ready(recovered));
                }
                BootStep::Refuse(refusal) => return Ok(Booted::Refused(refusal)),
            }
        }
        broken("the boot goes on and on")
    }

    fn carry_out(&mut self, effects: &[BootEffect]) -> Step<Vec<BootAnswer>> {
        let mut order: Vec<usize> = (0..effects.len()).collect();
        self.rng.schedule.shuffle(&mut order);
        let mut answers = vec![BootAnswer::Done; effects.len()];
        for at in order {
            self.now += self.rng.disk.spread(1..=500);
            self.burn()?;
            answers[at] = if self.rng.faults.one_in(self.faults.errors.boot) {
                BootAnswer::Failed(INJECTED.to_owned())
            } else {
                self.act(&effects[at])?
            };
            let facts = [at as u64, length(&answers[at])];
            self.trace.note(self.now, "recover", &facts, &effects[at]);
        }
        Ok(answers)
    }

    fn act(&mut self, effect: &BootEffect) -> Step<BootAnswer> {
        Ok(match effect {
            BootEffect::ListFiles => self.list_files(),
            BootEffect::ListTopics => {
                let topics = self.disk.partitions().into_iter().map(|partition| partition.topic);
                let mut topics: Vec<_> = topics.collect();
                topics.dedup();
                BootAnswer::Topics(topics)
            }
            BootEffect::ListSegments(partition) => {
                BootAnswer::Segments(self.disk.segments(*partition))
            }
            BootEffect::ReadManifest(manifest) => {
                self.get(Name::Manifest(*manifest), 0, u64::MAX >> 1)
            }
            BootEffect::ReadEntries(EntryFile::Journal(file), at, len) => {
                self.get(Name::Journal(*file), *at, *len)
            }
            BootEffect::ReadEntries(EntryFile::Rescue(file), at, len) => {
                self.get(Name::Rescue(*file), *at, *len)
            }
            BootEffect::ReadSegment(segment, at, len) => {
                self.get(Name::Segment(*segment), *at, u64::from(*len))
            }
            other => self.alter(other)?,
        })
    }

    fn alter(&mut self, effect: &BootEffect) -> Step<BootAnswer> {
        Ok(match effect {
            BootEffect::WriteSegment(segment, at, bytes) => {
                let name = Name::Segment(*segment);
                let end = at + bytes.len() as u64;
                if end.saturating_sub(self.disk.len(name).unwrap_or(0)) > self.disk.free() {
                    return Ok(BootAnswer::Full("full".to_owned()));
                }
                let op = self.disk.write(name, *at, Bytes::copy_from_slice(bytes));
                self.finish(op, Landing::Volatile)?
            }
            BootEffect::Truncate(segment, len) => {
                let op = self.disk.cut(Name::Segment(*segment), *len);
                self.finish(op, Landing::Volatile)?
            }
            BootEffect::Barrier => {
                self.disk.settle_all();
                BootAnswer::Done
            }
            BootEffect::DraftManifest(manifest, at, bytes) => {
                self.burn()?;
                self.disk.draft(*manifest, *at, bytes);
                BootAnswer::Done
            }
            BootEffect::ReplaceManifest(manifest, at, bytes) => {
                self.disk.draft(*manifest, *at, bytes);
                let op = self.disk.replace_by_draft(*manifest);
                self.finish(op, Landing::Durable)?
            }
            BootEffect::RemoveManifest(manifest) => {
                let op = self.disk.remove(|name| name == Name::Manifest(*manifest));
                self.finish(op, Landing::Durable)?
            }
            BootEffect::Rescue(file, bytes) => {
                if bytes.len() as u64 > self.disk.free() {
                    return Ok(BootAnswer::Full("full".to_owned()));
                }
                let op = self.disk.replace(Name::Rescue(*file), bytes);
                self.finish(op, Landing::Durable)?
            }
            BootEffect::RemoveRescue(file) => {
                let op = self.disk.remove(|name| name == Name::Rescue(*file));
                self.finish(op, Landing::Durable)?
            }
            BootEffect::RemoveJournal(file) => {
                let op = self.disk.remove(|name| name == Name::Journal(*file));
                self.finish(op, Landing::Durable)?
            }
            BootEffect::RemoveTopic(topic) | BootEffect::Orphan(topic) => {
                if matches!(effect, BootEffect::Orphan(_)) {
                    self.disk.orphans.insert(*topic);
                }
                let of_topic = |name: Name| name.partition().is_some_and(|p| p.topic == *topic);
                let op = self.disk.remove(of_topic);
                self.finish(op, Landing::Volatile)?
            }
            _ => return broken(format!("{effect:?} is no change")),
        })
    }

    /// The world may end while a change is in flight.
    fn finish(&mut self, op: Op, landing: Landing) -> Step<BootAnswer> {
        self.burn()?;
        self.disk.land(op, landing);
        Ok(BootAnswer::Done)
    }

    fn list_files(&self) -> BootAnswer {
        let mut journals = Vec::new();
        let (mut manifests, mut rescues) = (Vec::new(), Vec::new());
        for name in self.disk.names() {
            match name {
                Name::Journal(file) => journals.push((file, self.disk.len(name).unwrap_or(0))),
                Name::Manifest(manifest) => manifests.push(manifest),
                Name::Rescue(file) => rescues.push((file, self.disk.len(name).unwrap_or(0))),
                _ => {}
            }
        }
        BootAnswer::Files { journals, manifests, rescues }
    }

    fn get(&self, name: Name, at: u64, len: u64) -> BootAnswer {
        match self.disk.find(name) {
            Some(inode) => BootAnswer::Bytes(self.disk.read(inode, at, len)),
            None => BootAnswer::Failed(format!("{name:?} is missing")),
        }
    }
}

fn length(answer: &BootAnswer) -> u64 {
    match answer {
        BootAnswer::Bytes(bytes) => bytes.len() as u64,
        BootAnswer::Failed(_) => 1,
        _ => 0,
    }
}
