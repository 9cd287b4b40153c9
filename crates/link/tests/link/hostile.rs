//! What a peer may do that is no sensor of ours, or one gone wrong.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper_util::rt::TokioIo;
use metsuke_link::Identity;
use metsuke_link::limits::{
    BATCH_COMPRESSED_MAX, BATCH_DECOMPRESSED_MAX, ENROL_MAX, MESSAGE_MAX, PROTOCOL,
};
use metsuke_link::proto::downstream::Kind as Down;
use metsuke_link::proto::link_client::LinkClient;
use metsuke_link::proto::upstream::Kind as Up;
use metsuke_link::proto::{self, Upstream};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status, Streaming};

use crate::world::{LIMIT, SensorSide, World, until_true};

pub(crate) type Tls = Result<Channel, tonic::transport::Error>;

/// A client of our own making: it trusts the world's authority and shows what it is told to.
pub(crate) async fn dial(world: &World, shown: Option<(Vec<u8>, Vec<u8>)>) -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(world.authority.certificate().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    let mut config = match shown {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::try_from(key).expect("a key");
            config
                .with_client_auth_cert(vec![CertificateDer::from(certificate)], key)
                .expect("fits")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let address = world.address;
    Endpoint::from_static("http://x")
        .connect_with_connector(tower::service_fn(move |_: Uri| {
            let connector = connector.clone();
            async move {
                let name = ServerName::try_from("server.metsuke.internal").expect("a name");
                let stream = TcpStream::connect(address).await?;
                connector.connect(name, stream).await.map(TokioIo::new)
            }
        }))
        .await
}

/// Certificate and key of an identity, as it is kept on disk.
pub(crate) fn parts(identity: &Identity) -> (Vec<u8>, Vec<u8>) {
    let json = serde_json::to_value(identity).expect("serialises");
    let bytes = |name: &str| hex::decode(json[name].as_str().expect("hex")).expect("hex");
    (bytes("certificate"), bytes("key"))
}

pub(crate) fn hello() -> Up {
    Up::Hello(proto::Hello { protocol: PROTOCOL, boot: vec![0; 16].into(), ..Default::default() })
}

pub(crate) type Talk = (mpsc::Sender<Upstream>, Result<Streaming<proto::Downstream>, Status>);

pub(crate) async fn open(channel: Channel, first: Up) -> Talk {
    let (up, stream) = mpsc::channel(4);
    up.send(Upstream { kind: Some(first) }).await.expect("room");
    let mut client = LinkClient::new(channel).max_encoding_message_size(usize::MAX);
    let answer = client.session(ReceiverStream::new(stream)).await;
    (up, answer.map(tonic::Response::into_inner))
}

pub(crate) async fn next(down: &mut Streaming<proto::Downstream>) -> Result<Down, Status> {
    let message = tokio::time::timeout(LIMIT, down.message()).await.expect("in time")?;
    message.and_then(|message| message.kind).ok_or_else(|| Status::ok("closed"))
}

/// A sensor of this world still gets its work done.
pub(crate) async fn works(world: &World, name: &str) {
    let mut sensor = world.sensor(name).await;
    sensor.append(1, 1, 7);
    sensor.run();
    sensor.drained().await;
    sensor.stop().await;
}

#[tokio::test]
async fn without_a_certificate_only_enrolment_answers() {
    let world = World::start();
    let channel = dial(&world, None).await.expect("TLS is open");
    let (_up, answer) = open(channel, hello()).await;
    let status = answer.expect_err("no session");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("enrol"), "{status}");
    assert!(world.memory.hellos.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_enrolment_over_the_bound_is_not_read() {
    let world = World::start();
    let channel = dial(&world, None).await.expect("TLS is open");
    let mut client = LinkClient::new(channel).max_encoding_message_size(usize::MAX);
    for (size, code) in [(ENROL_MAX + 1, Code::OutOfRange), (1_000, Code::InvalidArgument)] {
        let request = proto::EnrolRequest { csr: vec![0; size].into(), ..Default::default() };
        let status = client.enrol(request).await.expect_err("no certificate request");
        assert_eq!(status.code(), code, "{size}: {status}");
    }
    works(&world, "a").await;
}

#[tokio::test]
async fn a_foreign_certificate_ends_the_handshake() {
    let world = World::start();
    let foreign = World::start();
    foreign.token("x");
    let stranger = foreign.enrol("x").await.expect("enrols there");
    // TLS 1.3: the client learns of the refusal with the first answer.
    if let Ok(channel) = dial(&world, Some(parts(&stranger))).await {
        let (_up, answer) = open(channel, hello()).await;
        answer.expect_err("refused");
    }
    until_true("it to be counted", || world.counters.handshakes_failed.load(Ordering::SeqCst) >= 1)
        .await;
    assert!(world.memory.hellos.lock().unwrap().is_empty());

    // The other way: a sensor does not follow another server at its server's address.
    let mut lost = serde_json::to_value(&stranger).expect("serialises");
    lost["server"] = world.address.to_string().into();
    let lost: Identity = serde_json::from_value(lost).expect("an identity");
    let mut sensor = SensorSide::new(lost, &world.dir.path().join("lost"));
    sensor.append(1, 1, 3);
    sensor.run();
    until_true("the refusal", || sensor.last_reason().contains("certificate")).await;
    sensor.stop().await;
    assert_eq!(sensor.spool.depth().events, 3, "kept");
    works(&world, "after").await;
}

#[tokio::test]
async fn garbage_on_the_port_disturbs_nobody() {
    let world = World::start();
    let mut sensor = world.sensor("a").await;
    sensor.run();
    let garbage: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4_096], &[0x16, 0x03, 0x01, 0xff, 0xff, 0x01], b"\0"];
    for bytes in garbage {
        let mut stream = TcpStream::connect(world.address).await.expect("connects");
        stream.write_all(bytes).await.expect("writes");
        stream.shutdown().await.expect("shuts down");
        let mut answer = Vec::new();
        // An alert or a reset; in any case an end.
        let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
        read.expect("the server hangs up").ok();
    }
    until_true("it to be counted", || {
        world.counters.handshakes_failed.load(Ordering::SeqCst) >= garbage.len() as u64
    })
    .await;
    sensor.append(1, 1, 10);
    sensor.drained().await;
    sensor.stop().await;
    assert_eq!(world.memory.sequences(), (1..=10).collect());
    assert_eq!(world.memory.hellos.lock().unwrap().len(), 1, "the session was not disturbed");
}

#[tokio::test]
async fn a_batch_over_a_bound_is_refused_and_the_session_goes_on() {
    let world = World::start();
    let sensor = world.sensor("a").await;
    let channel = dial(&world, Some(parts(&sensor.identity))).await.expect("connects");
    let (up, answer) = open(channel, hello()).await;
    let mut down = answer.expect("a session");
    assert!(matches!(next(&mut down).await, Ok(Down::Welcome(_))));
    let bomb = zstd::bulk::compress(&vec![0; BATCH_DECOMPRESSED_MAX + 1], 1).expect("compresses");
    let bad = [
        ("compressed", vec![0_u8; BATCH_COMPRESSED_MAX + 1]),
        ("decompressed", bomb),
        ("zstd", b"no frame at all".to_vec()),
        ("protobuf", zstd::bulk::compress(&[0x0a, 0xff, 0x01], 1).expect("compresses")),
    ];
    for (seq, (_, payload)) in (1..).zip(&bad) {
        let batch = proto::Batch {
            boot: vec![0; 16].into(),
            first_seq: seq,
            last_seq: seq,
            count: 1,
            activities_zstd: payload.clone().into(),
        };
        up.send(Upstream { kind: Some(Up::Batch(batch)) }).await.expect("open");
        match next(&mut down).await {
            Ok(Down::Refused(refused)) => {
                assert_eq!(refused.last_seq, seq);
                assert!(!refused.reason.is_empty());
            }
            other => panic!("batch {seq}: {other:?}"),
        }
    }
    assert_eq!(world.memory.count(), 0);
    assert_eq!(world.counters.batches_refused.load(Ordering::SeqCst), bad.len() as u64);
}

#[tokio::test]
async fn a_message_over_the_bound_ends_its_session_only() {
    let world = World::start();
    let sensor = world.sensor("a").await;
    let channel = dial(&world, Some(parts(&sensor.identity))).await.expect("connects");
    let (up, answer) = open(channel, hello()).await;
    let mut down = answer.expect("a session");
    assert!(matches!(next(&mut down).await, Ok(Down::Welcome(_))));
    let batch = proto::Batch { activities_zstd: vec![0; MESSAGE_MAX].into(), ..Default::default() };
    up.send(Upstream { kind: Some(Up::Batch(batch)) }).await.expect("open");
    let end = next(&mut down).await.expect_err("ended");
    assert_ne!(end.code(), Code::Ok, "{end}");
    works(&world, "b").await;
}

#[tokio::test]
async fn a_session_that_does_not_begin_with_hello_or_speaks_another_protocol_is_refused() {
    let world = World::start();
    let sensor = world.sensor("a").await;
    let old = Up::Hello(proto::Hello { protocol: 999, ..Default::default() });
    for (first, says) in [(Up::Heartbeat(proto::Heartbeat::default()), "Hello"), (old, "999")] {
        let channel = dial(&world, Some(parts(&sensor.identity))).await.expect("connects");
        let (_up, answer) = open(channel, first).await;
        let status = match answer {
            Err(status) => status,
            Ok(mut down) => next(&mut down).await.expect_err("refused"),
        };
        assert!(status.message().contains(says), "{status}");
    }
    assert!(world.memory.hellos.lock().unwrap().is_empty());
}
