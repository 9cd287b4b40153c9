//! Detection on the sensor itself: content pushed by the server, or what is built in.
//!
//! What it finds is counted; the server detects again on everything. Acting on it comes with
//! block mode.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use metsuke_detect::{Document, RuleSet, compile};
use metsuke_link::message::Bundle;

/// Largest kept bundle read back, in bytes.
const FILE_MAX: u64 = 64 << 20;

/// Content, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) version: String,
    pub(crate) serial: u64,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) refused: usize,
}

fn file(state: &Path) -> PathBuf {
    state.join("content.json")
}

impl Content {
    /// What is built into this program.
    pub(crate) fn built_in() -> Self {
        let (rules, refused) = compile(metsuke_content::documents());
        Self { version: String::new(), serial: 0, rules, refused: refused.len() }
    }

    /// What the server pushed last, or what is built in.
    pub(crate) fn load(state: &Path) -> Self {
        let path = file(state);
        let kept = std::fs::metadata(&path)
            .ok()
            .filter(|facts| facts.len() <= FILE_MAX)
            .and_then(|_| std::fs::read(&path).ok())
            .and_then(|text| serde_json::from_slice::<Bundle>(&text).ok());
        match kept {
            Some(bundle) => Self::compile(bundle),
            None => Self::built_in(),
        }
    }

    /// A pushed bundle. Documents that cannot be compiled are counted and named in the log.
    pub(crate) fn compile(bundle: Bundle) -> Self {
        let documents =
            bundle.documents.into_iter().map(|d| Document { path: d.path, text: d.text });
        let (rules, refused) = compile(documents);
        for refused in &refused {
            tracing::warn!(document = %refused, "a document of the pushed content is refused");
        }
        Self { version: bundle.version, serial: bundle.serial, rules, refused: refused.len() }
    }
}

/// Keeps a bundle for the next start. Failing costs only that the server pushes it again.
pub(crate) fn keep(state: &Path, bundle: &Bundle) {
    let kept = serde_json::to_vec(bundle)
        .map_err(std::io::Error::from)
        .and_then(|text| crate::plans::replace(&file(state), &text));
    if let Err(error) = kept {
        tracing::warn!(%error, "the pushed content is not kept for the next start");
    }
}
