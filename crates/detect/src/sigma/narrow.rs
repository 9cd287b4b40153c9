//! A Sigma filter document (`filter:`): searches that narrow filters of others.
//!
//! It exists to suppress (Sigma filters 2.1, "Introduction"). The specification's example writes
//! `condition: selection` for what is suppressed, the reference implementation `condition: not
//! selection` for what remains. Both are read as they are meant: a condition in which everything is
//! negated says what remains, any other what is suppressed.

use crate::document::{Position, Reason, Refusal};
use crate::filter::{Clause, Expr, Filter};
use crate::predicate::Predicates;
use crate::sigma::condition::Condition;
use crate::sigma::filter::{self, Body, Place};
use crate::sigma::header::{self, Source};
use crate::sigma::placeholder::Placeholders;
use crate::yaml::Node;

/// A filter document as written.
#[derive(Debug)]
pub(crate) struct Narrowing {
    /// Its `id`, else its title.
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) source: Source,
    pub(crate) rules: Rules,
    /// The value of `filter`.
    node: Node,
}

/// Which filters are narrowed.
#[derive(Debug)]
pub(crate) enum Rules {
    /// All of its log source.
    Any,
    /// These, by id or name.
    Named(Vec<(String, Position)>),
}

/// What is added to one filter.
pub(crate) struct Addition {
    names: Vec<String>,
    clauses: Vec<Clause>,
    expr: Expr,
}

/// Reads the filter document at `node`.
pub(crate) fn parse(node: &Node, path: &str) -> Result<Narrowing, Refusal> {
    let title = node.get("title").and_then(Node::text);
    let title = title.ok_or_else(|| node.refuse(Reason::Missing("title")))?;
    let id = node.get("id").and_then(Node::text).unwrap_or(title);
    let source = header::source(node)?;
    let filter = node.get("filter").ok_or_else(|| node.refuse(Reason::Missing("filter")))?;
    let missing = || filter.refuse_key(Reason::Missing("filter.rules (ids, names or `any`)"), 0);
    let rules = filter.get("rules").ok_or_else(missing)?;
    let named: Vec<(String, Position)> =
        rules.items().iter().filter_map(|item| Some((item.text()?.to_owned(), item.at))).collect();
    let rules = match named.as_slice() {
        [] => return Err(missing()),
        [(name, _)] if name == "any" => Rules::Any,
        _ => Rules::Named(named),
    };
    Ok(Narrowing { id: id.to_owned(), path: path.to_owned(), source, rules, node: filter.clone() })
}

impl Narrowing {
    /// What it adds to a filter of `source` that has so many searches and clauses.
    pub(crate) fn compile(
        &self,
        source: &Source,
        before: (usize, usize),
        predicates: &mut Predicates,
        placeholders: &Placeholders,
    ) -> Result<Addition, Refusal> {
        let category = source.category.clone();
        let place = Place { predicates, placeholders, category, before };
        let body = filter::body(&self.node, &["rules", "condition"], place)?;
        let expr = narrowed(&body);
        Ok(Addition { names: body.names, clauses: body.clauses, expr })
    }

    /// Where the document's `filter` stands.
    pub(crate) fn place(&self) -> Position {
        self.node.key_at
    }
}

impl Addition {
    /// How many predicates it names.
    pub(crate) fn size(&self) -> usize {
        self.expr.size()
    }

    /// Narrows `filter`, for which it was compiled.
    pub(crate) fn apply(self, filter: &mut Filter) {
        filter.names.extend(self.names);
        filter.clauses.extend(self.clauses);
        let own = std::mem::replace(&mut filter.expr, Expr::All(Vec::new()));
        filter.expr = Expr::all(vec![own, self.expr]);
    }
}

/// What must hold beside the filter's own condition.
fn narrowed(body: &Body) -> Expr {
    if says_what_remains(&body.condition) { body.expr() } else { Expr::Not(Box::new(body.expr())) }
}

fn says_what_remains(condition: &Condition) -> bool {
    match condition {
        Condition::Search(_) => false,
        Condition::Not(_) => true,
        Condition::All(parts) | Condition::Some(_, parts) => parts.iter().all(says_what_remains),
    }
}
