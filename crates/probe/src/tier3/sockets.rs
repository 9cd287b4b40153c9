//! Sockets of processes in scope by reading /proc, in rounds: misses flows shorter than a round.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use metsuke_event::activity::{Activity, NetworkActivity};
use metsuke_event::{Network, Process};

use crate::host;
use crate::procfs;
use crate::world::World;

/// Between two rounds, in nanoseconds.
const ROUND_NANOS: u64 = 500_000_000;

/// Processes and descriptors looked at in one round.
const MAX_PROCESSES: usize = 2048;
const MAX_DESCRIPTORS: usize = 1024;

/// Lines read of one table.
const MAX_LINES: usize = 65_536;

/// Sockets already told, by inode.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    known: HashSet<u64>,
    next: u64,
}

/// One line of /proc/net/tcp or udp.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    state: u8,
    inode: u64,
}

impl Sockets {
    /// One round, when it is time for one.
    pub(super) fn round(&mut self, world: &mut World, now: u64) {
        if now < self.next {
            return;
        }
        self.next = now + ROUND_NANOS;
        let mut owners: HashMap<u64, Arc<Process>> = HashMap::new();
        let mut tables: HashMap<Option<u64>, u32> = HashMap::new();
        for pid in world.bounds.pids().into_iter().take(MAX_PROCESSES) {
            let Some(stat) = procfs::stat(pid) else { continue };
            let sockets = sockets_of(pid);
            if sockets.is_empty() {
                continue;
            }
            let process = world.adopt(pid, &stat);
            tables.entry(process.network_namespace).or_insert(pid);
            for inode in sockets {
                owners.entry(inode).or_insert_with(|| Arc::clone(&process));
            }
        }
        for pid in tables.into_values() {
            for (table, protocol) in
                [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")]
            {
                let text =
                    fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
                let lines: Vec<Line> =
                    text.lines().skip(1).take(MAX_LINES).filter_map(parse).collect();
                self.tell(world, &lines, protocol, &owners);
            }
        }
        self.known.retain(|inode| owners.contains_key(inode));
    }

    fn tell(
        &mut self,
        world: &mut World,
        lines: &[Line],
        protocol: &str,
        owners: &HashMap<u64, Arc<Process>>,
    ) {
        const LISTEN: u8 = 10;
        let listening: HashSet<u16> =
            lines.iter().filter(|line| line.state == LISTEN).map(|line| line.local.1).collect();
        for line in lines {
            let Some(process) = owners.get(&line.inode) else { continue };
            let connected = !line.remote.0.is_unspecified();
            if (line.state != LISTEN && !connected) || !self.known.insert(line.inode) {
                continue;
            }
            let what = match line.state {
                LISTEN => NetworkActivity::Listen,
                _ if listening.contains(&line.local.1) => NetworkActivity::Accept,
                _ => NetworkActivity::Connect,
            };
            let (source, destination) = match what {
                NetworkActivity::Accept => (line.remote, Some(line.local)),
                NetworkActivity::Connect => (line.local, Some(line.remote)),
                _ => (line.local, None),
            };
            let network = Network {
                src_ip: Some(source.0),
                src_port: Some(u64::from(source.1)),
                dst_ip: destination.map(|end| end.0),
                dst_port: destination.map(|end| u64::from(end.1)),
                protocol: Some(protocol.into()),
                initiated: Some(what == NetworkActivity::Connect),
                flows: Some(1),
                ..Network::default()
            };
            world.push(host::now(), process, Activity::Network(what, network));
        }
    }
}

fn sockets_of(pid: u32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let inode = |path: std::path::PathBuf| {
        let target = fs::read_link(path).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
    };
    entries.take(MAX_DESCRIPTORS).flatten().filter_map(|entry| inode(entry.path())).collect()
}

fn parse(line: &str) -> Option<Line> {
    let mut parts = line.split_ascii_whitespace().skip(1);
    let local = end(parts.next()?)?;
    let remote = end(parts.next()?)?;
    let state = u8::from_str_radix(parts.next()?, 16).ok()?;
    let inode = parts.nth(5)?.parse().ok()?;
    Some(Line { local, remote, state, inode })
}

/// `0100007F:0016`: the address as words in host order, the port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
        _ => return None,
    };
    Some((ip, port))
}

#[cfg(test)]
mod tests {
    use super::{Line, parse};

    #[test]
    fn lines_of_the_socket_tables() {
        let four =
            "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1";
        let expected = Line {
            local: ([127, 0, 0, 1].into(), 8080),
            remote: ([0, 0, 0, 0].into(), 0),
            state: 10,
            inode: 4242,
        };
        assert_eq!(parse(four), Some(expected));
        let six = "1: 00000000000000000000000001000000:0035 0000000000000000FFFF00000100007F:0016 01 0:0 0:0 0 0 0 7 1";
        let line = parse(six).unwrap();
        assert_eq!(line.local, ("::1".parse().unwrap(), 53));
        assert_eq!(line.remote, ([127, 0, 0, 1].into(), 22));
        assert_eq!(parse("rubbish"), None);
    }
}
