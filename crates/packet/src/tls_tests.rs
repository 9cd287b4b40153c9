//! Greetings built field by field, against published fingerprints.

use proptest::prelude::*;

use super::{ClientHello, client_hello};
use crate::fingerprint::ja3_text;

fn vector(bytes: &[u8]) -> Vec<u8> {
    let mut whole = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    whole.extend(bytes);
    whole
}

fn short(bytes: &[u8]) -> Vec<u8> {
    let mut whole = vec![u8::try_from(bytes.len()).unwrap()];
    whole.extend(bytes);
    whole
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// The content of extension `kind` of `hello`.
fn content(hello: &ClientHello, kind: u16) -> Vec<u8> {
    match kind {
        0 => {
            let name = hello.server_name.clone().unwrap_or_default();
            let mut entry = vec![0];
            entry.extend(vector(name.as_bytes()));
            vector(&entry)
        }
        10 => vector(&words(&hello.groups)),
        11 => short(&hello.point_formats),
        13 => vector(&words(&hello.signatures)),
        16 => vector(&hello.alpn.iter().flat_map(|name| short(name)).collect::<Vec<_>>()),
        43 => short(&words(&hello.versions)),
        _ => vec![0; 3],
    }
}

/// What a client that offers `hello` sends, in records of at most `most` bytes.
fn sent(hello: &ClientHello, most: usize) -> Vec<u8> {
    let mut body = hello.legacy_version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.extend(short(&[9; 32]));
    body.extend(vector(&words(&hello.ciphers)));
    body.extend(short(&[0]));
    let mut list = Vec::new();
    for kind in &hello.extensions {
        list.extend(kind.to_be_bytes());
        list.extend(vector(&content(hello, *kind)));
    }
    body.extend(vector(&list));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let mut message = vec![1, length[1], length[2], length[3]];
    message.extend(body);
    let mut whole = Vec::new();
    for piece in message.chunks(most) {
        whole.extend([22, 3, 1]);
        whole.extend(vector(piece));
    }
    whole
}

/// Chrome 143 as browserleaks.com saw it: order of ciphers and extensions, groups, signatures.
fn chrome() -> ClientHello {
    ClientHello {
        legacy_version: 771,
        ciphers: vec![
            0x4a4a, 4865, 4866, 4867, 49195, 49199, 49196, 49200, 52393, 52392, 49171, 49172, 156,
            157, 47, 53,
        ],
        extensions: vec![
            0x3a3a, 45, 51, 16, 65037, 23, 17613, 0, 11, 10, 43, 65281, 35, 18, 5, 13, 27, 0xdada,
        ],
        groups: vec![0xbaba, 4588, 29, 23, 24],
        point_formats: vec![0],
        signatures: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
        versions: vec![0x6a6a, 0x0304, 0x0303],
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        server_name: Some("tls.browserleaks.com".into()),
        truncated: false,
    }
}

#[test]
fn a_browser_has_its_published_fingerprints() {
    let hello = client_hello(&sent(&chrome(), 4096)).unwrap();
    assert_eq!(hello, chrome());
    assert_eq!(hello.ja3().as_deref(), Some("98487aa16281980e7d1120d399efb6a4"));
    assert_eq!(hello.ja4().as_deref(), Some("t13d1516h2_8daaf6152771_d8a2da3f94cd"));
    assert_eq!(hello.version_name(), Some("1.3"));
}

/// The example of the description of JA4.
#[test]
fn the_example_of_ja4() {
    let hello = ClientHello {
        extensions: vec![
            0x1b, 0, 0x33, 0x10, 0x4469, 0x17, 0x2d, 0x0d, 5, 0x23, 0x12, 0x2b, 0xff01, 0x0b, 0x0a,
            0x15,
        ],
        ..chrome()
    };
    let read = client_hello(&sent(&hello, 4096)).unwrap();
    assert_eq!(read.ja4().as_deref(), Some("t13d1516h2_8daaf6152771_e5627efa2ab1"));
}

/// The example of pyJA3.
#[test]
fn the_example_of_ja3() {
    let text = "769,255-49162-49172-136-135-57-56-49167-49157-132-53-49159-49161-49169-49171-69-68-51-50-49164-49166-49154-49156-150-65-4-5-47-49160-49170-22-19-49165-49155-65279-10,0-10-11-35,23-24-25,0";
    let lists: Vec<Vec<u16>> = text
        .split(',')
        .map(|list| list.split('-').map(|number| number.parse().unwrap()).collect())
        .collect();
    let hello = ClientHello {
        legacy_version: lists[0][0],
        ciphers: lists[1].clone(),
        extensions: lists[2].clone(),
        groups: lists[3].clone(),
        point_formats: vec![0],
        ..ClientHello::default()
    };
    let read = client_hello(&sent(&hello, 4096)).unwrap();
    assert_eq!(ja3_text(&read), text);
    assert_eq!(read.ja3().as_deref(), Some("2aef69b4ba1938c3a400de4188743185"));
    assert_eq!(
        (read.version_name(), read.ja4().unwrap().starts_with("t10d3604")),
        (Some("1.0"), true)
    );
}

#[test]
fn protocols_that_are_no_letters() {
    for (name, expected) in [
        (&b"h2"[..], "h2"),
        (b"http/1.1", "h1"),
        (b"", "00"),
        (b"\xab", "ab"),
        (b"\xab\xcd", "ad"),
        (b"0\xab", "3b"),
        (b"x", "xx"),
    ] {
        let alpn = vec![name.to_vec()];
        let hello = ClientHello { alpn, ..chrome() };
        assert_eq!(&hello.ja4().unwrap()[8..10], expected, "{name:?}");
    }
}

#[test]
fn a_part_of_a_greeting_gives_no_fingerprint() {
    let whole = sent(&chrome(), 4096);
    let mut told = 0;
    for length in 0..whole.len() {
        let Some(hello) = client_hello(&whole[..length]) else { continue };
        told += 1;
        assert!(hello.truncated, "{length}");
        assert_eq!((hello.ja3(), hello.ja4()), (None, None));
    }
    assert!(told > 100);
    assert_eq!(client_hello(b"GET / HTTP/1.1\r\n"), None);
    assert_eq!(client_hello(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), None, "a server's greeting");
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = client_hello(&bytes);
    }

    #[test]
    fn broken_greetings_end(at in 0_usize..400, with in any::<u8>(), most in 1_usize..300) {
        let mut bytes = sent(&chrome(), most);
        let at = at % bytes.len();
        bytes[at] = with;
        if let Some(hello) = client_hello(&bytes) {
            let _ = (hello.ja3(), hello.ja4());
        }
    }

    #[test]
    fn greetings_in_any_number_of_records(most in 1_usize..600) {
        prop_assert_eq!(client_hello(&sent(&chrome(), most)), Some(chrome()));
    }
}
