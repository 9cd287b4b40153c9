//! The scanner's process (`docs/spec/yara.md`): one for each file of rules, fed and listened to.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use serde::Deserialize;

use crate::failure::Failure;

/// Private memory of the scanner, in bytes; as sensors give it.
const MEMORY: u64 = 768 << 20;
/// CPU seconds of one scan.
const SECONDS: u64 = 600;
/// Largest frame.
const FRAME: usize = 4 << 20;
/// Longest line that is read, in bytes: a rule with all that is told of its matches.
const LINE: u64 = 1 << 20;

/// What is looked at.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// A rule that is not used.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Refused {
    pub(super) rule: String,
    pub(super) code: String,
    pub(super) why: String,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Rules { compiled: u64, refused: Vec<Refused> },
    Match { target: String, rule: String },
    Target { bytes: u64, problem: Option<String>, target: String },
    End { cpu_ms: u64 },
}

/// What came of a scan.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) compiled: u64,
    pub(super) refused: Vec<Refused>,
    /// The targets that each rule hit.
    pub(super) hits: BTreeMap<String, Vec<String>>,
    pub(super) bytes: u64,
    pub(super) cpu_ms: u64,
    pub(super) problems: Vec<String>,
}

/// Where the scanner is.
pub(super) struct Scanner {
    program: PathBuf,
}

impl Scanner {
    pub(super) fn new(program: Option<&Path>) -> Result<Self, Failure> {
        let beside = || std::env::current_exe().ok()?.parent().map(|at| at.join("metsuke-yara"));
        let program = program.map(Path::to_owned).or_else(beside).unwrap_or_default();
        if program.is_file() {
            return Ok(Self { program });
        }
        let at = program.display();
        Err(Failure::NotFound(format!("no scanner at {at}; name it with --scanner")))
    }

    /// Compiles `rules` and looks at `targets`.
    pub(super) fn scan(&self, rules: &str, targets: &[Target]) -> Result<Scan, Failure> {
        let doing = |what: &str| {
            let doing = format!("{what} {}", self.program.display());
            move |source| Failure::Local { doing, source }
        };
        let mut child = Command::new(&self.program)
            .args(["100", &MEMORY.to_string(), &SECONDS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(doing("starting"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let scan = std::thread::scope(|scope| {
            // It ends early when the scanner does; what that said counts.
            let fed = scope.spawn(move || input.map(|input| feed(input, rules, targets)));
            let scan = output.map_or_else(|| Ok(None), listen);
            drop(fed.join());
            scan
        });
        let status = child.wait().map_err(doing("waiting for"))?;
        match scan.map_err(doing("listening to"))? {
            Some(scan) => Ok(scan),
            None => Err(Failure::Conflict(format!(
                "the scanner did not come to its end ({status}): the rules take more memory or time \
                 than a sensor gives them"
            ))),
        }
    }
}

fn frame(pipe: &mut ChildStdin, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    pipe.write_all(&[kind])?;
    pipe.write_all(&length.to_le_bytes())?;
    parts.iter().try_for_each(|part| pipe.write_all(part))
}

fn feed(mut pipe: ChildStdin, rules: &str, targets: &[Target]) -> io::Result<()> {
    frame(&mut pipe, b'R', &[rules.as_bytes()])?;
    frame(&mut pipe, b'C', &[])?;
    for target in targets {
        frame(&mut pipe, b'W', &[target.name.as_bytes()])?;
        let mut at = 0_u64;
        for block in target.bytes.chunks(FRAME - 8) {
            frame(&mut pipe, b'B', &[&at.to_le_bytes(), block])?;
            at += block.len() as u64;
        }
        frame(&mut pipe, b'F', &[])?;
    }
    Ok(())
}

/// What it says; `None` when it did not come to its end.
fn listen(output: impl Read) -> io::Result<Option<Scan>> {
    let (mut output, mut scan, mut whole) = (BufReader::new(output), Scan::default(), false);
    loop {
        let mut line = Vec::new();
        if output.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(whole.then_some(scan));
        }
        match serde_json::from_slice(&line)? {
            Line::Rules { compiled, refused } => {
                (scan.compiled, scan.refused) = (compiled, refused);
            }
            Line::Match { target, rule } => scan.hits.entry(rule).or_default().push(target),
            Line::Target { bytes, problem, target } => {
                scan.bytes += bytes;
                scan.problems.extend(problem.map(|why| format!("{target}: {why}")));
            }
            Line::End { cpu_ms } => (scan.cpu_ms, whole) = (cpu_ms, true),
        }
    }
}
