//! Deciding commands apart from the controller: what becomes of them, the batch of records that
//! says so, and the metadata behind it. All of it together, so that nothing that grows with what is
//! asked is left to do once the batch is durable.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::Timestamp;
use crate::metadata::batch;
use crate::metadata::command::{Command, Outcome};
use crate::metadata::controller::Controller;
use crate::metadata::delta::Delta;
use crate::metadata::image::ReplayError;
use crate::metadata::record::Record;
use crate::metadata::refusal::Refusal;
use crate::record::BatchHeader;

/// Commands that are decided together, in order, and what they are decided against.
#[derive(Debug)]
pub struct Undecided {
    /// The durable metadata.
    pub controller: Controller,
    /// The commands.
    pub commands: Vec<Command>,
    /// When that is.
    pub now: Timestamp,
}

/// What becomes of commands that were decided together.
#[derive(Clone, Debug)]
pub struct Decided {
    /// To be answered, in the order of the commands: at once if nothing changes.
    pub outcomes: Vec<Result<Outcome, Refusal>>,
    /// What they change together.
    pub change: Option<Change>,
}

/// A change of the metadata that is not durable yet.
#[derive(Clone, Debug)]
pub struct Change {
    /// To be appended to the metadata partition.
    pub header: BatchHeader,
    /// The batch of that header.
    pub batch: Bytes,
    /// The controller from when the batch is durable on.
    pub controller: Controller,
    /// What it changes.
    pub delta: Arc<Delta>,
}

/// Why commands have no effect that could be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecidable {
    /// Their records are more than a batch can hold.
    TooLarge,
    /// Their records contradict the metadata: a mistake in this program, found before it could do
    /// harm.
    Contradiction(ReplayError),
}

impl Undecided {
    /// Decides them.
    ///
    /// # Errors
    ///
    /// None of them has any effect.
    pub fn decide(&self) -> Result<Decided, Undecidable> {
        let decisions =
            self.controller.decide_all(&self.commands).map_err(Undecidable::Contradiction)?;
        let (records, outcomes): (Vec<_>, Vec<_>) =
            decisions.into_iter().map(|decision| (decision.records, decision.outcome)).unzip();
        let records: Vec<Record> = records.into_iter().flatten().collect();
        let change = match records.is_empty() {
            true => None,
            false => Some(self.change(&records)?),
        };
        Ok(Decided { outcomes, change })
    }

    fn change(&self, records: &[Record]) -> Result<Change, Undecidable> {
        let mut controller = self.controller.clone();
        let delta = controller.replay(records).map_err(Undecidable::Contradiction)?;
        let (header, batch) = batch::encode(records, self.now).ok_or(Undecidable::TooLarge)?;
        Ok(Change { header, batch, controller, delta: Arc::new(delta) })
    }
}
