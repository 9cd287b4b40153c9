//! A filter document: log source, searches, condition; compiled into shared predicates.

use metsuke_event::field;
use metsuke_event::finding::Layer;

use crate::bounds;
use crate::document::{Position, Reason};
use crate::filter::{Clause, Expr, Filter};
use crate::predicate::{ANY_TEXT, FieldIx, FieldKey, Op, Predicates};
use crate::sigma::condition::{self, Condition};
use crate::sigma::header::{self, Header, Source};
use crate::sigma::modifier::{self, Asked, Modifiers, Other};
use crate::sigma::placeholder::Placeholders;
use crate::yaml::{Kind, Node, cut};

type Refusal = (Reason, Option<Position>);

/// Reads and compiles the filter at `node`; its predicates join `predicates`.
pub(crate) fn compile(
    node: &Node,
    path: &str,
    predicates: &mut Predicates,
    placeholders: &Placeholders,
) -> Result<(Header, Filter), Refusal> {
    let at = |reason| (reason, Some(node.at));
    let mut header = header::parse(node, path, Layer::Filter).map_err(at)?;
    let source = header::source(node).map_err(at)?;
    header.meta.log_source = shown(&source);
    let detection = node.get("detection").ok_or_else(|| at(Reason::Missing("detection")))?;
    let mut reader = Reader {
        predicates,
        placeholders,
        category: source.category.clone(),
        search: 0,
        clauses: Vec::new(),
        used: 0,
    };
    let mut names = Vec::new();
    let mut searches = Vec::new();
    for (name, search) in detection.entries() {
        if matches!(name.as_str(), "condition" | "timeframe") {
            continue;
        }
        reader.search = searches.len();
        searches.push(reader.search(search)?);
        names.push(name.clone());
    }
    let clauses = reader.clauses;
    let written = detection
        .get("condition")
        .ok_or((Reason::Missing("detection.condition"), Some(detection.at)))?;
    let mut conditions = Vec::new();
    for item in written.items() {
        let text = item.text().unwrap_or_default();
        conditions.push(condition::parse(text, &names).map_err(|reason| (reason, Some(item.at)))?);
    }
    let condition = match conditions.len() {
        0 => return Err((Reason::Missing("detection.condition"), Some(written.at))),
        1 => conditions.remove(0),
        _ => Condition::Some(1, conditions),
    };
    let mut budget = 4 * bounds::FILTER_PREDICATES;
    let sizes: Vec<usize> = searches.iter().map(Expr::size).collect();
    if !affordable(&condition, &sizes, &mut budget) {
        let what = "predicates of a filter, as its condition repeats them";
        return Err((Reason::TooLarge(what), Some(written.at)));
    }
    let expr = join(&condition, &searches);
    Ok((header, Filter { source, expr, clauses, names }))
}

fn shown(source: &Source) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
    format!("{}/{}/{}", part(&source.product), part(&source.category), part(&source.service))
}

/// Whether the joined condition stays within `budget` predicates.
fn affordable(condition: &Condition, sizes: &[usize], budget: &mut usize) -> bool {
    match condition {
        Condition::Search(index) => match budget.checked_sub(sizes[*index]) {
            Some(left) => {
                *budget = left;
                true
            }
            None => false,
        },
        Condition::Not(inner) => affordable(inner, sizes, budget),
        Condition::All(parts) | Condition::Some(_, parts) => {
            parts.iter().all(|part| affordable(part, sizes, budget))
        }
    }
}

/// The condition with its searches put in.
fn join(condition: &Condition, searches: &[Expr]) -> Expr {
    let all = |parts: &[Condition]| parts.iter().map(|part| join(part, searches)).collect();
    match condition {
        Condition::Search(index) => searches[*index].clone(),
        Condition::Not(inner) => Expr::Not(Box::new(join(inner, searches))),
        Condition::All(parts) => Expr::all(all(parts)),
        Condition::Some(1, parts) => Expr::any(all(parts)),
        Condition::Some(number, parts) => Expr::AtLeast(*number, all(parts)),
    }
}

struct Reader<'p> {
    predicates: &'p mut Predicates,
    placeholders: &'p Placeholders,
    category: Option<String>,
    search: usize,
    clauses: Vec<Clause>,
    used: usize,
}

impl Reader<'_> {
    /// A search: a mapping (all of it), a list (one of it) of mappings and keywords, or a keyword.
    fn search(&mut self, node: &Node) -> Result<Expr, Refusal> {
        match &node.kind {
            _ if node.is_null() => Err(empty(node)),
            Kind::Map(entries) if entries.is_empty() => Err(empty(node)),
            Kind::List(items) if items.is_empty() => Err(empty(node)),
            Kind::Map(entries) => {
                let parts: Result<Vec<_>, _> =
                    entries.iter().map(|(key, value)| self.entry(key, value)).collect();
                parts.map(Expr::all)
            }
            Kind::List(items) => {
                let parts: Result<Vec<_>, _> = items
                    .iter()
                    .map(|item| match item.kind {
                        Kind::Scalar { .. } => self.keywords("", item),
                        Kind::Map(_) => self.search(item),
                        Kind::List(_) => {
                            Err((wrong("a search", "no list of lists"), Some(item.at)))
                        }
                    })
                    .collect();
                parts.map(Expr::any)
            }
            Kind::Scalar { .. } => self.keywords("", node),
        }
    }

    fn entry(&mut self, key: &str, value: &Node) -> Result<Expr, Refusal> {
        if key.is_empty() || key.starts_with('|') {
            return self.keywords(key, value);
        }
        let modifiers = modifier::parse(key).map_err(|(reason, _)| (reason, Some(value.at)))?;
        let field = self.field(&modifiers.field);
        self.values(field, &modifiers, key, value)
    }

    fn keywords(&mut self, key: &str, value: &Node) -> Result<Expr, Refusal> {
        let mut modifiers = modifier::parse(key).map_err(|(reason, _)| (reason, Some(value.at)))?;
        modifiers.keyword().map_err(|reason| (reason, Some(value.at)))?;
        self.values(ANY_TEXT, &modifiers, key, value)
    }

    fn field(&mut self, name: &str) -> FieldIx {
        let row = field::by_sigma(name, self.category.as_deref()).or_else(|| field::by_name(name));
        self.predicates.field(FieldKey { id: row.map(|row| row.id), name: name.into() })
    }

    fn values(
        &mut self,
        field: FieldIx,
        modifiers: &Modifiers,
        key: &str,
        value: &Node,
    ) -> Result<Expr, Refusal> {
        let items = match &value.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        if items.is_empty() {
            return Err((wrong(key, "a value: the list is empty"), Some(value.at)));
        }
        let mut parts = Vec::with_capacity(items.len());
        for item in items {
            let asked = modifiers
                .asked(item, self.placeholders)
                .map_err(|reason| (reason, Some(item.at)))?;
            self.used += asked.len();
            if self.used > bounds::FILTER_PREDICATES {
                return Err((Reason::TooLarge("predicates of a filter"), Some(item.at)));
            }
            let clause = self.clauses.len();
            self.clauses.push(Clause {
                search: self.search,
                key: key.into(),
                value: item.text().unwrap_or("null").into(),
            });
            let variants = asked.into_iter().map(|asked| {
                let (key, op) = match asked {
                    Asked::Op(key, op) => (key, op),
                    Asked::Field(name, how) => {
                        let other = self.field(&name);
                        let op = match how {
                            Other::Folded(relation) => Op::Field(other, relation),
                            Other::Cased(relation) => Op::FieldCased(other, relation),
                            Other::Number(comparison) => Op::FieldNumber(other, comparison),
                        };
                        (format!("field {} {how:?}", other.0), op)
                    }
                };
                Expr::Pred(self.predicates.predicate(field, key, op), clause)
            });
            parts.push(Expr::any(variants.collect()));
        }
        let joined = if modifiers.all { Expr::all(parts) } else { Expr::any(parts) };
        Ok(if modifiers.negated { Expr::Not(Box::new(joined)) } else { joined })
    }
}

fn empty(node: &Node) -> Refusal {
    (wrong("a search", "something to look for: it is empty"), Some(node.at))
}

fn wrong(field: &str, expected: &'static str) -> Reason {
    Reason::WrongType { field: cut(field), expected }
}
