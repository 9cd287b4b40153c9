//! What a value alone looks like.

use std::net::IpAddr;

use crate::indicator::Kind;
use crate::normalise::{self, Refusal, shown};
use crate::refang::refang;

/// The kind and canonical form of `text`, from its form alone. 32 hexadecimal digits are an MD5; names
/// are never guessed. An address with a port is the address, a network of one address that address.
///
/// # Errors
/// A [`Refusal`] of the likeliest kind, or [`Refusal::Unknown`].
pub fn guess(text: &str) -> Result<(Kind, String), Refusal> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'));
    let whole = refang(text);
    let whole = whole.trim_end_matches(',');
    if whole.is_empty() || whole.len() > normalise::MAX_VALUE_BYTES {
        return Err(Refusal::Unknown(shown(text)));
    }
    let hexadecimal = whole.bytes().all(|byte| byte.is_ascii_hexdigit());
    let kind = match whole.len() {
        64 if hexadecimal => Kind::Sha256,
        40 if hexadecimal => Kind::Sha1,
        32 if hexadecimal => Kind::Md5,
        36 if normalise::ja4(whole).is_ok() => Kind::Ja4,
        _ if whole.contains("://") => Kind::Url,
        _ => return others(whole),
    };
    Ok((kind, kind.normalise(whole)?))
}

fn others(text: &str) -> Result<(Kind, String), Refusal> {
    if let Some((first, length)) = normalise::network(text) {
        let alone = if first.is_ipv4() { 32 } else { 128 };
        if length == alone {
            return normalise::any_address(&first.to_string());
        }
        return Ok((Kind::Cidr, normalise::cidr(text)?));
    }
    if normalise::address(text).is_some() {
        return normalise::any_address(text);
    }
    let bytes = text.as_bytes();
    let drive = bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
    if text.starts_with('/')
        || text.starts_with("\\\\")
        || drive && matches!(bytes[2], b'\\' | b'/')
    {
        return Ok((Kind::Path, normalise::path(text)?));
    }
    // `||evil.example^`, as ad blockers write it.
    let text = text.strip_prefix("||").map_or(text, |rest| rest.trim_end_matches('^'));
    if text.contains('@') && !text.contains('/') {
        return Ok((Kind::Email, normalise::email(text)?));
    }
    let (host, rest) = text.split_at(text.find(['/', '?', ':']).unwrap_or(text.len()));
    let Ok(domain) = normalise::domain(host) else {
        return match host.parse::<IpAddr>() {
            Ok(_) => Ok((Kind::Url, normalise::url(text)?)),
            Err(_) => Err(Refusal::Unknown(shown(text))),
        };
    };
    if rest.is_empty() || rest == "/" {
        return Ok((Kind::Domain, domain));
    }
    if let Some(port) = rest.strip_prefix(':')
        && port.parse::<u16>().is_ok()
    {
        return Ok((Kind::Domain, domain));
    }
    Ok((Kind::Url, normalise::url(text)?))
}
