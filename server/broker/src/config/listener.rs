//! Listeners: where the broker listens, and what it tells its clients.

use std::fmt;

use super::form;
use super::problem::{Notice, Problem, Wrong};
use super::settings::Settings;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an IP address without brackets; empty for every address of the machine.
    pub host: String,
    /// 0 for a free port: whoever opens it puts the real one into what is advertised.
    pub port: u16,
}

impl Address {
    /// Stands for all addresses of the machine, so that it cannot be advertised.
    #[must_use]
    pub(crate) fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A listener that the broker opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Its name, upper case.
    pub name: String,
    /// Where it listens.
    pub bind: Address,
    /// Where its clients are told to connect.
    pub advertised: Address,
}

/// One item of `listeners` or `advertised.listeners`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListenerSpec {
    pub(super) name: String,
    pub(super) address: Address,
}

impl ListenerSpec {
    /// Reads `NAME://host:port` or `host:port`; without a name it is `PLAINTEXT`.
    pub(super) fn parse(text: &str) -> Option<ListenerSpec> {
        let (name, address) = text.split_once("://").unwrap_or(("PLAINTEXT", text));
        let (host, port) = address.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None => host,
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if name.is_empty() || !name.chars().all(is_name) || !host.chars().all(is_host) {
            return None;
        }
        let address = Address { host: host.to_owned(), port: port.parse().ok()? };
        Some(ListenerSpec { name: name.to_ascii_uppercase(), address })
    }
}

/// What is wrong with a set of listeners.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListenerFault {
    /// Two of one name.
    #[error("two listeners are named {0}")]
    SameName(String),
    /// Two on one port.
    #[error("two listeners are on port {0}")]
    SamePort(u16),
    /// All of them are for controllers.
    #[error("no listener is left for clients")]
    None,
    /// A name without a protocol.
    #[error("listener {0} has no security protocol")]
    NoProtocol(String),
    /// A protocol that is not served.
    #[error("listener {name} uses {protocol}, and only PLAINTEXT is served")]
    NotServed {
        /// The listener.
        name: String,
        /// Its protocol.
        protocol: String,
    },
    /// Advertised, but not opened.
    #[error("{0} is advertised and is not a listener")]
    NotOpened(String),
    /// Advertised as an address to which nobody can connect.
    #[error("listener {0} advertises every address of the machine")]
    NotRoutable(String),
}

impl ListenerFault {
    pub(super) fn remedy(&self) -> String {
        match self {
            ListenerFault::SameName(_) => "give each listener its own name".to_owned(),
            ListenerFault::SamePort(_) => "give each listener its own port".to_owned(),
            ListenerFault::None => "add one such as PLAINTEXT://:9092 to `listeners`".to_owned(),
            ListenerFault::NoProtocol(name) => {
                format!("add {name}:PLAINTEXT to `listener.security.protocol.map`")
            }
            ListenerFault::NotServed { .. } => {
                "use a PLAINTEXT listener, on a network that is safe without encryption".to_owned()
            }
            ListenerFault::NotOpened(name) => format!("add {name} to `listeners`"),
            ListenerFault::NotRoutable(_) => {
                "advertise a name or address that clients can connect to".to_owned()
            }
        }
    }
}

/// The listeners to open. `host_name` is advertised for those that listen on every address.
///
/// # Errors
/// Every fault of `listeners` and `advertised.listeners`.
pub(super) fn resolve(
    settings: &Settings,
    host_name: &str,
) -> Result<(Vec<Listener>, Vec<Notice>), Vec<Problem>> {
    let controllers: Vec<String> =
        settings.list("controller.listener.names").iter().map(|n| n.to_ascii_uppercase()).collect();
    let (for_controllers, opened): (Vec<_>, Vec<_>) =
        specs(settings, "listeners").into_iter().partition(|spec| controllers.contains(&spec.name));
    let advertised: Vec<ListenerSpec> = specs(settings, "advertised.listeners")
        .into_iter()
        .filter(|spec| !controllers.contains(&spec.name))
        .collect();

    let protocols = form::protocol_map(settings.text("listener.security.protocol.map"));
    let mut problems = faults(settings, "listeners", opened_faults(&opened, &protocols));
    problems.extend(faults(
        settings,
        "advertised.listeners",
        advertised_faults(&advertised, &opened),
    ));
    if !problems.is_empty() {
        return Err(problems);
    }
    let listeners = opened.into_iter().map(|spec| listener(spec, &advertised, host_name)).collect();
    let notice = |spec: ListenerSpec| {
        let why = format!("{} is for Kafka's controllers and is not opened", spec.name);
        Notice::new(settings.origin("listeners"), "listeners", why)
    };
    Ok((listeners, for_controllers.into_iter().map(notice).collect()))
}

fn specs(settings: &Settings, name: &'static str) -> Vec<ListenerSpec> {
    settings.list(name).iter().filter_map(|item| ListenerSpec::parse(item)).collect()
}

fn faults(settings: &Settings, name: &str, faults: Vec<ListenerFault>) -> Vec<Problem> {
    let problem = |fault| Problem { origin: settings.origin(name), wrong: Wrong::Listener(fault) };
    faults.into_iter().map(problem).collect()
}

fn opened_faults(opened: &[ListenerSpec], protocols: &[(String, String)]) -> Vec<ListenerFault> {
    let mut faults = same_names(opened);
    if opened.is_empty() {
        faults.push(ListenerFault::None);
    }
    for (index, spec) in opened.iter().enumerate() {
        let name = spec.name.clone();
        match protocols.iter().find(|(of, _)| *of == name) {
            Some((_, protocol)) if protocol == "PLAINTEXT" => {}
            Some((_, protocol)) => {
                faults.push(ListenerFault::NotServed { name, protocol: protocol.clone() });
            }
            None => faults.push(ListenerFault::NoProtocol(name)),
        }
        if opened[..index].iter().any(|other| collide(&spec.address, &other.address)) {
            faults.push(ListenerFault::SamePort(spec.address.port));
        }
    }
    faults
}

fn advertised_faults(advertised: &[ListenerSpec], opened: &[ListenerSpec]) -> Vec<ListenerFault> {
    let mut faults = same_names(advertised);
    for spec in advertised {
        if !opened.iter().any(|other| other.name == spec.name) {
            faults.push(ListenerFault::NotOpened(spec.name.clone()));
        }
        if spec.address.is_wildcard() {
            faults.push(ListenerFault::NotRoutable(spec.name.clone()));
        }
    }
    faults
}

fn same_names(specs: &[ListenerSpec]) -> Vec<ListenerFault> {
    let again = |(index, spec): (usize, &ListenerSpec)| {
        let seen = specs[..index].iter().any(|other| other.name == spec.name);
        seen.then(|| ListenerFault::SameName(spec.name.clone()))
    };
    specs.iter().enumerate().filter_map(again).collect()
}

/// Kafka's rule: one port serves two listeners only when one is IPv4 and the other IPv6.
fn collide(left: &Address, right: &Address) -> bool {
    let family =
        |address: &Address| address.host.parse().ok().map(|ip: std::net::IpAddr| ip.is_ipv4());
    let apart = match (family(left), family(right)) {
        (Some(left), Some(right)) => left != right,
        _ => false,
    };
    left.port == right.port && left.port != 0 && !apart
}

fn listener(spec: ListenerSpec, advertised: &[ListenerSpec], host_name: &str) -> Listener {
    let named = advertised.iter().find(|other| other.name == spec.name);
    let advertised = match named {
        Some(other) => other.address.clone(),
        None if spec.address.is_wildcard() => {
            Address { host: host_name.to_owned(), port: spec.address.port }
        }
        None => spec.address.clone(),
    };
    Listener { name: spec.name, bind: spec.address, advertised }
}
