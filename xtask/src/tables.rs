//! `./x tables`: the pages of what tests have shown, `docs/reference/{coverage,evasion,crossview}.md`.
//!
//! Tests write rows (`metsuke_testkit::table::row`); the rows of the last run are committed beside
//! the pages (`rows.jsonl`), so that `./x codegen --check` can tell a page that was changed by hand.
//! Invariant: a row comes from a test that passed; nothing here invents one.

mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use metsuke_testkit::table::{FOLDER_VARIABLE, Row, Table, read};

use crate::{build, place, steps};

/// Packages whose tests write rows.
const PACKAGES: [&str; 3] = ["metsuke-probe", "metsuke-crossview", "metsuke-sensor"];

/// The pages, and the table each shows.
const PAGES: [(Table, &str); 3] = [
    (Table::Coverage, "coverage.md"),
    (Table::Evasion, "evasion.md"),
    (Table::Crossview, "crossview.md"),
];

#[derive(Args)]
pub(crate) struct Options {
    /// Take the rows that lie in this folder, beside those of tests that wrote none, instead of
    /// running the tests.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let rows = if let Some(folder) = &options.from {
        merged(committed()?, shown(read(folder)?))
    } else {
        let folder = tempfile::tempdir()?;
        run_tests(folder.path())?;
        let native = shown(read(folder.path())?);
        ensure!(!native.is_empty(), "no test wrote a row; run as root, where cgroups are");
        // What other places have shown stays until they are asked again.
        let others = committed()?.into_iter().filter(|row| row.place != "native").collect();
        merged(others, native)
    };
    let mut text = String::new();
    for row in &rows {
        text.push_str(&serde_json::to_string(row)?);
        text.push('\n');
    }
    fs::write(rows_path(), text).with_context(|| format!("{}", rows_path().display()))?;
    write()?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages from the committed rows.
///
/// # Errors
/// A page cannot be written, or a committed row is none.
pub(crate) fn write() -> Result<()> {
    for (path, page) in pages()? {
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Each page's path and what it should hold.
///
/// # Errors
/// A committed row is none.
pub(crate) fn pages() -> Result<Vec<(PathBuf, String)>> {
    let rows = committed()?;
    let made = PAGES.iter().map(|(table, name)| {
        let of: Vec<&Row> = rows.iter().filter(|row| row.table == *table).collect();
        (reference().join(name), page::page(*table, &of))
    });
    Ok(made.collect())
}

fn reference() -> PathBuf {
    place::root().join("docs/reference")
}

fn rows_path() -> PathBuf {
    reference().join("rows.jsonl")
}

fn committed() -> Result<Vec<Row>> {
    let text = fs::read_to_string(rows_path()).unwrap_or_default();
    let rows = text.lines().map(serde_json::from_str);
    rows.collect::<Result<_, _>>().with_context(|| format!("{}", rows_path().display()))
}

/// The rows that stand on a page here: those of kernels have one that their machines write.
fn shown(mut rows: Vec<Row>) -> Vec<Row> {
    rows.retain(|row| PAGES.iter().any(|(table, _)| *table == row.table));
    rows
}

/// The new rows, and the old ones that no new one takes the place of.
fn merged(old: Vec<Row>, new: Vec<Row>) -> Vec<Row> {
    let key = |row: &Row| (row.table, row.name.clone(), row.place.clone(), row.test.clone());
    let mut rows: BTreeMap<_, Row> = old.into_iter().map(|row| (key(&row), row)).collect();
    rows.extend(new.into_iter().map(|row| (key(&row), row)));
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort();
    rows
}

fn run_tests(folder: &Path) -> Result<()> {
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    steps::step(
        "run the tests that write rows",
        build::cargo("test")
            .args(packages)
            .arg("--tests")
            .args(build::locked())
            .env("METSUKE_BINARIES", place::binaries())
            .env(FOLDER_VARIABLE, folder),
    )
}

#[cfg(test)]
mod tests {
    use metsuke_testkit::table::{Outcome, Row, Table};

    use super::{merged, shown};

    pub(super) fn row(name: &str, outcome: Outcome) -> Row {
        Row {
            table: Table::Coverage,
            name: name.to_owned(),
            outcome,
            reason: "a | b\nc".to_owned(),
            test: "crates/probe/tests/a.rs: b".to_owned(),
            place: "native".to_owned(),
            kernel: "6.18".to_owned(),
        }
    }

    #[test]
    fn a_new_row_takes_the_old_ones_place() {
        let old = vec![row("one", Outcome::Blind), row("two", Outcome::Blind)];
        let rows = merged(old, vec![row("one", Outcome::Seen)]);
        let told: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.outcome)).collect();
        assert_eq!(told, [("one", Outcome::Seen), ("two", Outcome::Blind)]);
    }
    #[test]
    fn rows_of_kernels_are_left_to_their_page() {
        let support = Row { table: Table::Support, ..row("one", Outcome::Stopped) };
        let rows = shown(vec![support, row("two", Outcome::Seen)]);
        assert_eq!(rows, [row("two", Outcome::Seen)]);
    }
}
