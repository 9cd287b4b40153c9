//! A threshold document: so many hits, and so many values among them.
//!
//! ```yaml
//! threshold:
//!   detections: [outbound_connection]
//!   by: host                 # or storyline, user, fleet, a list of fields; host when left out
//!   within: 5m
//!   count: 20                # at least so many events; 1 when left out
//!   distinct:                # and at least so many values of each field
//!     DestinationIp: 10
//!     DestinationPort: 2
//! ```

use std::fmt::Write as _;

use super::{by, count};
use crate::bounds;
use crate::document::{Reason, Refusal};
use crate::question::Question;
use crate::sigma::correlation::{By, Correlation, Generate, duration, known_keys, references};
use crate::yaml::Node;

pub(super) fn parse(node: &Node) -> Result<Correlation, Refusal> {
    known_keys(node, &["detections", "by", "within", "count", "distinct"])?;
    let rules = references(node, "detections")?;
    let (by, by_shown) = by(node, By::Host)?;
    let (timespan_nanos, within) = duration(node, "within")?;
    let hits = node.get("count").map_or(Ok(1), |node| count(node, "count"))?;
    let mut measures = Vec::new();
    let mut least = Vec::new();
    let mut shown = format!("threshold by {by_shown} within {within}: {hits} hits");
    if let Some(distinct) = node.get("distinct") {
        let entries = distinct.mapping("distinct").map_err(|reason| distinct.refuse(reason))?;
        for (field, number) in entries {
            let number = count(number, field)?;
            let _ = write!(shown, ", {number} of {field}");
            measures.push(vec![field.clone()]);
            least.push(number);
        }
        if least.is_empty() || least.len() > bounds::VALUE_FIELDS {
            let expected = "1 to 8 fields, each with a number";
            return Err(distinct
                .refuse_key(Reason::WrongType { field: "distinct".to_owned(), expected }, 0));
        }
    }
    if hits == 1 && least.is_empty() {
        return Err(node.refuse_key(Reason::Missing("count or distinct"), 0));
    }
    Ok(Correlation {
        question: Question::Threshold(hits, least),
        rules,
        by,
        measures,
        aliases: Vec::new(),
        timespan_nanos,
        generate: Generate::Unsaid,
        shown,
        digest: node.digest(),
    })
}
