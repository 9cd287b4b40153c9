#![doc = include_str!("../README.md")]

use include_dir::{Dir, include_dir};
use metsuke_detect::Document;

static CONTENT: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../content");

/// The page of one detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Folder of the detection, for example `filters/download_to_temp`.
    pub slug: &'static str,
    /// The page's text, Markdown.
    pub markdown: &'static str,
}

/// Every detection that ships, as documents for [`metsuke_detect::compile`]; ordered by path.
pub fn documents() -> impl Iterator<Item = Document> {
    files("detection.yml").map(|(slug, text)| Document {
        path: format!("content/{slug}/detection.yml"),
        text: text.to_owned(),
    })
}

/// The page of every detection that ships; ordered by path.
pub fn pages() -> impl Iterator<Item = Page> {
    files("page.md").map(|(slug, markdown)| Page { slug, markdown })
}

fn files(name: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut found = Vec::new();
    for layer in ["filters", "models", "rules"] {
        for folder in CONTENT.get_dir(layer).into_iter().flat_map(Dir::dirs) {
            let file = folder.get_file(folder.path().join(name));
            if let (Some(slug), Some(text)) =
                (folder.path().to_str(), file.and_then(|file| file.contents_utf8()))
            {
                found.push((slug, text));
            }
        }
    }
    found.sort_unstable();
    found.into_iter()
}
