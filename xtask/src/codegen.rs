//! `./x codegen`: the generated files, each from its one source.
//!
//! - `docs/reference/fields.md` from the field table (`metsuke_event::FIELDS`);
//! - `docs/reference/{coverage,evasion,crossview}.md` from the rows that tests wrote (`./x tables`);
//! - `openapi/openapi.json` from the API's handlers (written by a test of `metsuke-api`);
//! - `console/src/api/schema.d.ts` from `openapi/openapi.json`.

mod fields;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{build, node, place, steps, tables};

#[derive(Args)]
pub(crate) struct Options {
    /// Write nothing; fail when a committed file has drifted from its source.
    #[arg(long)]
    check: bool,
    /// Only these; all without.
    only: Vec<Generated>,
}

/// The generated files.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Generated {
    /// docs/reference/fields.md
    Fields,
    /// The pages of `./x tables`, from their committed rows
    Tables,
    /// openapi/openapi.json
    Openapi,
    /// console/src/api/schema.d.ts
    Schema,
}

/// Runs the command.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    if options.check {
        check()?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = |one| options.only.is_empty() || options.only.contains(&one);
    if wanted(Generated::Fields) {
        write_fields()?;
    }
    if wanted(Generated::Tables) {
        tables::write()?;
    }
    if wanted(Generated::Openapi) {
        write_openapi()?;
    }
    if wanted(Generated::Schema) && has_schema() {
        schema(&schema_path())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes what can be written without compiling the API.
///
/// # Errors
/// A file cannot be written, or the console's generator fails.
pub(crate) fn write() -> Result<()> {
    write_fields()?;
    tables::write()?;
    if has_schema() {
        schema(&schema_path())?;
    }
    Ok(())
}

fn write_fields() -> Result<()> {
    let path = fields_path();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, fields::page()).with_context(|| format!("cannot write {}", path.display()))
}

/// Fails when a generated file is not what its source makes. `openapi.json` is compared by a test
/// of `metsuke-api`, which `./x test` runs.
///
/// # Errors
/// A file has drifted or cannot be made.
pub(crate) fn check() -> Result<()> {
    compare(&fields_path(), &fields::page())?;
    for (path, page) in tables::pages()? {
        compare(&path, &page)?;
    }
    if has_schema() {
        let fresh = place::log("schema").with_extension("d.ts");
        if let Some(folder) = fresh.parent() {
            fs::create_dir_all(folder)?;
        }
        schema(&fresh)?;
        compare(&schema_path(), &fs::read_to_string(&fresh)?)?;
    }
    println!("ok  generated files");
    Ok(())
}

fn compare(path: &Path, fresh: &str) -> Result<()> {
    let committed = fs::read_to_string(path).unwrap_or_default();
    if committed == fresh {
        return Ok(());
    }
    let line = committed.lines().zip(fresh.lines()).position(|(old, new)| old != new);
    let line = line.unwrap_or(committed.lines().count().min(fresh.lines().count())) + 1;
    bail!(
        "{}:{line} is not what its source makes; run `./x codegen` and commit it",
        path.display()
    );
}

fn fields_path() -> PathBuf {
    place::root().join("docs/reference/fields.md")
}

fn schema_path() -> PathBuf {
    place::root().join("console/src/api/schema.d.ts")
}

fn openapi_path() -> PathBuf {
    place::root().join("openapi/openapi.json")
}

fn has_schema() -> bool {
    openapi_path().is_file() && place::root().join("console/package.json").is_file()
}

fn schema(output: &Path) -> Result<()> {
    node::ensure_modules()?;
    steps::step(
        "generate the console's API types",
        node::npx()?
            .args(["--no-install", "openapi-typescript"])
            .arg(openapi_path())
            .arg("-o")
            .arg(output),
    )
}

fn write_openapi() -> Result<()> {
    steps::step(
        "generate openapi.json",
        build::cargo("test")
            .args(["--workspace", "--test", "openapi"])
            .args(build::locked())
            .env("UPDATE", "1"),
    )
}
