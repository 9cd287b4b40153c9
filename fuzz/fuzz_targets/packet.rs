//! Any bytes as what came over the network: reading never panics and keeps its bounds. The first byte
//! chooses the reader.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metsuke_packet::{dns, tls};

/// Bytes held of one DNS message over TCP.
const MOST: usize = 512;

fuzz_target!(|data: &[u8]| {
    let Some((reader, bytes)) = data.split_first() else { return };
    match reader % 3 {
        0 => {
            let _ = dns::parse(bytes);
        }
        1 => {
            let Some(hello) = tls::client_hello(bytes) else { return };
            assert_eq!(hello.ja4().is_none(), hello.truncated);
            let _ = (hello.ja3(), hello.version_name());
        }
        _ => {
            let mut stream = dns::Stream::default();
            for piece in bytes.chunks(usize::from(*reader).max(1)) {
                for message in stream.push(piece, usize::from(piece[0]), MOST) {
                    assert!(message.len() <= MOST);
                    let _ = dns::parse(&message);
                }
            }
        }
    }
});
