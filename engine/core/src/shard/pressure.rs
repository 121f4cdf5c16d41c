//! Whether requests that bring bytes are welcome. Connections bring bytes for partitions of any
//! shard, so all shards know who is full.

use crate::id::ShardId;
use crate::shard::Shard;
use crate::shard::effect::Effects;
use crate::shard::message::Message;

/// Whether the driver should go on reading requests that bring bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Yes.
    Open,
    /// Better not, until this has changed: appends come close to being refused.
    Full,
}

impl Shard {
    /// Whether requests that bring bytes are welcome, whichever shard they are for.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        if self.crowded.is_empty() { self.own_pressure() } else { Pressure::Full }
    }

    fn own_pressure(&self) -> Pressure {
        let full = self.is_almost_full() || self.commits.is_crowded();
        // What is offline, or has no disk, refuses at once, and holds up nobody.
        let refuses = self.directory.is_offline() || self.lacks_disk();
        if full && !refuses { Pressure::Full } else { Pressure::Open }
    }

    /// Connections bring bytes for partitions of any shard, so all shards know who is full.
    pub(super) fn tell_pressure(&mut self, fx: &mut Effects) {
        let own = self.own_pressure();
        if std::mem::replace(&mut self.told, own) != own {
            let others = (0..self.shards).map(ShardId).filter(|other| *other != self.id);
            fx.messages.extend(others.map(|other| (other, Message::Pressure(own))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Instant, Now, Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};
    use crate::record::{BatchBuilder, BatchHeader, Codec, NewRecord};
    use crate::shard::event::Event;
    use crate::shard::message::{Call, CallId};
    use crate::shard::request::Append;
    use crate::shard::setup::ShardSetup;

    const PARTITION: TopicPartition =
        TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(0) };

    fn shard(id: u16) -> Shard {
        let mut setup = ShardSetup { id: ShardId(id), shards: 3, ..ShardSetup::small([PARTITION]) };
        setup.limits.dirty_bytes = 16 << 10;
        Shard::new(setup)
    }

    fn append(bytes: usize) -> Append {
        let mut builder = BatchBuilder::new(Codec::None).base_offset(Offset::ZERO);
        let value = vec![0; bytes];
        let timestamp = Timestamp(0);
        builder.append(NewRecord { timestamp, key: None, value: Some(&value), headers: &[] });
        let batch = builder.build().expect("a batch");
        let header = BatchHeader::parse(&batch).expect("a header");
        Append { partition: PARTITION, header, batch, append_time: Timestamp::NONE }
    }

    fn told(effects: &Effects) -> Vec<(ShardId, Pressure)> {
        let pressure = |(to, message): &(ShardId, Message)| match message {
            Message::Pressure(pressure) => Some((*to, *pressure)),
            _ => None,
        };
        effects.messages.iter().filter_map(pressure).collect()
    }

    #[test]
    fn who_is_full_tells_the_others_once() {
        let now = Now { instant: Instant(0), wall: Timestamp(0) };
        let (mut full, mut other) = (shard(0), shard(1));
        let mut turn = |bytes: usize| {
            let mut effects = Effects::default();
            let call = Call::Append(vec![append(bytes)]);
            let message = Message::Call(CallId(bytes as u64), call);
            full.step(now, Event::Message(ShardId(1), message), &mut effects);
            full.end_of_turn(now, &mut effects);
            (full.pressure(), told(&effects))
        };
        assert_eq!(turn(1_000), (Pressure::Open, Vec::new()));
        let all = [1, 2].map(|id| (ShardId(id), Pressure::Full)).to_vec();
        assert_eq!(turn(13_000), (Pressure::Full, all));
        assert_eq!(turn(100), (Pressure::Full, Vec::new()));

        for (told, is) in [(Pressure::Full, Pressure::Full), (Pressure::Open, Pressure::Open)] {
            let event = Event::Message(ShardId(0), Message::Pressure(told));
            other.step(now, event, &mut Effects::default());
            assert_eq!(other.pressure(), is);
        }
    }
}
