//! What a test did, by the word of its system calls (strace's output, one file per process).
//!
//! Only what succeeded counts, but for connections: an attempt is one too.
//! Invariant: any text whatever gives a list, never a panic.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

/// Most different deeds kept of one test; a port scan has 65,535.
const DEEDS_MAX: usize = 3_000;
/// Most bytes read of one process's file.
const FILE_MAX: usize = 32 << 20;

/// One thing done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// A program was executed: path as given, arguments from the second on, joined by one space.
    Exec { path: String, args: String },
    /// A file was made or truncated: its absolute path.
    Write(String),
    /// A name was removed: its last part.
    Delete(String),
    /// A file got this name by renaming: its last part.
    Rename(String),
    /// A link of this name was made: its last part.
    Link(String),
    /// Mode or owner of a file was set: the last part of its name.
    Attributes(String),
    /// A TCP connection was tried: address and port.
    Connect(String, u16),
}

/// The deeds of one test, and whether there were more than are kept.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) deeds: BTreeSet<Deed>,
    pub(crate) cut: bool,
}

/// Reads every file of `folder`.
pub(crate) fn read(folder: &Path) -> Result<Truth> {
    let mut truth = Truth::default();
    let entries = std::fs::read_dir(folder).context("the truth cannot be read")?;
    for entry in entries.flatten() {
        let bytes = std::fs::read(entry.path())?;
        truth.cut |= bytes.len() > FILE_MAX;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(FILE_MAX)]);
        for deed in text.lines().filter_map(deed) {
            if truth.deeds.len() >= DEEDS_MAX {
                truth.cut = true;
                break;
            }
            truth.deeds.insert(deed);
        }
    }
    Ok(truth)
}

fn deed(line: &str) -> Option<Deed> {
    let (name, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if name == "connect" {
        return connect(arguments);
    }
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let texts = || strings(arguments);
    let last = |index: usize| texts().get(index).map(|text| base(text));
    match name {
        "execve" | "execveat" => {
            let mut texts = texts().into_iter();
            let path = texts.next()?;
            let args: Vec<String> = texts.skip(1).collect();
            Some(Deed::Exec { path, args: args.join(" ") })
        }
        "open" | "openat" | "creat" => written(name, arguments, result),
        "unlink" | "unlinkat" => last(0).map(Deed::Delete),
        "rename" | "renameat" | "renameat2" => last(1).map(Deed::Rename),
        "link" | "linkat" | "symlink" | "symlinkat" => last(1).map(Deed::Link),
        "chmod" | "fchmodat" | "chown" | "lchown" | "fchownat" => last(0).map(Deed::Attributes),
        "fchmod" | "fchown" => Some(Deed::Attributes(base(described(arguments)?))),
        _ => None,
    }
}

/// `3</path>`: the path.
fn described(descriptor: &str) -> Option<&str> {
    let (_, rest) = descriptor.split_once('<')?;
    rest.split_once('>').map(|(path, _)| path)
}

fn written(name: &str, arguments: &str, result: &str) -> Option<Deed> {
    let writes = arguments.contains("O_WRONLY") || arguments.contains("O_RDWR");
    let changes = arguments.contains("O_TRUNC") || arguments.contains("O_EXCL");
    if name != "creat" && !(writes && changes) {
        return None;
    }
    let path = described(result)?;
    let own = ["/dev/", "/proc/", "/room/"].iter().any(|folder| path.starts_with(folder));
    (path.starts_with('/') && !own).then(|| Deed::Write(path.to_owned()))
}

fn connect(arguments: &str) -> Option<Deed> {
    let socket = arguments.split(", ").next()?;
    if !socket.contains("<TCP") {
        return None;
    }
    let after = |mark: &str| arguments.split_once(mark).map(|(_, rest)| rest);
    let port = after("htons(")?.split_once(')')?.0.parse().ok()?;
    let address = after("inet_addr(\"").or_else(|| after("inet_pton(AF_INET6, \""))?;
    let address = address.split_once('"')?.0;
    // A call that only asks how an earlier one went.
    let again = arguments.ends_with("EALREADY") || arguments.ends_with("EISCONN");
    (!again).then(|| Deed::Connect(address.to_owned(), port))
}

fn base(path: &str) -> String {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
}

/// The quoted texts of a call's arguments, in their order, as they were before strace quoted them.
fn strings(arguments: &str) -> Vec<String> {
    let mut found = Vec::new();
    let bytes = arguments.as_bytes();
    let mut at = 0;
    while let Some(open) = bytes[at..].iter().position(|byte| *byte == b'"') {
        let (text, next) = quoted(bytes, at + open + 1);
        found.push(String::from_utf8_lossy(&text).into_owned());
        at = next;
    }
    found
}

/// The text whose first byte is at `at`, and where to go on after its closing quote.
fn quoted(bytes: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    while let Some(byte) = bytes.get(at).copied() {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                let escape = bytes.get(at).copied().unwrap_or(b'\\');
                at += 1;
                match escape {
                    b'n' => text.push(b'\n'),
                    b't' => text.push(b'\t'),
                    b'r' => text.push(b'\r'),
                    b'v' => text.push(0x0b),
                    b'f' => text.push(0x0c),
                    b'0'..=b'7' => {
                        let mut value = u32::from(escape - b'0');
                        for _ in 0..2 {
                            let Some(digit @ b'0'..=b'7') = bytes.get(at).copied() else { break };
                            value = value * 8 + u32::from(digit - b'0');
                            at += 1;
                        }
                        text.push(u8::try_from(value & 0xff).unwrap_or(b'?'));
                    }
                    other => text.push(other),
                }
            }
            other => text.push(other),
        }
    }
    (text, at)
}

#[cfg(test)]
mod tests {
    use super::{Deed, deed};

    #[test]
    fn calls_become_deeds() {
        let exec = |path: &str, args: &str| Deed::Exec { path: path.into(), args: args.into() };
        for (line, expected) in [
            (
                r#"execve("/bin/sh", ["sh", "-c", "echo \"a\"\n"], 0x7ffe /* 9 vars */) = 0"#,
                Some(exec("/bin/sh", "-c echo \"a\"\n")),
            ),
            (r#"execve("/x", ["x"], 0x7 /* 1 var */) = -1 ENOENT (No such file)"#, None),
            (
                r#"openat(AT_FDCWD</tmp>, "x", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</tmp/x>"#,
                Some(Deed::Write("/tmp/x".into())),
            ),
            (r#"openat(AT_FDCWD</tmp>, "x", O_RDONLY) = 3</tmp/x>"#, None),
            (
                r#"openat(AT_FDCWD</>, "/dev/null", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</dev/null>"#,
                None,
            ),
            (r#"unlinkat(AT_FDCWD</tmp>, "a/b", 0) = 0"#, Some(Deed::Delete("b".into()))),
            (r#"rename("a", "\303\244") = 0"#, Some(Deed::Rename("ä".into()))),
            ("fchmod(3</tmp/f>, 0755) = 0", Some(Deed::Attributes("f".into()))),
            (
                concat!(
                    r#"connect(3<TCP:[9]>, {sa_family=AF_INET, sin_port=htons(80), "#,
                    r#"sin_addr=inet_addr("127.0.0.1")}, 16) = -1 ECONNREFUSED (Connection refused)"#
                ),
                Some(Deed::Connect("127.0.0.1".into(), 80)),
            ),
            ("garbage \"", None),
            (r#"execve("\"#, None),
        ] {
            assert_eq!(deed(line), expected, "{line}");
        }
    }
}
