//! An indicator-match document: an activity in which a value was seen that an indicator names.
//!
//! ```yaml
//! indicator-match:
//!   kinds: [sha256, domain]   # any when left out
//!   lists: [block]            # block, watch; both when left out
//!   sources: [our-team]       # any when left out
//!   confidence: 70            # at least; 0 when left out
//! ```

use crate::bounds;
use crate::document::{Reason, Refusal};
use crate::indicator::Asked;
use crate::question::Question;
use crate::sigma::correlation::{By, Correlation, Generate, known_keys};
use crate::yaml::Node;

pub(super) fn parse(node: &Node) -> Result<Correlation, Refusal> {
    node.mapping("indicator-match").map_err(|reason| node.refuse(reason))?;
    known_keys(node, &["kinds", "lists", "sources", "confidence"])?;
    let mut lists = texts(node, "lists")?;
    if let Some(wrong) = lists.iter().position(|list| list != "block" && list != "watch") {
        let expected = "block, watch or both";
        let item = node.get("lists").and_then(|lists| lists.items().get(wrong)).unwrap_or(node);
        return Err(item.refuse(Reason::WrongType { field: "lists".to_owned(), expected }));
    }
    if lists.is_empty() {
        lists = vec!["block".to_owned(), "watch".to_owned()];
    }
    let confidence = match node.get("confidence") {
        None => 0,
        Some(written) => {
            let number = written.text().and_then(|text| text.parse().ok());
            let expected = "a whole number from 0 to 100";
            let field = || "confidence".to_owned();
            number
                .filter(|number: &u8| *number <= 100)
                .ok_or_else(|| written.refuse(Reason::WrongType { field: field(), expected }))?
        }
    };
    let (kinds, sources) = (texts(node, "kinds")?, texts(node, "sources")?);
    let any = |names: &[String]| if names.is_empty() { "any".to_owned() } else { names.join(", ") };
    let shown =
        format!("indicator of kind {} on {}, source {}", any(&kinds), any(&lists), any(&sources));
    Ok(Correlation {
        question: Question::Indicator(Asked { kinds, lists, sources, confidence }),
        rules: Vec::new(),
        by: By::Fleet,
        measures: Vec::new(),
        aliases: Vec::new(),
        timespan_nanos: 0,
        generate: Generate::Unsaid,
        shown,
        digest: node.digest(),
    })
}

fn texts(node: &Node, key: &'static str) -> Result<Vec<String>, Refusal> {
    let Some(written) = node.get(key) else { return Ok(Vec::new()) };
    let texts = written.only_texts(key).map_err(|reason| written.refuse(reason))?;
    if texts.is_empty() || texts.len() > bounds::REFERENCES {
        let expected = "1 to 256 names";
        return Err(written.refuse(Reason::WrongType { field: key.to_owned(), expected }));
    }
    Ok(texts)
}
