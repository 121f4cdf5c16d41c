//! Where everything is in the data directory. What the core names has its path from there; the
//! other names are known here alone, and so is how a name is read.
//!
//! ```text
//! lock                                  locked while a process has the directory; its number
//! meta.properties                       whose directory this is, and how often it was started
//! journal/s<shard>-<slot>.journal       commits
//! manifest/<start>-s<shard>.manifest    how far each partition is in its segments
//! topics/<topic id>/<partition>/        <base offset>.log, and .index from its first megabyte on
//! orphans/<topic id>/                   what belongs to no known topic
//! rescue/<topic id>-<partition>-<start>.rescue    what a failing segment would not take
//! removed/                              what is no more, until its space is free
//! ```

use std::path::{Path, PathBuf};

use corelog_engine::boot::effect::{EntryFile, JournalFile, ManifestName, RescueFile};
use corelog_engine::id::{Offset, PartitionIndex, ShardId, TopicId, TopicPartition};
use corelog_engine::log::SegmentId;

/// Digits of a base offset in a file name, as Kafka pads them.
const OFFSET_DIGITS: usize = 20;

/// The paths below one data directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Layout {
        Layout { root: root.to_path_buf() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn meta(&self) -> PathBuf {
        self.root.join("meta.properties")
    }

    pub(crate) fn journals(&self) -> PathBuf {
        self.root.join("journal")
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.root.join("manifest")
    }

    pub(crate) fn topics(&self) -> PathBuf {
        self.root.join("topics")
    }

    pub(crate) fn orphans(&self) -> PathBuf {
        self.root.join("orphans")
    }

    pub(crate) fn rescue(&self) -> PathBuf {
        self.root.join("rescue")
    }

    pub(crate) fn removed(&self) -> PathBuf {
        self.root.join("removed")
    }

    /// The directories that every start finds or makes.
    pub(crate) fn directories(&self) -> [PathBuf; 6] {
        let [journals, manifests, topics, rescue] = self.directories_with_data();
        [journals, manifests, topics, rescue, self.orphans(), self.removed()]
    }

    /// Those that hold what a start needs.
    pub(crate) fn directories_with_data(&self) -> [PathBuf; 4] {
        [self.journals(), self.manifests(), self.topics(), self.rescue()]
    }

    pub(crate) fn journal(&self, file: JournalFile) -> PathBuf {
        self.root.join(file.to_string())
    }

    pub(crate) fn manifest(&self, name: ManifestName) -> PathBuf {
        self.root.join(name.to_string())
    }

    pub(crate) fn topic(&self, topic: TopicId) -> PathBuf {
        self.topics().join(topic.to_string())
    }

    pub(crate) fn partition(&self, partition: TopicPartition) -> PathBuf {
        self.topic(partition.topic).join(partition.index.0.to_string())
    }

    pub(crate) fn segment(&self, segment: SegmentId) -> PathBuf {
        self.root.join(segment.to_string())
    }

    pub(crate) fn index(&self, segment: SegmentId) -> PathBuf {
        self.segment(segment).with_extension("index")
    }

    pub(crate) fn rescued(&self, file: RescueFile) -> PathBuf {
        self.root.join(file.to_string())
    }

    pub(crate) fn entries(&self, file: EntryFile) -> PathBuf {
        match file {
            EntryFile::Journal(file) => self.journal(file),
            EntryFile::Rescue(file) => self.rescued(file),
        }
    }
}

/// The file beside `path` that is written first and renamed to it.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

/// Whether a file of this name is a manifest that was not whole yet.
pub(crate) fn is_draft(name: &str) -> bool {
    name.strip_suffix(".tmp").and_then(parse_manifest).is_some()
}

/// Which journal file has this name.
pub(crate) fn parse_journal(name: &str) -> Option<JournalFile> {
    let (shard, slot) = name.strip_prefix('s')?.strip_suffix(".journal")?.split_once('-')?;
    Some(JournalFile { shard: ShardId(number(shard)?), slot: number(slot)? })
}

/// Which manifest has this file name.
pub(crate) fn parse_manifest(name: &str) -> Option<ManifestName> {
    let (start, shard) = name.strip_suffix(".manifest")?.split_once("-s")?;
    Some(ManifestName { start: number(start)?, shard: ShardId(number(shard)?) })
}

/// Which rescue file has this name. A topic's id may contain dashes.
pub(crate) fn parse_rescue(name: &str) -> Option<RescueFile> {
    let (rest, start) = name.strip_suffix(".rescue")?.rsplit_once('-')?;
    let (topic, index) = rest.rsplit_once('-')?;
    let index = PartitionIndex(number(index)?);
    let partition = TopicPartition { topic: TopicId::parse(topic)?, index };
    Some(RescueFile { partition, start: number(start)? })
}

/// The base offset of the segment that has this name.
pub(crate) fn parse_segment(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".log")?;
    let base = digits.parse().ok()?;
    let plain = digits.len() == OFFSET_DIGITS && digits.bytes().all(|d| d.is_ascii_digit());
    plain.then_some(Offset(base))
}

/// A number written as we write it: no sign, no zeros in front.
fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let layout = Layout::new(Path::new("/d"));
        let partition = TopicPartition { topic: TopicId([7; 16]), index: PartitionIndex(12) };
        let segment = SegmentId { partition, base: Offset(345) };
        let journal = JournalFile { shard: ShardId(1), slot: 10 };
        let name = |path: PathBuf| path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
        let journal_name = name(layout.journal(journal)).expect("a name");
        assert_eq!(parse_journal(&journal_name), Some(journal));
        let manifest = ManifestName { start: 41, shard: ShardId(3) };
        let manifest_name = name(layout.manifest(manifest)).expect("a name");
        assert_eq!(parse_manifest(&manifest_name), Some(manifest));
        let draft = temporary(&layout.manifest(manifest));
        assert!(is_draft(&name(draft).expect("a name")) && !is_draft(&manifest_name));
        for topic in [TopicId([7; 16]), TopicId([0xfb; 16])] {
            let partition = TopicPartition { topic, ..partition };
            let rescue = RescueFile { partition, start: 9 };
            let rescue_name = name(layout.rescued(rescue)).expect("a name");
            assert_eq!(parse_rescue(&rescue_name), Some(rescue), "{rescue_name}");
        }
        let segment_name = name(layout.segment(segment)).expect("a name");
        assert_eq!(segment_name, "00000000000000000345.log");
        assert_eq!(parse_segment(&segment_name), Some(Offset(345)));
        let parent = layout.segment(segment).parent().map(Path::to_path_buf);
        assert_eq!(parent, Some(layout.partition(partition)));
        assert_eq!(name(layout.partition(partition)).as_deref(), Some("12"));
    }

    #[test]
    fn other_names_are_nobodys() {
        for name in ["s1-2.journal.tmp", "s01-2.journal", "s1.journal", "s-1-2.journal", "lost"] {
            assert_eq!(parse_journal(name), None, "{name}");
        }
        for name in ["1-s1.manifest.tmp", "1-s+1.manifest", "1-s70000.manifest", "s1.manifest", ""]
        {
            assert_eq!(parse_manifest(name), None, "{name}");
        }
        for name in ["345.log", "+0000000000000000345.log", "00000000000000000345.index"] {
            assert_eq!(parse_segment(name), None, "{name}");
        }
    }
}
