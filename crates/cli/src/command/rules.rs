//! `metsuke rules check`: compiles a folder of detections, here, without a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use metsuke_detect::{Document, compile};
use serde_json::json;

use crate::arguments::{Arguments, Rules};
use crate::command::BAD_NEWS;
use crate::failure::Failure;
use crate::output::{self, clean};

/// Documents that one check reads: ten times the largest public collection.
const MAX_DOCUMENTS: usize = 50_000;
/// Bytes of one document; the largest public ones have some 20 kB.
const MAX_BYTES: u64 = 1024 * 1024;

pub(crate) fn run(arguments: &Arguments, rules: &Rules) -> Result<ExitCode, Failure> {
    let Rules::Check { folder } = rules;
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    if paths.is_empty() {
        return Err(Failure::NotFound(format!("no .yml or .yaml file in {}", folder.display())));
    }
    paths.sort();
    let mut documents = Vec::with_capacity(paths.len());
    let mut unread = Vec::new();
    for path in paths {
        match read(&path) {
            Ok(text) => documents.push(Document { path: path.display().to_string(), text }),
            Err(reason) => unread.push(format!("{}: {reason}", path.display())),
        }
    }
    let count = documents.len();
    let (set, refused) = compile(documents);
    let filters = set.filters().count();
    let correlations = set.rules().count();
    let models = set.models().count();
    let mut bad: Vec<String> = refused.iter().map(ToString::to_string).collect();
    bad.extend(unread);
    if arguments.json {
        output::json(&json!({ "documents": count, "filters": filters, "rules": correlations,
            "models": models, "refused": bad }))?;
    } else {
        for line in &bad {
            output::say(&format!("refused  {}", clean(line)))?;
        }
        output::say(&format!(
            "{count} documents: {filters} filters, {correlations} rules, {models} models, {} refused",
            bad.len()
        ))?;
    }
    Ok(if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
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
