//! `metsuke rules import`: takes over somebody else's rules as files: those that compile, verbatim, with
//! their licence, and a list of who wrote what. `metsuke detect --rules` and `rules check` read the folder.
//!
//! Invariant: only files that an earlier import listed are ever removed or replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use metsuke_detect::{Document, Options, compile_with};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::report::Report;
use crate::arguments::Arguments;
use crate::command::BAD_NEWS;
use crate::failure::Failure;
use crate::output::{self, clean};

/// The list of what was imported, in the folder of the import.
const LIST: &str = "imported.json";
/// How the files are called in which a collection says under which licence it is given.
const LICENCES: [&str; 3] = ["LICENSE", "LICENCE", "COPYING"];
/// Bytes of a licence that is taken over.
const LICENCE_BYTES: u64 = 256 * 1024;

/// Takes the rules below `from` over into `into`; rules that do not name a licence get `licence`.
pub(super) fn run(
    arguments: &Arguments,
    (from, into): (&Path, &Path),
    licence: Option<&str>,
    options: Options,
) -> Result<ExitCode, Failure> {
    let before = listed(into)?;
    let (documents, mut reports) = super::documents(&[from.to_owned()])?;
    let texts: BTreeMap<String, String> =
        documents.iter().map(|one| (one.path.clone(), one.text.clone())).collect();
    let (set, refused) = compile_with(documents, options);
    reports.extend(
        refused.iter().map(|one| Report::of(one, texts.get(&one.path).map_or("", String::as_str))),
    );
    let good: BTreeSet<&str> = set.all().map(|meta| meta.path.as_str()).collect();
    let bad: BTreeSet<&str> = refused.iter().map(|one| one.path.as_str()).collect();
    let licences = licences(from, into)?;
    let mut list = Vec::new();
    for (path, text) in &texts {
        // Sigma filter documents compile to no detection of their own.
        if good.contains(path.as_str()) || !bad.contains(path.as_str()) {
            let document = Document { path: path.clone(), text: text.clone() };
            list.push(take(&document, from, into, licence)?);
        }
    }
    let now: BTreeSet<&str> = list.iter().filter_map(|one| one["path"].as_str()).collect();
    for gone in before.iter().filter(|path| !now.contains(path.as_str())) {
        // It was there when it was imported; that somebody removed it since is no failure.
        let _ = fs::remove_file(into.join(gone));
    }
    let refused: Vec<Json> = reports.iter().map(Report::json).collect();
    let (taken, left) = (list.len(), refused.len());
    let summary = json!({
        "source": from.display().to_string(),
        "licences": licences,
        "documents": list,
        "refused": refused,
    });
    write(&into.join(LIST), &format!("{summary:#}\n"))?;
    if arguments.json {
        output::json(&summary)?;
    } else {
        for report in &reports {
            output::say(&clean(&report.shown()))?;
        }
        let place = into.display();
        output::say(&format!("{taken} files taken over into {place}, {left} refused; see {LIST}"))?;
    }
    Ok(if reports.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

/// Paths of what an earlier import left in `into`; a folder of anything else is refused.
fn listed(into: &Path) -> Result<Vec<String>, Failure> {
    let Ok(mut entries) = fs::read_dir(into) else { return Ok(Vec::new()) };
    let Ok(text) = fs::read_to_string(into.join(LIST)) else {
        if entries.next().is_none() {
            return Ok(Vec::new());
        }
        let place = into.display();
        return Err(Failure::Usage(format!("{place} holds other files; name an empty folder")));
    };
    let list: Json = serde_json::from_str(&text).unwrap_or_default();
    let documents = list["documents"].as_array().into_iter().flatten();
    let paths = documents.filter_map(|one| one["path"].as_str());
    // What is removed is named by a file: only places below the folder are believed.
    let below =
        |path: &&str| Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
    Ok(paths.filter(below).map(str::to_owned).collect())
}

/// One document, verbatim; gives its line of the list.
fn take(
    document: &Document,
    from: &Path,
    into: &Path,
    licence: Option<&str>,
) -> Result<Json, Failure> {
    let path = Path::new(&document.path);
    let place = match path.strip_prefix(from) {
        Ok(below) if !below.as_os_str().is_empty() => below.to_owned(),
        _ => path.file_name().map(PathBuf::from).unwrap_or_default(),
    };
    write(&into.join(&place), &document.text)?;
    let said = |names: &[&str]| names.iter().find_map(|name| attribute(&document.text, name));
    let licence = said(&["license", "licence"]).or_else(|| licence.map(str::to_owned));
    Ok(json!({
        "path": place.display().to_string(),
        "id": said(&["id"]),
        "title": said(&["title"]),
        "author": said(&["author"]),
        "licence": licence,
        "sha256": format!("{:x}", Sha256::digest(document.text.as_bytes())),
    }))
}

/// The licences of the collection, copied beside the rules; gives their names.
fn licences(from: &Path, into: &Path) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    // A collection's licence stands at its top, often above the folder that is named.
    for folder in from.ancestors().take(2).filter(|folder| folder.is_dir()) {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let small = entry.metadata().is_ok_and(|it| it.is_file() && it.len() <= LICENCE_BYTES);
            if small && LICENCES.iter().any(|known| name.to_uppercase().starts_with(known)) {
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                write(&into.join(&name), &text)?;
                found.push(name);
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    found.sort();
    Ok(found)
}

/// A plain attribute at the top of a document, with lines that go on.
fn attribute(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines();
    let first = lines.by_ref().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let more = lines.take_while(|line| line.starts_with([' ', '\t']));
    let whole: Vec<&str> = std::iter::once(first).chain(more).map(str::trim).collect();
    let whole = whole.join(" ");
    let whole = whole.trim_start_matches(['>', '|', '-']).trim();
    let bare = whole.trim_matches(['\'', '"']);
    (!bare.is_empty()).then(|| bare.to_owned())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let local = |source| Failure::Local { doing: format!("writing {}", path.display()), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(local)?;
    }
    fs::write(path, text).map_err(local)
}
