//! From what the settings mean to what a run needs: names looked up, cores counted, the defaults of
//! topics in the engine's terms.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corelog_drive::Settings;
use corelog_engine::id::TopicId;
use corelog_engine::limits::ManifestLimits;
use corelog_engine::log::{Acknowledge, LogConfig, ProducerMemory};
use corelog_engine::metadata::image::{GROUP_VERSION, GROUP_VERSIONS};
use corelog_engine::shard::setup::ShardLimits;
use rustix::thread::{CpuSet, sched_getaffinity};

use super::refusal::Refusal;
use crate::config::broker::{Config, Cores};
use crate::config::listener::{Address, Listener};
use crate::config::topic::{self, TopicConfig};

/// Journal writes of a core that may be in flight together: while they are, the next one gathers.
const COMMITS_IN_FLIGHT: usize = 3;

/// Exists where the kernel speaks IPv6.
const IPV6: &str = "/proc/net/if_inet6";

/// What `config` comes to on this machine.
///
/// # Errors
/// Everything that this machine does not have.
pub(super) fn of(config: &Config) -> Result<Settings, Vec<Refusal>> {
    let allowed = allowed_cores().map_err(|error| {
        vec![Refusal::new(
            format!("the cores of this process cannot be listed: {error}"),
            "name them in `cores`",
        )]
    })?;
    let any = match fs::exists(IPV6).unwrap_or(false) {
        true => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    assemble(config, &allowed, any)
}

fn allowed_cores() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

fn assemble(config: &Config, allowed: &[usize], any: IpAddr) -> Result<Settings, Vec<Refusal>> {
    let (listen, mut refusals) = addresses(&config.listeners, any);
    let cores = cores(&config.cores, allowed).unwrap_or_else(|refusal| {
        refusals.push(refusal);
        Vec::new()
    });
    if !refusals.is_empty() {
        return Err(refusals);
    }
    Ok(Settings {
        data_dir: std::path::absolute(&config.data_dir).unwrap_or(config.data_dir.clone()),
        cores,
        listen,
        cluster_id: config.cluster_id.as_deref().and_then(cluster_id),
        node_id: config.node_id,
        limits: limits(config),
        request_bytes: config.memory.requests - config.memory.work(),
        work_bytes: config.memory.work(),
        answer_bytes: config.memory.fetches,
        max_frame_bytes: config.connections.request_max_bytes,
        max_connections: usize::try_from(config.connections.max).unwrap_or(usize::MAX),
        idle_connection_ms: config.connections.idle_ms.unwrap_or(u64::MAX),
        defaults: Arc::new(log_defaults(config)),
        features: vec![(GROUP_VERSION, *GROUP_VERSIONS.end())],
        record: None,
    })
}

/// Kafka spells the ids of clusters as it does those of topics; the settings are checked for it.
fn cluster_id(text: &str) -> Option<[u8; 16]> {
    TopicId::parse(text).map(|id| id.0)
}

fn cores(wanted: &Cores, allowed: &[usize]) -> Result<Vec<usize>, Refusal> {
    let Cores::Listed(listed) = wanted else { return Ok(allowed.to_vec()) };
    let listed: Vec<usize> = listed.iter().copied().map(usize::from).collect();
    match listed.iter().find(|core| !allowed.contains(core)) {
        None => Ok(listed),
        Some(core) => Err(Refusal::new(
            format!("core {core} of `cores` is not one that this process may use"),
            format!("it may use {}; or set `cores` to `all`", comma_separated(allowed)),
        )),
    }
}

/// `0,1,4`.
pub(super) fn comma_separated(numbers: &[usize]) -> String {
    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
    numbers.join(",")
}

fn addresses(listeners: &[Listener], any: IpAddr) -> (Vec<SocketAddr>, Vec<Refusal>) {
    let mut refusals = Vec::new();
    let mut addresses = Vec::new();
    for listener in listeners {
        match address(&listener.bind, any) {
            Ok(address) => addresses.push(address),
            Err(error) => refusals.push(Refusal::new(
                format!("listener {} cannot be opened: {}: {error}", listener.name, listener.bind),
                "write an address of this machine in `listeners`, or a name that it can look up",
            )),
        }
    }
    (addresses, refusals)
}

/// The first address of a name, IPv4 before IPv6, as Java looks it up.
fn address(bind: &Address, any: IpAddr) -> io::Result<SocketAddr> {
    if bind.host.is_empty() {
        return Ok(SocketAddr::new(any, bind.port));
    }
    let found: Vec<SocketAddr> = (bind.host.as_str(), bind.port).to_socket_addrs()?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn limits(config: &Config) -> ShardLimits {
    ShardLimits {
        journal_file_bytes: config.journal.file_bytes,
        // At most 64, says the table of settings.
        journal_files: u16::try_from(config.journal.files).unwrap_or(u16::MAX),
        commits_in_flight: COMMITS_IN_FLIGHT,
        dirty_bytes: config.memory.dirty,
        tail_bytes: config.memory.tail,
        index_bytes: config.memory.indexes,
        manifest: ManifestLimits::default(),
        disk_reserve: config.disk_reserve_bytes,
        groups: config.groups.coordinator.clone(),
    }
}

/// How a topic is kept that sets nothing itself. The defaults were checked with the settings.
fn log_defaults(config: &Config) -> LogConfig {
    let (topic, _) = TopicConfig::restore(config, &BTreeMap::new());
    LogConfig {
        segment_bytes: u64::from(topic.segment.bytes),
        segment_ms: topic.segment.ms,
        producers: ProducerMemory {
            most: config.producers.per_partition_max as usize,
            expiration_ms: i64::try_from(config.producers.expiration_ms).unwrap_or(i64::MAX),
        },
        acknowledge: match topic.acknowledge {
            topic::Acknowledge::Durable => Acknowledge::Durable,
            topic::Acknowledge::Cached => Acknowledge::Cached,
        },
        ..LogConfig::default()
    }
}

/// The directory as the system knows it, once it exists.
pub(super) fn resolved(directory: &Path) -> PathBuf {
    fs::canonicalize(directory).unwrap_or(directory.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::{ConfigFile, Flags, Mode, Sources, UnknownNames, load};

    const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

    fn config(properties: &str) -> Config {
        let file = ConfigFile::new("server.properties", properties.to_owned());
        let sources = Sources {
            mode: Mode::Production,
            file: Some(file),
            environment: Vec::new(),
            flags: Flags::default(),
            host_name: "host".to_owned(),
            unknown: UnknownNames::Ignored,
        };
        load(&sources).expect("a valid configuration").config
    }

    #[test]
    fn every_number_arrives_where_it_belongs() {
        let properties = "\
            listeners=PLAINTEXT://127.0.0.1:0,OTHER://:9093\n\
            listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT\n\
            cluster.id=AQEBAQEBAQEBAQEBAQEBAQ\nnode.id=7\ncores=1\ndata.dir=/d\n\
            memory.per.core=1GiB\nmemory.share.requests=10\nmemory.share.dirty=1\n\
            memory.share.tail=30\njournal.file.bytes=8MiB\njournal.files=5\n\
            disk.reserve.bytes=3\nmax.connections=9\nconnections.max.idle.ms=-1\n\
            socket.request.max.bytes=5MiB\nlog.segment.bytes=2MiB\nlog.roll.hours=1\n";
        let settings = assemble(&config(properties), &[0, 1], ANY).expect("usable");
        let limits = &settings.limits;
        let percent = (1u64 << 30) / 100;
        assert_eq!(settings.data_dir, Path::new("/d"));
        assert_eq!(settings.cores, [1]);
        let listen: Vec<String> = settings.listen.iter().map(SocketAddr::to_string).collect();
        assert_eq!(listen, ["127.0.0.1:0", "[::]:9093"]);
        assert_eq!(settings.cluster_id, Some([1; 16]));
        assert_eq!(settings.node_id, 7);
        assert_eq!((limits.journal_file_bytes, limits.journal_files), (8 << 20, 5));
        assert_eq!(limits.commits_in_flight, 3);
        assert_eq!((limits.dirty_bytes, limits.tail_bytes), (percent, 30 * percent));
        assert_eq!(limits.disk_reserve, 3);
        assert_eq!([settings.request_bytes, settings.work_bytes], [5 * percent; 2]);
        assert_eq!(settings.max_frame_bytes, 5 << 20);
        assert_eq!(settings.max_connections, 9);
        assert_eq!(settings.idle_connection_ms, u64::MAX);
        assert_eq!(settings.defaults.segment_bytes, 2 << 20);
        assert_eq!(settings.defaults.segment_ms, 3_600_000);
        assert_eq!(settings.defaults.acknowledge, Acknowledge::Durable);
    }

    #[test]
    fn all_cores_are_those_that_are_allowed() {
        let settings = assemble(&config(""), &[2, 5], ANY).expect("usable");
        assert_eq!(settings.cores, [2, 5]);
        assert_eq!(settings.cluster_id, None);
    }

    #[test]
    fn everything_this_machine_lacks_is_said_at_once() {
        let properties = "cores=0,3\nlisteners=PLAINTEXT://no-such-name.invalid:9092\n";
        let refusals = assemble(&config(properties), &[0, 1], ANY).expect_err("unusable");
        let told: Vec<String> = refusals.iter().map(Refusal::to_string).collect();
        assert!(told[0].contains("PLAINTEXT cannot be opened: no-such-name.invalid:9092:"));
        assert_eq!(
            told[1],
            "core 3 of `cores` is not one that this process may use; it may use 0,1; or set \
             `cores` to `all`"
        );
    }
}
