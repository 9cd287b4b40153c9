//! What every document has: id, title, level, tags, log source.

use metsuke_event::finding::{DetectionRef, Layer, Level};
use metsuke_event::logsource::LogSource;

use crate::demand;
use crate::document::{Reason, Refusal};
use crate::ruleset::Meta;
use crate::yaml::{Node, cut};

/// Log source asked for, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) product: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) service: Option<String>,
}

impl Source {
    pub(crate) fn of(source: &LogSource<'_>) -> Self {
        Self {
            product: source.product.map(str::to_owned),
            category: source.category.map(str::to_owned),
            service: source.service.map(str::to_owned),
        }
    }

    pub(crate) fn as_log_source(&self) -> LogSource<'_> {
        LogSource {
            product: self.product.as_deref(),
            category: self.category.as_deref(),
            service: self.service.as_deref(),
        }
    }
}

/// A header with the other name a rule may be referred to by.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) meta: Meta,
    pub(crate) name: Option<String>,
}

/// Reads the header of `node`.
pub(crate) fn parse(node: &Node, path: &str, layer: Layer) -> Result<Header, Refusal> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let texts = |key: &str| node.get(key).map(Node::texts).unwrap_or_default();
    if let Some(taxonomy) = node.get("taxonomy")
        && let Some(name) = taxonomy.text().filter(|name| *name != "sigma")
    {
        return Err(taxonomy.refuse(Reason::Taxonomy(cut(name))));
    }
    let title = text("title").ok_or_else(|| node.refuse(Reason::Missing("title")))?;
    let name = text("name");
    // Sigma does not ask for an id; documents of our own do.
    let sigma = node.get("detection").is_some() || node.get("correlation").is_some();
    let id = text("id").or_else(|| name.clone()).or_else(|| sigma.then(|| title.clone()));
    let id = id.ok_or_else(|| node.refuse(Reason::Missing("id")))?;
    let (techniques, tactics) = attack(&texts("tags"));
    Ok(Header {
        meta: Meta {
            detection: DetectionRef {
                id,
                title,
                layer,
                level: level(node.get("level"))
                    .map_err(|reason| node.get("level").unwrap_or(node).refuse(reason))?,
                techniques,
                tactics,
            },
            path: path.to_owned(),
            description: text("description").unwrap_or_default(),
            false_positives: texts("falsepositives"),
            references: texts("references"),
            status: text("status").unwrap_or_default(),
            log_source: String::new(),
            narrowed_by: Vec::new(),
            needs: demand::needs(node)?,
            responses: demand::responses(node)?,
        },
        name,
    })
}

/// Reads a level; Sigma's default is the lowest.
pub(crate) fn level(node: Option<&Node>) -> Result<Level, Reason> {
    if node.is_none_or(Node::is_null) {
        return Ok(Level::Informational);
    }
    match node.and_then(Node::text) {
        Some("informational") => Ok(Level::Informational),
        Some("low") => Ok(Level::Low),
        Some("medium") => Ok(Level::Medium),
        Some("high") => Ok(Level::High),
        Some("critical") => Ok(Level::Critical),
        _ => Err(Reason::WrongType {
            field: "level".to_owned(),
            expected: "informational, low, medium, high or critical",
        }),
    }
}

/// ATT&CK techniques and tactics of tags such as `attack.t1059.004` and `attack.credential-access`.
pub(crate) fn attack(tags: &[String]) -> (Vec<String>, Vec<String>) {
    let mut techniques = Vec::new();
    let mut tactics = Vec::new();
    for tag in tags {
        let Some(name) = tag.to_ascii_lowercase().strip_prefix("attack.").map(str::to_owned) else {
            continue;
        };
        let numbered = |letter: char| {
            name.strip_prefix(letter)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        if numbered('t') {
            techniques.push(name.to_ascii_uppercase());
        } else if !numbered('g') && !numbered('s') {
            tactics.push(name.replace('_', "-"));
        }
    }
    (techniques, tactics)
}

/// Reads `logsource`.
pub(crate) fn source(node: &Node) -> Result<Source, Refusal> {
    let source = node.get("logsource");
    let source = source.ok_or_else(|| node.refuse(Reason::Missing("logsource")))?;
    let mut found = Source::default();
    for (key, value) in source.entries() {
        let value = || value.text().map(str::to_ascii_lowercase);
        match key.as_str() {
            "product" => found.product = value(),
            "category" => found.category = value(),
            "service" => found.service = value(),
            // `definition` and whatever else says how to get the log; nothing is asked by it.
            _ => {}
        }
    }
    if found == Source::default() {
        return Err(
            source.refuse_key(Reason::Missing("logsource: product, category or service"), 0)
        );
    }
    Ok(found)
}

/// Reads a duration such as `10m`, in nanoseconds.
pub(crate) fn duration(text: &str) -> Result<i64, Reason> {
    let refuse = || Reason::Duration(cut(text));
    let unit = text.chars().last().ok_or_else(refuse)?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(refuse()),
    };
    let number: i64 = text[..text.len() - 1].trim().parse().map_err(|_| refuse())?;
    if number < 1 {
        return Err(refuse());
    }
    number.checked_mul(seconds).and_then(|n| n.checked_mul(1_000_000_000)).ok_or_else(refuse)
}
