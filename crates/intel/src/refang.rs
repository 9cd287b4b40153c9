//! Defanged values made whole again: `hxxp[:]//evil[.]example` → `http://evil.example`.
//!
//! People break addresses so that nobody clicks them. What is undone here is what cannot mean
//! anything else; bare words as in `evil dot example` are left alone.

use std::borrow::Cow;

use crate::normalise::MAX_VALUE_BYTES;

/// What stands in brackets, and what it means.
const INSIDE: [(&str, &str); 9] = [
    (".", "."),
    ("dot", "."),
    (",", "."),
    (":", ":"),
    ("://", "://"),
    ("/", "/"),
    ("@", "@"),
    ("at", "@"),
    ("punkt", "."),
];

/// Schemes that are written so that they do not work.
const SCHEMES: [(&str, &str); 7] = [
    ("hxxps", "https"),
    ("hxxp", "http"),
    ("h**ps", "https"),
    ("h**p", "http"),
    ("htxps", "https"),
    ("htxp", "http"),
    ("fxp", "ftp"),
];

/// Longest text in brackets that is looked at, in bytes.
const MOST_INSIDE: usize = 5;

/// `text` with its defanged places made whole; the text itself when there are none, and when it is
/// longer than any value. What shows a defanged place only then (`[(.)]`) is made whole too.
pub fn refang(text: &str) -> Cow<'_, str> {
    if text.len() > MAX_VALUE_BYTES {
        return Cow::Borrowed(text);
    }
    let mut whole = once(text);
    // Every round that changes anything makes it shorter, so it ends.
    loop {
        match once(&whole) {
            Cow::Owned(next) if next.len() < whole.len() => whole = Cow::Owned(next),
            _ => return whole,
        }
    }
}

fn once(text: &str) -> Cow<'_, str> {
    let text = scheme(text);
    if memchr::memchr3(b'[', b'(', b'{', text.as_bytes()).is_none() && !text.contains('\\') {
        return text;
    }
    let mut whole = String::with_capacity(text.len());
    let mut rest: &str = &text;
    let mut changed = false;
    while let Some(at) = rest.find(['[', '(', '{', '\\']) {
        whole.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((meant, length)) = bracket(rest) {
            whole.push_str(meant);
            rest = &rest[length..];
            changed = true;
        } else {
            whole.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    if !changed {
        return text;
    }
    whole.push_str(rest);
    // `hxxp[://]` shows its scheme only now.
    Cow::Owned(scheme(&whole).into_owned())
}

/// What the bracket at the beginning of `text` means, and how many bytes it takes.
fn bracket(text: &str) -> Option<(&'static str, usize)> {
    let close = match text.as_bytes().first()? {
        b'[' => b']',
        b'(' => b')',
        b'{' => b'}',
        _ => return text.starts_with("\\.").then_some((".", 2)),
    };
    let end = text.bytes().take(MOST_INSIDE + 2).position(|byte| byte == close)?;
    let inside = &text[1..end];
    let meant = INSIDE
        .into_iter()
        .find_map(|(word, meant)| inside.trim().eq_ignore_ascii_case(word).then_some(meant))?;
    Some((meant, end + 1))
}

fn scheme(text: &str) -> Cow<'_, str> {
    let Some(end) = text.find([':', '[']) else { return Cow::Borrowed(text) };
    let written = &text[..end];
    SCHEMES
        .into_iter()
        .find(|(broken, _)| written.eq_ignore_ascii_case(broken))
        .map_or(Cow::Borrowed(text), |(_, meant)| Cow::Owned(format!("{meant}{}", &text[end..])))
}

#[cfg(test)]
mod tests {
    use super::refang;

    #[test]
    fn defanged_values_are_made_whole() {
        for (broken, whole) in [
            ("hxxp://evil[.]example/a", "http://evil.example/a"),
            ("hXXps[:]//evil(dot)example", "https://evil.example"),
            ("hxxps[://]evil{.}example", "https://evil.example"),
            ("198.51.100[.]7", "198.51.100.7"),
            ("198[.]51[.]100[.]7", "198.51.100.7"),
            ("user[at]evil[.]example", "user@evil.example"),
            ("user[@]evil\\.example", "user@evil.example"),
            ("evil[ . ]example", "evil.example"),
            ("plain.example", "plain.example"),
            ("array[0].name", "array[0].name"),
            ("[", "["),
            ("[.", "[."),
            ("[é]", "[é]"),
            ("[ééé.]", "[ééé.]"),
        ] {
            assert_eq!(refang(broken), whole, "{broken}");
        }
    }
}
