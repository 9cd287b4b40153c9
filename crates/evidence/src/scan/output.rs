//! What the scanner says, as the artifact and as the outcome's findings.

use std::io::{self, Write};

use metsuke_respond::Evidence;
use serde::Deserialize;
use serde_json::json;

use super::{Cost, ScanError, Scanned};
use crate::artifact::ArtifactFile;

/// A line of the scanner, as far as it is looked at here.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Rules { compiled: usize, refused: Vec<Refused> },
    Match { target: String, rule: String, count: u64 },
    Target { target: String, problem: Option<String> },
    End { cpu_ms: u64, peak_bytes: u64 },
}

#[derive(Debug, Deserialize)]
struct Refused {
    rule: String,
    code: String,
    why: String,
}

/// Where its lines go.
#[derive(Debug)]
pub(super) struct Output {
    file: ArtifactFile,
    evidence: Evidence,
    /// How many rules are used, once that is known.
    compiled: Option<usize>,
    /// Known when it said that everything is done.
    cost: Option<Cost>,
}

impl Output {
    pub(super) const fn new(file: ArtifactFile, evidence: Evidence) -> Self {
        Self { file, evidence, compiled: None, cost: None }
    }

    /// Whether the scanner said that everything is done.
    pub(super) const fn has_ended(&self) -> bool {
        self.cost.is_some()
    }

    /// Takes one line.
    pub(super) fn line(&mut self, line: &[u8]) -> io::Result<()> {
        match serde_json::from_slice(line) {
            Ok(Line::Rules { compiled, refused }) => {
                self.compiled = Some(compiled);
                for Refused { rule, code, why } in refused {
                    let rule = if rule.is_empty() { "outside of a rule".to_owned() } else { rule };
                    self.evidence.miss(&format!("rule {rule} is refused: {why} ({code})"));
                }
            }
            Ok(Line::Match { target, rule, count }) => {
                self.evidence.find(&rule, &target, count);
            }
            Ok(Line::Target { target, problem: Some(problem) }) => {
                self.evidence.miss(&format!("{target}: {problem}"));
            }
            Ok(Line::Target { .. }) => {}
            Ok(Line::End { cpu_ms, peak_bytes }) => {
                self.cost = Some(Cost { cpu_ms, peak_bytes });
            }
            Err(_) => return Err(io::Error::other("the scanner said what is not in its protocol")),
        }
        self.file.write_all(line)
    }

    /// Notes that `target` was not looked at, or not whole.
    pub(super) fn gap(&mut self, target: &str, why: &str) -> io::Result<()> {
        self.evidence.miss(&format!("{target}: {why}"));
        let line = json!({ "kind": "gap", "target": target, "why": why });
        self.file.write_all(format!("{line}\n").as_bytes())
    }

    /// Notes that the scanner ended too early.
    pub(super) fn break_off(&mut self, why: &str) -> Result<(), ScanError> {
        if self.compiled.is_none() {
            return Err(ScanError::Scanner(why.to_owned()));
        }
        let target = self.evidence.artifact.name.clone();
        Ok(self.gap(&target, &format!("the scan is incomplete: {why}"))?)
    }

    /// The artifact is complete.
    pub(super) fn finish(mut self) -> Result<Scanned, ScanError> {
        if self.compiled == Some(0) {
            let why = self.evidence.gaps.first().cloned();
            return Err(ScanError::NoRules(why.unwrap_or_else(|| "there are none".to_owned())));
        }
        let written = self.file.finish()?;
        self.evidence.artifact.size = written.size;
        self.evidence.artifact.sha256 = written.sha256;
        Ok(Scanned { evidence: self.evidence, cost: self.cost })
    }
}
