//! The shipped content: compiled for the server, listed for people, bundled for sensors.

use std::collections::HashMap;
use std::sync::Arc;

use metsuke_api::detections::{Detection, DetectionList, RefusedDocument};
use metsuke_detect::RuleSet;

/// The content in its forms.
#[derive(Debug)]
pub(crate) struct Content {
    /// For detection.
    pub(crate) rules: Arc<RuleSet>,
    /// For people.
    pub(crate) list: DetectionList,
    /// For sensors: path and text.
    pub(crate) documents: Vec<(String, String)>,
}

/// Compiles the shipped content; what is refused is named in the log and the list.
pub(crate) fn load() -> Content {
    let (rules, refused) = metsuke_detect::compile(metsuke_content::documents());
    for document in &refused {
        tracing::warn!(%document, "a detection was refused");
    }
    let pages: HashMap<&str, &str> =
        metsuke_content::pages().map(|page| (page.slug, page.markdown)).collect();
    let items = rules.all().map(|meta| {
        let slug = meta.path.strip_prefix("content/").unwrap_or(&meta.path);
        let slug = slug.strip_suffix("/detection.yml").unwrap_or(slug);
        Detection {
            detection: meta.detection.clone().into(),
            page: pages.get(slug).copied().unwrap_or_default().to_owned(),
        }
    });
    let items: Vec<Detection> = items.collect();
    tracing::info!(detections = items.len(), refused = refused.len(), "content compiled");
    let refused = refused.iter().map(|document| RefusedDocument {
        path: document.path.clone(),
        reason: document.to_string(),
    });
    let list = DetectionList { items, refused: refused.collect() };
    let documents =
        metsuke_content::documents().map(|document| (document.path, document.text)).collect();
    Content { rules, list, documents }
}
