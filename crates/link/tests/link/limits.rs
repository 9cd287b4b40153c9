//! More than the server holds: turned away or cut off, counted, and the others go on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metsuke_link::server::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::hostile::{dial, hello, next, open, parts, works};
use crate::world::{LIMIT, World, until, until_true};

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}

/// The server hangs up, without a word: before TLS there is nothing to say it in.
async fn hung_up(mut stream: TcpStream) {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    // An end or a reset.
    read.expect("the server hangs up").ok();
    assert!(answer.is_empty());
}

#[tokio::test]
async fn too_many_connections_are_turned_away_and_those_that_are_open_go_on() {
    const MOST: usize = 4;
    let world = World::start_with(ServerConfig {
        connections_max: MOST,
        handshake_timeout: LIMIT,
        ..ServerConfig::default()
    });
    let mut sensor = world.sensor("a").await;
    sensor.run();
    sensor.append(1, 1, 5);
    sensor.drained().await;
    // The enrolment's connection may still be closing: fill up until one is turned away.
    let held: Vec<TcpStream> = until("the server to be full", {
        let mut held = Vec::new();
        let world = &world;
        move || {
            held.extend(std::net::TcpStream::connect(world.address).ok());
            let full = read(&world.counters.connections_refused) > 0;
            std::future::ready(full.then(|| std::mem::take(&mut held)))
        }
    })
    .await
    .into_iter()
    .map(|stream| {
        stream.set_nonblocking(true).expect("non-blocking");
        TcpStream::from_std(stream).expect("a stream")
    })
    .collect();

    let before = read(&world.counters.connections_refused);
    hung_up(TcpStream::connect(world.address).await.expect("connects")).await;
    until_true("it to be counted", || read(&world.counters.connections_refused) > before).await;
    sensor.append(1, 6, 20);
    sensor.drained().await;
    assert_eq!(world.memory.hellos.lock().unwrap().len(), 1, "its session was not disturbed");

    drop(held);
    world.token("b");
    until("room for another", async || world.enrol("b").await.ok()).await;
    sensor.stop().await;
    assert_eq!(world.memory.sequences(), (1..=20).collect());
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut_off() {
    let world = World::start_with(ServerConfig {
        handshake_timeout: Duration::from_millis(300),
        ..ServerConfig::default()
    });
    let mut sensor = world.sensor("a").await;
    sensor.run();
    sensor.append(1, 1, 5);
    // One says nothing, one begins a ClientHello of 512 bytes and never ends it.
    let silent = TcpStream::connect(world.address).await.expect("connects");
    let mut slow = TcpStream::connect(world.address).await.expect("connects");
    slow.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]).await.expect("writes");
    hung_up(silent).await;
    hung_up(slow).await;
    until_true("both to be counted", || read(&world.counters.handshakes_failed) == 2).await;
    sensor.append(1, 6, 9);
    sensor.drained().await;
    sensor.stop().await;
    assert_eq!(world.memory.sequences(), (1..=9).collect());
    works(&world, "b").await;
}

#[tokio::test]
async fn of_many_sessions_on_one_connection_the_last_one_stays() {
    const MANY: u64 = 12;
    let world = World::start();
    let sensor = world.sensor("a").await;
    let channel = dial(&world, Some(parts(&sensor.identity))).await.expect("connects");
    let mut talks = Vec::new();
    for _ in 0..MANY {
        let (up, answer) = open(channel.clone(), hello()).await;
        talks.push((up, answer.expect("a session")));
    }
    let mut last = talks.pop().expect("many");
    for (_up, mut down) in talks {
        let end = loop {
            if let Err(end) = next(&mut down).await {
                break end;
            }
        };
        assert_eq!(
            (end.code(), end.message()),
            (Code::Aborted, "this endpoint opened another session")
        );
    }
    next(&mut last.1).await.expect("the last one is welcome");
    assert_eq!(read(&world.counters.sessions_replaced), MANY - 1);
    until_true("one to be open", || read(&world.counters.sessions) == 1).await;
    works(&world, "b").await;
}
