//! What an operator should know about the file system that holds the data: whether it forgets, and
//! how much of it is taken before the first record.

use std::fs;
use std::path::Path;

use corelog_drive::Settings;
use rustix::fs::{StatFs, statfs};

use super::refusal::Refusal;

/// File systems whose files are gone with the machine or the container, by their magic number in
/// Linux's `magic.h`.
const FORGETFUL: [(u32, &str); 3] = [
    (0x0102_1994, "a tmpfs, which is memory: everything is gone when the machine restarts"),
    (0x8584_58f6, "a ramfs, which is memory: everything is gone when the machine restarts"),
    (0x794c_7630, "an overlay, as containers have: everything is gone with the container"),
];

/// A file system of which less than this part is taken is not worth a word.
const WORTH_SAYING: u64 = 10;

/// What is worth telling of the file system that holds `settings.data_dir`, which exists.
pub(super) struct Told {
    /// Data may be lost as if it had never been on disk.
    pub(super) forgetful: Option<Refusal>,
    /// Little is left for records.
    pub(super) small: Option<Refusal>,
}

/// Looks at the file system; where it cannot be looked at, nothing is told.
pub(super) fn look(settings: &Settings) -> Told {
    let directory = fs::canonicalize(&settings.data_dir).unwrap_or(settings.data_dir.clone());
    let Ok(found) = statfs(&directory) else { return Told { forgetful: None, small: None } };
    Told {
        forgetful: forgetful(&directory, found.f_type as u32),
        small: small(&directory, total(&found), &Taken::by(settings)),
    }
}

fn total(found: &StatFs) -> u64 {
    found.f_blocks * found.f_bsize.unsigned_abs()
}

fn forgetful(directory: &Path, magic: u32) -> Option<Refusal> {
    let (_, what) = FORGETFUL.iter().find(|(known, _)| *known == magic)?;
    Some(Refusal::new(
        format!("{} is on {what}", directory.display()),
        "set `data.dir` to a directory on a disk, unless the data may be lost",
    ))
}

/// What is not for records, in bytes.
struct Taken {
    journals: u64,
    cores: u64,
    files: u64,
    file_bytes: u64,
    /// The reserve, and what all cores may have in no segment yet.
    kept_back: u64,
}

impl Taken {
    fn by(settings: &Settings) -> Taken {
        let (cores, limits) = (settings.cores.len() as u64, &settings.limits);
        let (files, file_bytes) = (u64::from(limits.journal_files), limits.journal_file_bytes);
        let journals = cores.saturating_mul(files).saturating_mul(file_bytes);
        let dirty = cores.saturating_mul(limits.dirty_bytes);
        let kept_back = limits.disk_reserve.saturating_add(dirty);
        Taken { journals, cores, files, file_bytes, kept_back }
    }
}

fn small(directory: &Path, total: u64, taken: &Taken) -> Option<Refusal> {
    let all = taken.journals.saturating_add(taken.kept_back);
    if all < total / WORTH_SAYING {
        return None;
    }
    let Taken { journals, cores, files, file_bytes, kept_back } = *taken;
    Some(Refusal::new(
        format!(
            "the file system of {} has {} MiB: journals take {} MiB of it ({cores} cores, {files} \
             files each of {} MiB), {} MiB are kept back, and {} MiB are for records",
            directory.display(),
            total >> 20,
            journals >> 20,
            file_bytes >> 20,
            kept_back >> 20,
            total.saturating_sub(all) >> 20
        ),
        "`cores`, `journal.file.bytes`, `journal.files`, `disk.reserve.bytes` and \
         `memory.share.dirty` change that",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn file_systems_that_forget_are_named() {
        for (magic, expected) in [
            (0x0102_1994, Some("/d is on a tmpfs")),
            (0x8584_58f6, Some("/d is on a ramfs")),
            (0x794c_7630, Some("/d is on an overlay")),
            (0xef53, None),
            (0x5846_5342, None),
        ] {
            let told = forgetful(Path::new("/d"), magic).map(|told| told.what);
            assert_eq!(told.is_some(), expected.is_some(), "{magic:x}");
            assert!(told.unwrap_or_default().starts_with(expected.unwrap_or_default()));
        }
        // What the kernel says of a tmpfs that every Linux has.
        if let Ok(found) = statfs("/dev/shm") {
            assert!(forgetful(Path::new("/dev/shm"), found.f_type as u32).is_some());
        }
    }

    #[test]
    fn a_small_disk_is_told_what_is_taken() {
        let taken = Taken {
            journals: 256 * MIB,
            cores: 2,
            files: 4,
            file_bytes: 32 * MIB,
            kept_back: 256 * MIB,
        };
        let told = |total| small(Path::new("/d"), total, &taken).map(|told| told.what);
        assert_eq!(told(5121 * MIB), None);
        assert_eq!(
            told(2048 * MIB).as_deref(),
            Some(
                "the file system of /d has 2048 MiB: journals take 256 MiB of it (2 cores, 4 \
                 files each of 32 MiB), 256 MiB are kept back, and 1536 MiB are for records"
            )
        );
        assert!(told(300 * MIB).is_some_and(|text| text.ends_with("and 0 MiB are for records")));
    }
}
