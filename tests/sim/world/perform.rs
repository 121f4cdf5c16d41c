//! Effects carried out: journal and segment writes, reads, messages, notices. Whatever the core
//! must never ask for is refused here.

use bytes::{Bytes, BytesMut};
use corelog_engine::boot::effect::JournalFile;
use corelog_engine::id::ShardId;
use corelog_engine::shard::effect::{Effects, ReadFile, ReadIndex, WriteJournal, WriteSegment};
use corelog_engine::shard::event::{EffectId, Event, Failure, Outcome};
use corelog_engine::shard::job::RunJob;
use corelog_mem::{BLOCK, SlabSlice};

use super::{Due, Step, World, Written, broken};
use crate::sim::disk::{Landing, Name};

/// The operating system's number for an I/O error.
pub(super) const EIO: i32 = 5;

impl World {
    /// Carries out the effects of a turn, in the order that is promised.
    pub(super) fn perform(&mut self, shard: ShardId, effects: Effects) -> Step<()> {
        effects.notices.iter().for_each(|notice| self.excuse_errors(notice));
        if let Some(image) = effects.published {
            self.workload.learn(image);
        }
        for write in effects.journal {
            self.burn()?;
            self.write_journal(shard, &write)?;
        }
        for write in effects.segments {
            self.burn()?;
            self.write_segment(shard, &write)?;
        }
        for file in effects.files {
            self.burn()?;
            let cover = self.disk.cover();
            self.trace.note(self.now, "file", &[u64::from(shard.0), file.id.0], &file.action);
            self.host(shard).files.push_back((file, cover));
            self.next_file(shard)?;
        }
        for ReadIndex { id, segment } in effects.indexes {
            self.trace.note(self.now, "index", &[u64::from(shard.0), id.0], &segment);
            let (at, name) = (self.now + self.latency(), Name::Index(segment));
            self.schedule(at, Due::Read(shard, id, name, 0, u64::MAX >> 1));
        }
        for RunJob { id, job } in effects.jobs {
            self.trace.note(self.now, "job", &[u64::from(shard.0), id.0], &());
            let at = self.now + self.latency();
            self.schedule(at, Due::Arrive(shard, Event::Finished(id, job.run())));
        }
        for read in effects.reads {
            self.start_read(shard, &read);
        }
        for (to, message) in effects.messages {
            self.burn()?;
            let earliest = self.lines.get(&(shard, to)).copied().unwrap_or(0);
            let at = self.later(1, 500).max(earliest);
            self.lines.insert((shard, to), at);
            self.schedule(at, Due::Arrive(to, Event::Message(shard, message)));
        }
        for (ticket, reply) in effects.replies {
            self.burn()?;
            self.reply(shard, ticket, reply)?;
        }
        for notice in effects.notices {
            self.notice(shard, &notice)?;
        }
        Ok(())
    }

    /// Microseconds that a disk operation takes.
    pub(super) fn latency(&mut self) -> u64 {
        let slow = if self.rng.disk.one_in(self.faults.slow) { 100 } else { 1 };
        self.rng.disk.spread(20..=2000) * slow
    }

    fn write_journal(&mut self, shard: ShardId, write: &WriteJournal) -> Step<()> {
        let (at, len) = (write.at, write.bytes.len() as u64);
        let file = JournalFile { shard, slot: write.slot };
        self.trace.note(
            self.now,
            "commit",
            &[u64::from(shard.0), write.id.0, u64::from(write.slot), at, digest(&write.bytes)],
            &len,
        );
        let whole = self.disk.len(Name::Journal(file));
        let fits = whole == Some(self.geometry.limits.journal_file_bytes)
            && at + len <= self.geometry.limits.journal_file_bytes;
        let blocks = at.is_multiple_of(BLOCK as u64) && write.bytes.is_aligned() && len > 0;
        let flying = &mut self.host(shard).journal;
        let overlaps = flying
            .iter()
            .any(|(_, slot, from, to)| *slot == write.slot && at < *to && *from < at + len);
        if !fits || !blocks || overlaps {
            return broken(format!("shard {} writes {write:?} beside {flying:?}", shard.0));
        }
        flying.push((write.id, write.slot, at, at + len));
        let op = self.disk.write(Name::Journal(file), at, Bytes::copy_from_slice(&write.bytes));
        let fails = self.rng.faults.one_in(self.faults.errors.journal);
        let (landing, segment, grows) = (Landing::Bytes, None, 0);
        let at = self.now + self.latency();
        let written = Written { shard, id: write.id, op, landing, segment, fails, grows };
        self.schedule(at, Due::Written(written));
        Ok(())
    }

    fn write_segment(&mut self, shard: ShardId, write: &WriteSegment) -> Step<()> {
        let bytes = gather(&write.bytes);
        let facts = [u64::from(shard.0), write.id.0, write.at, bytes.len() as u64, digest(&bytes)];
        self.trace.note(self.now, "segment", &facts, &write.segment);
        let pieces = write.bytes.iter().all(|piece| piece.is_aligned() && !piece.is_empty());
        let blocks = write.at.is_multiple_of(BLOCK as u64) && pieces && !bytes.is_empty();
        let name = Name::Segment(write.segment);
        let len = self.disk.len(name).unwrap_or(0);
        let alone = self.host(shard).writing.insert(write.segment);
        if !blocks || !alone || write.at > len {
            return broken(format!("shard {} writes {write:?}, {len} bytes there", shard.0));
        }
        let grows = (write.at + bytes.len() as u64).saturating_sub(len);
        let op = self.disk.write(name, write.at, bytes);
        let fails = self.rng.faults.one_in(self.faults.errors.segment);
        let (landing, segment) = (Landing::Volatile, Some(write.segment));
        let at = self.now + self.latency();
        let written = Written { shard, id: write.id, op, landing, segment, fails, grows };
        self.schedule(at, Due::Written(written));
        Ok(())
    }

    /// A journal or segment write ends, one way or another.
    pub(super) fn written(&mut self, written: &Written) -> Step<()> {
        let Written { shard, id, op, landing, fails, grows, .. } = *written;
        let host = self.host(shard);
        host.journal.retain(|(other, ..)| *other != id);
        if let Some(segment) = written.segment {
            host.writing.remove(&segment);
        }
        let mut reports = Vec::new();
        let outcome = if fails {
            self.disk.spoil(op, &mut self.rng.disk);
            Outcome::Failed(Failure::Io(EIO))
        } else if grows > self.disk.free() {
            self.disk.overflow(op, &mut self.rng.disk);
            Outcome::Failed(Failure::Full)
        } else {
            self.disk.land(op, landing);
            reports.push(op);
            Outcome::Done
        };
        self.arrive(shard, Event::Done(id, outcome), reports);
        Ok(())
    }

    fn start_read(&mut self, shard: ShardId, read: &ReadFile) {
        let facts = [u64::from(shard.0), read.id.0, read.at, u64::from(read.len)];
        self.trace.note(self.now, "read", &facts, &read.segment);
        let at = self.now + self.latency();
        self.schedule(
            at,
            Due::Read(shard, read.id, Name::Segment(read.segment), read.at, u64::from(read.len)),
        );
    }

    pub(super) fn read(
        &mut self,
        shard: ShardId,
        id: EffectId,
        name: Name,
        at: u64,
        len: u64,
    ) -> Step<()> {
        let fails = self.rng.faults.one_in(self.faults.errors.read);
        let outcome = match self.disk.find(name) {
            _ if fails => Outcome::Failed(Failure::Io(EIO)),
            None => Outcome::Failed(Failure::Missing),
            Some(inode) => Outcome::Read(self.disk.read(inode, at, len)),
        };
        self.arrive(shard, Event::Done(id, outcome), Vec::new());
        Ok(())
    }
}

fn gather(pieces: &[SlabSlice]) -> Bytes {
    let mut bytes = BytesMut::new();
    pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
    bytes.freeze()
}

fn digest(bytes: &[u8]) -> u64 {
    u64::from(crc32c::crc32c(bytes))
}
