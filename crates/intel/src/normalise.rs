//! One canonical form for each kind of value, so that equal things are equal texts.
//!
//! Every function takes what people and feeds write, defanged forms included, and gives the canonical
//! form or says why there is none. Invariant: a canonical form is its own canonical form.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Url;

use crate::indicator::Kind;
use crate::refang::refang;

/// Longest value of any kind in bytes: `PATH_MAX`, and more than browsers take as URL from feeds.
pub const MAX_VALUE_BYTES: usize = 4096;
/// Longest domain in bytes (RFC 1035, 2.3.4, without the final dot).
const MAX_DOMAIN_BYTES: usize = 253;
/// Longest label in bytes (RFC 1035, 2.3.4).
const MAX_LABEL_BYTES: usize = 63;
/// Shortest prefixes: a wider network is a slip; `10.0.0.0/8` and `fc00::/7` are meant.
const MIN_PREFIX: (u8, u8) = (8, 7);
/// Shortest name: two or three letters stand in too many names to say anything.
const MIN_NAME_BYTES: usize = 4;

/// How often a URL is read until it stays what it is; real ones need one or two rounds.
const MAX_ROUNDS: usize = 8;

/// Digests of nothing: they would match every empty file.
const OF_NOTHING: [&str; 3] = [
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// Why a value has no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not have the kind's form.
    #[error("`{value}` is no {kind}: {expected}", kind = kind.name())]
    Form {
        /// What it was read as.
        kind: Kind,
        /// The value, cut to be shown.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
    /// It has the form, but would match too much.
    #[error("`{value}` would match too much: {reason}")]
    TooWide {
        /// The value, cut to be shown.
        value: String,
        /// What it would match, and what to give instead.
        reason: &'static str,
    },
    /// It is longer than [`MAX_VALUE_BYTES`].
    #[error("the value has {0} bytes; {MAX_VALUE_BYTES} are the most")]
    TooLong(usize),
    /// No kind has this form.
    #[error("`{0}` is no hash, address, network, domain, URL, path, e-mail address or fingerprint")]
    Unknown(String),
}

impl Refusal {
    /// A name of the reason that does not change.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } => "form",
            Self::TooWide { .. } => "too-wide",
            Self::TooLong(_) => "too-long",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Letters of a value that are shown in a refusal.
const SHOWN: usize = 80;

pub(crate) fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn form(kind: Kind, text: &str, expected: &'static str) -> Refusal {
    Refusal::Form { kind, value: shown(text), expected }
}

fn too_wide(text: &str, reason: &'static str) -> Refusal {
    Refusal::TooWide { value: shown(text), reason }
}

/// Trims blanks and the quotes people put around values; refuses what is too long.
fn trimmed(text: &str) -> Result<&str, Refusal> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'));
    if text.len() > MAX_VALUE_BYTES { Err(Refusal::TooLong(text.len())) } else { Ok(text) }
}

impl Kind {
    /// The canonical form of `text` as a value of this kind.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is expected.
    pub fn normalise(self, text: &str) -> Result<String, Refusal> {
        match self {
            Self::Sha256 => sha256(text),
            Self::Sha1 => sha1(text),
            Self::Md5 => md5(text),
            Self::Ipv4 => ipv4(text),
            Self::Ipv6 => ipv6(text),
            Self::Cidr => cidr(text),
            Self::Domain => domain(text),
            Self::Url => url(text),
            Self::Path => path(text),
            Self::Ja3 => ja3(text),
            Self::Ja4 => ja4(text),
            Self::Certificate => certificate(text),
            Self::Name => name(text),
            Self::Email => email(text),
        }
    }
}

fn digest(
    kind: Kind,
    text: &str,
    digits: usize,
    expected: &'static str,
) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(form(kind, text, expected));
    }
    let text = text.to_ascii_lowercase();
    if OF_NOTHING.contains(&text.as_str()) {
        return Err(too_wide(&text, "it is the digest of nothing, so of every empty file"));
    }
    if text.bytes().all(|byte| byte == text.as_bytes()[0]) {
        return Err(form(kind, &text, "one digit repeated is a placeholder"));
    }
    Ok(text)
}

/// 64 hexadecimal digits, lower case.
pub fn sha256(text: &str) -> Result<String, Refusal> {
    digest(Kind::Sha256, text, 64, "64 hexadecimal digits")
}

/// 40 hexadecimal digits, lower case.
pub fn sha1(text: &str) -> Result<String, Refusal> {
    digest(Kind::Sha1, text, 40, "40 hexadecimal digits")
}

/// 32 hexadecimal digits, lower case.
pub fn md5(text: &str) -> Result<String, Refusal> {
    digest(Kind::Md5, text, 32, "32 hexadecimal digits")
}

/// 32 hexadecimal digits, lower case.
pub fn ja3(text: &str) -> Result<String, Refusal> {
    digest(Kind::Ja3, text, 32, "32 hexadecimal digits, the MD5 and not the list it is made of")
}

/// Three parts of 10, 12 and 12 letters, lower case (the form `a_b_c`).
pub fn ja4(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    let lower = text.to_ascii_lowercase();
    let hexadecimal = |part: &str| part.len() == 12 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = lower.split('_');
    let whole = matches!(
        (parts.next(), parts.next(), parts.next(), parts.next()),
        (Some(a), Some(b), Some(c), None)
            if a.len() == 10
                && a.starts_with(['t', 'q', 'd'])
                && a.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && matches!(a.as_bytes()[3], b'd' | b'i')
                && a.as_bytes()[4..8].iter().all(u8::is_ascii_digit)
                && hexadecimal(b)
                && hexadecimal(c)
    );
    if whole {
        Ok(lower)
    } else {
        Err(form(Kind::Ja4, text, "for example t13d1516h2_8daaf6152771_e5627efa2ab1"))
    }
}

/// SHA-256, SHA-1 or MD5 of the DER form: hexadecimal digits in lower case, without colons.
pub fn certificate(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    let bare: String = text.chars().filter(|c| !matches!(c, ':' | ' ' | '-')).collect();
    let expected = "a SHA-256, SHA-1 or MD5 in hexadecimal digits";
    if ![64, 40, 32].contains(&bare.len()) {
        return Err(form(Kind::Certificate, text, expected));
    }
    digest(Kind::Certificate, &bare, bare.len(), expected)
}

/// `text` as an address; IPv4 written as IPv6 becomes IPv4, and a port is left away.
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let whole = refang(text);
    // Once as it is: `[::1]` has brackets of its own.
    let parsed = [text, &whole].into_iter().find_map(|text| {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let bare = bare.split('%').next().unwrap_or(bare);
        let alone = bare.parse::<IpAddr>().ok();
        alone.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()))
    })?;
    Some(parsed.to_canonical())
}

/// Four numbers joined by dots.
pub fn ipv4(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    match address(text) {
        Some(IpAddr::V4(found)) => no_everyone(IpAddr::V4(found)),
        _ => Err(form(Kind::Ipv4, text, "four numbers from 0 to 255, joined by dots")),
    }
}

/// The form of RFC 5952.
pub fn ipv6(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    match address(text) {
        Some(IpAddr::V6(found)) => no_everyone(IpAddr::V6(found)),
        _ => Err(form(Kind::Ipv6, text, "an IPv6 address, and none that stands for an IPv4 one")),
    }
}

fn no_everyone(found: IpAddr) -> Result<String, Refusal> {
    if found.is_unspecified() {
        return Err(too_wide(&found.to_string(), "it stands for every address of a host"));
    }
    Ok(found.to_string())
}

/// The kind and canonical form of an address of either family.
pub fn any_address(text: &str) -> Result<(Kind, String), Refusal> {
    let text = trimmed(text)?;
    match address(text) {
        Some(found) => {
            let kind = if found.is_ipv4() { Kind::Ipv4 } else { Kind::Ipv6 };
            Ok((kind, no_everyone(found)?))
        }
        None => Err(form(Kind::Ipv4, text, "an IPv4 or IPv6 address")),
    }
}

/// What is special about an address, where it does not lead into the Internet.
pub fn special(found: IpAddr) -> Option<&'static str> {
    if found.is_loopback() {
        return Some("loopback");
    }
    if found.is_multicast() {
        return Some("multicast");
    }
    match found {
        IpAddr::V4(v4) if v4.is_private() => Some("private"),
        IpAddr::V4(v4) if v4.is_link_local() => Some("link-local"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("broadcast"),
        IpAddr::V4(v4) if v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64 => {
            Some("carrier-grade NAT")
        }
        IpAddr::V6(v6) if v6.is_unique_local() => Some("private"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("link-local"),
        _ => None,
    }
}

/// `text` as a network: its first address and the length of its prefix, host bits cleared.
pub fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (first, length) = text.trim().rsplit_once('/')?;
    let length: u8 = length.trim().parse().ok()?;
    match address(first)? {
        IpAddr::V4(v4) if length <= 32 => {
            let mask = u32::MAX.checked_shl(u32::from(32 - length)).unwrap_or(0);
            Some((IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask)), length))
        }
        IpAddr::V6(v6) if length <= 128 => {
            let mask = u128::MAX.checked_shl(u32::from(128 - length)).unwrap_or(0);
            Some((IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask)), length))
        }
        _ => None,
    }
}

/// First address, `/`, length of the prefix; host bits are cleared.
pub fn cidr(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    let Some((first, length)) = network(&refang(text)) else {
        return Err(form(Kind::Cidr, text, "an address, `/` and the length of the prefix"));
    };
    let shortest = if first.is_ipv4() { MIN_PREFIX.0 } else { MIN_PREFIX.1 };
    if length < shortest {
        return Err(too_wide(text, "give a longer prefix: /8 (IPv6: /7) is the shortest"));
    }
    Ok(format!("{first}/{length}"))
}

/// Lower case, IDNA in its ASCII form, without final dot and leading `*.`; two labels at least.
pub fn domain(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    let whole = refang(text);
    let bare = whole.trim_start_matches("*.").trim_start_matches('.').trim_end_matches('.');
    let plain = bare.is_ascii() && !bare.to_ascii_lowercase().contains("xn--");
    let ascii: Cow<'_, str> = if plain {
        Cow::Owned(bare.to_ascii_lowercase())
    } else {
        idna::domain_to_ascii(bare)
            .map(Cow::Owned)
            .map_err(|_| form(Kind::Domain, text, "its letters are not allowed by IDNA"))?
    };
    let labels_hold = ascii.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= MAX_LABEL_BYTES
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    });
    if !labels_hold || ascii.len() > MAX_DOMAIN_BYTES {
        return Err(form(
            Kind::Domain,
            text,
            "labels of 1 to 63 letters, digits, `-` or `_`, joined by dots, 253 in all",
        ));
    }
    match ascii.rsplit_once('.') {
        None => Err(too_wide(text, "one label alone is a whole top-level domain or a local name")),
        Some((_, last)) if last.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(form(Kind::Domain, text, "the last label is a number, so it is an address"))
        }
        Some(_) => Ok(ascii.into_owned()),
    }
}

/// The URL Standard's form, without user, password and fragment; `http` where no scheme is given.
pub fn url(text: &str) -> Result<String, Refusal> {
    let mut found = url_once(text)?;
    // What the standard cuts out (fragments, tabs) may leave a quote at the end, or a defanged dot.
    for _ in 0..MAX_ROUNDS {
        let next = url_once(&found)?;
        if next == found {
            return Ok(found);
        }
        found = next;
    }
    Err(form(Kind::Url, text, "a URL that stays what it is when it is read again"))
}

fn url_once(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    let whole = refang(text);
    let expected = "a URL with scheme http, https, ftp, ws or wss, and a host";
    let whole = if whole.contains("://") { whole } else { Cow::Owned(format!("http://{whole}")) };
    let mut parsed = Url::parse(&whole).map_err(|_| form(Kind::Url, text, expected))?;
    if !matches!(parsed.scheme(), "http" | "https" | "ftp" | "ws" | "wss") {
        return Err(form(Kind::Url, text, expected));
    }
    let host = match parsed.host() {
        Some(url::Host::Domain(host)) => host.trim_end_matches('.').to_owned(),
        Some(host) => host.to_string(),
        None => return Err(form(Kind::Url, text, expected)),
    };
    parsed.set_fragment(None);
    let changed = parsed
        .set_host(Some(&host))
        .is_ok_and(|()| parsed.set_username("").is_ok() && parsed.set_password(None).is_ok());
    // A host the standard takes once, it takes again; the refusal is for what it may still think of.
    if !changed || parsed.as_str().len() > MAX_VALUE_BYTES {
        return Err(form(Kind::Url, text, expected));
    }
    Ok(parsed.into())
}

/// An absolute path. Unix: as it is, `//`, `.` and `..` resolved. Windows: lower case, with `\`.
pub fn path(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    if text.contains('\0') {
        return Err(form(Kind::Path, text, "a path holds no zero byte"));
    }
    if text.contains('%') && text.matches('%').count() >= 2 || text.starts_with(['~', '$']) {
        return Err(form(Kind::Path, text, "variables are not resolved: give the absolute path"));
    }
    if text.starts_with('/') {
        return match resolved(text.split('/'), "/").as_str() {
            "" => Err(too_wide(text, "it is the root of everything")),
            found => again(format!("/{found}")),
        };
    }
    let bytes = text.as_bytes();
    if bytes.len() > 3 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' {
        let rest = text[2..].to_lowercase();
        if rest.starts_with(['\\', '/']) {
            let found = resolved(rest.split(['\\', '/']), "\\");
            if !found.is_empty() {
                return again(format!("{}:\\{found}", text[..1].to_ascii_lowercase()));
            }
        }
    } else if let Some(rest) = text.strip_prefix("\\\\") {
        let found = resolved(rest.to_lowercase().split(['\\', '/']), "\\");
        if found.contains('\\') {
            return again(format!("\\\\{found}"));
        }
    }
    Err(form(
        Kind::Path,
        text,
        "an absolute path; a file name alone matches too much, give its hash or its path",
    ))
}

/// A path whose last part was dropped may end in blanks now: it is read once more, ever shorter.
fn again(found: String) -> Result<String, Refusal> {
    if trimmed(&found)?.len() == found.len() { Ok(found) } else { path(&found) }
}

fn resolved<'a>(parts: impl Iterator<Item = &'a str>, separator: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in parts {
        match part {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            part => kept.push(part),
        }
    }
    kept.join(separator)
}

/// As it is: such names are compared letter by letter. Four bytes at least.
pub fn name(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    if text.len() < MIN_NAME_BYTES {
        return Err(too_wide(text, "so short a name stands in too many places"));
    }
    if text.chars().any(char::is_control) {
        return Err(form(Kind::Name, text, "no control characters"));
    }
    Ok(text.to_owned())
}

/// Lower case; the domain in its own canonical form.
pub fn email(text: &str) -> Result<String, Refusal> {
    let text = trimmed(text)?;
    let whole = refang(text);
    let whole = whole.trim_start_matches("mailto:").trim_matches(['<', '>']);
    let expected = "NAME@DOMAIN";
    let (local, host) = whole.rsplit_once('@').ok_or_else(|| form(Kind::Email, text, expected))?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || r#"@<>"':;,()[]{}\`"#.contains(c);
    if local.is_empty() || local.contains(bad) {
        return Err(form(Kind::Email, text, expected));
    }
    let host = domain(host).map_err(|_| form(Kind::Email, text, expected))?;
    Ok(format!("{}@{host}", local.to_lowercase()))
}
