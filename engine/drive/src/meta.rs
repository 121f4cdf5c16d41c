//! `meta.properties`: whose directory this is. Written at every start before anything else is
//! changed, and once more when the manifests of the start are durable.

use std::collections::BTreeMap;
use std::fmt::Write;

use corelog_engine::id::TopicId;

/// The newest layout and formats that this program reads and writes.
///
/// Format 1 does not tell which start was settled; manifests of that time name no other files.
pub(crate) const FORMAT: u32 = 2;

/// The contents of `meta.properties`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) cluster_id: [u8; 16],
    pub(crate) node_id: i32,
    pub(crate) directory_id: [u8; 16],
    /// How many starts there have been.
    pub(crate) start: u32,
    /// The last start whose manifests were all durable: since then there are manifests. 0 when
    /// there was none.
    pub(crate) settled: u32,
}

/// Why a `meta.properties` is not ours to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadMeta {
    /// A newer program has written it.
    Newer(u32),
    /// It is no Corelog's.
    Foreign(&'static str),
}

/// Kafka spells the ids of clusters and directories as it does those of topics.
pub(crate) fn spelled(id: [u8; 16]) -> String {
    TopicId(id).to_string()
}

impl Meta {
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        let lines = [
            ("corelog.format", FORMAT.to_string()),
            ("cluster.id", spelled(self.cluster_id)),
            ("node.id", self.node_id.to_string()),
            ("directory.id", spelled(self.directory_id)),
            ("settled", self.settled.to_string()),
            ("start", self.start.to_string()),
        ];
        for (key, value) in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }

    pub(crate) fn decode(text: &str) -> Result<Meta, BadMeta> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values: BTreeMap<_, _> = lines.filter_map(|line| line.split_once('=')).collect();
        let value = |key: &str| values.get(key).map(|value| value.trim());
        let format = value("corelog.format").and_then(|format| format.parse().ok());
        let settled = match format {
            None => return Err(BadMeta::Foreign("no corelog.format: not Corelog's")),
            Some(newer) if newer > FORMAT => return Err(BadMeta::Newer(newer)),
            Some(1) => Some(0),
            Some(_) => value("settled").and_then(|start| start.parse().ok()),
        };
        let id = |key: &str| value(key).and_then(TopicId::parse).map(|id| id.0);
        Ok(Meta {
            cluster_id: id("cluster.id").ok_or(BadMeta::Foreign("no readable cluster.id"))?,
            node_id: value("node.id")
                .and_then(|node| node.parse().ok())
                .ok_or(BadMeta::Foreign("no readable node.id"))?,
            directory_id: id("directory.id").ok_or(BadMeta::Foreign("no readable directory.id"))?,
            start: value("start")
                .and_then(|start| start.parse().ok())
                .ok_or(BadMeta::Foreign("no readable start"))?,
            settled: settled.ok_or(BadMeta::Foreign("no readable settled"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: Meta =
        Meta { cluster_id: [1; 16], node_id: 7, directory_id: [2; 16], start: 41, settled: 40 };

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Meta::decode(&META.encode()), Ok(META));
        let commented = format!("# a remark\n{}", META.encode());
        assert_eq!(Meta::decode(&commented), Ok(META));
        let earlier = META.encode().replace("format=2", "format=1").replace("settled=40\n", "");
        assert_eq!(Meta::decode(&earlier), Ok(Meta { settled: 0, ..META }));
    }

    #[test]
    fn other_files_are_told_apart() {
        let kafka = "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\n";
        let newer = META.encode().replace("corelog.format=2", "corelog.format=3");
        let without = |key: &str| -> String {
            META.encode()
                .lines()
                .filter(|l| !l.starts_with(key))
                .map(|l| format!("{l}\n"))
                .collect()
        };
        let rows = [
            (kafka.to_owned(), BadMeta::Foreign("no corelog.format: not Corelog's")),
            (newer, BadMeta::Newer(3)),
            (without("cluster.id"), BadMeta::Foreign("no readable cluster.id")),
            (without("node.id"), BadMeta::Foreign("no readable node.id")),
            (without("directory.id"), BadMeta::Foreign("no readable directory.id")),
            (without("start"), BadMeta::Foreign("no readable start")),
            (without("settled"), BadMeta::Foreign("no readable settled")),
            (String::new(), BadMeta::Foreign("no corelog.format: not Corelog's")),
        ];
        for (text, expected) in rows {
            assert_eq!(Meta::decode(&text), Err(expected), "{text}");
        }
    }
}
