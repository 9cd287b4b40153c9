//! A made-up day of a Linux host: ordinary activities in the proportions a sensor sees them.

use std::sync::Arc;

use metsuke_event::{Activity, Event, Kind, Process, Timestamp};

/// What runs: executable and command line.
const TOOLS: [(&str, &str); 12] = [
    ("/usr/bin/bash", "bash -c make -j4 all"),
    ("/usr/bin/gcc-12", "gcc -O2 -Wall -Iinclude -c src/module.c -o build/module.o"),
    ("/usr/bin/git", "git status --porcelain=v2 --branch"),
    ("/usr/bin/python3.11", "python3 -m pytest -q tests/unit/test_api.py"),
    (
        "/usr/bin/curl",
        "curl -fsSL https://deb.example.org/dists/stable/InRelease -o /var/lib/apt/lists/partial/x",
    ),
    ("/usr/sbin/nginx", "nginx: worker process"),
    ("/usr/bin/ls", "ls -la --color=auto"),
    ("/usr/bin/id", "id -u"),
    ("/usr/lib/postgresql/15/bin/postgres", "postgres: checkpointer"),
    ("/usr/bin/tar", "tar czf /srv/backup/home.tgz -C /home ana"),
    ("/usr/bin/rm", "rm -rf /home/ana/project/build"),
    ("/usr/bin/sed", "sed -i s/a/b/ /home/ana/project/config.toml"),
];

/// `number` activities; the same every time.
pub(crate) fn events(number: u64) -> Vec<Event> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let make = |seq: u64| {
        let (exe, cmd) = TOOLS[usize::try_from(next(TOOLS.len() as u64)).unwrap_or(0)];
        let pid = 1_000 + next(30_000);
        let kind = match next(100) {
            0..12 => Kind::ProcessExec,
            12..22 => Kind::ProcessFork,
            22..32 => Kind::ProcessExit,
            32..52 => Kind::FileModify,
            52..67 => Kind::FileCreate,
            67..75 => Kind::FileDelete,
            75..78 => Kind::FileRename,
            78..80 => Kind::FileRead,
            80..90 => Kind::NetworkConnect,
            90..94 => Kind::NetworkAccept,
            _ => Kind::DnsQuery,
        };
        let mut event = Event::empty(kind);
        event.id.seq = seq;
        let seq_nanos = i64::try_from(seq).unwrap_or(0) * 1_000_000;
        event.time = Timestamp::from_millis(1_780_000_000_000).plus_nanos(seq_nanos);
        event.host = Some("build-1".into());
        event.process = Arc::new(Process {
            uid: Some(format!("b-{pid}-1").into()),
            pid: Some(pid),
            exe: Some(exe.into()),
            cmd_line: Some(cmd.into()),
            cwd: Some("/home/ana/project".into()),
            user_name: Some("ana".into()),
            user_id: Some(1000),
            parent_exe: Some("/usr/bin/bash".into()),
            parent_cmd_line: Some("-bash".into()),
            storyline: Some(format!("b-{}-1", pid % 50).into()),
            exe_kind: Some("disk".into()),
            stdio: Some("tty/tty".into()),
            ..Process::default()
        });
        match &mut event.activity {
            Activity::File(_, file) => {
                file.path = Some(format!("/home/ana/project/build/obj/{}.o", next(5_000)).into());
                file.size = Some(next(100_000));
            }
            Activity::Network(_, network) => {
                network.dst_ip = "192.0.2.7".parse().ok();
                network.dst_port = Some(443);
                network.src_port = Some(1_024 + next(60_000));
            }
            Activity::Dns(dns) => {
                dns.query = Some(format!("cdn{}.example.org", next(900)).into());
                dns.record_type = Some("A".into());
            }
            _ => {}
        }
        event
    };
    (1..=number).map(make).collect()
}
