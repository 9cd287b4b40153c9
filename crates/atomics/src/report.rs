//! What a whole run came to: for people, for machines, and as a page.

use std::fmt::Write as _;

use serde::Serialize;

/// One test's line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) technique: String,
    pub(crate) name: String,
    pub(crate) guid: String,
    /// `ran`, `cut off` or `not run`.
    pub(crate) outcome: &'static str,
    /// The exit status of a test that ran.
    pub(crate) exit: Option<i32>,
    /// Why it did not run.
    pub(crate) reason: Option<String>,
    /// Things it did, by its system calls.
    pub(crate) deeds: usize,
    /// Whether it did more than are kept.
    pub(crate) cut: bool,
    /// Those that the sensor did not tell.
    pub(crate) missing: Vec<String>,
    /// Activities that the sensor told.
    pub(crate) activities: usize,
    /// Shipped filters that it met.
    pub(crate) filters: Vec<String>,
}

impl Line {
    /// Whether it ran and everything it did was told.
    pub(crate) fn is_whole(&self) -> bool {
        self.outcome != "not run" && self.missing.is_empty()
    }
}

/// The counts over all lines.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Totals {
    pub(crate) tests: usize,
    pub(crate) ran: usize,
    /// Of those that ran: everything told.
    pub(crate) whole: usize,
    pub(crate) deeds: usize,
    pub(crate) missing: usize,
    /// Of those that ran: met by a shipped filter.
    pub(crate) found: usize,
    /// Losses that the sensor told of.
    pub(crate) lost: u64,
}

impl Totals {
    pub(crate) fn of(lines: &[Line], lost: u64) -> Self {
        let ran = || lines.iter().filter(|line| line.outcome != "not run");
        Self {
            tests: lines.len(),
            ran: ran().count(),
            whole: ran().filter(|line| line.is_whole()).count(),
            deeds: ran().map(|line| line.deeds).sum(),
            missing: ran().map(|line| line.missing.len()).sum(),
            found: ran().filter(|line| !line.filters.is_empty()).count(),
            lost,
        }
    }
}

/// The page, in Markdown.
pub(crate) fn page(lines: &[Line], totals: &Totals) -> String {
    let mut page = format!(
        "# Atomics\n\n\
         Written by `./x atomics DIR --table FILE`; do not edit. Each test of the folder ran in a room of its own\n\
         (`crates/atomics/README.md`); *deeds* are the system calls that succeeded, by strace; *told* are\n\
         those of them that the sensor told.\n\n\
         {} tests for Linux, {} ran, {} of these with every deed told ({} of {} deeds); shipped filters met {}.\n\
         The sensor told of {} lost records.\n\n\
         Tests are named by technique and the beginning of their GUID; `--json FILE` has names and whole reasons.\n\n\
         | technique | test | outcome | told | filters met |\n|---|---|---|---|---|\n",
        totals.tests,
        totals.ran,
        totals.whole,
        totals.deeds - totals.missing,
        totals.deeds,
        totals.found,
        totals.lost,
    );
    for line in lines {
        let outcome = match (line.outcome, line.exit, &line.reason) {
            ("ran", Some(code), _) => format!("ran, exit {code}"),
            (_, _, Some(reason)) => format!("not run: {}", cell(brief(reason))),
            (outcome, ..) => outcome.to_owned(),
        };
        let told = if line.outcome == "not run" {
            String::new()
        } else {
            let told = line.deeds - line.missing.len();
            let more = if line.cut { "+" } else { "" };
            format!("{told} of {}{more}", line.deeds)
        };
        let _ = writeln!(
            page,
            "| {} | `{}` | {outcome} | {told} | {} |",
            line.technique,
            line.guid,
            line.filters.join(", ")
        );
    }
    page
}

/// A reason without the documents' own words, which stay in the documents.
fn brief(reason: &str) -> &str {
    if reason.starts_with("needs: ") { "a prerequisite of its own is not met here" } else { reason }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
