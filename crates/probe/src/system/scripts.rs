//! What interpreters are given to run: script files, code in an argument, and that code comes by
//! standard input.
//!
//! Invariant: at most [`MAX_CONTENT`] bytes of a text are told and [`BYTES_PER_SECOND`] of all; a
//! script whose text finds no room is told without it, as truncated.

use std::collections::{HashMap, VecDeque};

use metsuke_event::{Process, Script, Text};

use crate::system::bucket::Bucket;
use crate::system::roots::Root;
use crate::system::snapshots::{Content, MAX_READ, sha256};

/// Longest text told, in bytes (`script.content`).
const MAX_CONTENT: usize = 16_384;

/// Bytes of text told a second, and at once: a build runs hundreds of one-line scripts a second.
const BYTES_PER_SECOND: u64 = 128 * 1024;
const BYTES_BURST: u64 = 8 << 20;

/// Scripts remembered, so that one that runs again and again is read and hashed once.
const MAX_KNOWN: usize = 128;

/// Interpreters: name without its version, and letters of the options that are followed by code.
const INTERPRETERS: &[(&str, &str)] = &[
    ("sh", "c"),
    ("bash", "c"),
    ("dash", "c"),
    ("ash", "c"),
    ("zsh", "c"),
    ("ksh", "c"),
    ("mksh", "c"),
    ("fish", "c"),
    ("python", "c"),
    ("pypy", "c"),
    ("perl", "eE"),
    ("ruby", "e"),
    ("node", "ep"),
    ("nodejs", "ep"),
    ("php", "r"),
    ("lua", "e"),
    ("luajit", "e"),
    ("pwsh", "c"),
    ("tclsh", ""),
    ("expect", "c"),
];

/// Options of shells and of Python that are followed by a value.
const VALUED: &[&str] =
    &["-o", "+o", "-O", "+O", "--rcfile", "--init-file", "-W", "-X", "-I", "-M"];

/// Where the code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// This file, as the interpreter's process finds it.
    File(String),
    /// An argument.
    Argument(String),
    /// Standard input, which is no terminal.
    Stdin,
}

type Key = (u64, u64, u64, i64);

#[derive(Clone, Debug)]
struct Known {
    content: Option<Text>,
    sha256: Option<Text>,
    truncated: bool,
    size: u64,
}

#[derive(Debug)]
pub(super) struct Scripts {
    bucket: Bucket,
    known: HashMap<Key, Known>,
    order: VecDeque<Key>,
    shortened: u64,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let bucket = Bucket::new(BYTES_PER_SECOND, BYTES_BURST);
        Self { bucket, known: HashMap::new(), order: VecDeque::new(), shortened: 0 }
    }

    /// Texts that were left out to keep within the rate.
    pub(super) fn shortened(&self) -> u64 {
        self.shortened
    }

    /// The script in a file, read through `root`.
    pub(super) fn file(&mut self, process: &Process, path: &str, root: &Root, now: u64) -> Script {
        let mut script = described(process, "file");
        script.path = Some(path.into());
        let Some(known) = self.look(path, root) else { return script };
        script.size = Some(known.size);
        script.sha256 = known.sha256;
        script.truncated = known.truncated.then_some(true);
        self.fill(&mut script, known.content, now);
        script
    }

    /// Code in an argument, or (`None`) by standard input, which is not read.
    pub(super) fn text(&mut self, process: &Process, text: Option<&str>, now: u64) -> Script {
        let Some(text) = text else { return described(process, "stdin") };
        let mut script = described(process, "argument");
        script.size = Some(text.len() as u64);
        self.fill(&mut script, Some(text.into()), now);
        script
    }

    /// A line typed at a prompt.
    pub(super) fn line(&mut self, process: &Process, text: &str, now: u64) -> Script {
        let mut script = described(process, "interactive");
        script.size = Some(text.len() as u64);
        self.fill(&mut script, Some(text.into()), now);
        script
    }

    fn fill(&mut self, script: &mut Script, content: Option<Text>, now: u64) {
        let Some(content) = content else { return };
        if self.bucket.take(content.len() as u64, now) {
            script.content = Some(content);
        } else {
            self.shortened += 1;
            script.truncated = Some(true);
        }
    }

    fn look(&mut self, path: &str, root: &Root) -> Option<Known> {
        let key = root.version(path)?;
        if let Some(known) = self.known.get(&key) {
            return Some(known.clone());
        }
        let Content::File(whole) = root.read(path, MAX_READ) else { return None };
        let complete = whole.bytes.len() as u64 <= whole.limit;
        let binary = whole.bytes.iter().take(MAX_CONTENT).any(|byte| *byte == 0);
        let shown = &whole.bytes[..whole.bytes.len().min(MAX_CONTENT)];
        let known = Known {
            content: (!binary).then(|| bounded(&String::from_utf8_lossy(shown)).into()),
            sha256: complete.then(|| sha256(&whole.bytes)),
            truncated: whole.size > MAX_CONTENT as u64,
            size: whole.size,
        };
        if self.order.len() >= MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(key);
        self.known.insert(key, known.clone());
        Some(known)
    }
}

/// Replaced bytes may have made a text longer.
fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MAX_CONTENT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn described(process: &Process, source: &str) -> Script {
    let interpreter = process.interpreter.clone().or_else(|| process.exe.clone());
    Script { interpreter, source: Some(source.into()), ..Script::default() }
}

/// Whether an executable is an interpreter that is given scripts.
pub(crate) fn runs_scripts(exe: &str) -> bool {
    letters(exe).is_some()
}

/// Of an interpreter: the letters of the options that are followed by code.
fn letters(exe: &str) -> Option<(&str, &'static str)> {
    let name = exe.rsplit('/').next()?;
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let (_, letters) = INTERPRETERS.iter().find(|(known, _)| *known == name)?;
    Some((name, letters))
}

/// What `process`, which has just begun to run an executable, was given to run.
pub(super) fn source(process: &Process) -> Option<Source> {
    if let Some(script) = process.script.as_deref() {
        return Some(Source::File(resolved(process, script)));
    }
    let (name, letters) = letters(process.exe.as_deref()?)?;
    let line = process.cmd_line.as_deref()?;
    let mut at = line.find(' ').map_or(line.len(), |at| at + 1);
    while at < line.len() {
        let rest = &line[at..];
        let word = rest.split(' ').next().unwrap_or_default();
        let after = (at + word.len() + 1).min(line.len());
        if word == "--" || VALUED.contains(&word) {
            let skipped = line[after..].find(' ').map_or(line.len(), |end| after + end + 1);
            at = if word == "--" { after } else { skipped };
        } else if word == "-" || word == "-s" {
            return Some(Source::Stdin);
        } else if word == "-m" && letters.contains('c') && name.starts_with("py") {
            return None;
        } else if is_code(word, letters) {
            return (after < line.len()).then(|| Source::Argument(line[after..].to_owned()));
        } else if word.starts_with('-') || word.starts_with('+') || word.is_empty() {
            at = after;
        } else {
            return Some(Source::File(resolved(process, word)));
        }
    }
    let input = process.stdio.as_deref()?.split('/').next()?;
    ["pipe", "socket", "file"].contains(&input).then_some(Source::Stdin)
}

/// Whether an option is followed by code: its letter, alone or at the end of others.
fn is_code(word: &str, letters: &str) -> bool {
    if word == "--eval" || word == "--print" || word == "-Command" {
        return true;
    }
    let Some(options) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else {
        return false;
    };
    options.bytes().all(|byte| byte.is_ascii_alphabetic())
        && options.chars().any(|letter| letters.contains(letter))
}

fn resolved(process: &Process, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let folder = process.cwd.as_deref().unwrap_or("/").trim_end_matches('/');
    format!("{folder}/{}", path.strip_prefix("./").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use metsuke_event::Process;

    use super::{MAX_CONTENT, Scripts, Source, source};
    use crate::system::roots::Root;

    #[test]
    fn where_code_comes_from() {
        let file = |path: &str| Some(Source::File(path.to_owned()));
        let argument = |text: &str| Some(Source::Argument(text.to_owned()));
        for (exe, line, input, expected) in [
            ("/bin/dash", "sh -c echo a; b", "null", argument("echo a; b")),
            ("/bin/bash", "bash -lc x", "null", argument("x")),
            ("/bin/bash", "bash -o pipefail -ec x y", "null", argument("x y")),
            ("/bin/bash", "-bash", "tty", None),
            ("/bin/bash", "bash", "pipe", Some(Source::Stdin)),
            ("/bin/bash", "bash -s a", "tty", Some(Source::Stdin)),
            ("/bin/sh", "sh x.sh a", "tty", file("/w/x.sh")),
            ("/bin/sh", "sh ./x.sh", "tty", file("/w/x.sh")),
            ("/bin/sh", "sh -e /t/x", "tty", file("/t/x")),
            ("/usr/bin/python3.11", "python3 -c import os", "null", argument("import os")),
            ("/usr/bin/python3.11", "python3 -u -m http.server", "null", None),
            ("/usr/bin/python3.11", "python3 -W ignore a.py", "null", file("/w/a.py")),
            ("/usr/bin/perl", "perl -we print 1", "null", argument("print 1")),
            ("/usr/bin/node", "node --eval x()", "null", argument("x()")),
            ("/usr/bin/php", "php -r x();", "null", argument("x();")),
            ("/bin/ls", "ls -c x", "pipe", None),
        ] {
            let process = Process {
                exe: Some(exe.into()),
                cmd_line: Some(line.into()),
                cwd: Some("/w".into()),
                stdio: Some(format!("{input}/null").into()),
                ..Process::default()
            };
            assert_eq!(source(&process), expected, "{line}");
        }
    }

    #[test]
    fn texts_are_bounded_and_what_is_left_out_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::fs::write(&path, "ä".repeat(MAX_CONTENT)).unwrap();
        let root = Root::open("/").unwrap();
        let mut scripts = Scripts::new();
        let process = Process::default();
        let mut whole = 0;
        loop {
            let script = scripts.file(&process, path.to_str().unwrap(), &root, 1);
            assert_eq!(script.truncated, Some(true));
            assert_eq!(script.size, Some(2 * MAX_CONTENT as u64));
            assert!(script.sha256.is_some());
            match script.content {
                Some(content) => assert!(content.len() <= MAX_CONTENT),
                None => break,
            }
            whole += 1;
        }
        assert!(whole > 100);
        assert_eq!(scripts.shortened(), 1);
        let line = scripts.line(&process, "id", 1_000_000_000);
        assert_eq!(line.content.as_deref(), Some("id"), "a second later there is room");
    }
}
