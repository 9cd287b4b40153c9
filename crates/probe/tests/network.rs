//! Sockets: ends of flows, late refusals, bind, raw and packet sockets, datagrams, Unix sockets.
//! On loopback, in a control group of the test's own.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "a test; unsafe only for system calls without a wrapper, whose arguments are words"
)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{UnixListener, UnixStream};

use metsuke_event::{Activity, Event, Kind, Network};
use support::actor::{Actor, call, fd};
use support::{Group, Shown, Table, Watch, pid_is, row};

fn network(event: &Event) -> &Network {
    match &event.activity {
        Activity::Network(_, network) => network,
        other => panic!("{other:?}"),
    }
}

fn port(address: SocketAddr) -> Vec<u8> {
    address.port().to_ne_bytes().to_vec()
}

fn ports(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(2).map(|two| u64::from(u16::from_ne_bytes([two[0], two[1]]))).collect()
}

/// The event of `kind` by `pid` about a flow to `port`.
fn told(watch: &mut Watch, pid: u32, kind: Kind, port: u64, initiated: bool) -> Event {
    let what = format!("{} {initiated} of port {port}", kind.name());
    let event = watch.of(kind, &what, |event| {
        pid_is(event, pid)
            && network(event).dst_port == Some(port)
            && network(event).initiated == Some(initiated)
    });
    assert!(event.process.exe.is_some(), "its process is described");
    event
}

fn fork(act: impl FnOnce()) -> i32 {
    // SAFETY: the child does what `act` does and ends at once; this process has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        act();
        // SAFETY: ends this process.
        unsafe { libc::_exit(0) }
    }
    // SAFETY: our own child; its status is not asked for.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    pid
}

#[test]
fn flows_end_with_bytes_and_duration() {
    let test = "flows_end_with_bytes_and_duration";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..3 {
            let mut client = TcpStream::connect(address).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            client.write_all(&[7; 1000]).unwrap();
            server.read_exact(&mut [0; 1000]).unwrap();
            server.write_all(&[7; 10]).unwrap();
            client.read_exact(&mut [0; 10]).unwrap();
            drop(client);
            assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
        }
        port(address)
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let port = ports(&actor.act())[0];
    for initiated in [true, false] {
        let event = told(&mut watch, actor.pid(), Kind::NetworkClose, port, initiated);
        let flow = network(&event);
        assert_eq!((flow.bytes_out, flow.bytes_in), (Some(1000), Some(10)), "{flow:?}");
        assert!(flow.duration_ms.is_some() && flow.src_port.is_some());
    }
    told(&mut watch, actor.pid(), Kind::NetworkConnect, port, true);
    told(&mut watch, actor.pid(), Kind::NetworkAccept, port, false);
    let listens = watch.of(Kind::NetworkListen, "listen", |event| pid_is(event, actor.pid()));
    assert_eq!(network(&listens).src_port, Some(port));
    let bound = watch.of(Kind::NetworkBind, "bind", |event| pid_is(event, actor.pid()));
    assert_eq!(network(&bound).protocol.as_deref(), Some("tcp"));
    actor.end();
    let ends: Vec<Network> = watch
        .stop()
        .iter()
        .filter(|event| event.activity.kind() == Kind::NetworkClose)
        .map(|event| network(event).clone())
        .filter(|flow| flow.dst_port == Some(port))
        .collect();
    for initiated in [true, false] {
        let sum = |field: fn(&Network) -> Option<u64>| -> u64 {
            ends.iter().filter(|flow| flow.initiated == Some(initiated)).filter_map(field).sum()
        };
        assert_eq!(sum(|flow| flow.flows), 3, "{ends:?}");
        assert_eq!((sum(|flow| flow.bytes_out), sum(|flow| flow.bytes_in)), (3000, 30));
    }
    let reason = "network.connect and network.accept, with network.close: bytes and duration";
    row(Table::Coverage, "Network Connection", Shown::Seen, reason);
    let reason = "network.listen with its port, beside network.bind";
    row(Table::Coverage, "Network Socket Listen", Shown::Seen, reason);
}

#[test]
fn a_flow_that_outlives_its_process_is_still_its_own() {
    let test = "a_flow_that_outlives_its_process_is_still_its_own";
    let Some(group) = Group::make(test) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut actor = Actor::fork(&group, move || {
        let pid = fork(|| {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"last words").unwrap();
            std::mem::forget(client);
        });
        pid.to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let pid = u32::from_ne_bytes(actor.act().try_into().unwrap());
    watch.of(Kind::ProcessExit, "its end", |event| pid_is(event, pid));
    // Only now the other end is done, and the flow with it.
    drop(listener.accept().unwrap());
    let event = told(&mut watch, pid, Kind::NetworkClose, u64::from(address.port()), true);
    assert_eq!(network(&event).bytes_out, Some(10));
    assert_eq!(event.process.exe.as_deref(), std::env::current_exe().unwrap().to_str());
}

#[test]
fn a_late_refusal_is_told() {
    let test = "a_late_refusal_is_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Room for one that nobody accepts; what follows waits.
        assert_eq!(call(libc::SYS_listen, [fd(&listener), 0, 0, 0, 0, 0]), 0);
        let first = TcpStream::connect(address).unwrap();
        let kind = (libc::SOCK_STREAM | libc::SOCK_NONBLOCK) as u64;
        let second = call(libc::SYS_socket, [libc::AF_INET as u64, kind, 0, 0, 0, 0]);
        // SAFETY: a descriptor of our own.
        let second = unsafe { OwnedFd::from_raw_fd(i32::try_from(second).unwrap()) };
        let mut to = [0_u8; 16];
        to[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        to[2..4].copy_from_slice(&address.port().to_be_bytes());
        to[4..8].copy_from_slice(&[127, 0, 0, 1]);
        let connect = [fd(&second), to.as_ptr() as u64, 16, 0, 0, 0];
        assert_eq!(call(libc::SYS_connect, connect), -i64::from(libc::EINPROGRESS));
        drop((listener, first));
        // The next attempt of the kernel, a second later, meets nobody.
        let mut wait = libc::pollfd { fd: second.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        let poll = [(&raw mut wait) as u64, 1, 20_000, 0, 0, 0];
        assert_eq!(call(libc::SYS_poll, poll), 1, "refused in the end");
        port(address)
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let port = ports(&actor.act())[0];
    let refused = watch.of(Kind::NetworkConnect, "the refusal", |event| {
        pid_is(event, actor.pid())
            && network(event).dst_port == Some(port)
            && network(event).error == Some(i64::from(libc::ECONNREFUSED))
    });
    assert!(refused.process.exe.is_some());
}

#[test]
fn raw_and_packet_sockets() {
    let test = "raw_and_packet_sockets";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let socket = |family: i32, kind: i32, protocol: u16| {
            let number = [family as u64, kind as u64, u64::from(protocol), 0, 0, 0];
            call(libc::SYS_socket, number)
        };
        let raw = socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP as u16);
        let packet = socket(libc::AF_PACKET, libc::SOCK_RAW, (libc::ETH_P_ALL as u16).to_be());
        assert!(raw >= 0 && packet >= 0, "this needs CAP_NET_RAW");
        assert!(socket(libc::AF_NETLINK, libc::SOCK_RAW, 0) >= 0, "no packets there");
        let echo = [8_u8, 0, 0xf7, 0xff, 0, 0, 0, 0];
        let mut to = [0_u8; 16];
        to[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        to[4..8].copy_from_slice(&[127, 0, 0, 1]);
        let sent =
            [raw.cast_unsigned(), echo.as_ptr() as u64, 8, 0, to.as_ptr() as u64, to.len() as u64];
        assert_eq!(call(libc::SYS_sendto, sent), 8);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let of = |kind: &'static str| {
        move |event: &Event| network(event).socket_type.as_deref() == Some(kind)
    };
    let raw = watch.of(Kind::NetworkRaw, "raw", of("raw"));
    assert!(pid_is(&raw, actor.pid()));
    assert_eq!(network(&raw).protocol.as_deref(), Some("icmp"));
    let packet = watch.of(Kind::NetworkRaw, "packet", of("packet"));
    assert_eq!(network(&packet).protocol.as_deref(), Some("packet"));
    let echo = watch.of(Kind::NetworkConnect, "the echo", of("raw"));
    assert_eq!(network(&echo).protocol.as_deref(), Some("icmp"));
    assert_eq!(network(&echo).dst_ip, Some([127, 0, 0, 1].into()));
    let all = watch.stop();
    let raw = all.iter().filter(|event| event.activity.kind() == Kind::NetworkRaw);
    assert_eq!(raw.count(), 2, "netlink is none");
}

#[test]
fn datagrams_are_summed_up_by_socket() {
    let test = "datagrams_are_summed_up_by_socket";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let (asking, serving) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let (from, to) = (asking.local_addr().unwrap(), serving.local_addr().unwrap());
        for _ in 0..3 {
            asking.send_to(&[7; 100], to).unwrap();
            serving.recv_from(&mut [0; 200]).unwrap();
        }
        serving.send_to(&[7; 50], from).unwrap();
        let mut room = [0_u8; 200];
        // By read, not recvfrom.
        let read = [fd(&asking), room.as_mut_ptr() as u64, 200, 0, 0, 0];
        assert_eq!(call(libc::SYS_read, read), 50);
        drop(asking);
        // The other one is left to the end of the process.
        std::mem::forget(serving);
        port(to)
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let port = ports(&actor.act())[0];
    told(&mut watch, actor.pid(), Kind::NetworkConnect, port, true);
    actor.end();
    for initiated in [true, false] {
        let event = told(&mut watch, actor.pid(), Kind::NetworkClose, port, initiated);
        let flow = network(&event);
        assert_eq!(flow.protocol.as_deref(), Some("udp"));
        assert_eq!((flow.bytes_out, flow.bytes_in), (Some(300), Some(50)), "{initiated}");
    }
}

#[test]
fn unix_sockets_of_the_policy() {
    let test = "unix_sockets_of_the_policy";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = std::fs::canonicalize(dir.path()).unwrap();
    let (engine, other) = (base.join("docker.sock"), base.join("other.sock"));
    let name = format!("/tmp/.X11-unix/metsuke-{}", std::process::id());
    let abstract_name = name.clone();
    let held = (UnixListener::bind(&engine).unwrap(), UnixListener::bind(&other).unwrap());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let third = UnixListener::bind_addr(&address).unwrap();
    let (path, folder) = (engine.clone(), base.clone());
    let mut actor = Actor::fork(&group, move || {
        UnixStream::connect(&other).unwrap();
        UnixStream::connect(&path).unwrap();
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&abstract_name).unwrap();
        UnixStream::connect_addr(&address).unwrap();
        // By a relative name, and refused.
        std::env::set_current_dir(&folder).unwrap();
        assert!(UnixStream::connect("./containerd.sock").is_err());
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let path = |event: &Event| network(event).unix_path.as_deref().map(str::to_owned);
    for (name, sensitivity, error) in [
        (engine.to_str().unwrap().to_owned(), "container engine", None),
        (format!("@{name}"), "display", None),
        (
            base.join("containerd.sock").to_str().unwrap().to_owned(),
            "container engine",
            Some(i64::from(libc::ENOENT)),
        ),
    ] {
        let event =
            watch.of(Kind::NetworkConnect, &name, |event| path(event).as_ref() == Some(&name));
        assert!(pid_is(&event, actor.pid()));
        let flow = network(&event);
        assert_eq!(flow.sensitivity.as_deref(), Some(sensitivity));
        assert_eq!(
            (flow.protocol.as_deref(), flow.socket_type.as_deref()),
            (Some("unix"), Some("stream"))
        );
        assert_eq!(flow.error, error);
    }
    let all = watch.stop();
    assert!(
        all.iter()
            .filter(|event| event.activity.kind() == Kind::NetworkConnect)
            .all(|event| path(event).is_none_or(|path| !path.ends_with("other.sock")))
    );
    drop((held, third));
}
