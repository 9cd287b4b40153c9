//! A filter document: log source, searches, condition; compiled into shared predicates.

use metsuke_event::field;
use metsuke_event::finding::Layer;

use crate::bounds;
use crate::document::{Reason, Refusal};
use crate::filter::{Clause, Expr, Filter};
use crate::predicate::{ANY_TEXT, FieldIx, FieldKey, Op, Predicates};
use crate::sigma::condition::{self, Condition};
use crate::sigma::header::{self, Header, Source};
use crate::sigma::modifier::{self, Asked, Modifiers, Other};
use crate::sigma::placeholder::Placeholders;
use crate::yaml::{Kind, Node, cut};

/// Searches and condition, compiled.
pub(crate) struct Body {
    pub(crate) names: Vec<String>,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) condition: Condition,
    searches: Vec<Expr>,
}

impl Body {
    /// When the condition holds.
    pub(crate) fn expr(&self) -> Expr {
        join(&self.condition, &self.searches)
    }
}

/// What searches are compiled into, and for whom.
pub(crate) struct Place<'p> {
    pub(crate) predicates: &'p mut Predicates,
    pub(crate) placeholders: &'p Placeholders,
    /// The log source's category, which says what field names mean.
    pub(crate) category: Option<String>,
    /// Searches and clauses that stand before these.
    pub(crate) before: (usize, usize),
}

/// Reads and compiles the filter at `node`; its predicates join `predicates`.
pub(crate) fn compile(
    node: &Node,
    path: &str,
    predicates: &mut Predicates,
    placeholders: &Placeholders,
) -> Result<(Header, Filter), Refusal> {
    let mut header = header::parse(node, path, Layer::Filter)?;
    let source = header::source(node)?;
    header.meta.log_source = shown(&source);
    let detection = node.get("detection");
    let detection = detection.ok_or_else(|| node.refuse(Reason::Missing("detection")))?;
    let category = source.category.clone();
    let place = Place { predicates, placeholders, category, before: (0, 0) };
    let body = body(detection, &["condition", "timeframe"], place)?;
    let expr = body.expr();
    Ok((header, Filter { source, expr, clauses: body.clauses, names: body.names }))
}

/// Reads and compiles the searches of `node`, all entries but the `others`, and the condition.
pub(crate) fn body(node: &Node, others: &[&str], place: Place<'_>) -> Result<Body, Refusal> {
    let (search, first_clause) = place.before;
    let room = bounds::DOCUMENT_REGEX_BYTES;
    let mut reader = Reader { place, search, first_clause, clauses: Vec::new(), used: 0, room };
    let mut names = Vec::new();
    let mut searches = Vec::new();
    for (name, search) in node.entries() {
        if !others.contains(&name.as_str()) {
            searches.push(reader.search(search)?);
            names.push(name.clone());
            reader.search += 1;
        }
    }
    let clauses = reader.clauses;
    let written = node
        .get("condition")
        .ok_or_else(|| node.refuse_key(Reason::Missing("condition beside the searches"), 0))?;
    let mut conditions = Vec::new();
    for item in written.items() {
        let text = item.text().ok_or_else(|| item.refuse(wrong("condition", "text")))?;
        let parsed = condition::parse(text, &names);
        conditions.push(parsed.map_err(|(reason, at)| item.refuse_text(reason, at))?);
    }
    let condition = match conditions.len() {
        0 => return Err(written.refuse_key(Reason::Missing("condition: it is empty"), 0)),
        1 => conditions.remove(0),
        _ => Condition::Some(1, conditions),
    };
    let mut budget = 4 * bounds::FILTER_PREDICATES;
    let sizes: Vec<usize> = searches.iter().map(Expr::size).collect();
    if !affordable(&condition, &sizes, &mut budget) {
        let what = "predicates of a filter, as its condition repeats them";
        return Err(written.refuse(Reason::TooLarge(what)));
    }
    Ok(Body { names, clauses, condition, searches })
}

/// Compiles the one search at `node` for itself: a filter of no log source.
pub(crate) fn search(node: &Node, place: Place<'_>) -> Result<Filter, Refusal> {
    let (search, first_clause) = place.before;
    let room = bounds::DOCUMENT_REGEX_BYTES;
    let mut reader = Reader { place, search, first_clause, clauses: Vec::new(), used: 0, room };
    let expr = reader.search(node)?;
    Ok(Filter { source: Source::default(), expr, clauses: reader.clauses, names: Vec::new() })
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
    place: Place<'p>,
    search: usize,
    first_clause: usize,
    clauses: Vec<Clause>,
    used: usize,
    /// Bytes that regular expressions may still take.
    room: usize,
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
                        Kind::List(_) => Err(item.refuse(wrong("a search", "no list of lists"))),
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
        let modifiers = modifier::parse(key);
        let modifiers = modifiers.map_err(|(reason, at)| value.refuse_key(reason, at))?;
        let field = self.field(&modifiers.field);
        self.values(field, &modifiers, key, value)
    }

    fn keywords(&mut self, key: &str, value: &Node) -> Result<Expr, Refusal> {
        let modifiers = modifier::parse(key);
        let mut modifiers = modifiers.map_err(|(reason, at)| value.refuse_key(reason, at))?;
        modifiers.keyword().map_err(|reason| value.refuse_key(reason, 0))?;
        self.values(ANY_TEXT, &modifiers, key, value)
    }

    fn field(&mut self, name: &str) -> FieldIx {
        let category = self.place.category.as_deref();
        let row = field::by_sigma(name, category).or_else(|| field::by_name(name));
        self.place.predicates.field(FieldKey { id: row.map(|row| row.id), name: name.into() })
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
            return Err(value.refuse(wrong(key, "a value: the list is empty")));
        }
        let mut parts = Vec::with_capacity(items.len());
        for item in items {
            let asked = modifiers.asked(item, self.place.placeholders, &mut self.room);
            let asked = asked.map_err(|reason| item.refuse(reason))?;
            self.used += asked.len();
            if self.used > bounds::FILTER_PREDICATES {
                return Err(item.refuse(Reason::TooLarge("predicates of a filter")));
            }
            let clause = self.first_clause + self.clauses.len();
            self.clauses.push(Clause {
                search: self.search,
                key: key.into(),
                value: item.text().unwrap_or("null").into(),
            });
            let variants = asked.into_iter().map(|asked| {
                let (key, op) = self.op(asked);
                Expr::Pred(self.place.predicates.predicate(field, key, op), clause)
            });
            parts.push(Expr::any(variants.collect()));
        }
        let joined = if modifiers.all { Expr::all(parts) } else { Expr::any(parts) };
        Ok(if modifiers.negated { Expr::Not(Box::new(joined)) } else { joined })
    }

    fn op(&mut self, asked: Asked) -> (String, Op) {
        match asked {
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
        }
    }
}

fn empty(node: &Node) -> Refusal {
    node.refuse_key(wrong("a search", "something to look for: it is empty"), 0)
}

fn wrong(field: &str, expected: &'static str) -> Reason {
    Reason::WrongType { field: cut(field), expected }
}
