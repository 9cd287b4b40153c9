//! DNS messages (RFC 1035), as far as questions and their answers go.
//!
//! Invariant: any bytes whatever give a message or `None`; work is bounded by the message's length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most answers read from one message.
const MAX_ANSWERS: usize = 32;

/// Compression pointers followed in one name: more than any honest message has.
const MAX_JUMPS: usize = 16;

/// Longest name (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;

/// A question, or the answer to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: u16,
    pub(crate) response: bool,
    pub(crate) rcode: u8,
    pub(crate) name: String,
    pub(crate) record_type: u16,
    pub(crate) answers: Vec<Answer>,
}

/// One answer that is an address or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Address(IpAddr),
    Name(String),
}

/// Reads a message with at least one question.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let flags = word(2)?;
    let (questions, answers) = (word(4)?, word(6)?);
    if questions == 0 || flags & 0x7800 != 0 {
        return None;
    }
    let (name, mut at) = name(bytes, 12)?;
    let record_type = word(at)?;
    at += 4;
    let mut message = Message {
        id: word(0)?,
        response: flags & 0x8000 != 0,
        rcode: u8::try_from(flags & 0xf).unwrap_or(0),
        name,
        record_type,
        answers: Vec::new(),
    };
    for _ in 1..questions.min(4) {
        at = self::name(bytes, at)?.1 + 4;
    }
    for _ in 0..usize::from(answers).min(MAX_ANSWERS) {
        // A message cut short keeps what was read so far.
        let Some(next) = answer(bytes, at, &mut message.answers) else { break };
        at = next;
    }
    Some(message)
}

fn answer(bytes: &[u8], at: usize, answers: &mut Vec<Answer>) -> Option<usize> {
    let (_, at) = name(bytes, at)?;
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (record_type, length) = (word(at)?, usize::from(word(at + 8)?));
    let data = at + 10;
    let value = bytes.get(data..data + length)?;
    match record_type {
        1 => answers.push(Answer::Address(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into())),
        28 => {
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?);
            answers.push(Answer::Address(address.into()));
        }
        5 | 12 => answers.push(Answer::Name(name(bytes, data)?.0)),
        _ => {}
    }
    Some(data + length)
}

/// A name in lower case without its final dot, and where what follows begins.
fn name(bytes: &[u8], start: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let (mut at, mut after, mut jumps) = (start, None, 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some((name, after.unwrap_or(at + 1))),
            1..=63 => {
                if !name.is_empty() {
                    name.push('.');
                }
                let label = bytes.get(at + 1..at + 1 + length)?;
                name.push_str(&String::from_utf8_lossy(label).to_lowercase());
                at += 1 + length;
                // Bytes that are no UTF-8 grow threefold.
                if name.len() > MAX_NAME * 3 {
                    return None;
                }
            }
            192..=255 => {
                jumps += 1;
                if jumps > MAX_JUMPS {
                    return None;
                }
                after = after.or(Some(at + 2));
                at = (length & 0x3f) << 8 | usize::from(*bytes.get(at + 1)?);
            }
            _ => return None,
        }
    }
}

/// The name of a record type.
pub(crate) fn type_name(record_type: u16) -> String {
    let name = match record_type {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        41 => "OPT",
        64 => "SVCB",
        65 => "HTTPS",
        255 => "ANY",
        other => return format!("TYPE{other}"),
    };
    name.to_owned()
}

/// The name of a response code.
pub(crate) fn rcode_name(rcode: u8) -> String {
    let name = match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        other => return format!("RCODE{other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Answer, parse};

    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03WWW\x07example\x03org\x00\x00\x01\x00\x01";

    fn response() -> Vec<u8> {
        let mut bytes = QUERY.to_vec();
        bytes[2] = 0x81;
        bytes[7] = 2;
        bytes.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x01\x00\x04\x01a\xc0\x10");
        bytes.extend(b"\xc0\x2d\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x7f\x00\x00\x02");
        bytes
    }

    #[test]
    fn question_and_answer() {
        let query = parse(QUERY).unwrap();
        assert_eq!((query.id, query.response, query.record_type), (0x1234, false, 1));
        assert_eq!(query.name, "www.example.org");
        let response = parse(&response()).unwrap();
        assert!(response.response);
        assert_eq!(
            response.answers,
            [Answer::Name("a.example.org".into()), Answer::Address([127, 0, 0, 2].into())]
        );
    }

    #[test]
    fn cut_or_forged_messages_end() {
        let whole = response();
        for length in 0..whole.len() {
            let _ = parse(&whole[..length]);
        }
        let mut looped = QUERY[..12].to_vec();
        looped.extend(b"\xc0\x0c\x00\x01\x00\x01");
        assert_eq!(parse(&looped), None);
        assert_eq!(parse(&[0xff; 600]), None);
    }
}
