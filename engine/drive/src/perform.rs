//! Carrying out what a turn wants, in the one order that the core counts on.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use corelog_engine::shard::effect::{Effects, FileAction};

use crate::bulk::{Bulk, Removed};
use crate::disk::Disk;
use crate::files::Files;
use crate::handle::Desk;
use crate::mesh::{Letter, Mailbox};
use crate::service::Service;
use crate::work::Work;

/// Everything that a shard's effects go to.
pub(crate) struct Hands<S> {
    pub(crate) disk: Rc<RefCell<Disk>>,
    pub(crate) bulk: Bulk,
    pub(crate) files: Files,
    pub(crate) work: Work,
    /// Of all shards, in order.
    pub(crate) mailboxes: Arc<[Arc<Mailbox>]>,
    pub(crate) desk: Rc<Desk>,
    pub(crate) service: Rc<S>,
}

impl<S: Service> Hands<S> {
    /// Carries out a turn's effects and leaves them empty.
    ///
    /// # Errors
    /// When the kernel takes no operations any more.
    pub(crate) fn perform(&self, effects: &mut Effects) -> io::Result<()> {
        let mut disk = self.disk.borrow_mut();
        if !effects.journal.is_empty() {
            effects.journal.drain(..).for_each(|write| disk.write_journal(write));
            disk.flush()?;
        }
        effects.segments.drain(..).for_each(|write| self.bulk.write(write));
        for effect in effects.files.drain(..) {
            if let Some(removed) = removed_by(&effect.action) {
                disk.forget(removed);
            }
            self.files.perform(effect);
        }
        effects.reads.drain(..).for_each(|read| disk.read_file(read));
        effects.indexes.drain(..).for_each(|read| self.bulk.read_index(read));
        effects.jobs.drain(..).for_each(|job| self.work.run(job));
        disk.flush()?;
        drop(disk);
        self.send(effects);
        // A reply may be about what is published with it.
        if let Some(image) = effects.published.take() {
            self.desk.publish(image);
        }
        effects.replies.drain(..).for_each(|(ticket, reply)| self.desk.reply(ticket, reply));
        effects.notices.drain(..).for_each(|notice| self.service.notice(&notice));
        Ok(())
    }

    /// Puts all letters in, then wakes each addressee once.
    fn send(&self, effects: &mut Effects) {
        let from = self.desk.id();
        let mut addressed = Vec::new();
        for (to, message) in effects.messages.drain(..) {
            let to = usize::from(to.0);
            self.mailboxes[to].put(Letter::Message(from, message));
            if !addressed.contains(&to) {
                addressed.push(to);
            }
        }
        addressed.into_iter().for_each(|to| self.mailboxes[to].ring());
    }
}

fn removed_by(action: &FileAction) -> Option<Removed> {
    match action {
        FileAction::RemoveSegment(segment) => Some(Removed::Segment(*segment)),
        FileAction::RemovePartition(partition) => Some(Removed::Partition(*partition)),
        FileAction::FormatJournal(_)
        | FileAction::Barrier
        | FileAction::AppendManifest(_)
        | FileAction::DraftManifest(..)
        | FileAction::ReplaceManifest(..)
        | FileAction::Truncate(..)
        | FileAction::WriteIndex(..)
        | FileAction::Rescue(..) => None,
    }
}
