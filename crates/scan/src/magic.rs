//! What content is, by its first bytes: the few formats that matter on a host.
//!
//! Leaves whether the rest keeps what the beginning promises to those who parse it.

/// First bytes that are looked at: `ustar` stands at 257.
pub(crate) const SAMPLE: usize = 512;

macro_rules! types {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What a file's content is, by its first bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ContentType {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ContentType {
            /// Its name in the field `file.content_type`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

types! {
    /// Nothing at all.
    Empty = "empty",
    /// An ELF executable, library, object or core.
    Elf = "elf",
    /// Begins with `#!`.
    Script = "script",
    /// Begins like a DOS or Windows program.
    Pe = "pe",
    /// Mach-O, or a Java class when universal.
    MachO = "macho",
    /// A Java class file.
    JavaClass = "java_class",
    /// WebAssembly.
    Wasm = "wasm",
    /// Compiled Python.
    Python = "python_bytecode",
    /// A zip archive: also office documents, jar, apk.
    Zip = "zip",
    /// gzip.
    Gzip = "gzip",
    /// bzip2.
    Bzip2 = "bzip2",
    /// xz.
    Xz = "xz",
    /// Zstandard.
    Zstd = "zstd",
    /// LZ4 frame.
    Lz4 = "lz4",
    /// 7-Zip.
    SevenZip = "7z",
    /// RAR.
    Rar = "rar",
    /// tar.
    Tar = "tar",
    /// cpio, for example of an initial ramdisk.
    Cpio = "cpio",
    /// ar: Debian packages, static libraries.
    Ar = "ar",
    /// An RPM package.
    Rpm = "rpm",
    /// PDF.
    Pdf = "pdf",
    /// An OLE compound file: older office documents.
    Ole = "ole",
    /// Rich Text Format.
    Rtf = "rtf",
    /// An image: PNG, JPEG, GIF.
    Image = "image",
    /// A SQLite database.
    Sqlite = "sqlite",
    /// A packet capture.
    Pcap = "pcap",
    /// A key or certificate in PEM.
    Pem = "pem",
    /// XML.
    Xml = "xml",
    /// HTML.
    Html = "html",
    /// A script of PHP.
    Php = "php",
    /// LUKS: an encrypted volume.
    Luks = "luks",
    /// Text in UTF-8, or nearly.
    Text = "text",
    /// None of these.
    Data = "data",
}

/// What stands at the beginning, and what that means. The first that fits counts.
const TABLE: &[(&[u8], ContentType)] = &[
    (b"\x7fELF", ContentType::Elf),
    (b"#!", ContentType::Script),
    (b"MZ", ContentType::Pe),
    (b"\xfe\xed\xfa\xce", ContentType::MachO),
    (b"\xfe\xed\xfa\xcf", ContentType::MachO),
    (b"\xce\xfa\xed\xfe", ContentType::MachO),
    (b"\xcf\xfa\xed\xfe", ContentType::MachO),
    (b"\0asm", ContentType::Wasm),
    (b"PK\x03\x04", ContentType::Zip),
    (b"PK\x05\x06", ContentType::Zip),
    (b"\x1f\x8b", ContentType::Gzip),
    (b"BZh", ContentType::Bzip2),
    (b"\xfd7zXZ\0", ContentType::Xz),
    (b"\x28\xb5\x2f\xfd", ContentType::Zstd),
    (b"\x04\x22\x4d\x18", ContentType::Lz4),
    (b"7z\xbc\xaf\x27\x1c", ContentType::SevenZip),
    (b"Rar!\x1a\x07", ContentType::Rar),
    (b"070701", ContentType::Cpio),
    (b"070702", ContentType::Cpio),
    (b"070707", ContentType::Cpio),
    (b"!<arch>\n", ContentType::Ar),
    (b"\xed\xab\xee\xdb", ContentType::Rpm),
    (b"%PDF-", ContentType::Pdf),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ContentType::Ole),
    (b"{\\rtf", ContentType::Rtf),
    (b"\x89PNG\r\n\x1a\n", ContentType::Image),
    (b"\xff\xd8\xff", ContentType::Image),
    (b"GIF8", ContentType::Image),
    (b"SQLite format 3\0", ContentType::Sqlite),
    (b"\xd4\xc3\xb2\xa1", ContentType::Pcap),
    (b"\xa1\xb2\xc3\xd4", ContentType::Pcap),
    (b"\x0a\x0d\x0d\x0a", ContentType::Pcap),
    (b"-----BEGIN ", ContentType::Pem),
    (b"<?xml", ContentType::Xml),
    (b"<?php", ContentType::Php),
    (b"<!DOCTYPE html", ContentType::Html),
    (b"<html", ContentType::Html),
    (b"LUKS\xba\xbe", ContentType::Luks),
];

/// What content that begins with `sample` is. A sample is the whole content, or [`SAMPLE`] bytes.
pub(crate) fn of(sample: &[u8]) -> ContentType {
    if sample.is_empty() {
        return ContentType::Empty;
    }
    if let Some((_, kind)) = TABLE.iter().find(|(begin, _)| sample.starts_with(begin)) {
        return *kind;
    }
    if sample.starts_with(b"\xca\xfe\xba\xbe") {
        // Both begin so; a universal binary goes on with a small count, a class with its version.
        let word = sample.get(4..8).and_then(|bytes| bytes.try_into().ok());
        let class = word.is_some_and(|word| u32::from_be_bytes(word) > 40);
        return if class { ContentType::JavaClass } else { ContentType::MachO };
    }
    if sample.get(257..262) == Some(b"ustar") {
        return ContentType::Tar;
    }
    // A version of two bytes, then CR LF.
    if sample.len() >= 16 && sample.get(2..4) == Some(b"\r\n") && sample[1] <= 0x0f {
        return ContentType::Python;
    }
    if is_text(sample) { ContentType::Text } else { ContentType::Data }
}

fn is_text(sample: &[u8]) -> bool {
    let whole = match std::str::from_utf8(sample) {
        Ok(_) => true,
        // The sample may end within a character.
        Err(error) => error.error_len().is_none() && sample.len() == SAMPLE,
    };
    let odd =
        |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x08 | 0x1b);
    whole && !sample.iter().any(odd)
}

#[cfg(test)]
mod tests {
    use super::{ContentType, SAMPLE, of};

    #[test]
    fn beginnings() {
        let mut tar = vec![0; SAMPLE];
        tar[257..262].copy_from_slice(b"ustar");
        let mut cut = "a".repeat(SAMPLE - 1).into_bytes();
        cut.push("é".as_bytes()[0]);
        let table: &[(&[u8], ContentType)] = &[
            (b"", ContentType::Empty),
            (b"\x7fELF\x02\x01\x01", ContentType::Elf),
            (b"#!/bin/sh\n", ContentType::Script),
            (b"MZ\x90\0", ContentType::Pe),
            (b"\xca\xfe\xba\xbe\0\0\0\x34", ContentType::JavaClass),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", ContentType::MachO),
            (b"-----BEGIN OPENSSH PRIVATE KEY-----", ContentType::Pem),
            (&tar, ContentType::Tar),
            (b"\xa7\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0", ContentType::Python),
            (b"plain text\n", ContentType::Text),
            (&cut, ContentType::Text),
            (b"caf\xe9 latin", ContentType::Data),
            (b"a\0b", ContentType::Data),
        ];
        for (sample, expected) in table {
            assert_eq!(of(sample), *expected, "{sample:02x?}");
        }
    }
}
