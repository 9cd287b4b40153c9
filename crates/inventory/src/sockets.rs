//! Listening services out of `/proc/net` of each network namespace, and holders of audit sockets.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use metsuke_event::inventory::{Holder, Item, Service};

use crate::processes::Pass;
use crate::surveys::Left;

/// Most lines read of one table: a busy proxy has some hundred thousand connections.
const LINES_MAX: usize = 1_000_000;
/// Most services kept.
const SERVICES_MAX: usize = 10_000;
/// `TCP_LISTEN` and `TCP_CLOSE` (what an unconnected UDP socket shows) of the kernel.
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";
/// `NETLINK_AUDIT`.
const AUDIT: &str = "9";

/// A line of `/proc/net/tcp` and the like, where it waits for others.
#[derive(Debug, PartialEq, Eq)]
struct Listening {
    address: IpAddr,
    port: u16,
    uid: u32,
    inode: u64,
}

/// Reads `0100007F:0016`, words in the host's byte order (little-endian on what we run on).
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !address.is_ascii() {
        return None;
    }
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                part.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((address, port))
}

fn listening(line: &str, state: &str) -> Option<Listening> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != state {
        return None;
    }
    let (address, port) = endpoint(fields.get(1)?)?;
    let (uid, inode) = (fields.get(7)?.parse().ok()?, fields.get(9)?.parse().ok()?);
    Some(Listening { address, port, uid, inode })
}

/// The first port that the kernel gives to who asks for none.
fn first_ephemeral() -> u16 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(32_768)
}

/// Services that wait, by key, each once.
pub(crate) fn services(pass: &Pass, left: &mut Left) -> Vec<Service> {
    let ephemeral = first_ephemeral();
    let mut found: BTreeMap<String, Service> = BTreeMap::new();
    for net in &pass.namespaces {
        let tables =
            [("tcp", LISTEN), ("tcp6", LISTEN), ("udp", UNCONNECTED), ("udp6", UNCONNECTED)];
        for (protocol, state) in tables {
            for one in table(&net.join(protocol), state) {
                if protocol.starts_with("udp") && one.port >= ephemeral {
                    // Who asks a name server has such a socket for a moment; it serves nobody.
                    left.add("ephemeral_udp", || format!("{} {}", one.address, one.port));
                    continue;
                }
                if found.len() >= SERVICES_MAX {
                    left.add("limit", || format!("{} {}", one.address, one.port));
                    continue;
                }
                let holder = pass.sockets.get(&one.inode).and_then(|at| pass.processes.get(*at));
                if holder.is_none() {
                    left.add("holder_unknown", || format!("{protocol} {}", one.port));
                }
                let service = Service {
                    protocol: protocol.to_owned(),
                    address: one.address.to_string(),
                    port: one.port,
                    uid: one.uid,
                    exe: holder.and_then(|seen| seen.exe.clone()),
                    process: holder.map(|seen| seen.name.clone()),
                    sha256: None,
                    package: None,
                };
                found.insert(Item::Service(service.clone()).key(), service);
            }
        }
    }
    found.into_values().collect()
}

fn table(path: &Path, state: &str) -> Vec<Listening> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let lines = BufReader::new(file).lines().map_while(Result::ok).take(LINES_MAX);
    lines.filter_map(|line| listening(&line, state)).collect()
}

/// Who holds fanotify, BPF, audit, and which security modules there are.
pub(crate) fn holders(pass: &Pass, left: &mut Left) -> Vec<Holder> {
    let mut found = pass.holders.clone();
    for net in &pass.namespaces {
        let text = fs::read_to_string(net.join("netlink")).unwrap_or_default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            // sk, Eth, Pid, …, Inode; the kernel's own end has pid 0.
            let is_audit = fields.get(1) == Some(&AUDIT) && fields.get(2) != Some(&"0");
            let inode = fields.last().and_then(|text| text.parse::<u64>().ok());
            if let Some(inode) = inode.filter(|_| is_audit) {
                let at = pass.sockets.get(&inode).and_then(|at| pass.processes.get(*at));
                let by = at.map_or_else(|| "[unknown]".to_owned(), super::processes::Seen::by);
                *found.entry(("audit", by)).or_insert(0) += 1;
            }
        }
    }
    let modules = "/sys/kernel/security/lsm";
    match fs::read_to_string(modules) {
        Ok(text) => found.extend(
            text.trim()
                .split(',')
                .filter(|name| !name.is_empty())
                .map(|name| (("lsm", name.to_owned()), 1)),
        ),
        Err(error) => left.add("not_readable", || format!("{modules}: {error}")),
    }
    let holder = |((interface, by), count): ((&str, String), u32)| Holder {
        interface: interface.to_owned(),
        by,
        count,
    };
    found.into_iter().map(holder).collect()
}

#[cfg(test)]
mod tests {
    use super::{endpoint, listening};

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_and_states_are_read() {
        let line = "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  \
            1000        0 4711 1 0 100 0 0 10 0";
        let one = listening(line, "0A").expect("listens");
        assert_eq!((one.address.to_string().as_str(), one.port), ("127.0.0.1", 22));
        assert_eq!((one.uid, one.inode), (1_000, 4_711));
        assert_eq!(listening(line, "07"), None);
        let v6 = endpoint("00000000000000000000000001000000:1F90").expect("an address");
        assert_eq!((v6.0.to_string().as_str(), v6.1), ("::1", 8_080));
        for odd in ["", "0:0", "0100007F", "zz00007F:0016", "0100007F:FFFFF", "é00007F:0016"] {
            assert_eq!(endpoint(odd), None, "{odd}");
        }
    }
}
