//! A first-seen document: a value, or several put together, that is new.
//!
//! ```yaml
//! first-seen:
//!   detections: [service_installed]
//!   value: [Image, User]     # one field, or several that count as one value
//!   by: host                 # new for this host; or fleet, user, storyline, a list of fields
//!   within: 14d              # not seen for so long
//!   learning: 2d             # nothing strikes before so long after the first hit; 1d if left out
//! ```

use super::by;
use crate::bounds;
use crate::document::{Reason, Refusal};
use crate::question::{FirstSeen, Question};
use crate::sigma::correlation::{
    By, Correlation, Generate, duration, known_keys, references, required,
};
use crate::sigma::header;
use crate::yaml::Node;

pub(super) fn parse(node: &Node) -> Result<Correlation, Refusal> {
    known_keys(node, &["detections", "value", "by", "within", "learning"])?;
    let rules = references(node, "detections")?;
    let value = required(node, "value")?;
    let fields = value.only_texts("value").map_err(|reason| value.refuse(reason))?;
    if fields.is_empty() || fields.len() > bounds::VALUE_FIELDS {
        let expected = "1 to 8 fields";
        return Err(value.refuse_key(Reason::WrongType { field: "value".to_owned(), expected }, 0));
    }
    let (by, by_shown) = by(node, By::Host)?;
    let (within_nanos, within) = duration(node, "within")?;
    let learning_nanos = match node.get("learning") {
        None => 86_400_000_000_000,
        // `0s` asks for none.
        Some(written) if matches!(written.text(), Some("0" | "0s")) => 0,
        Some(written) => header::duration(written.text().unwrap_or_default())
            .map_err(|reason| written.refuse(reason))?,
    };
    Ok(Correlation {
        question: Question::FirstSeen(FirstSeen { within_nanos, learning_nanos }),
        rules,
        by,
        shown: format!("first seen by {by_shown} in {within}: {}", fields.join(" + ")),
        measures: vec![fields],
        aliases: Vec::new(),
        timespan_nanos: within_nanos,
        generate: Generate::Unsaid,
        digest: node.digest(),
    })
}
