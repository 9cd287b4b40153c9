//! Flows, DNS, executions from memory and sockets as standard streams, by a helper process (this
//! test binary again) that runs in the scope.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only to fork, to end threads and for memfd_create"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use metsuke_event::coverage::Tier;
use metsuke_event::{Activity, Event, Kind, Network};
use metsuke_probe::{ProbeConfig, Scope};
use support::{Group, Watch, pid_is};

const ROLE: &str = "METSUKE_PROBE_TEST_ROLE";
const PORT: &str = "METSUKE_PROBE_TEST_PORT";

/// Runs the helper in `role` inside `group`, to its end; gives its pid.
fn help(group: &Group, role: &str, port: u16) -> u32 {
    let mut child = helped(group, role, port);
    assert!(child.wait().unwrap().success(), "{role}");
    child.id()
}

/// Starts the helper in `role` inside `group`; its standard input is a pipe.
fn helped(group: &Group, role: &str, port: u16) -> Child {
    let me = std::env::current_exe().unwrap();
    let mut command = group.command(me.to_str().unwrap(), &["--exact", "helper", "--nocapture"]);
    command.env(ROLE, role).env(PORT, port.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command.spawn().unwrap()
}

/// Not a test of its own: what the others have done inside their groups.
#[test]
fn helper() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let port: u16 = std::env::var(PORT).unwrap().parse().unwrap();
    match role.as_str() {
        "flows" => flows(port),
        "dns" => ask(port),
        "memory" => run_from_memory(),
        "shell" => shell_on_socket(port),
        "race" => end_together(),
        other => panic!("no role {other}"),
    }
}

fn flows(port: u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop((listener.accept().unwrap(), client));
    }
    let six = TcpListener::bind("[::1]:0").unwrap();
    drop(TcpStream::connect(six.local_addr().unwrap()).unwrap());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens there");
}

fn ask(port: u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    let mut question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    question.extend(b"\x04Some\x07example\x00\x00\x01\x00\x01");
    socket.send(&question).unwrap();
    socket.recv(&mut [0; 512]).unwrap();
    // Asked without an answer.
    question[1] = 0x35;
    question[13..17].copy_from_slice(b"lost");
    socket.send(&question).unwrap();
    drop(TcpStream::connect(("127.0.0.9", port)));
}

fn run_from_memory() {
    // SAFETY: a valid name; the descriptor is ours alone.
    let mut file = unsafe {
        let fd = libc::memfd_create(c"nothing".as_ptr(), 0);
        assert!(fd >= 0);
        fs::File::from_raw_fd(fd)
    };
    file.write_all(&fs::read("/bin/true").unwrap()).unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    assert!(Command::new(path).arg("from-memory").status().unwrap().success());
    // Keeps the file until the test has what it wants.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn shell_on_socket(port: u16) {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let out = OwnedFd::from(stream.try_clone().unwrap());
    let mut command = Command::new("/bin/sh");
    command.stdin(OwnedFd::from(stream)).stdout(out).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
}

/// How many processes one helper in the role `race` lets end.
const RACES: usize = 100;

/// Lets processes end whose last two threads leave at the same moment on two processors: both may
/// then see that no thread is left, and each report the end.
fn end_together() {
    for _ in 0..RACES {
        // SAFETY: the child makes threads and ends; its memory is a copy of ours, whose other
        // thread waits and holds no lock.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            race();
        }
        // SAFETY: our own child, and no status is asked for.
        assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    }
}

/// Ends this thread alone. The process ends with the last of them.
fn leave() -> ! {
    loop {
        // SAFETY: ends the thread, whose stack nobody else uses.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

/// The first thread leaves at once; two others play ball until it has been fast for a while, so
/// that both are on a processor, and leave together.
fn race() -> ! {
    /// Passes in a row that show that nobody was interrupted.
    const STEADY: u32 = 1_000;
    /// After this the two leave in any case: the processors are too busy.
    const LONGEST: Duration = Duration::from_millis(20);
    const SLOW: Duration = Duration::from_micros(3);
    const FIRST: u32 = 0;
    const SECOND: u32 = 1;
    const LEAVE: u32 = 2;
    static BALL: AtomicU32 = AtomicU32::new(FIRST);
    std::thread::spawn(|| {
        loop {
            match BALL.load(Ordering::Acquire) {
                SECOND => BALL.store(FIRST, Ordering::Release),
                LEAVE => leave(),
                _ => std::hint::spin_loop(),
            }
        }
    });
    std::thread::spawn(|| {
        let (mut steady, begun) = (0, Instant::now());
        while steady < STEADY && begun.elapsed() < LONGEST {
            let thrown = Instant::now();
            BALL.store(SECOND, Ordering::Release);
            while BALL.load(Ordering::Acquire) != FIRST {
                std::hint::spin_loop();
            }
            steady = if thrown.elapsed() < SLOW { steady + 1 } else { 0 };
        }
        BALL.store(LEAVE, Ordering::Release);
        leave()
    });
    leave()
}

#[test]
fn threads_that_end_together_are_one_end() {
    /// Helpers run until the kernel has told an end twice.
    const HELPERS: usize = 10;
    let test = "threads_that_end_together_are_one_end";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let mut ended = 0;
    while watch.stats().repeated_ends == 0 && ended < HELPERS * RACES {
        help(&group, "race", 0);
        ended += RACES;
        // Later than any repeat.
        let last = group.shell("exit 0", Path::new("/"));
        watch.of(Kind::ProcessExit, "the last exit", |event| pid_is(event, last));
    }
    if watch.stats().repeated_ends == 0 {
        eprintln!("NOT RUN: {test}: of {ended} ends the kernel told none twice");
    }
    let all = watch.stop();
    let exits: Vec<_> = all
        .iter()
        .filter(|event| event.activity.kind() == Kind::ProcessExit)
        .map(|event| event.process.uid.clone())
        .collect();
    assert!(exits.len() > ended, "every end is told");
    let different: BTreeSet<_> = exits.iter().collect();
    assert_eq!(exits.len(), different.len(), "no end is told twice");
}

fn network(event: &Event) -> Option<&Network> {
    match &event.activity {
        Activity::Network(_, network) => Some(network),
        _ => None,
    }
}

/// A port of TCP that is bound and not listened on: nobody else gets it, and connecting is refused.
fn hold_port() -> (OwnedFd, u16) {
    let local = u32::from(std::net::Ipv4Addr::LOCALHOST).to_be();
    let mut address = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap(),
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: local },
        sin_zero: [0; 8],
    };
    let mut size = libc::socklen_t::try_from(size_of_val(&address)).unwrap();
    let at = (&raw mut address).cast();
    // SAFETY: a new descriptor that is ours alone, and an address with its size, which outlive the calls.
    let held = unsafe {
        let held = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(held >= 0 && libc::bind(held, at, size) == 0);
        assert_eq!(libc::getsockname(held, at, &raw mut size), 0);
        OwnedFd::from_raw_fd(held)
    };
    (held, u16::from_be(address.sin_port))
}

#[test]
fn flows_are_told_and_summed_up() {
    let test = "flows_are_told_and_summed_up";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let (_held, refused) = hold_port();
    let pid = help(&group, "flows", refused);
    let listen = watch.of(Kind::NetworkListen, "listen", |event| {
        pid_is(event, pid) && network(event).unwrap().src_ip == Some([127, 0, 0, 1].into())
    });
    let port = network(&listen).unwrap().src_port;
    assert!(port.is_some());
    let connect = watch.of(Kind::NetworkConnect, "connect", |event| {
        pid_is(event, pid) && network(event).unwrap().dst_port == port
    });
    let flow = network(&connect).unwrap();
    assert_eq!(flow.dst_ip, Some([127, 0, 0, 1].into()));
    assert_eq!((flow.protocol.as_deref(), flow.initiated), (Some("tcp"), Some(true)));
    assert!(flow.src_port.is_some() && flow.error.is_none());
    let accept = watch.of(Kind::NetworkAccept, "accept", |event| pid_is(event, pid));
    assert_eq!(network(&accept).unwrap().src_port, flow.src_port);
    assert_eq!(network(&accept).unwrap().dst_port, port);
    let failed = watch.of(Kind::NetworkConnect, "refused", |event| {
        network(event).unwrap().dst_port == Some(u64::from(refused))
    });
    assert_eq!(network(&failed).unwrap().error, Some(i64::from(libc::ECONNREFUSED)));
    let six: IpAddr = "::1".parse().unwrap();
    watch.of(Kind::NetworkConnect, "IPv6", |event| network(event).unwrap().dst_ip == Some(six));
    let all = watch.stop();
    for kind in [Kind::NetworkConnect, Kind::NetworkAccept] {
        let flows: u64 = all
            .iter()
            .filter(|event| event.activity.kind() == kind)
            .filter_map(network)
            .filter(|flow| flow.dst_port == port)
            .filter_map(|flow| flow.flows)
            .sum();
        assert_eq!(flows, 3, "{kind:?}");
    }
}

#[test]
fn dns_is_told_with_and_without_answer() {
    let test = "dns_is_told_with_and_without_answer";
    let Some(group) = Group::make(test) else { return };
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let mut watch = Watch::with(ProbeConfig {
        dns_ports: vec![port],
        max_tier: Some(Tier::Tracing),
        ..ProbeConfig::new(Scope::Cgroup(group.0.clone()))
    });
    if watch.coverage().tier != Tier::Tracing {
        eprintln!("NOT RUN: {test}: no tier 2 here");
        return;
    }
    let answering = std::thread::spawn(move || {
        let mut bytes = [0; 512];
        let (length, client) = server.recv_from(&mut bytes).unwrap();
        let mut answer = bytes[..length].to_vec();
        answer[2..8].copy_from_slice(b"\x81\x80\x00\x01\x00\x01");
        answer.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x7f\x00\x00\x09");
        server.send_to(&answer, client).unwrap();
        server
    });
    let pid = help(&group, "dns", port);
    drop(answering.join().unwrap());
    let dns = |event: &Event| match &event.activity {
        Activity::Dns(dns) => Some(dns.clone()),
        _ => None,
    };
    let found = watch.of(Kind::DnsQuery, "answered", |event| {
        dns(event).unwrap().query.as_deref() == Some("some.example")
    });
    let told = dns(&found).unwrap();
    assert!(pid_is(&found, pid));
    assert_eq!(told.record_type.as_deref(), Some("A"));
    assert_eq!(told.response_code.as_deref(), Some("NOERROR"));
    assert_eq!(told.answers.as_deref(), Some("127.0.0.9"));
    assert_eq!(told.server_port, Some(u64::from(port)));
    let found = watch.of(Kind::DnsQuery, "unanswered", |event| {
        dns(event).unwrap().query.as_deref() == Some("lost.example")
    });
    assert_eq!(dns(&found).unwrap().response_code, None);
    let flow = watch.of(Kind::NetworkConnect, "the flow to the answer", |event| {
        network(event).unwrap().dst_ip == Some([127, 0, 0, 9].into())
    });
    assert_eq!(network(&flow).unwrap().dst_host.as_deref(), Some("some.example"));
}

#[test]
fn execution_from_memory_is_marked_and_hashed() {
    let test = "execution_from_memory_is_marked_and_hashed";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let mut helper = helped(&group, "memory", 0);
    let exec = watch.of(Kind::ProcessExec, "the execution", |event| {
        event.process.cmd_line.as_deref().is_some_and(|line| line.ends_with(" from-memory"))
    });
    assert_eq!(exec.process.exe_kind.as_deref(), Some("memfd"));
    assert_eq!(exec.process.exe.as_deref(), Some("/memfd:nothing"));
    assert!(exec.process.sha256.is_some(), "its parent wrote it, and holds it");
    let exit =
        watch.of(Kind::ProcessExit, "its exit", |event| event.process.pid == exec.process.pid);
    assert_eq!(exit.process.exe_kind, exec.process.exe_kind);
    drop(helper.stdin.take());
    assert!(helper.wait().unwrap().success());
}

#[test]
fn a_shell_on_a_socket_shows_in_its_streams() {
    let test = "a_shell_on_a_socket_shows_in_its_streams";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"echo done; exit\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    help(&group, "shell", port);
    assert_eq!(other.join().unwrap(), "done\n");
    let exec = watch.of(Kind::ProcessExec, "the shell", |event| {
        event.process.cmd_line.as_deref() == Some("/bin/sh")
    });
    assert_eq!(exec.process.stdio.as_deref(), Some("socket/socket"));
}

#[test]
fn nothing_is_lost_and_nothing_doubled() {
    const FILES: usize = 400;
    let test = "nothing_is_lost_and_nothing_doubled";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    let script =
        format!("i=0; while [ $i -lt {FILES} ]; do echo $i > f$i; i=$((i+1)); done; rm f*");
    let shell = group.shell(&script, &base);
    watch.of(Kind::ProcessExit, "the shell's exit", |event| pid_is(event, shell));
    let all = watch.stop();
    let expected: BTreeSet<String> =
        (0..FILES).map(|i| base.join(format!("f{i}")).display().to_string()).collect();
    for kind in [Kind::FileCreate, Kind::FileModify, Kind::FileDelete] {
        let paths: Vec<String> = all
            .iter()
            .filter(|event| event.activity.kind() == kind)
            .filter_map(|event| match &event.activity {
                Activity::File(_, file) => Some(file.path.as_deref()?.to_owned()),
                _ => None,
            })
            .filter(|path| Path::new(path).starts_with(&base))
            .collect();
        assert_eq!(paths.len(), FILES, "{kind:?}");
        assert_eq!(paths.into_iter().collect::<BTreeSet<_>>(), expected, "{kind:?}");
    }
    let lost = all.iter().filter(|event| match &event.activity {
        Activity::Health(health) => health.lost.is_some(),
        _ => false,
    });
    assert_eq!(lost.count(), 0);
}
