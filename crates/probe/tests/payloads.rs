//! What flows carry: DNS over TCP and without a sender, TLS greetings. On loopback, in a control
//! group of the test's own.
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

use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use metsuke_event::coverage::Tier;
use metsuke_event::{Activity, Dns, Event, Kind, Network, Tls};
use metsuke_packet::tls::client_hello;
use metsuke_probe::{ProbeConfig, Scope};
use support::actor::{Actor, call, fd};
use support::{Group, Shown, Table, Watch, pid_is, row};

fn dns(event: &Event) -> &Dns {
    match &event.activity {
        Activity::Dns(dns) => dns,
        other => panic!("{other:?}"),
    }
}

fn network(event: &Event) -> &Network {
    match &event.activity {
        Activity::Network(_, network) | Activity::Tls(network, _) => network,
        other => panic!("{other:?}"),
    }
}

fn tls(event: &Event) -> &Tls {
    match &event.activity {
        Activity::Tls(_, tls) => tls,
        other => panic!("{other:?}"),
    }
}

/// A question for `name`, type A.
fn question(name: &str) -> Vec<u8> {
    let mut message = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend(b"\x00\x00\x01\x00\x01");
    message
}

/// The answer to `question`: 127.0.0.9.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2..8].copy_from_slice(b"\x81\x80\x00\x01\x00\x01");
    answer.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x7f\x00\x00\x09");
    answer
}

/// A watch that reads DNS on `port`; `None`, saying so, without tier 2.
fn dns_watch(group: &Group, port: u16, test: &str) -> Option<Watch> {
    let watch = Watch::with(ProbeConfig {
        dns_ports: vec![port],
        max_tier: Some(Tier::Tracing),
        ..ProbeConfig::new(Scope::Cgroup(group.0.clone()))
    });
    if watch.coverage().tier == Tier::Tracing {
        return Some(watch);
    }
    eprintln!("NOT RUN: {test}: no tier 2 here");
    None
}

#[test]
fn dns_over_tcp_in_pieces() {
    let test = "dns_over_tcp_in_pieces";
    let Some(group) = Group::make(test) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut actor = Actor::fork(&group, move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let message = question("Long.example");
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        // As the C library does: length and message in one call, from two places.
        let parts = [IoSlice::new(&length), IoSlice::new(&message)];
        assert_eq!(stream.write_vectored(&parts).unwrap(), message.len() + 2);
        let mut room = [0_u8; 600];
        let mut read = |count: u64| {
            call(libc::SYS_read, [fd(&stream), room.as_mut_ptr() as u64, count, 0, 0, 0])
        };
        assert_eq!(read(2), 2);
        while read(7) > 0 {}
        Vec::new()
    });
    let Some(mut watch) = dns_watch(&group, address.port(), test) else { return };
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message).unwrap();
        let answer = answer(&message);
        let mut whole = u16::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
        whole.extend(answer);
        for piece in whole.chunks(5) {
            stream.write_all(piece).unwrap();
        }
    });
    actor.act();
    answering.join().unwrap();
    let event = watch.of(Kind::DnsQuery, "the answer", |event| dns(event).response_code.is_some());
    assert!(pid_is(&event, actor.pid()));
    let told = dns(&event);
    assert_eq!(told.query.as_deref(), Some("long.example"));
    assert_eq!(told.answers.as_deref(), Some("127.0.0.9"));
    assert_eq!(told.server_port, Some(u64::from(address.port())));
    row(Table::Evasion, "DNS over TCP", Shown::Seen, "dns.query with its answer, in any pieces");
    let reason = "dns.query with its answer, over TCP, in any pieces";
    row(Table::Coverage, "DNS Query", Shown::Seen, reason);
}

#[test]
fn dns_over_tcp_that_finds_no_room_is_a_told_loss() {
    /// More than are put together at once (`MAX_STREAMS`).
    const FLOWS: usize = 300;
    let test = "dns_over_tcp_that_finds_no_room_is_a_told_loss";
    let Some(group) = Group::make(test) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut actor = Actor::fork(&group, || {
        let begun = |_| {
            let mut stream = TcpStream::connect(address).unwrap();
            // Of a message of nine bytes the first.
            stream.write_all(&[0, 9, 7]).unwrap();
            // So that no backlog is full.
            (stream, listener.accept().unwrap())
        };
        let held: Vec<_> = (0..FLOWS).map(begun).collect();
        (held.len() as u64).to_ne_bytes().to_vec()
    });
    let Some(mut watch) = dns_watch(&group, address.port(), test) else { return };
    assert_eq!(actor.act(), (FLOWS as u64).to_ne_bytes());
    let mut lost = 0;
    watch.find("the loss", |event| match &event.activity {
        Activity::Health(health) => health.part.as_deref() == Some("probe.dns_streams"),
        _ => false,
    });
    for event in watch.stop() {
        if let Activity::Health(health) = event.activity
            && health.part.as_deref() == Some("probe.dns_streams")
        {
            assert_eq!(health.reason.as_deref(), Some("no_room"));
            lost += health.lost.unwrap();
        }
    }
    assert_eq!(lost, FLOWS as u64 - 256, "each one once");
}

#[test]
fn dns_answers_taken_without_their_sender() {
    let test = "dns_answers_taken_without_their_sender";
    let Some(group) = Group::make(test) else { return };
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut actor = Actor::fork(&group, move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&question("nameless.example"), address).unwrap();
        assert!(socket.recv(&mut [0; 600]).unwrap() > 0);
        Vec::new()
    });
    let Some(mut watch) = dns_watch(&group, address.port(), test) else { return };
    let answering = std::thread::spawn(move || {
        let mut room = [0; 600];
        let (length, client) = server.recv_from(&mut room).unwrap();
        server.send_to(&answer(&room[..length]), client).unwrap();
    });
    let asking = actor.pid();
    actor.act();
    answering.join().unwrap();
    let event = watch.of(Kind::DnsQuery, "the answer", |event| dns(event).response_code.is_some());
    assert_eq!(dns(&event).answers.as_deref(), Some("127.0.0.9"));
    assert!(pid_is(&event, asking), "{event:?}");
    let reason =
        "dns.query with its answer, over UDP, from the bytes that the program itself reads";
    row(Table::Coverage, "DNS Query", Shown::Seen, reason);
}

/// A greeting for `name` with the protocols h2 and http/1.1.
fn greeting(name: &str) -> Vec<u8> {
    let vector = |bytes: &[u8]| {
        let mut whole = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        whole.extend(bytes);
        whole
    };
    let mut entry = vec![0];
    entry.extend(vector(name.as_bytes()));
    let mut extensions = Vec::new();
    for (kind, content) in [
        (0_u16, vector(&entry)),
        (10, vector(&[0, 29, 0, 23])),
        (13, vector(&[4, 3, 8, 4])),
        (16, vector(b"\x02h2\x08http/1.1")),
        (43, vec![4, 3, 4, 3, 3]),
    ] {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(vector(&content));
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(vector(&[0x13, 1, 0x13, 2, 0xc0, 0x2f]));
    body.extend([1, 0]);
    body.extend(vector(&extensions));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let mut message = vec![1, length[1], length[2], length[3]];
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(vector(&message));
    record
}

#[test]
fn greetings_by_each_way_of_writing() {
    let test = "greetings_by_each_way_of_writing";
    let Some(group) = Group::make(test) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut actor = Actor::fork(&group, move || {
        let connect = || TcpStream::connect(address).unwrap();
        let whole = |name: &str, number: libc::c_long, stream: &TcpStream| {
            let bytes = greeting(name);
            let length = bytes.len() as u64;
            let sent = call(number, [fd(stream), bytes.as_ptr() as u64, length, 0, 0, 0]);
            assert_eq!(sent.cast_unsigned(), length);
        };
        let streams = [connect(), connect(), connect(), connect()];
        whole("write.example", libc::SYS_write, &streams[0]);
        whole("SEND.example", libc::SYS_sendto, &streams[1]);
        // After a proxy's preamble, in a vector.
        (&streams[2]).write_all(b"CONNECT vector.example:443 HTTP/1.1\r\n\r\n").unwrap();
        let bytes = greeting("vector.example");
        assert!((&streams[2]).write_vectored(&[IoSlice::new(&bytes)]).unwrap() == bytes.len());
        // Only its beginning in the first write.
        let bytes = greeting(&"x".repeat(40));
        (&streams[3]).write_all(&bytes[..90]).unwrap();
        (&streams[3]).write_all(&bytes[90..]).unwrap();
        // Once on a flow.
        whole("again.example", libc::SYS_write, &streams[0]);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    for name in ["write.example", "send.example", "vector.example"] {
        let event = watch.of(Kind::TlsHello, name, |event| tls(event).sni.as_deref() == Some(name));
        assert!(pid_is(&event, actor.pid()));
        assert_eq!(network(&event).dst_port, Some(u64::from(address.port())));
        let expected = client_hello(&greeting(name)).unwrap();
        let told = tls(&event);
        assert_eq!(told.ja4.as_deref(), expected.ja4().as_deref());
        assert_eq!(told.ja3.as_deref(), expected.ja3().as_deref());
        assert!(told.ja4.as_deref().unwrap().starts_with("t13d0305h2_"));
        assert_eq!(
            (told.alpn.as_deref(), told.version.as_deref()),
            (Some("h2 http/1.1"), Some("1.3"))
        );
        assert_eq!(told.truncated, None);
    }
    let cut = watch.of(Kind::TlsHello, "the cut one", |event| tls(event).truncated.is_some());
    assert_eq!((&tls(&cut).ja4, &tls(&cut).ja3), (&None, &None));
    actor.end();
    let all = watch.stop();
    let greetings = all.iter().filter(|event| event.activity.kind() == Kind::TlsHello);
    assert_eq!(greetings.count(), 4, "one for each flow");
    drop(listener);
}
