//! Events made from a seed, and what the tests compare.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use metsuke_event::{
    Activity, BootId, EndpointId, Event, EventId, File, Kind, Network, Process, SourceFields,
    TenantId, Timestamp, Value,
};
use metsuke_lake::LakeConfig;

/// No background work: tests flush when they mean to.
pub(crate) fn config(dir: &Path) -> LakeConfig {
    LakeConfig { flush_interval: None, ..LakeConfig::new(dir.join("lake")) }
}

pub(crate) fn ids(events: &[Event]) -> BTreeSet<EventId> {
    let set: BTreeSet<EventId> = events.iter().map(|event| event.id).collect();
    assert_eq!(set.len(), events.len(), "no event twice");
    set
}

pub(crate) fn marks(events: &[Event]) -> HashMap<(EndpointId, BootId), u64> {
    let mut marks = HashMap::new();
    for event in events {
        let mark = marks.entry((event.id.endpoint, event.id.boot)).or_default();
        *mark = event.id.seq.max(*mark);
    }
    marks
}

const EXES: [&str; 6] = [
    "/usr/bin/curl",
    "/usr/bin/cat",
    "/bin/sh",
    "/usr/sbin/sshd",
    "/opt/アプリ/実行",
    "/tmp/.x/Payload",
];

/// Makes events; the same seed makes the same.
pub(crate) struct Maker {
    state: u64,
    seqs: HashMap<(u128, u128), u64>,
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, seqs: HashMap::new() }
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound
    }

    pub(crate) fn events(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.event()).collect()
    }

    pub(crate) fn event(&mut self) -> Event {
        let kind = Kind::ALL[usize::try_from(self.below(9)).unwrap()];
        let endpoint = u128::from(self.below(4)) + 1;
        let boot = u128::from(self.below(2)) + 100;
        let seq = self.seqs.entry((endpoint, boot)).or_default();
        *seq += 1;
        let seq = *seq;
        let mut event = Event::empty(kind);
        event.id = EventId {
            tenant: TenantId(0),
            endpoint: EndpointId::from_u128(endpoint),
            boot: BootId::from_u128(boot),
            seq,
        };
        let time =
            1_790_000_000_000_000_000 + i64::try_from(self.below(20_000)).unwrap() * 7_777_777;
        event.time = Timestamp::from_nanos(time);
        event.received = Some(Timestamp::from_nanos(
            time + i64::try_from(self.below(2)).unwrap() * 86_400_000_000_000,
        ));
        event.host = Some(format!("host-{endpoint}").into());
        event.process = Arc::new(self.process(boot));
        match &mut event.activity {
            Activity::File(_, file) => *file = self.file(),
            Activity::Network(_, network) => *network = self.network(),
            _ => {}
        }
        if self.below(10) == 0 {
            event.unmapped = SourceFields::from_iter([
                ("EventID", Value::U64(self.below(100))),
                ("Delta", Value::I64(5)),
                ("Name", Value::Text("ぞう \"q\"".into())),
                ("Ip", Value::Ip("::1".parse().unwrap())),
                ("At", Value::Time(Timestamp::from_nanos(-1))),
                ("Name", Value::Bool(true)),
            ]);
        }
        event
    }

    fn process(&mut self, boot: u128) -> Process {
        let pid = self.below(20) + 1;
        let exe = EXES[usize::try_from(self.below(6)).unwrap()];
        let hash = format!("{:064x}", self.below(8));
        Process {
            uid: Some(format!("{boot:032x}-{pid}-77").into()),
            pid: Some(pid),
            parent_uid: Some(format!("{boot:032x}-{}-77", self.below(20) + 1).into()),
            storyline: Some(format!("{boot:032x}-{}-77", self.below(5) + 1).into()),
            exe: Some(exe.into()),
            cmd_line: (self.below(5) > 0)
                .then(|| format!("{exe} -o /tmp/F{} http://Example.com/", self.below(9)).into()),
            user_name: Some(if self.below(3) == 0 { "root" } else { "alice" }.into()),
            sha256: (self.below(3) > 0).then(|| hash.into()),
            capabilities: Some(if self.below(6) == 0 { u64::MAX } else { self.below(64) }),
            exit_code: (self.below(4) == 0).then(|| i64::try_from(self.below(5)).unwrap() - 2),
            ..Process::default()
        }
    }

    fn file(&mut self) -> File {
        File {
            path: Some(format!("/home/alice/File{}.txt", self.below(12)).into()),
            sha256: (self.below(2) == 0).then(|| format!("{:064x}", self.below(8)).into()),
            size: Some(self.below(1_000)),
            ..File::default()
        }
    }

    fn network(&mut self) -> Network {
        let ip = if self.below(4) == 0 {
            format!("fe80::{:x}", self.below(300))
        } else {
            format!("10.0.{}.{}", self.below(3), self.below(250))
        };
        Network {
            dst_ip: Some(ip.parse().unwrap()),
            dst_port: Some([22, 80, 443, 8443][usize::try_from(self.below(4)).unwrap()]),
            initiated: Some(self.below(2) == 0),
            ..Network::default()
        }
    }
}
