//! Rows of the generated tables: what a test has shown of this product, on which kernel.
//!
//! A test that has shown something calls [`row`] **after** its assertions. Nothing is written unless
//! the environment variable [`FOLDER_VARIABLE`] names a folder; `./x tables` names one, runs the
//! tests, and makes `docs/reference/{coverage,evasion,crossview}.md` of what they wrote.
//!
//! ```no_run
//! use metsuke_testkit::table::{Outcome, Table, row};
//! # let (seen, pid) = (7, 7);
//! assert_eq!(seen, pid);
//! row(Table::Coverage, "Process Creation", Outcome::Seen, "process.exec with arguments and hash");
//! ```
//!
//! Invariant: a row names the test that wrote it; no row is written by hand.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::panic::Location;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The folder that rows are written to, one file of JSON lines for each process.
pub const FOLDER_VARIABLE: &str = "METSUKE_TABLE_DIR";

/// Where the tests run: `native` without it, for example `vm` in a virtual machine.
pub const PLACE_VARIABLE: &str = "METSUKE_TABLE_PLACE";

/// The page a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// The 34 sub-categories of the public EDR-Telemetry project's Linux table.
    Coverage,
    /// Ways to pass by a sensor.
    Evasion,
    /// Differences between what the kernel knows and what it tells.
    Crossview,
    /// What each tier denies and sees on which kernel.
    Support,
}

/// What a test has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is seen, attributed to its process.
    Seen,
    /// It does not come to pass.
    Stopped,
    /// A part of it is seen; the reason says which is not.
    Partly,
    /// It is not seen; the reason says why.
    Blind,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Row {
    /// The page.
    pub table: Table,
    /// What was done: a sub-category's name, or a few words.
    pub name: String,
    /// What was shown.
    pub outcome: Outcome,
    /// The activity that told it and its fields, or why nothing did.
    pub reason: String,
    /// The test: file and name.
    pub test: String,
    /// `native`, or the kind of machine within this one.
    pub place: String,
    /// First two numbers of the kernel's release.
    pub kernel: String,
}

/// The sub-categories of the public EDR-Telemetry project's Linux table, in its order; a row of
/// [`Table::Coverage`] has one of these names.
pub const SUB_CATEGORIES: [&str; 34] = [
    "Process Creation",
    "Process Termination",
    "File Creation",
    "File Modification",
    "File Deletion",
    "User Logon",
    "User Logoff",
    "Logon Failed",
    "Script Content",
    "Network Connection",
    "Network Socket Listen",
    "DNS Query",
    "Scheduled Task",
    "User Account Created",
    "User Account Modified",
    "User Account Deleted",
    "Driver Load",
    "Image Load",
    "eBPF Event",
    "Raw Access Read",
    "Process Access",
    "Process Tampering",
    "Memory-Backed File",
    "Service Creation",
    "Service Modification",
    "Service Deletion",
    "Agent Start",
    "Agent Stop",
    "MD5",
    "SHA",
    "Fuzzy Hash",
    "File Entropy",
    "Header Bytes",
    "File Size",
];

/// Writes a row when a folder is named. Call it last, when everything has been asserted.
///
/// # Panics
/// When the name is none of its table's, the outcome lacks its reason, or the file cannot be
/// written: a table with a row missing would be a lie.
#[track_caller]
pub fn row(table: Table, name: &str, outcome: Outcome, reason: &str) {
    assert!(
        table != Table::Coverage || SUB_CATEGORIES.contains(&name),
        "`{name}` is none of the sub-categories: {SUB_CATEGORIES:?}"
    );
    assert!(!reason.trim().is_empty(), "`{name}`: say which activity told it, or why none did");
    let Some(folder) = std::env::var_os(FOLDER_VARIABLE) else { return };
    let caller = Location::caller().file();
    let file = caller.find("crates/").map_or(caller, |at| &caller[at..]);
    let thread = std::thread::current();
    let row = Row {
        table,
        name: name.to_owned(),
        outcome,
        reason: reason.to_owned(),
        test: format!("{file}: {}", thread.name().unwrap_or("main")),
        place: std::env::var(PLACE_VARIABLE).unwrap_or_else(|_| "native".to_owned()),
        kernel: kernel(),
    };
    if let Err(error) = append(Path::new(&folder), &row) {
        panic_with(&format!("cannot write a row below {}: {error}", folder.display()));
    }
}

#[expect(clippy::panic, reason = "called by tests only, where it is the way to fail")]
fn panic_with(why: &str) -> ! {
    panic!("{why}")
}

fn append(folder: &Path, row: &Row) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("rows-{}.jsonl", std::process::id()));
    let mut line = serde_json::to_string(row)?;
    line.push('\n');
    // One write to the end: the threads of a test binary share the file.
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().split(['.', '-']).take(2).collect::<Vec<_>>().join(".")
}

/// The rows that lie in a folder, each once, in order.
///
/// # Errors
/// When the folder cannot be read or a line is no row.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            for line in fs::read_to_string(&path)?.lines() {
                rows.push(serde_json::from_str(line)?);
            }
        }
    }
    rows.sort();
    rows.dedup();
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Row, Table, append, read};

    #[test]
    fn rows_are_read_as_they_were_written() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let row = |name: &str| Row {
            table: Table::Evasion,
            name: name.to_owned(),
            outcome: Outcome::Blind,
            reason: "nobody\nlooks".to_owned(),
            test: "a.rs: b".to_owned(),
            place: "native".to_owned(),
            kernel: "6.1".to_owned(),
        };
        for name in ["two", "one", "two"] {
            append(folder.path(), &row(name))?;
        }
        assert_eq!(read(folder.path())?, [row("one"), row("two")]);
        Ok(())
    }

    #[test]
    #[should_panic(expected = "none of the sub-categories")]
    fn a_sub_category_that_is_none_is_refused() {
        super::row(Table::Coverage, "Mind Reading", Outcome::Seen, "telepathy");
    }
}
