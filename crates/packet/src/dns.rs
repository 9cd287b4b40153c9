//! DNS messages (RFC 1035, multicast: RFC 6762), as far as questions and their answers go, and their
//! framing over TCP (RFC 7766).
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
pub struct Message {
    /// Its number, the same in question and answer.
    pub id: u16,
    /// Whether it is an answer.
    pub response: bool,
    /// Response code.
    pub rcode: u8,
    /// Name asked for, lower case, without the final dot; of an answer without question (multicast)
    /// the first name answered.
    pub name: String,
    /// Type asked for.
    pub record_type: u16,
    /// What was answered, as far as it is read.
    pub answers: Vec<Answer>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An address (A, AAAA).
    Address(IpAddr),
    /// A name (CNAME, NS, PTR, MX, SRV).
    Name(String),
    /// Text (TXT): its strings put together, at most [`MAX_TEXT`] bytes of it.
    Text(String),
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(text) | Self::Text(text) => f.write_str(text),
        }
    }
}

/// Bytes kept of one text record: tunnels use them in full.
pub const MAX_TEXT: usize = 1024;

/// Longest message (RFC 1035, 4.2.2: its length stands in two bytes).
const MAX_MESSAGE: usize = 65_535;

/// Reads a message with at least one question, or an answer without one, as multicast has them.
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let flags = word(2)?;
    let (questions, answers) = (word(4)?, word(6)?);
    let response = flags & 0x8000 != 0;
    if flags & 0x7800 != 0 || (questions == 0 && (!response || answers == 0)) {
        return None;
    }
    // A question, and an answer likewise, begins with name and type.
    let (name, mut at) = name(bytes, 12)?;
    let record_type = word(at)?;
    at = if questions == 0 { 12 } else { at + 4 };
    let mut message = Message {
        id: word(0)?,
        response,
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
        2 | 5 | 12 => answers.push(Answer::Name(name(bytes, data)?.0)),
        15 => answers.push(Answer::Name(name(bytes, data + 2)?.0)),
        33 => answers.push(Answer::Name(name(bytes, data + 6)?.0)),
        16 => answers.push(Answer::Text(text(value))),
        _ => {}
    }
    Some(data + length)
}

/// The strings of a text record.
fn text(mut value: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(value.len().min(MAX_TEXT));
    while let Some((length, rest)) = value.split_first() {
        let (string, after) = rest.split_at(usize::from(*length).min(rest.len()));
        bytes.extend_from_slice(string);
        value = after;
    }
    bytes.truncate(MAX_TEXT);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One direction of DNS over TCP: messages with their length before them, in pieces of any size.
///
/// Invariant: never holds more than `most` bytes. A longer message is cut there, so that its question
/// and first answers are still read, and passed over to its end.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    held: Vec<u8>,
    /// Bytes still to be passed over.
    skip: usize,
}

impl Stream {
    /// Takes in a piece; gives the messages that are complete, or as long as `most`. `missing` bytes
    /// followed the piece that were not seen.
    pub fn push(&mut self, mut piece: &[u8], missing: usize, most: usize) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        loop {
            let skipped = self.skip.min(piece.len());
            self.skip -= skipped;
            piece = &piece[skipped..];
            let wanted = self.wanted();
            let bound = wanted.min(most.max(2));
            let taken = bound.saturating_sub(self.held.len()).min(piece.len());
            self.held.extend_from_slice(&piece[..taken]);
            piece = &piece[taken..];
            if self.held.len() < 2 || self.wanted() != wanted {
                if piece.is_empty() {
                    break;
                }
                continue;
            }
            if self.held.len() < bound {
                break;
            }
            self.skip = wanted - self.held.len();
            messages.extend(self.held.get(2..).map(<[u8]>::to_vec));
            self.held.clear();
        }
        self.lose(missing, &mut messages);
        messages
    }

    /// Whether every message it took in was given out.
    pub fn is_at_start(&self) -> bool {
        self.held.is_empty()
    }

    /// `missing` bytes went by unseen: what is held is as good as it gets.
    fn lose(&mut self, missing: usize, messages: &mut Vec<Vec<u8>>) {
        let mut left = missing - self.skip.min(missing);
        self.skip -= missing - left;
        if left > 0 && self.held.len() >= 2 {
            let rest = self.wanted() - self.held.len();
            messages.extend(self.held.get(2..).map(<[u8]>::to_vec));
            self.skip = rest - rest.min(left);
            left -= rest.min(left);
            self.held.clear();
        }
        if left > 0 {
            // Where the next message begins is not known any more.
            self.held.clear();
        }
    }

    /// Bytes of the message that is being read with its length; of 2 until that is known.
    fn wanted(&self) -> usize {
        match self.held.as_slice() {
            [high, low, ..] => 2 + (usize::from(*high) << 8 | usize::from(*low)),
            _ => 2,
        }
        .min(MAX_MESSAGE + 2)
    }
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
pub fn type_name(record_type: u16) -> String {
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
pub fn rcode_name(rcode: u8) -> String {
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
    use proptest::prelude::*;

    use super::{Answer, Stream, parse};

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

    /// A message with one record of `kind` that has `data`.
    fn answered(kind: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = QUERY.to_vec();
        (bytes[2], bytes[7]) = (0x81, 1);
        bytes.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 1, 0, u8::try_from(data.len()).unwrap()]);
        bytes.extend(data);
        bytes
    }

    #[test]
    fn answers_of_each_type() {
        for (kind, data, expected) in [
            (2, &b"\x02ns\xc0\x10"[..], Answer::Name("ns.example.org".into())),
            (15, b"\0\x0a\x02mx\xc0\x10", Answer::Name("mx.example.org".into())),
            (33, b"\0\0\0\0\x01\xbb\x01a\xc0\x10", Answer::Name("a.example.org".into())),
            (16, b"\x03abc\x02de", Answer::Text("abcde".into())),
            (16, b"\x09abc", Answer::Text("abc".into())),
        ] {
            assert_eq!(parse(&answered(kind, data)).unwrap().answers, [expected], "{kind}");
        }
    }

    #[test]
    fn a_multicast_answer_has_no_question() {
        let mut bytes = b"\0\0\x84\0\0\0\0\x01\0\0\0\0".to_vec();
        bytes.extend(b"\x04host\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\x0a\0\0\x07");
        let message = parse(&bytes).unwrap();
        assert_eq!((message.name.as_str(), message.record_type), ("host.local", 1));
        assert_eq!(message.answers, [Answer::Address([10, 0, 0, 7].into())]);
        bytes[7] = 0;
        assert_eq!(parse(&bytes), None);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn forged_answers_end(at in 0_usize..100, with in any::<u8>()) {
            let mut bytes = response();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = parse(&bytes);
        }

        /// However a stream is cut, its messages come out whole, up to the bound.
        #[test]
        fn streams_in_any_pieces(
            lengths in prop::collection::vec(0_usize..300, 1..8),
            cuts in prop::collection::vec(1_usize..200, 1..40),
        ) {
            const MOST: usize = 202;
            let messages: Vec<Vec<u8>> = (0_u8..).zip(&lengths).map(|(i, l)| vec![i; *l]).collect();
            let mut bytes = Vec::new();
            for message in &messages {
                bytes.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
                bytes.extend(message);
            }
            let (mut stream, mut found, mut rest) = (Stream::default(), Vec::new(), &bytes[..]);
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                found.extend(stream.push(piece, 0, MOST));
                prop_assert!(stream.held.len() <= MOST);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let expected: Vec<Vec<u8>> =
                messages.into_iter().map(|m| m[..m.len().min(MOST - 2)].to_vec()).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn streams_with_gaps_end(
            pieces in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..50), 0_usize..70_000), 0..30,
            ),
        ) {
            let mut stream = Stream::default();
            for (piece, missing) in pieces {
                for message in stream.push(&piece, missing, 512) {
                    prop_assert!(message.len() <= 512);
                }
                prop_assert!(stream.held.len() <= 512);
            }
        }
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
