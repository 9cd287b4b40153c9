//! The actions of shipped detections: each folder of `content/` says what fires it (`action.sh`), or
//! why nothing here can (`not-fired.txt`). Each action is done harmlessly in a room of its own under the
//! real sensor's eyes; the detection must strike on what was told.
//!
//! Invariant: a folder has exactly one of the two files.

mod page;
pub(crate) mod room;
mod run;
mod sample;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use metsuke_detect::{Document, Refused, RuleSet, compile};
use metsuke_event::finding::Layer;

pub use page::page;
pub use run::{Outcome, Report, run};
pub use sample::write_sample;

/// What a folder says about firing its detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The text of `action.sh`.
    Action(String),
    /// Why there is none: the text of `not-fired.txt` on one line.
    NotFired(String),
}

/// One detection that ships, and its deed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Its layer.
    pub layer: Layer,
    /// Its folder's name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The document's id.
    pub id: String,
    /// What fires it.
    pub deed: Deed,
}

/// Every detection below `content`, by layer and name.
///
/// # Errors
/// When a folder has neither of the two files, or both.
pub fn load(content: &Path) -> Result<Vec<Detection>> {
    let mut found = Vec::new();
    for (layer, of) in
        [("filters", Layer::Filter), ("rules", Layer::Rule), ("models", Layer::Model)]
    {
        let entries = fs::read_dir(content.join(layer))
            .with_context(|| format!("{} is no folder of content", content.display()))?;
        for entry in entries {
            let folder = entry?.path();
            if folder.join("detection.yml").is_file() {
                found.push(detection(of, folder)?);
            }
        }
    }
    found.sort_by(|a, b| (a.layer, &a.name).cmp(&(b.layer, &b.name)));
    Ok(found)
}

/// The documents below `content` as they stand there now, compiled; and what was refused.
///
/// # Errors
/// As [`load`].
pub fn rules(content: &Path) -> Result<(Arc<RuleSet>, Vec<Refused>)> {
    let documents = load(content)?.into_iter().map(|one| {
        let path = one.folder.join("detection.yml");
        let text = fs::read_to_string(&path).unwrap_or_default();
        Document { path: path.display().to_string(), text }
    });
    Ok(compile(documents))
}

fn detection(layer: Layer, folder: PathBuf) -> Result<Detection> {
    let document = fs::read_to_string(folder.join("detection.yml"))?;
    let id = document.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default();
    let action = fs::read_to_string(folder.join("action.sh")).ok();
    let reason = fs::read_to_string(folder.join("not-fired.txt")).ok();
    ensure!(
        action.is_some() != reason.is_some(),
        "{}: write action.sh, or not-fired.txt with the reason (exactly one)",
        folder.display()
    );
    let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let deed =
        action.map_or_else(|| Deed::NotFired(one_line(reason.unwrap_or_default())), Deed::Action);
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Detection { layer, name, id: id.to_owned(), folder, deed })
}

/// What an action does, by its own first line.
pub fn summary(action: &str) -> &str {
    action.lines().next().unwrap_or_default().trim_start_matches('#').trim()
}
