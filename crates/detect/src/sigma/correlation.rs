//! A correlation document (Sigma correlations 2.1): rules over the hits of others.

use crate::bounds;
use crate::document::Reason;
use crate::sigma::condition::{self, Condition};
use crate::sigma::header;
use crate::yaml::{Node, cut};

/// A correlation as written; references and fields are names still.
#[derive(Debug)]
pub(crate) struct Correlation {
    pub(crate) kind: Kind,
    /// Referred-to detections, by id or name.
    pub(crate) rules: Vec<String>,
    pub(crate) group_by: Vec<String>,
    /// Per alias the field it stands for in each rule.
    pub(crate) aliases: Vec<(String, Vec<(String, String)>)>,
    pub(crate) timespan_nanos: i64,
    /// How it was written, for people.
    pub(crate) shown: String,
}

/// What is asked of the hits in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At least so many hits.
    EventCount(usize),
    /// At least so many values of this field.
    ValueCount(usize, String),
    /// A condition over which rules struck, in any order.
    Temporal(Condition),
    /// All rules struck, in the order they are listed.
    TemporalOrdered,
}

/// Reads the correlation of `node`.
pub(crate) fn parse(node: &Node) -> Result<Correlation, Reason> {
    let correlation = node.get("correlation").ok_or(Reason::Missing("correlation"))?;
    let text = |key: &str| correlation.get(key).and_then(Node::text);
    let rules = correlation.get("rules").map(Node::texts).unwrap_or_default();
    if rules.is_empty() {
        return Err(Reason::Missing("correlation.rules"));
    }
    for (key, _) in correlation.entries() {
        let known = ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];
        if !known.contains(&key.as_str()) {
            return Err(Reason::UnknownKey(format!("correlation.{}", cut(key))));
        }
    }
    let timespan = text("timespan").ok_or(Reason::Missing("correlation.timespan"))?;
    let condition = correlation.get("condition");
    let written = text("type").ok_or(Reason::Missing("correlation.type"))?;
    let kind = match written {
        "event_count" => Kind::EventCount(threshold(condition)?),
        "value_count" => {
            let field = condition.and_then(|node| node.get("field")).and_then(Node::text);
            let field = field.ok_or(Reason::Missing("correlation.condition.field"))?;
            Kind::ValueCount(threshold(condition)?, field.to_owned())
        }
        "temporal" => Kind::Temporal(temporal(condition, &rules)?),
        "temporal_ordered" => match condition {
            None => Kind::TemporalOrdered,
            Some(_) => return Err(unsupported("a condition of temporal_ordered")),
        },
        other => return Err(Reason::CorrelationType(cut(other))),
    };
    let group_by = correlation.get("group-by").map(Node::texts).unwrap_or_default();
    let shown = format!("{written} by {} within {timespan}", group_by.join(", "));
    Ok(Correlation {
        kind,
        rules,
        group_by,
        aliases: correlation.get("aliases").map(aliases).unwrap_or_default(),
        timespan_nanos: header::duration(timespan)?,
        shown,
    })
}

fn aliases(node: &Node) -> Vec<(String, Vec<(String, String)>)> {
    let of_rule = |(rule, field): &(String, Node)| Some((rule.clone(), field.text()?.to_owned()));
    let of_alias = |(name, rules): &(String, Node)| {
        (name.clone(), rules.entries().iter().filter_map(of_rule).collect())
    };
    node.entries().iter().map(of_alias).collect()
}

/// The least number that meets the condition. Upper bounds are refused: that a window stays below
/// a number is known only after it.
fn threshold(condition: Option<&Node>) -> Result<usize, Reason> {
    let condition = condition.ok_or(Reason::Missing("correlation.condition"))?;
    let mut least = None;
    for (key, value) in condition.entries() {
        let number = || {
            value.text().and_then(|text| text.parse::<usize>().ok()).ok_or(Reason::WrongType {
                field: format!("correlation.condition.{}", cut(key)),
                expected: "a number",
            })
        };
        match key.as_str() {
            "gte" | "eq" => least = Some(number()?),
            "gt" => least = Some(number()?.saturating_add(1)),
            "field" => {}
            "lt" | "lte" | "neq" => return Err(unsupported("an upper bound of a count")),
            other => return Err(Reason::UnknownKey(format!("condition.{}", cut(other)))),
        }
    }
    match least {
        None => Err(Reason::Missing("correlation.condition: gte")),
        Some(0) => Err(Reason::Condition("a count of 0 is always met".to_owned())),
        Some(number) if number > bounds::CORRELATION_HITS => {
            Err(Reason::TooLarge("hits of a correlation"))
        }
        Some(number) => Ok(number),
    }
}

fn temporal(condition: Option<&Node>, rules: &[String]) -> Result<Condition, Reason> {
    let all = || (0..rules.len()).map(Condition::Search).collect();
    match condition {
        None => Ok(Condition::All(all())),
        Some(node) => match node.text() {
            Some(text) => {
                let parsed = condition::parse(text, rules).map_err(|(reason, _)| reason)?;
                if negates(&parsed) {
                    return Err(unsupported("`not` in a condition over time"));
                }
                Ok(parsed)
            }
            None => Ok(Condition::Some(threshold(Some(node))?.min(rules.len()), all())),
        },
    }
}

fn negates(condition: &Condition) -> bool {
    match condition {
        Condition::Search(_) => false,
        Condition::Not(_) => true,
        Condition::All(parts) | Condition::Some(_, parts) => parts.iter().any(negates),
    }
}

fn unsupported(what: &str) -> Reason {
    Reason::Condition(format!("{what} is not supported; leave it out"))
}
