//! `metsuke rules`: `import`, `test` and `profile` have files of their own; `check` compiles detections, here, without a server, and says like a compiler
//! what is refused: where, why, and what to do.

mod import;
mod profile;
mod report;
mod test;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use metsuke_detect::{Document, Options, RuleSet, compile_with};
use serde_json::json;

use crate::arguments::{Arguments, Rules};
use crate::command::BAD_NEWS;
use crate::failure::Failure;
use crate::output::{self, clean};
use report::Report;

/// Documents that one check reads: ten times the largest public collection.
const MAX_DOCUMENTS: usize = 50_000;
/// Bytes of one document; the largest public ones have some 20 kB.
const MAX_BYTES: u64 = 1024 * 1024;

pub(crate) fn run(arguments: &Arguments, rules: &Rules) -> Result<ExitCode, Failure> {
    match rules {
        Rules::Check { paths, placeholder } => check(arguments, paths, placeholder),
        Rules::Import(one) => {
            let options = Options { placeholders: placeholders(&one.placeholder)? };
            import::run(arguments, (&one.folder, &one.into), one.licence.as_deref(), options)
        }
        Rules::Test(one) => test::run(arguments, one),
        Rules::Profile(one) => profile::run(arguments, one),
    }
}

fn check(
    arguments: &Arguments,
    paths: &[PathBuf],
    placeholder: &[String],
) -> Result<ExitCode, Failure> {
    let options = Options { placeholders: placeholders(placeholder)? };
    let (documents, mut reports) = documents(paths)?;
    let files = documents.len() + reports.len();
    let texts: HashMap<String, String> =
        documents.iter().map(|one| (one.path.clone(), one.text.clone())).collect();
    let (set, refused) = compile_with(documents, options);
    reports.extend(
        refused.iter().map(|one| Report::of(one, texts.get(&one.path).map_or("", String::as_str))),
    );
    if arguments.json {
        print_json(files, &set, &reports)?;
    } else {
        for report in &reports {
            output::say(&clean(&report.shown()))?;
        }
        output::say(&format!(
            "{} loaded ({} filters, {} rules, {} models, {} Sigma filter documents) of {files} files, {} refused",
            loaded(&set),
            set.filters().count(),
            set.rules().count(),
            set.models().count(),
            set.narrowings(),
            reports.len()
        ))?;
    }
    Ok(if reports.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

fn loaded(set: &RuleSet) -> usize {
    set.all().count() + set.narrowings()
}

fn print_json(files: usize, set: &RuleSet, reports: &[Report]) -> Result<(), Failure> {
    let refused: Vec<_> = reports.iter().map(Report::json).collect();
    output::json(&json!({
        "documents": files,
        "loaded": loaded(set),
        "filters": set.filters().count(),
        "rules": set.rules().count(),
        "models": set.models().count(),
        "narrowings": set.narrowings(),
        "refused": refused,
    }))?;
    Ok(())
}

/// Reads `NAME=VALUE`; a name that is given again has one more value.
fn placeholders(given: &[String]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in given {
        let Some((name, value)) = one.split_once('=') else {
            return Err(Failure::Usage(format!("`{one}` is no placeholder: write NAME=VALUE")));
        };
        found.entry(name.trim_matches('%').to_owned()).or_default().push(value.to_owned());
    }
    Ok(found)
}

/// What the files hold, in order of path, and those that could not be read.
fn documents(paths: &[PathBuf]) -> Result<(Vec<Document>, Vec<Report>), Failure> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            collect(path, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        let places: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let places = places.join(", ");
        return Err(Failure::NotFound(format!("no .yml or .yaml file in {places}")));
    }
    let mut documents = Vec::with_capacity(found.len());
    let mut unread = Vec::new();
    for path in found {
        let name = path.display().to_string();
        match read(&path) {
            Ok(text) => documents.push(Document { path: name, text }),
            Err(why) => unread.push(Report::unread(name, why)),
        }
    }
    Ok((documents, unread))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let local = |source| Failure::Local { doing: format!("reading {}", folder.display()), source };
    for entry in fs::read_dir(folder).map_err(local)? {
        let entry = entry.map_err(local)?;
        let path = entry.path();
        // Links are not followed: a ring of them would never end.
        if entry.file_type().map_err(local)?.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "yml" || end == "yaml") {
            if found.len() >= MAX_DOCUMENTS {
                return Err(Failure::Usage(format!("more than {MAX_DOCUMENTS} documents")));
            }
            found.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    let facts = fs::metadata(path).map_err(|error| error.to_string())?;
    if !facts.is_file() {
        // A pipe would be waited for without end.
        return Err("it is no regular file".to_owned());
    }
    let size = facts.len();
    if size > MAX_BYTES {
        return Err(format!("{size} bytes; at most {MAX_BYTES} are read"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}
