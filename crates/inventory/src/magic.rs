//! What a file is, by its first bytes.

use metsuke_event::inventory::Format;

/// Bytes that tell.
pub(crate) const HEAD: usize = 4;

/// The format, when it is one the system could run. `MZ` is run by Wine or `binfmt_misc`, and is
/// what an attacker parks for others.
pub(crate) fn format(head: &[u8]) -> Option<Format> {
    match head {
        [0x7f, b'E', b'L', b'F', ..] => Some(Format::Elf),
        [b'#', b'!', ..] => Some(Format::Script),
        [b'M', b'Z', ..] => Some(Format::Pe),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::format;
    use metsuke_event::inventory::Format;

    #[test]
    fn first_bytes_tell() {
        assert_eq!(format(b"\x7fELF"), Some(Format::Elf));
        assert_eq!(format(b"#!/bin/sh"), Some(Format::Script));
        assert_eq!(format(b"MZ\x90\0"), Some(Format::Pe));
        for other in [&b""[..], b"#", b"\x7fEL", b"text", b"\x1f\x8b"] {
            assert_eq!(format(other), None);
        }
    }
}
