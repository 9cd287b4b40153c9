//! What the lake's benchmarks share: events like those of a fleet, CPU time, a table.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use metsuke_event::{
    Activity, BootId, EndpointId, Event, EventId, File, Kind, Network, Process, TenantId, Timestamp,
};

/// A number from the environment, else the default.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// CPU time of this process, user and system, to the clock tick (10 ms).
pub(crate) fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let tick = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((tick(11) + tick(12)) * 10)
}

/// Wall and CPU time of one piece of work.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

pub(crate) struct Watch(Instant, Duration);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Instant::now(), cpu())
    }

    pub(crate) fn stop(&self) -> Spent {
        Spent { wall: self.0.elapsed(), cpu: cpu().saturating_sub(self.1) }
    }
}

/// The hash of the one rare file, on one host in all the events.
pub(crate) const RARE_HASH: &str =
    "feedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedface";
/// A word in one command line of all.
pub(crate) const RARE_WORD: &str = "zanshin";
pub(crate) const HOSTS: u64 = 50;
/// Start of the time the events span.
pub(crate) const START: i64 = 1_790_000_000_000_000_000;
/// Nanoseconds from one event to the next.
pub(crate) const STEP: i64 = 5_000_000;

const PROGRAMS: [(&str, &str); 8] = [
    ("/usr/bin/bash", "bash -c run-parts --report /etc/cron.hourly"),
    ("/usr/bin/python3.11", "python3 -m http.server 8000 --bind 127.0.0.1"),
    ("/usr/bin/curl", "curl -fsSL https://repo.example.org/dists/stable/InRelease"),
    ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald"),
    ("/usr/sbin/nginx", "nginx: worker process"),
    ("/usr/bin/git", "git fetch --quiet --prune origin +refs/heads/*:refs/remotes/origin/*"),
    ("/usr/bin/cc", "cc -O2 -Wall -c src/main.c -o build/main.o -Iinclude -DNDEBUG"),
    ("/usr/bin/dpkg", "dpkg --status-fd 9 --no-triggers --unpack --auto-deconfigure"),
];

/// Makes events in time order over all hosts, like a fleet's stream arriving.
pub(crate) struct Fleet {
    state: u64,
    count: u64,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, count: 0 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound
    }

    pub(crate) fn batch(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.event()).collect()
    }

    fn event(&mut self) -> Event {
        let number = self.count;
        self.count += 1;
        let host = self.below(HOSTS);
        let kind = match self.below(10) {
            0 => Kind::ProcessFork,
            1 | 2 => Kind::ProcessExec,
            3 | 4 => Kind::ProcessExit,
            5 => Kind::NetworkConnect,
            6 => Kind::FileCreate,
            _ => Kind::FileModify,
        };
        let mut event = Event::empty(kind);
        event.id = EventId {
            tenant: TenantId(0),
            endpoint: EndpointId::from_u128(0xabc0_0000 + u128::from(host)),
            boot: BootId::from_u128(0xb007_0000 + u128::from(host)),
            seq: number + 1,
        };
        let time = START + i64::try_from(number).unwrap_or(0) * STEP;
        event.time = Timestamp::from_nanos(time);
        event.received = Some(Timestamp::from_nanos(time + 80_000_000));
        event.host = Some(format!("web-{host:03}.example.org").into());
        event.process = Arc::new(self.process(host, number, time));
        match &mut event.activity {
            Activity::File(_, file) => *file = self.file(number),
            Activity::Network(_, network) => *network = self.network(),
            _ => {}
        }
        event
    }

    fn process(&mut self, host: u64, number: u64, time: i64) -> Process {
        let program = usize::try_from(self.below(8)).unwrap_or(0);
        let (exe, cmd) = PROGRAMS[program];
        let boot = 0xb007_0000_u128 + u128::from(host);
        let pid = number / 40 % 30_000 + 2;
        let uid = |pid: u64| format!("{boot:032x}-{pid}-{}", 880_000 + pid);
        let mut cmd = format!("{cmd} --job {}", self.below(5_000));
        if number == 4_321 {
            cmd.push_str(RARE_WORD);
        }
        Process {
            uid: Some(uid(pid).into()),
            pid: Some(pid),
            start_time: Some(Timestamp::from_nanos(time - 1_000_000_000)),
            exe: Some(exe.into()),
            name: exe.rsplit('/').next().map(Into::into),
            cmd_line: Some(cmd.into()),
            cwd: Some("/var/lib/app".into()),
            user_name: Some(if program < 3 { "www-data" } else { "root" }.into()),
            user_id: Some(if program < 3 { 33 } else { 0 }),
            sha256: Some(format!("{program:02x}").repeat(32).into()),
            cgroup: Some(format!("/system.slice/app-{}.service", program % 4).into()),
            capabilities: Some(0x1ff_ffff_ffff),
            storyline: Some(uid(pid / 50 + 1).into()),
            parent_uid: Some(uid(pid / 7 + 1).into()),
            parent_pid: Some(pid / 7 + 1),
            parent_exe: Some("/usr/bin/bash".into()),
            parent_name: Some("bash".into()),
            parent_cmd_line: Some("bash /usr/local/bin/deploy.sh".into()),
            ..Process::default()
        }
    }

    fn file(&mut self, number: u64) -> File {
        let hash = if number % 1_000_000 == 77_777 {
            RARE_HASH.to_owned()
        } else {
            let (a, b) = (self.below(u64::MAX), self.below(u64::MAX));
            format!("{a:016x}{b:016x}").repeat(2)
        };
        File {
            path: Some(format!("/var/lib/app/cache/{:05x}/blob", self.below(100_000)).into()),
            inode: Some(self.below(10_000_000)),
            size: Some(self.below(1_000_000)),
            sha256: Some(hash.into()),
            bytes_written: Some(self.below(100_000)),
            operations: Some(self.below(9) + 1),
            ..File::default()
        }
    }

    fn network(&mut self) -> Network {
        let address = format!("10.{}.{}.{}", self.below(4), self.below(250), self.below(250));
        Network {
            src_ip: "192.0.2.10".parse().ok(),
            src_port: Some(32_768 + self.below(28_000)),
            dst_ip: address.parse().ok(),
            dst_port: Some([22, 53, 80, 443][usize::try_from(self.below(4)).unwrap_or(0)]),
            protocol: Some("tcp".into()),
            initiated: Some(true),
            bytes_out: Some(self.below(100_000)),
            bytes_in: Some(self.below(1_000_000)),
            ..Network::default()
        }
    }
}
