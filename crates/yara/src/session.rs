//! From the first frame to the last.

use std::io::{self, Read, Write};
use std::time::Duration;

use yara_x::{Rules, ScanError, ScanResults, Scanner, blocks};

use crate::frames::{self, Frame, Mode};
use crate::limits::{self, Pace};
use crate::rules;
use crate::words::{Found, Line};

/// Largest file that is scanned as one piece, in bytes; the rest of a larger one is left out, which
/// is told.
const WHOLE_MAX: usize = 64 << 20;
/// Longest scan of one target.
const TARGET_LIMIT: Duration = Duration::from_mins(2);
/// Most matches of one pattern in one target.
const MATCHES_MAX: usize = 1_000;
/// Matches of one pattern told one by one.
const TOLD_MAX: usize = 16;
/// Bytes of a match that are told.
const DATA_MAX: usize = 64;
/// Most bytes of rules.
const RULES_MAX: usize = 8 << 20;

/// Why it could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Wrong arguments.
    #[error("usage: metsuke-yara CPU_PERCENT MEMORY_BYTES SECONDS; the sensor starts it itself")]
    Usage,
    /// The limits cannot be set.
    #[error("its limits cannot be set ({0}), so it does not begin")]
    Limits(io::Error),
    /// The input or output broke.
    #[error("the other side broke off: {0}")]
    Io(#[from] io::Error),
    /// A line cannot be made.
    #[error("a line cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// The frames are out of order.
    #[error("{0}")]
    Order(&'static str),
}

/// Works until the input ends.
pub(crate) fn run(
    mut source: impl Read,
    mut out: impl Write,
    mut pace: Pace,
) -> Result<(), Failure> {
    let mut sources = Vec::new();
    let mut room = RULES_MAX;
    loop {
        match frames::next(&mut source)? {
            Some(Frame::Rules(text)) => {
                room = room.checked_sub(text.len()).ok_or(Failure::Order("too many rules"))?;
                sources.push(text);
            }
            Some(Frame::Compile) => break,
            _ => return Err(Failure::Order("rules come first")),
        }
    }
    let (rules, refused) = rules::compile(&sources);
    drop(sources);
    say(&mut out, &Line::Rules { compiled: rules.iter().len(), refused: &refused })?;
    pace.rest();
    while let Some(frame) = frames::next(&mut source)? {
        let Frame::Target(mode, name) = frame else {
            return Err(Failure::Order("a target begins with its name"));
        };
        let mut target = Target { source: &mut source, pace: &mut pace, name: &name, bytes: 0 };
        match mode {
            Mode::Whole => target.whole(&rules, &mut out)?,
            Mode::Blocks => target.blocks(&rules, &mut out)?,
        }
    }
    let cpu_ms = u64::try_from(limits::cpu().as_millis()).unwrap_or(u64::MAX);
    say(&mut out, &Line::End { cpu_ms, peak_bytes: limits::peak_bytes() })
}

struct Target<'a, R> {
    source: &'a mut R,
    pace: &'a mut Pace,
    name: &'a str,
    bytes: u64,
}

impl<R: Read> Target<'_, R> {
    /// The next block; `None` when the target is complete.
    fn block(&mut self) -> Result<Option<(u64, Vec<u8>)>, Failure> {
        match frames::next(self.source)? {
            Some(Frame::Block(base, data)) => {
                self.bytes += data.len() as u64;
                Ok(Some((base, data)))
            }
            Some(Frame::Finish) => Ok(None),
            _ => Err(Failure::Order("a target has blocks and an end")),
        }
    }

    fn whole(&mut self, rules: &Rules, out: &mut impl Write) -> Result<(), Failure> {
        let (mut whole, mut left_out) = (Vec::new(), 0);
        while let Some((_, data)) = self.block()? {
            let taken = data.len().min(WHOLE_MAX - whole.len());
            whole.extend_from_slice(&data[..taken]);
            left_out += data.len() - taken;
        }
        let problem =
            (left_out > 0).then(|| format!("the last {left_out} bytes were not looked at"));
        let mut scanner = Scanner::new(rules);
        scanner.set_timeout(TARGET_LIMIT).max_matches_per_pattern(MATCHES_MAX);
        let results = scanner.scan(&whole);
        self.tell(results, problem, out)
    }

    fn blocks(&mut self, rules: &Rules, out: &mut impl Write) -> Result<(), Failure> {
        let mut scanner = blocks::Scanner::new(rules);
        scanner.set_timeout(TARGET_LIMIT).max_matches_per_pattern(MATCHES_MAX);
        let mut problem = None;
        while let Some((base, data)) = self.block()? {
            let base = usize::try_from(base).unwrap_or(usize::MAX);
            if let Err(error) = scanner.scan(base, &data) {
                problem.get_or_insert(why(&error));
            }
            self.pace.rest();
        }
        let results = scanner.finish();
        self.tell(results, problem, out)
    }

    fn tell(
        &mut self,
        results: Result<ScanResults<'_, '_>, ScanError>,
        mut problem: Option<String>,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let mut matches = 0;
        match results {
            Ok(results) => {
                for rule in results.matching_rules() {
                    matches += 1;
                    let (strings, count) = strings(&rule);
                    let tags = rule.tags().map(|tag| tag.identifier()).collect();
                    let (target, rule) = (self.name, rule.identifier());
                    say(out, &Line::Match { target, rule, tags, strings, count })?;
                }
            }
            Err(error) => {
                problem.get_or_insert(why(&error));
            }
        }
        say(out, &Line::Target { target: self.name, bytes: self.bytes, matches, problem })?;
        self.pace.rest();
        Ok(())
    }
}

fn why(error: &ScanError) -> String {
    format!("it was not looked at whole: {error}")
}

fn strings(rule: &yara_x::Rule<'_, '_>) -> (Vec<Found>, usize) {
    let (mut strings, mut count) = (Vec::new(), 0);
    for pattern in rule.patterns() {
        for (index, found) in pattern.matches().enumerate() {
            count += 1;
            if index >= TOLD_MAX {
                continue;
            }
            let (range, data) = (found.range(), found.data());
            strings.push(Found {
                id: pattern.identifier().to_owned(),
                offset: range.start as u64,
                length: range.len() as u64,
                data: hex(&data[..data.len().min(DATA_MAX)]),
            });
        }
    }
    (strings, count)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn say(out: &mut impl Write, line: &Line<'_>) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
