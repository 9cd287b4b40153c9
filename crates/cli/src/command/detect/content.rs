//! The detections to run: what was named, and what ships.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metsuke_detect::{Document, RuleSet, compile};

use crate::failure::Failure;

/// Documents that are read: ten times the largest public collection.
const MAX_DOCUMENTS: usize = 50_000;
/// Bytes of one document; the largest public ones have some 20 kB.
const MAX_BYTES: u64 = 1024 * 1024;

/// Detections ready to run.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) rules: Arc<RuleSet>,
    /// Path and reason of what cannot be run.
    pub(crate) refused: Vec<(String, String)>,
}

impl Content {
    /// No detections: others run them.
    pub(crate) fn none() -> Self {
        let (rules, _) = compile([]);
        Self { rules, refused: Vec::new() }
    }
}

pub(crate) fn load(paths: &[PathBuf], shipped: bool) -> Result<Content, Failure> {
    let mut found = Vec::new();
    for path in paths {
        collect(path, path, &mut found)?;
    }
    if found.is_empty() && !shipped {
        return Err(Failure::NotFound("no .yml or .yaml file in what --rules names".to_owned()));
    }
    found.sort();
    found.dedup();
    let mut documents: Vec<Document> = Vec::with_capacity(found.len());
    let mut refused = Vec::new();
    for path in found {
        let name = path.display().to_string();
        match read(&path) {
            Ok(text) => documents.push(Document { path: name, text }),
            Err(reason) => refused.push((name, reason)),
        }
    }
    if shipped {
        documents.extend(metsuke_content::documents());
    }
    let (rules, unfit) = compile(documents);
    refused.extend(unfit.iter().map(|one| (one.path.clone(), one.reason.to_string())));
    Ok(Content { rules, refused })
}

/// The documents below `path`. Links are not followed below what was named: a ring of them would
/// never end.
fn collect(named: &Path, path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let local = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Failure::NotFound(format!("no {}", path.display())),
        _ => Failure::Local { doing: format!("reading {}", path.display()), source },
    };
    let facts = if path == named { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let facts = facts.map_err(local)?;
    if facts.is_dir() {
        for entry in fs::read_dir(path).map_err(local)? {
            collect(named, &entry.map_err(local)?.path(), found)?;
        }
    } else if path == named || path.extension().is_some_and(|end| end == "yml" || end == "yaml") {
        if found.len() >= MAX_DOCUMENTS {
            return Err(Failure::Usage(format!("more than {MAX_DOCUMENTS} documents")));
        }
        found.push(path.to_owned());
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    let facts = fs::metadata(path).map_err(|error| error.to_string())?;
    if !facts.is_file() {
        // A pipe would be waited for without end.
        return Err("it is no regular file".to_owned());
    }
    if facts.len() > MAX_BYTES {
        return Err(format!("{} bytes; at most {MAX_BYTES} are read", facts.len()));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}
