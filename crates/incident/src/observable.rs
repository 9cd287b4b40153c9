//! Which values of an activity may join alerts.

use std::net::IpAddr;

use metsuke_event::{Activity, Event};
use serde::{Deserialize, Serialize};

/// Kinds of values that join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservableKind {
    /// SHA-256 of a file that does not ship with the system, in lower case.
    Hash,
    /// An address outside.
    Address,
    /// A domain, in lower case.
    Domain,
}

/// A value that may join.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Observable {
    /// What it is.
    pub kind: ObservableKind,
    /// The value.
    pub value: String,
}

/// Longest value kept: a domain has at most 253 bytes.
const VALUE_BYTES: usize = 253;

/// Folders of what the system and its packages bring, in lower case.
const SYSTEM: &[&str] = &[
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/usr/libexec/",
    "/usr/share/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/lib64/",
    "c:\\windows\\",
    "c:\\program files\\",
    "c:\\program files (x86)\\",
];

/// Ports of resolvers: who asks one shares nothing with others who do.
const RESOLVER_PORTS: [u64; 2] = [53, 853];

/// What of `event` may join: hashes, addresses outside, domains.
pub fn observables(event: &Event) -> Vec<Observable> {
    let mut found = Vec::new();
    let mut add = |kind, value: &str| {
        if !value.is_empty() && value.len() <= VALUE_BYTES {
            found
                .push(Observable { kind, value: value.trim_end_matches('.').to_ascii_lowercase() });
        }
    };
    let foreign = |path: Option<&str>| {
        path.is_some_and(|path| {
            let path = path.to_ascii_lowercase();
            !SYSTEM.iter().any(|folder| path.starts_with(folder))
        })
    };
    let process = &event.process;
    if let Some(hash) = process.sha256.as_deref().filter(|_| foreign(process.exe.as_deref())) {
        add(ObservableKind::Hash, hash);
    }
    match &event.activity {
        Activity::File(_, file) => {
            if let Some(hash) = file.sha256.as_deref().filter(|_| foreign(file.path.as_deref())) {
                add(ObservableKind::Hash, hash);
            }
        }
        Activity::Network(_, network) => {
            let asks = network.dst_port.is_some_and(|port| RESOLVER_PORTS.contains(&port));
            let ends = [network.dst_ip, network.src_ip].into_iter().flatten();
            for address in ends.filter(|address| !asks && is_outside(*address)) {
                add(ObservableKind::Address, &address.to_string());
            }
            if let Some(name) = network.dst_host.as_deref() {
                domain(name, &mut add);
            }
        }
        Activity::Logon(_, logon) => {
            if let Some(address) = logon.source_ip.filter(|address| is_outside(*address)) {
                add(ObservableKind::Address, &address.to_string());
            }
        }
        Activity::Dns(dns) => {
            if let Some(name) = dns.query.as_deref() {
                domain(name, &mut add);
            }
        }
        _ => {}
    }
    found
}

/// A name with a dot that is no address and of no network inside.
fn domain(name: &str, add: &mut impl FnMut(ObservableKind, &str)) {
    const INSIDE: &[&str] = &[".local", ".lan", ".internal", ".arpa", ".home", ".localdomain"];
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let inside = INSIDE.iter().any(|end| name.ends_with(end));
    if name.contains('.') && !inside && name.parse::<IpAddr>().is_err() {
        add(ObservableKind::Domain, &name);
    }
}

/// Whether an address leads into the Internet.
fn is_outside(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_multicast() || address.is_unspecified() {
        return false;
    }
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            !(v4.is_private()
                || v4.is_link_local()
                || v4.is_broadcast()
                || (a == 100 && b & 0xc0 == 64))
        }
        IpAddr::V6(v6) => !(v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}
