//! `metsuke yara check`: a gate for rule sets. Each file of rules goes through the scanner that sensors
//! use, over clean files; what does not compile, is slow, or hits one of them is refused by name.

mod scanner;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::arguments::yara::{Check, Yara};
use crate::command::BAD_NEWS;
use crate::failure::Failure;
use crate::output::{self, clean};
use scanner::{Scan, Scanner, Target};

/// Files of rules that one check reads: more than the largest public collections have.
const MAX_FILES: usize = 20_000;
/// Bytes of one file of rules; what the scanner takes at once.
const MAX_RULES: u64 = 8 << 20;
/// Clean files looked at, at most.
const MAX_CLEAN: usize = 20_000;
/// Larger clean files are passed over, for one would take the place of hundreds.
const MAX_CLEAN_BYTES: u64 = 8 << 20;
/// Clean files of one rule that are named.
const NAMED: usize = 3;
/// Below so many bytes a cost says nothing.
const MEASURED: u64 = 1 << 20;

/// One reason why something is refused.
struct Finding {
    path: String,
    line: Option<usize>,
    rule: String,
    code: String,
    message: String,
    help: &'static str,
}

/// What came of one file of rules.
struct Outcome {
    path: String,
    compiled: u64,
    ms_per_mib: Option<f64>,
    findings: Vec<Finding>,
}

pub(crate) fn run(arguments: &Arguments, yara: &Yara) -> Result<ExitCode, Failure> {
    match yara {
        Yara::Check(one) => check(arguments, one),
    }
}

fn check(arguments: &Arguments, asked: &Check) -> Result<ExitCode, Failure> {
    let scanner = Scanner::new(asked.scanner.as_deref())?;
    let sources = files(&asked.paths, MAX_FILES, &|path| {
        path.extension().is_some_and(|end| end == "yar" || end == "yara")
    })?;
    if sources.is_empty() {
        return Err(Failure::NotFound("no .yar or .yara file there".to_owned()));
    }
    let corpus = corpus(&asked.clean, asked.mib << 20)?;
    let mut outcomes = Vec::with_capacity(sources.len());
    for path in &sources {
        outcomes.push(look(&scanner, path, &corpus, asked.most_ms)?);
    }
    let fit = outcomes.iter().filter(|one| one.findings.is_empty()).count();
    let bytes = corpus.iter().map(|one| one.bytes.len() as u64).sum::<u64>();
    if arguments.json {
        output::json(&json!({
            "files": outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
            "fit": fit,
            "clean": { "files": corpus.len(), "bytes": bytes },
        }))?;
    } else {
        for finding in outcomes.iter().flat_map(|one| &one.findings) {
            output::say(&finding.shown())?;
        }
        output::say(&format!(
            "{fit} of {} files of rules are fit ({} rules compiled); looked at {} clean files, {} MiB",
            outcomes.len(),
            outcomes.iter().map(|one| one.compiled).sum::<u64>(),
            corpus.len(),
            bytes >> 20
        ))?;
    }
    let good = fit == outcomes.len();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

/// Looks at one file of rules.
fn look(
    scanner: &Scanner,
    path: &Path,
    corpus: &[Target],
    most_ms: f64,
) -> Result<Outcome, Failure> {
    let name = path.display().to_string();
    let text = match read(path, MAX_RULES) {
        Ok(text) => text,
        Err(why) => {
            let finding = Finding::of((&name, ""), "", ("unread", why), "say what it is in UTF-8");
            let findings = vec![finding];
            return Ok(Outcome { path: name, compiled: 0, ms_per_mib: None, findings });
        }
    };
    let alone = scanner.scan(&text, &[])?;
    let mut findings: Vec<Finding> = Vec::new();
    for refused in &alone.refused {
        let what = (refused.code.as_str(), refused.why.clone());
        findings.push(Finding::of((&name, &text), &refused.rule, what, "mend it, or take it out"));
    }
    let mut ms_per_mib = None;
    if alone.compiled > 0 && !corpus.is_empty() {
        let scan = scanner.scan(&text, corpus)?;
        findings.extend(hits(&name, &text, &scan, corpus.len()));
        if scan.bytes >= MEASURED {
            let took = scan.cpu_ms.saturating_sub(alone.cpu_ms);
            #[expect(clippy::cast_precision_loss, reason = "shown rounded")]
            let each = took as f64 * f64::from(1 << 20) / scan.bytes as f64;
            ms_per_mib = Some(each);
            if each > most_ms {
                let why = format!("its rules take {each:.1} ms of a CPU per MiB, {most_ms} may be");
                let help =
                    "give patterns longer fixed parts, and conditions that look at size first";
                findings.push(Finding::of((&name, &text), "", ("slow", why), help));
            }
        }
        for problem in scan.problems {
            let help = "such a rule does not end on hosts either";
            findings.push(Finding::of((&name, &text), "", ("unfinished", problem), help));
        }
    }
    Ok(Outcome { path: name, compiled: alone.compiled, ms_per_mib, findings })
}

/// The rules that hit clean files.
fn hits(name: &str, text: &str, scan: &Scan, clean_files: usize) -> Vec<Finding> {
    let one = |(rule, met): (&String, &Vec<String>)| {
        let named: Vec<&str> = met.iter().take(NAMED).map(String::as_str).collect();
        let why = format!("hits {} of {clean_files} clean files: {}", met.len(), named.join(", "));
        Finding::of((name, text), rule, ("clean", why), "ask for more than clean files have")
    };
    scan.hits.iter().map(one).collect()
}

impl Finding {
    fn of(
        (path, text): (&str, &str),
        rule: &str,
        (code, message): (&str, String),
        help: &'static str,
    ) -> Self {
        Self {
            path: path.to_owned(),
            line: line_of(text, rule),
            rule: rule.to_owned(),
            code: code.to_owned(),
            message,
            help,
        }
    }

    fn shown(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        let rule = if self.rule.is_empty() { String::new() } else { format!(" ({})", self.rule) };
        let text = format!(
            "error[{}]: {}\n  --> {}{line}{rule}\n  = help: {}",
            self.code, self.message, self.path, self.help
        );
        text.lines().map(clean).collect::<Vec<_>>().join("\n")
    }

    fn json(&self) -> Value {
        json!({
            "line": self.line,
            "rule": self.rule,
            "code": self.code,
            "message": self.message,
            "help": self.help,
        })
    }
}

impl Outcome {
    fn json(&self) -> Value {
        json!({
            "path": self.path,
            "compiled": self.compiled,
            "ms_per_mib": self.ms_per_mib,
            "refused": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }
}

/// The line on which a rule begins.
fn line_of(text: &str, rule: &str) -> Option<usize> {
    if rule.is_empty() {
        return None;
    }
    let begins = |line: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || matches!(c, ':' | '{'));
        words.by_ref().any(|word| word == "rule")
            && words.find(|word| !word.is_empty()) == Some(rule)
    };
    text.lines().position(begins).map(|line| line + 1)
}

/// The clean files, in the order of their paths, until `most` bytes.
fn corpus(places: &[PathBuf], most: u64) -> Result<Vec<Target>, Failure> {
    let (mut corpus, mut room) = (Vec::new(), most);
    for path in files(places, MAX_CLEAN, &|_| true)? {
        let Ok(facts) = fs::metadata(&path) else { continue };
        if !facts.is_file() || facts.len() > MAX_CLEAN_BYTES.min(room) {
            continue;
        }
        // One that may not be read is none of those looked at.
        let Ok(bytes) = fs::read(&path) else { continue };
        room = room.saturating_sub(bytes.len() as u64);
        corpus.push(Target { name: path.display().to_string(), bytes });
    }
    Ok(corpus)
}

fn read(path: &Path, most: u64) -> Result<String, String> {
    let facts = fs::metadata(path).map_err(|error| error.to_string())?;
    if facts.len() > most {
        return Err(format!("it has {} bytes, {most} are read", facts.len()));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// The files at `places`, and those in folders among them that are wanted, in order.
fn files(
    places: &[PathBuf],
    most: usize,
    wanted: &dyn Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = Vec::new();
    for place in places {
        if place.is_dir() {
            folders.push(place.clone());
        } else {
            found.push(place.clone());
        }
    }
    while let Some(folder) = folders.pop() {
        let doing =
            |source| Failure::Local { doing: format!("reading {}", folder.display()), source };
        for entry in fs::read_dir(&folder).map_err(doing)? {
            let entry = entry.map_err(doing)?;
            // Links are not followed: a ring of them would never end.
            let kind = entry.file_type().map_err(doing)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && wanted(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found.dedup();
    found.truncate(most);
    Ok(found)
}
