//! A TLS client's greeting (`ClientHello`: RFC 8446 4.1.2, RFC 5246 7.4.1.2).
//!
//! Reads what a client sent first, which may hold only a part of the greeting. Invariant: a
//! fingerprint is given only for a greeting that was read to its end.

use crate::fingerprint;
use crate::read::Input;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Extensions read at most; the registry has fewer than a hundred.
const MAX_EXTENSIONS: usize = 128;

/// Names of protocols kept at most.
const MAX_PROTOCOLS: usize = 16;

/// Longest name of a host (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;

mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const GROUPS: u16 = 10;
    pub(super) const POINT_FORMATS: u16 = 11;
    pub(super) const SIGNATURES: u16 = 13;
    pub(super) const ALPN: u16 = 16;
    pub(super) const VERSIONS: u16 = 43;
}

/// What a client offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// Version field of the greeting; TLS 1.3 clients say 1.2 there.
    pub legacy_version: u16,
    /// Cipher suites, in the order given.
    pub ciphers: Vec<u16>,
    /// Types of its extensions, in the order given.
    pub extensions: Vec<u16>,
    /// Groups (curves) of the extension `supported_groups`.
    pub groups: Vec<u16>,
    /// Formats of the extension `ec_point_formats`.
    pub point_formats: Vec<u8>,
    /// Algorithms of the extension `signature_algorithms`.
    pub signatures: Vec<u16>,
    /// Versions of the extension `supported_versions`.
    pub versions: Vec<u16>,
    /// Protocols of the extension ALPN.
    pub alpn: Vec<Vec<u8>>,
    /// Server name asked for, lower case; bytes that are no ASCII are replaced.
    pub server_name: Option<String>,
    /// Whether only the beginning of the greeting was there.
    pub truncated: bool,
}

impl ClientHello {
    /// The highest version offered, GREASE left out.
    pub fn version(&self) -> u16 {
        let offered = self.versions.iter().copied().filter(|version| !is_grease(*version));
        offered.max().unwrap_or(self.legacy_version)
    }

    /// The name of the highest version: 1.0, 1.1, 1.2 or 1.3; `None` of others.
    pub fn version_name(&self) -> Option<&'static str> {
        match self.version() {
            0x0301 => Some("1.0"),
            0x0302 => Some("1.1"),
            0x0303 => Some("1.2"),
            0x0304 => Some("1.3"),
            _ => None,
        }
    }

    /// JA3 (Salesforce, 2017): MD5 of version, ciphers, extensions, groups and point formats.
    pub fn ja3(&self) -> Option<String> {
        (!self.truncated).then(|| fingerprint::ja3(self))
    }

    /// JA4 for TLS over TCP (`FoxIO`, 2023).
    pub fn ja4(&self) -> Option<String> {
        (!self.truncated).then(|| fingerprint::ja4(self))
    }
}

/// Whether `value` is one of those that mean nothing (RFC 8701).
pub(crate) fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Reads the greeting at the beginning of what a client sent: one or more TLS records. `None` when
/// it is none, or too little of it is there to tell.
pub fn client_hello(bytes: &[u8]) -> Option<ClientHello> {
    let message = handshake(bytes)?;
    let mut input = Input(&message);
    if input.u8()? != CLIENT_HELLO {
        return None;
    }
    let length = input.u24()?;
    let complete = input.0.len() >= length;
    let mut body = Input(input.0.get(..length).unwrap_or(input.0));
    let mut hello = ClientHello { legacy_version: body.u16()?, ..ClientHello::default() };
    if hello.legacy_version >> 8 != 3 {
        return None;
    }
    // Random and session: of no interest.
    body.bytes(32)?;
    body.short()?;
    hello.ciphers = body.long()?.words();
    hello.truncated = body.short().is_none() || extensions(&mut hello, body).is_none() || !complete;
    Some(hello)
}

/// The handshake message in `bytes`: the content of its records, put together.
fn handshake(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut input = Input(bytes);
    let mut message = Vec::with_capacity(bytes.len());
    while !input.0.is_empty() {
        let Some(head) = input.bytes(5) else { break };
        if head[0] != HANDSHAKE || head[1] != 3 {
            break;
        }
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        let content = input.0.get(..length).unwrap_or(input.0);
        message.extend_from_slice(content);
        input.0 = input.0.get(length..).unwrap_or_default();
    }
    (!message.is_empty()).then_some(message)
}

/// `None` when they end before their length says so.
fn extensions(hello: &mut ClientHello, mut body: Input<'_>) -> Option<()> {
    if body.0.is_empty() {
        // None at all, as clients of long ago.
        return Some(());
    }
    let length = usize::from(body.u16()?);
    let whole = body.0.len() >= length;
    let mut list = Input(body.0.get(..length).unwrap_or(body.0));
    while !list.0.is_empty() && hello.extensions.len() < MAX_EXTENSIONS {
        let kind = list.u16()?;
        hello.extensions.push(kind);
        let content = list.long()?;
        // One that is no such thing as it says is only noted.
        let _ = extension(hello, kind, content);
    }
    (whole && list.0.is_empty()).then_some(())
}

fn extension(hello: &mut ClientHello, kind: u16, mut content: Input<'_>) -> Option<()> {
    match kind {
        extension::SERVER_NAME => {
            let mut list = content.long()?;
            // Type 0 is a name; no other was ever defined.
            if list.u8()? == 0 {
                let name = list.long()?.0;
                let name = name.get(..MAX_NAME).unwrap_or(name);
                hello.server_name = Some(String::from_utf8_lossy(name).to_ascii_lowercase());
            }
        }
        extension::GROUPS => hello.groups = content.long()?.words(),
        extension::POINT_FORMATS => hello.point_formats = content.short()?.0.to_vec(),
        extension::SIGNATURES => hello.signatures = content.long()?.words(),
        extension::VERSIONS => hello.versions = content.short()?.words(),
        extension::ALPN => {
            let mut list = content.long()?;
            while let Some(name) = list.short().filter(|_| hello.alpn.len() < MAX_PROTOCOLS) {
                hello.alpn.push(name.0.to_vec());
            }
        }
        _ => {}
    }
    Some(())
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
