//! The one line on standard output. Scripts read it: its form does not change.

use std::fmt;
use std::path::PathBuf;

use corelog_drive::Ready;
use corelog_wire::uuid::Uuid;

use super::run_settings::comma_separated;

/// `corelog ready on ADDRESS[,ADDRESS...], data in DIRECTORY, cores N[,N...], cluster ID`
pub(super) struct ReadyLine<'a> {
    pub(super) ready: &'a Ready,
    /// Absolute.
    pub(super) data_dir: PathBuf,
    pub(super) cores: &'a [usize],
}

impl fmt::Display for ReadyLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.ready.addresses.iter().map(ToString::to_string).collect();
        write!(
            f,
            "corelog ready on {}, data in {}, cores {}, cluster {}",
            addresses.join(","),
            self.data_dir.display(),
            comma_separated(self.cores),
            Uuid(self.ready.identity.cluster_id)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use corelog_drive::Identity;
    use corelog_engine::boot::BootReport;

    #[test]
    fn the_line_names_addresses_directory_cores_and_cluster() {
        let identity =
            Identity { cluster_id: [1; 16], node_id: 1, start: 3, directory_id: [2; 16] };
        let addresses = ["127.0.0.1:9092", "[::1]:9092"];
        let ready = Ready {
            identity,
            addresses: addresses.iter().map(|text| text.parse().expect("an address")).collect(),
            report: BootReport::default(),
            took: Duration::ZERO,
        };
        let line = ReadyLine { ready: &ready, data_dir: "/var/lib/corelog".into(), cores: &[0, 2] };
        assert_eq!(
            line.to_string(),
            "corelog ready on 127.0.0.1:9092,[::1]:9092, data in /var/lib/corelog, cores 0,2, \
             cluster AQEBAQEBAQEBAQEBAQEBAQ"
        );
    }
}
