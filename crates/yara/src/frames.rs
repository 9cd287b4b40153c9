//! What comes in: frames of a kind, a length and that many bytes.

use std::io::{self, Read};

/// Largest frame, in bytes: a whole file that is scanned at once, in pieces of this.
pub(crate) const FRAME_MAX: usize = 4 << 20;
/// Longest name of a target kept, in bytes.
const NAME_MAX: usize = 8 << 10;

/// How a target is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As one piece, with modules; its blocks follow each other.
    Whole,
    /// Block by block: no modules, no match across blocks.
    Blocks,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// YARA source, a part of the rules.
    Rules(String),
    /// The rules are complete.
    Compile,
    /// A target begins.
    Target(Mode, String),
    /// Bytes of it, at an offset.
    Block(u64, Vec<u8>),
    /// It is complete.
    Finish,
}

/// The next frame; `None` at the end of the input.
pub(crate) fn next(source: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut kind = [0];
    if source.read(&mut kind)? == 0 {
        return Ok(None);
    }
    let mut length = [0; 4];
    source.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME_MAX {
        return Err(invalid("a frame is longer than the protocol has"));
    }
    let mut bytes = vec![0; length];
    source.read_exact(&mut bytes)?;
    Ok(Some(match kind[0] {
        b'R' => Frame::Rules(String::from_utf8(bytes).map_err(|_| invalid("rules are UTF-8"))?),
        b'C' => Frame::Compile,
        b'W' => Frame::Target(Mode::Whole, name(&bytes)),
        b'T' => Frame::Target(Mode::Blocks, name(&bytes)),
        b'B' => {
            let Some((base, data)) = bytes.split_first_chunk::<8>() else {
                return Err(invalid("a block has an offset"));
            };
            Frame::Block(u64::from_le_bytes(*base), data.to_vec())
        }
        b'F' => Frame::Finish,
        _ => return Err(invalid("a frame of an unknown kind")),
    }))
}

fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(NAME_MAX)]).into_owned()
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::{Frame, Mode, next};

    #[test]
    fn frames_are_read_and_nonsense_is_refused() {
        let mut input: &[u8] = b"W\x02\0\0\0ab\
            B\x0a\0\0\0\x07\0\0\0\0\0\0\0xyF\0\0\0\0";
        assert_eq!(next(&mut input).unwrap(), Some(Frame::Target(Mode::Whole, "ab".to_owned())));
        assert_eq!(next(&mut input).unwrap(), Some(Frame::Block(7, b"xy".to_vec())));
        assert_eq!(next(&mut input).unwrap(), Some(Frame::Finish));
        assert_eq!(next(&mut input).unwrap(), None);
        for wrong in [&b"Z\0\0\0\0"[..], b"B\x01\0\0\0x", b"R\xff\xff\xff\xff", b"F\0"] {
            assert!(next(&mut &*wrong).is_err(), "{wrong:?}");
        }
    }
}
