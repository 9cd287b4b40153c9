//! Rules in documents of our own: what Sigma cannot say.
//!
//! `docs/spec/detections.schema.json` is their published form; a test compares it with these
//! readers. They become the same compiled rules as Sigma's correlations.

mod first_seen;
mod indicator;
mod sequence;
mod threshold;

use crate::bounds;
use crate::document::{Position, Reason, Refusal};
use crate::sigma::correlation::{By, Correlation};
use crate::yaml::{Kind, Node, cut};

/// Reads the rule of `node`, when it is one of these documents.
pub(crate) fn parse(node: &Node) -> Option<Result<Correlation, Refusal>> {
    if let Some(sequence) = node.get("sequence") {
        return Some(sequence::parse(sequence));
    }
    if let Some(threshold) = node.get("threshold") {
        return Some(threshold::parse(threshold));
    }
    if let Some(indicator) = node.get("indicator-match") {
        return Some(indicator::parse(indicator));
    }
    node.get("first-seen").map(first_seen::parse)
}

/// What hits must share, by `by`, and how it is called.
fn by(node: &Node, default: By) -> Result<(By, String), Refusal> {
    let Some(written) = node.get("by") else {
        let name = format!("{default:?}").to_lowercase();
        return Ok((default, name));
    };
    if let Kind::List(_) = written.kind {
        let names = written.only_texts("by").map_err(|reason| written.refuse(reason))?;
        if names.is_empty() || names.len() > bounds::VALUE_FIELDS {
            let expected = "storyline, host, user, fleet or a list of 1 to 8 fields";
            return Err(written.refuse(Reason::WrongType { field: "by".to_owned(), expected }));
        }
        let shown = names.join(", ");
        return Ok((By::Fields(names), shown));
    }
    let by = match written.text().unwrap_or_default() {
        "storyline" => By::Storyline,
        "host" => By::Host,
        "user" => By::User,
        "fleet" => By::Fleet,
        _ => {
            let expected = "storyline, host, user, fleet or a list of fields";
            return Err(written.refuse(Reason::WrongType { field: "by".to_owned(), expected }));
        }
    };
    Ok((by, written.text().unwrap_or_default().to_owned()))
}

/// Detections, each once: several places of a document may name one.
#[derive(Default)]
struct References {
    names: Vec<(String, Position)>,
}

impl References {
    /// The numbers of those that `names` name.
    fn add(&mut self, names: Vec<(String, Position)>) -> Vec<usize> {
        let number = |(name, at): (String, Position)| {
            let known = self.names.iter().position(|(known, _)| *known == name);
            known.unwrap_or_else(|| {
                self.names.push((name, at));
                self.names.len() - 1
            })
        };
        names.into_iter().map(number).collect()
    }

    /// Per reference whether it is among `numbers`.
    fn marks(&self, numbers: &[usize]) -> Vec<bool> {
        (0..self.names.len()).map(|number| numbers.contains(&number)).collect()
    }
}

/// A whole number from 1 to the number of hits that are held.
fn count(node: &Node, key: &str) -> Result<usize, Refusal> {
    let number = node.text().and_then(|text| text.parse::<usize>().ok());
    match number.filter(|number| *number > 0) {
        Some(number) if number > bounds::CORRELATION_HITS => {
            Err(node.refuse(Reason::TooLarge("hits of a rule")))
        }
        Some(number) => Ok(number),
        None => {
            let expected = "a whole number, 1 or more";
            Err(node.refuse(Reason::WrongType { field: cut(key), expected }))
        }
    }
}
