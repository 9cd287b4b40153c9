//! Records of sockets: flows, their ends, datagrams, DNS, TLS greetings, Unix sockets.

use std::net::IpAddr;
use std::sync::Arc;

use metsuke_event::activity::{Activity, NetworkActivity};
use metsuke_event::{Network, Process, Text, Tls};
use metsuke_packet::{dns, tls};

use super::State;
use super::apply::tell_dns;
use super::record::{FileRecord, Flow, Head, flag, kind, resolve};
use super::sums::{Key, Subject, Sum, flow_key};
use crate::world::World;

const AF_PACKET: u16 = 17;

impl State {
    pub(super) fn apply_socket(&mut self, world: &mut World, head: &Head, flow: &Flow<'_>) {
        match head.kind {
            kind::DNS => self.apply_dns(world, head, flow, flow.payload),
            kind::STREAM => {
                let key = (head.pid, flow.local_port, flow.remote, flow.remote_port);
                let direction = head.has(flag::ANSWER);
                let whole = usize::try_from(flow.error).unwrap_or(0);
                let missing = whole.saturating_sub(flow.payload.len());
                for message in self.streams.push((key, direction), flow.payload, missing) {
                    self.apply_dns(world, head, flow, &message);
                }
            }
            kind::GREETING => self.apply_greeting(world, head, flow),
            kind::FLOW_END => self.apply_end(world, head, flow),
            kind::DATAGRAMS => self.open_datagrams(world, head, flow),
            kind::DATAGRAMS_END => {
                if let Some(key) = datagrams_key(flow.payload) {
                    self.settle(world, &[key]);
                }
            }
            _ => self.apply_flow(world, head, flow),
        }
    }

    fn apply_flow(&mut self, world: &mut World, head: &Head, flow: &Flow<'_>) {
        let process = world.find(world.key(head.pid, head.start));
        let (what, ports) = match head.kind {
            kind::CONNECT => (NetworkActivity::Connect, (flow.remote_port, 0)),
            kind::ACCEPT => (NetworkActivity::Accept, (0, flow.local_port)),
            kind::BIND => (NetworkActivity::Bind, (flow.remote_port, flow.local_port)),
            kind::RAW_SOCKET => (NetworkActivity::Raw, (flow.remote_port, flow.local_port)),
            _ => (NetworkActivity::Listen, (flow.remote_port, flow.local_port)),
        };
        let network = self.network(what, flow);
        if !head.has(flag::SINGLE) {
            let key = flow_key(flow.remote_bytes, head.pid, ports, (flow.protocol, head.kind));
            let subject = Subject::Flow(what, network.clone());
            self.sums.open(key, Arc::clone(&process), (head.pid, head.time), subject);
        }
        world.push(world.time(head.time), &process, Activity::Network(what, network));
    }

    fn network(&self, what: NetworkActivity, flow: &Flow<'_>) -> Network {
        let mut network = Network {
            src_ip: Some(flow.local),
            src_port: (flow.local_port != 0).then_some(u64::from(flow.local_port)),
            protocol: Some(protocol(flow)),
            socket_type: socket_type(flow),
            initiated: Some(what == NetworkActivity::Connect),
            flows: Some(1),
            error: (flow.error != 0).then_some(i64::from(flow.error)),
            ..Network::default()
        };
        let remote = (Some(flow.remote), Some(u64::from(flow.remote_port)));
        match what {
            NetworkActivity::Connect => {
                (network.dst_ip, network.dst_port) = remote;
                network.dst_host = self.names.of(flow.remote);
                // A socket that was refused has no end of its own.
                network.src_ip = network.src_ip.filter(|ip| !ip.is_unspecified());
            }
            NetworkActivity::Accept => {
                (network.dst_ip, network.dst_port) = (network.src_ip, network.src_port);
                (network.src_ip, network.src_port) = remote;
            }
            NetworkActivity::Raw => {
                (network.src_ip, network.src_port) = (None, None);
                network.initiated = None;
            }
            _ => {}
        }
        network
    }

    /// The flow with its ends as they were when it was opened.
    fn ended(&self, outgoing: bool, flow: &Flow<'_>) -> Network {
        let way = if outgoing { NetworkActivity::Connect } else { NetworkActivity::Accept };
        Network { initiated: Some(outgoing), ..self.network(way, flow) }
    }

    fn apply_end(&mut self, world: &mut World, head: &Head, flow: &Flow<'_>) {
        let Some([sent, received, lasted]) = words(flow.payload) else { return };
        let process = world.find(world.key(head.pid, head.start));
        let outgoing = head.has(flag::OUTGOING);
        let network = self.ended(outgoing, flow);
        if !head.has(flag::SINGLE) {
            let (ports, begun) = if outgoing {
                ((flow.remote_port, 0), kind::CONNECT)
            } else {
                ((0, flow.local_port), kind::ACCEPT)
            };
            let Key::Flow(key) =
                flow_key(flow.remote_bytes, head.pid, ports, (flow.protocol, begun))
            else {
                return;
            };
            // Each of those that follow has a port of its own.
            let mut others = network.clone();
            others.src_port = None;
            let opened = (head.pid, head.time);
            self.sums.open(Key::End(key), Arc::clone(&process), opened, Subject::Ends(others));
        }
        let sum =
            Sum { last: head.time, bytes: sent, operations: 1, length: received, longest: lasted };
        tell_end(world, &process, network, sum);
    }

    fn open_datagrams(&mut self, world: &mut World, head: &Head, flow: &Flow<'_>) {
        let Some(key) = datagrams_key(flow.payload) else { return };
        // The address had another socket before, whose end was not seen.
        self.settle(world, &[key]);
        let process = world.find(world.key(head.pid, head.start));
        let network = self.ended(head.has(flag::OUTGOING), flow);
        self.sums.open(key, process, (head.pid, head.time), Subject::Datagrams(network));
    }

    fn apply_dns(&mut self, world: &mut World, head: &Head, flow: &Flow<'_>, bytes: &[u8]) {
        let Some(message) = dns::parse(bytes) else { return };
        if message.response != head.has(flag::ANSWER) {
            return;
        }
        let process = world.find(world.key(head.pid, head.start));
        let server = (flow.remote, flow.remote_port);
        let told = self.names.message(&process, (head.pid, head.time), server, &message);
        if let Some(told) = told {
            tell_dns(world, told);
        }
    }

    fn apply_greeting(&mut self, world: &mut World, head: &Head, flow: &Flow<'_>) {
        let Some(hello) = tls::client_hello(flow.payload) else { return };
        let process = world.find(world.key(head.pid, head.start));
        let network = self.network(NetworkActivity::Connect, flow);
        let alpn: Vec<_> = hello.alpn.iter().map(|name| String::from_utf8_lossy(name)).collect();
        let tls = Tls {
            alpn: (!alpn.is_empty()).then(|| alpn.join(" ").into()),
            ja3: hello.ja3().map(Into::into),
            ja4: hello.ja4().map(Into::into),
            version: hello.version_name().map(Into::into),
            truncated: hello.truncated.then_some(true),
            sni: hello.server_name.map(Into::into),
        };
        world.push(world.time(head.time), &process, Activity::Tls(network, tls));
    }

    /// A Unix socket was connected to: told when the policy names it.
    pub(super) fn apply_unix(&mut self, world: &mut World, head: &Head, record: &FileRecord<'_>) {
        let name = match record.raw[0].split_first() {
            // Abstract: the name is all of it, whatever bytes.
            Some((0, name)) => {
                let end = name.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                format!("@{}", String::from_utf8_lossy(&name[..end]))
            }
            _ => resolve(record.base, record.path),
        };
        let Some(sensitivity) = self.unix.of(&name).map(Text::from) else { return };
        let process = world.find(world.key(head.pid, head.start));
        let network = Network {
            unix_path: Some(name.into()),
            sensitivity: Some(sensitivity),
            protocol: Some("unix".into()),
            socket_type: type_name(u16::try_from(record.length).unwrap_or(0)),
            initiated: Some(true),
            flows: Some(1),
            error: (record.mode != 0).then_some(i64::from(record.mode)),
            ..Network::default()
        };
        let activity = Activity::Network(NetworkActivity::Connect, network);
        world.push(world.time(head.time), &process, activity);
    }
}

/// Tells the end of one or more flows.
pub(super) fn tell_end(world: &mut World, process: &Arc<Process>, mut network: Network, sum: Sum) {
    // Named from the side that opened it.
    let (out, back) = match network.initiated {
        Some(false) => (sum.length, sum.bytes),
        _ => (sum.bytes, sum.length),
    };
    network.bytes_out = Some(out);
    network.bytes_in = Some(back);
    network.duration_ms = Some(sum.longest / 1_000_000);
    network.flows = Some(sum.operations);
    let time = world.time(sum.last);
    world.push(time, process, Activity::Network(NetworkActivity::Close, network));
}

fn datagrams_key(payload: &[u8]) -> Option<Key> {
    payload.try_into().ok().map(Key::Datagrams)
}

/// `struct flow_end`.
fn words(payload: &[u8]) -> Option<[u64; 3]> {
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(payload.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().ok()?);
    }
    (payload.len() == 24).then_some(words)
}

fn protocol(flow: &Flow<'_>) -> Text {
    if flow.family == AF_PACKET {
        return "packet".into();
    }
    match flow.protocol {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "ipv6-icmp".into(),
        132 => "sctp".into(),
        255 => "raw".into(),
        other => other.to_string().into(),
    }
}

fn socket_type(flow: &Flow<'_>) -> Option<Text> {
    if flow.family == AF_PACKET {
        return Some("packet".into());
    }
    type_name(flow.socket_type)
}

/// Types of sockets (socket(2)).
fn type_name(code: u16) -> Option<Text> {
    Some(match code {
        1 => "stream".into(),
        2 => "dgram".into(),
        3 => "raw".into(),
        5 => "seqpacket".into(),
        _ => return None,
    })
}

/// One direction of a flow of DNS over TCP: process, local port, resolver; whether it is its answers.
pub(super) type StreamKey = ((u32, u16, IpAddr, u16), bool);
