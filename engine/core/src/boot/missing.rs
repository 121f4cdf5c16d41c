//! Which files there must be: what a restore has left out, or brought in another length, is told
//! from what never was. Nothing has been changed when that is found out.

use corelog_mem::BLOCK;

use crate::boot::BootRefusal;
use crate::boot::effect::{BootAnswer, BootEffect, JournalFile, RescueFile};
use crate::id::{TopicId, TopicPartition};
use crate::manifest::state::ManifestState;

/// Whether every journal file that a manifest names is there, in its length. One that no manifest
/// names is no matter: it was being made, or is about to be removed.
pub(super) fn check_journals(
    states: &[ManifestState],
    journals: &[(JournalFile, u64)],
) -> Result<(), BootRefusal> {
    for state in states {
        for (slot, expected) in &state.journals {
            let (file, expected) =
                (JournalFile { shard: state.header.shard, slot: *slot }, *expected);
            let found = journals.iter().find(|(found, _)| *found == file).map(|(_, len)| *len);
            if found != Some(expected) {
                return Err(BootRefusal::JournalFile { file, expected, found });
            }
        }
    }
    Ok(())
}

/// In which way a file is not as it was made.
pub(super) fn told(found: Option<u64>, expected: u64) -> String {
    match found {
        None => "missing".to_owned(),
        Some(found) => format!("{found} bytes long and was made with {expected}"),
    }
}

/// Asks for what there would be of topics if shards had ever run.
pub(super) fn ask_topics() -> Vec<BootEffect> {
    vec![BootEffect::ListTopics, BootEffect::ListSegments(TopicPartition::METADATA)]
}

/// Whether there is no more of topics than a first start leaves that ended before its manifests
/// were durable: the first block of the metadata.
pub(super) fn check_fresh(
    answers: &[BootAnswer],
    rescues: &[(RescueFile, u64)],
) -> Result<(), BootRefusal> {
    let topics = answers.iter().any(|answer| match answer {
        BootAnswer::Topics(topics) => topics.iter().any(|topic| *topic != TopicId::METADATA),
        BootAnswer::Segments(segments) => {
            segments.len() > 1 || segments.iter().any(|(_, len)| *len > BLOCK as u64)
        }
        _ => false,
    });
    if topics || !rescues.is_empty() {
        return Err(BootRefusal::NoManifests { settled: 0, found: None });
    }
    Ok(())
}
