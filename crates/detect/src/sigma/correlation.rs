//! A correlation document (Sigma correlations 2.1): rules over the hits of others.
//!
//! `value_sum`, `value_avg`, `value_percentile` and `value_median` follow the reference
//! implementation, which the specification's metric operators come from. A condition may compare
//! several times; all have to hold.

use crate::bounds;
use crate::document::{Position, Reason, Refusal};
use crate::question::{Bound, Question, Range, Reckoned};
use crate::sigma::condition::{self, Condition};
use crate::sigma::header;
use crate::yaml::{Node, cut};

/// A rule as written; references and fields are names still.
#[derive(Debug)]
pub(crate) struct Correlation {
    pub(crate) question: Question,
    /// Referred-to detections, by id or name.
    pub(crate) rules: Vec<(String, Position)>,
    pub(crate) by: By,
    /// What is counted: each the fields whose values are put together.
    pub(crate) measures: Vec<Vec<String>>,
    /// Per alias the field it stands for in each rule.
    pub(crate) aliases: Vec<(String, Vec<(String, String)>)>,
    pub(crate) timespan_nanos: i64,
    pub(crate) generate: Generate,
    /// How it was written, for people.
    pub(crate) shown: String,
    /// Of what was written.
    pub(crate) digest: u64,
}

/// What hits must share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The values of these fields or aliases.
    Fields(Vec<String>),
    Storyline,
    Host,
    User,
    Fleet,
}

/// Whether the hits of what it stands on are found by themselves too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generate {
    Unsaid,
    Yes,
    No,
}

/// Reads the correlation `correlation`.
pub(crate) fn parse(correlation: &Node) -> Result<Correlation, Refusal> {
    known_keys(
        correlation,
        &["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"],
    )?;
    let rules = references(correlation, "rules")?;
    let written = required(correlation, "type")?;
    let kind = written.text().unwrap_or_default();
    let condition = correlation.get("condition");
    let (question, measures) = question(correlation, written, condition, &rules)?;
    let group_by = match correlation.get("group-by") {
        Some(node) => node.only_texts("group-by").map_err(|reason| node.refuse(reason))?,
        None => Vec::new(),
    };
    let (timespan_nanos, timespan) = duration(correlation, "timespan")?;
    let by =
        if group_by.is_empty() { String::new() } else { format!(" by {}", group_by.join(", ")) };
    let aliases = correlation.get("aliases").map_or(Ok(Vec::new()), aliases)?;
    Ok(Correlation {
        question,
        rules,
        by: By::Fields(group_by),
        measures,
        aliases,
        timespan_nanos,
        generate: generate(correlation.get("generate"))?,
        shown: format!("{kind}{by} within {timespan}"),
        digest: correlation.digest(),
    })
}

type Asked = (Question, Vec<Vec<String>>);

fn question(
    correlation: &Node,
    written: &Node,
    condition: Option<&Node>,
    rules: &[(String, Position)],
) -> Result<Asked, Refusal> {
    let needed = || {
        condition.ok_or_else(|| correlation.refuse_key(Reason::Missing("correlation.condition"), 0))
    };
    let measured = |reckoned| {
        let node = needed()?;
        let question = Question::Number(reckoned, range(node, Of::Numbers)?);
        Ok((question, vec![field(node)?]))
    };
    match written.text().unwrap_or_default() {
        "event_count" => Ok((Question::Count(range(needed()?, Of::Hits)?), Vec::new())),
        "value_count" => {
            let node = needed()?;
            Ok((Question::Values(range(node, Of::Hits)?), vec![field(node)?]))
        }
        "value_sum" => measured(Reckoned::Sum),
        "value_avg" => measured(Reckoned::Average),
        "value_median" => measured(Reckoned::Percentile(50.0)),
        "value_percentile" => measured(Reckoned::Percentile(percentile(needed()?)?)),
        "temporal" => Ok((temporal(condition, rules)?, Vec::new())),
        "temporal_ordered" => match condition {
            None => Ok((Question::Ordered, Vec::new())),
            Some(node) => Err(node.refuse_key(unsupported("a condition of temporal_ordered"), 0)),
        },
        other => Err(written.refuse(Reason::CorrelationType(cut(other)))),
    }
}

/// The detections named at `key`.
pub(crate) fn references(
    node: &Node,
    key: &'static str,
) -> Result<Vec<(String, Position)>, Refusal> {
    let written = required(node, key)?;
    let mut names = Vec::new();
    for item in written.items() {
        let name = item.text().ok_or_else(|| {
            item.refuse(Reason::WrongType { field: key.to_owned(), expected: "ids or names" })
        })?;
        names.push((name.to_owned(), item.at));
    }
    if names.is_empty() {
        return Err(written.refuse_key(Reason::Missing("detections to stand on"), 0));
    }
    if names.len() > bounds::REFERENCES {
        return Err(written.refuse(Reason::TooLarge("detections one rule stands on")));
    }
    Ok(names)
}

/// The value at `key`, which has to be there.
pub(crate) fn required<'n>(node: &'n Node, key: &'static str) -> Result<&'n Node, Refusal> {
    node.get(key).ok_or_else(|| node.refuse_key(Reason::Missing(key), 0))
}

/// The duration at `key`, and how it was written.
pub(crate) fn duration<'n>(node: &'n Node, key: &'static str) -> Result<(i64, &'n str), Refusal> {
    let written = required(node, key)?;
    let text = written.text().unwrap_or_default();
    Ok((header::duration(text).map_err(|reason| written.refuse(reason))?, text))
}

/// Refuses every key of `node` that is not among `known`.
pub(crate) fn known_keys(node: &Node, known: &[&str]) -> Result<(), Refusal> {
    match node.entries().iter().find(|(key, _)| !known.contains(&key.as_str())) {
        Some((key, value)) => Err(value.refuse_key(Reason::UnknownKey(cut(key)), 0)),
        None => Ok(()),
    }
}

fn generate(node: Option<&Node>) -> Result<Generate, Refusal> {
    match node {
        None => Ok(Generate::Unsaid),
        Some(node) => match node.text() {
            Some("true" | "True" | "yes") => Ok(Generate::Yes),
            Some("false" | "False" | "no") => Ok(Generate::No),
            _ => Err(node.refuse(Reason::WrongType {
                field: "generate".to_owned(),
                expected: "true or false",
            })),
        },
    }
}

type Aliases = Vec<(String, Vec<(String, String)>)>;

fn aliases(node: &Node) -> Result<Aliases, Refusal> {
    let wrong = |node: &Node| {
        let expected = "for each alias a field for each rule";
        node.refuse(Reason::WrongType { field: "aliases".to_owned(), expected })
    };
    let mut found = Vec::new();
    for (name, rules) in node.mapping("aliases").map_err(|reason| node.refuse(reason))? {
        let entries = rules.mapping("aliases").map_err(|_| wrong(rules))?;
        let field = |(rule, field): &(String, Node)| {
            Ok((rule.clone(), field.text().ok_or_else(|| wrong(field))?.to_owned()))
        };
        let fields: Result<Vec<_>, Refusal> = entries.iter().map(field).collect();
        found.push((name.clone(), fields?));
    }
    Ok(found)
}

fn field(condition: &Node) -> Result<Vec<String>, Refusal> {
    let missing = || condition.refuse_key(Reason::Missing("condition.field"), 0);
    let fields = condition.get("field").ok_or_else(missing)?;
    let names = fields.only_texts("field").map_err(|reason| fields.refuse(reason))?;
    if names.is_empty() {
        return Err(missing());
    }
    if names.len() > bounds::VALUE_FIELDS {
        return Err(fields.refuse(Reason::TooLarge("fields of one value")));
    }
    Ok(names)
}

fn number(node: &Node) -> Result<f64, Refusal> {
    let number = node.text().and_then(|text| text.parse::<f64>().ok());
    number.filter(|number| number.is_finite()).ok_or_else(|| {
        node.refuse(Reason::WrongType { field: "condition".to_owned(), expected: "a number" })
    })
}

fn percentile(condition: &Node) -> Result<f64, Refusal> {
    let node = required(condition, "percentile")?;
    let percent = number(node)?;
    if percent > 0.0 && percent <= 100.0 {
        return Ok(percent);
    }
    let expected = "more than 0 and at most 100";
    Err(node.refuse(Reason::WrongType { field: "percentile".to_owned(), expected }))
}

/// What a range is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// A count of held hits: a whole number from 1 to the bound.
    Hits,
    Numbers,
}

/// The comparisons of a condition.
fn range(condition: &Node, of: Of) -> Result<Range, Refusal> {
    let mut found = Vec::new();
    for (key, value) in condition.entries() {
        let bound = match key.as_str() {
            "gte" => Bound::AtLeast,
            "gt" => Bound::Above,
            "lte" => Bound::AtMost,
            "lt" => Bound::Below,
            "eq" => Bound::Equal,
            "neq" => Bound::Other,
            "field" | "percentile" => continue,
            other => return Err(value.refuse_key(Reason::UnknownKey(cut(other)), 0)),
        };
        let limit = number(value)?;
        if of == Of::Hits && (limit < 0.0 || limit.fract() != 0.0) {
            let expected = "a whole number";
            return Err(value.refuse(Reason::WrongType { field: cut(key), expected }));
        }
        found.push((bound, limit));
    }
    let range = Range(found);
    if range.0.is_empty() {
        return Err(condition.refuse_key(Reason::Missing("condition: gte, gt, lte, lt or eq"), 0));
    }
    if of == Of::Hits {
        if range.holds(0.0) && range.0.iter().all(|(bound, _)| *bound == Bound::AtLeast) {
            let why = "a count of 0 is always met".to_owned();
            return Err(condition.refuse_key(Reason::Condition(why), 0));
        }
        if !(1..=bounds::CORRELATION_HITS).any(|count| range.holds_count(count)) {
            let most = f64::from(u32::try_from(bounds::CORRELATION_HITS).unwrap_or(u32::MAX));
            let large = range.0.iter().any(|(_, limit)| *limit >= most);
            let never = || Reason::Condition("no count meets all of it".to_owned());
            let reason = if large { Reason::TooLarge("hits of a correlation") } else { never() };
            return Err(condition.refuse_key(reason, 0));
        }
    }
    Ok(range)
}

fn temporal(condition: Option<&Node>, rules: &[(String, Position)]) -> Result<Question, Refusal> {
    let all = || Condition::All((0..rules.len()).map(Condition::Search).collect());
    let Some(node) = condition else { return Ok(Question::Temporal(all())) };
    let Some(text) = node.text() else {
        return Ok(Question::Several(range(node, Of::Hits)?));
    };
    let names: Vec<String> = rules.iter().map(|(name, _)| name.clone()).collect();
    let parsed = condition::parse(text, &names);
    let parsed = parsed.map_err(|(reason, at)| node.refuse_text(reason, at))?;
    if negates(&parsed) {
        return Err(node.refuse(unsupported("`not` in a condition over time")));
    }
    Ok(Question::Temporal(parsed))
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
