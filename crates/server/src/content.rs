//! What ships, as the library takes it.

use std::collections::HashMap;

use metsuke_control::library::{Sample, Shipped};

/// The detections built into this program.
pub(crate) fn shipped() -> Vec<Shipped> {
    let pages: HashMap<&str, &str> =
        metsuke_content::pages().map(|page| (page.slug, page.markdown)).collect();
    let mut samples: HashMap<&str, Vec<Sample>> = HashMap::new();
    for sample in metsuke_content::samples() {
        let of = samples.entry(sample.slug).or_default();
        of.push(Sample { name: sample.name.to_owned(), fires: sample.fires });
    }
    let shipped = metsuke_content::documents().map(|document| {
        let slug = document.path.strip_prefix("content/").unwrap_or(&document.path);
        let slug = slug.strip_suffix("/detection.yml").unwrap_or(slug);
        Shipped {
            page: pages.get(slug).copied().unwrap_or_default().to_owned(),
            samples: samples.remove(slug).unwrap_or_default(),
            path: document.path.clone(),
            text: document.text,
        }
    });
    shipped.collect()
}
