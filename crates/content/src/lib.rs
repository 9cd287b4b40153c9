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

/// A sample that one detection is tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Folder of the detection.
    pub slug: &'static str,
    /// Name of the file.
    pub name: &'static str,
    /// Whether the detection must strike on it, or must not.
    pub fires: bool,
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

/// The samples of every detection that ships; ordered by path.
pub fn samples() -> impl Iterator<Item = Sample> {
    let mut found = Vec::new();
    for folder in folders() {
        for (name, fires) in [("fires", true), ("quiet", false)] {
            let files = CONTENT.get_dir(folder.path().join(name)).into_iter().flat_map(Dir::files);
            for file in files {
                let name = file.path().file_name().and_then(|name| name.to_str());
                if let (Some(slug), Some(name)) = (folder.path().to_str(), name) {
                    found.push((slug, !fires, name));
                }
            }
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(slug, quiet, name)| Sample { slug, name, fires: !quiet })
}

fn folders() -> impl Iterator<Item = &'static Dir<'static>> {
    let layers = ["filters", "models", "rules"].into_iter();
    layers.flat_map(|layer| CONTENT.get_dir(layer).into_iter().flat_map(Dir::dirs))
}

fn files(name: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut found = Vec::new();
    for folder in folders() {
        let file = folder.get_file(folder.path().join(name));
        if let (Some(slug), Some(text)) =
            (folder.path().to_str(), file.and_then(|file| file.contents_utf8()))
        {
            found.push((slug, text));
        }
    }
    found.sort_unstable();
    found.into_iter()
}
