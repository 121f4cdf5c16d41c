//! Why recovery refuses a directory: always in favour of what was acknowledged.

use corelog_engine::boot::BootRefusal;
use corelog_engine::manifest::record::Broken;

use crate::daemon::refusal::Refusal;

const KEEP_AND_LOOK: &str = "nothing was changed: copy the directory before anything else, and \
                             look for errors of the disk with `dmesg` and `smartctl`";

const BRING_BACK: &str = "nothing was changed: mount the volume it is on, or put it back as it was \
                          when the broker ended, then start again; of a backup only a whole \
                          directory of one moment is of use, since what was acknowledged may be in \
                          this file alone";

pub(super) fn of_refusal(refusal: &BootRefusal) -> Refusal {
    let remedy = match refusal {
        BootRefusal::Io(_) => {
            "see `dmesg` for the disk, and `df` for its space; nothing is lost, start again when \
             it is repaired"
        }
        BootRefusal::Manifest { broken: Broken::Newer { .. }, .. } => {
            "start the newer Corelog again; an older one cannot read what it wrote"
        }
        BootRefusal::JournalFile { .. } | BootRefusal::NoManifests { .. } => BRING_BACK,
        BootRefusal::Journal { .. }
        | BootRefusal::UnclaimedJournal(_)
        | BootRefusal::Manifest { .. }
        | BootRefusal::Metadata(_) => KEEP_AND_LOOK,
    };
    Refusal::new(format!("recovery: {refusal}"), remedy)
}
