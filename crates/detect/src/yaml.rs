//! YAML as a tree with positions, bounded in depth, nodes and aliases.
//!
//! The events come from `saphyr-parser`, whose parser keeps its own stack on the heap; the tree is
//! built here without recursion, so no document can exhaust the stack. An alias is a copy and its
//! nodes count again, so an alias bomb meets [`bounds::YAML_NODES`]. Tags are passed over.
//! Scalars stay text: `plain` tells `null` from `"null"`, and Sigma compares text anyway.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::bounds;
use crate::document::{Position, Reason, Refusal};

/// A node and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) at: Position,
    /// Where its key begins, when it stands in a mapping; else where it begins itself.
    pub(crate) key_at: Position,
    /// Where its first character stands, when each of the others is one column further.
    text_at: Option<Position>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A scalar; `plain` when it was not quoted.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping with text keys, in the order of the document.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The text of a scalar, quoted or not; `None` for null and for what is no scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Whether it is a plain `null`, `~` or nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value at `key` of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find_map(|(name, node)| (name == key).then_some(node))
    }

    /// The entries of a mapping; none for what is no mapping.
    pub(crate) fn entries(&self) -> &[(String, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; a scalar or mapping is a list of one, null is none.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ if self.is_null() => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// The texts of a list of scalars.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.items().iter().filter_map(|item| item.text().map(str::to_owned)).collect()
    }

    /// The texts of a list of scalars (or of one scalar), when it holds nothing else.
    pub(crate) fn only_texts(&self, field: &str) -> Result<Vec<String>, Reason> {
        let texts = self.texts();
        if texts.len() == self.items().len() {
            return Ok(texts);
        }
        let expected = "a text or a list of texts";
        Err(Reason::WrongType { field: cut(field), expected })
    }

    /// The entries of what has to be a mapping.
    pub(crate) fn mapping(&self, field: &str) -> Result<&[(String, Self)], Reason> {
        match &self.kind {
            Kind::Map(entries) => Ok(entries),
            _ => Err(Reason::WrongType { field: cut(field), expected: "a mapping" }),
        }
    }

    /// `reason`, at this node.
    pub(crate) fn refuse(&self, reason: Reason) -> Refusal {
        (reason, Some(self.at))
    }

    /// `reason`, at character `offset` of its key.
    pub(crate) fn refuse_key(&self, reason: Reason, offset: usize) -> Refusal {
        (reason, Some(Position { column: self.key_at.column + offset, ..self.key_at }))
    }

    /// `reason`, at character `offset` of its text.
    pub(crate) fn refuse_text(&self, reason: Reason, offset: usize) -> Refusal {
        let at = self.text_at.map(|at| Position { column: at.column + offset, ..at });
        (reason, Some(at.unwrap_or(self.at)))
    }

    /// A number that differs for nodes that say different things, wherever they stand. Depth is
    /// bounded by [`bounds::YAML_DEPTH`].
    pub(crate) fn digest(&self) -> u64 {
        let list = |kind: u8, items: &mut dyn Iterator<Item = u64>| {
            items.fold(mix(SEED, &[kind]), |digest, item| mix(digest, &item.to_be_bytes()))
        };
        match &self.kind {
            Kind::Scalar { text, plain } => mix(mix(SEED, &[u8::from(*plain)]), text.as_bytes()),
            Kind::List(items) => list(2, &mut items.iter().map(Self::digest)),
            Kind::Map(entries) => list(
                3,
                &mut entries
                    .iter()
                    .flat_map(|(key, value)| [mix(SEED, key.as_bytes()), value.digest()]),
            ),
        }
    }

    fn new(kind: Kind, at: Position) -> Self {
        Self { kind, at, key_at: at, text_at: None }
    }

    fn size(&self) -> usize {
        let mut open = vec![self];
        let mut count = 0;
        while let Some(node) = open.pop() {
            count += 1;
            match &node.kind {
                Kind::Scalar { .. } => {}
                Kind::List(items) => open.extend(items),
                Kind::Map(entries) => open.extend(entries.iter().map(|(_, node)| node)),
            }
        }
        count
    }
}

/// The documents of `text`; those before an error are not given, for a broken file is refused
/// whole.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Refusal> {
    if text.len() > bounds::DOCUMENT_BYTES {
        return Err((Reason::TooLarge("bytes of a document"), None));
    }
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| {
            (Reason::Yaml(error.info().to_owned()), Some(position(error.marker())))
        })?;
        let at = position(&span.start);
        builder.take(event, at, position(&span.end)).map_err(|reason| (reason, Some(at)))?;
    }
    Ok(builder.documents)
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

/// Where the first character of a scalar stands, when it is written on one line without escapes.
fn text_at(text: &str, style: ScalarStyle, at: Position, end: Position) -> Option<Position> {
    let quote = match style {
        ScalarStyle::Plain => 0,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
        _ => return None,
    };
    let straight = at.line == end.line
        && end.column.checked_sub(at.column) == Some(text.chars().count() + 2 * quote);
    straight.then_some(Position { column: at.column + quote, ..at })
}

/// A list or mapping that is not closed yet.
struct Open {
    at: Position,
    anchor: usize,
    what: Opened,
}

enum Opened {
    List(Vec<Node>),
    Map { entries: Vec<(String, Node)>, key: Option<Position> },
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Position, end: Position) -> Result<(), Reason> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let text_at = text_at(&text, style, at, end);
                let kind = Kind::Scalar { text: text.into_owned(), plain };
                self.close(Node { text_at, ..Node::new(kind, at) }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(at, anchor, Opened::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.begin(at, anchor, Opened::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Err(Reason::Yaml("an end without a beginning".to_owned()));
                };
                let kind = match open.what {
                    Opened::List(items) => Kind::List(items),
                    Opened::Map { entries, .. } => Kind::Map(entries),
                };
                self.nodes -= 1; // counted when it began; `close` counts it again
                self.close(Node::new(kind, open.at), open.anchor)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    return Err(Reason::Yaml(
                        "an alias of an anchor that is not closed".to_owned(),
                    ));
                };
                if self.nodes + size > bounds::YAML_NODES {
                    return Err(Reason::TooLarge("nodes of a document, aliases counted"));
                }
                self.nodes += size - 1;
                let node = Node { at, text_at: None, ..node.clone() };
                self.close(node, 0)
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                if self.documents.len() >= bounds::YAML_DOCUMENTS {
                    return Err(Reason::TooLarge("documents of a file"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self) -> Result<(), Reason> {
        self.nodes += 1;
        if self.nodes > bounds::YAML_NODES {
            return Err(Reason::TooLarge("nodes of a document, aliases counted"));
        }
        Ok(())
    }

    fn begin(&mut self, at: Position, anchor: usize, what: Opened) -> Result<(), Reason> {
        self.count()?;
        if self.open.len() >= bounds::YAML_DEPTH {
            return Err(Reason::TooLarge("nesting of a document"));
        }
        self.open.push(Open { at, anchor, what });
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Reason> {
        self.count()?;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), node.size()));
            self.nodes += node.size(); // the copy kept for aliases costs memory too
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.what {
            Opened::List(items) => items.push(node),
            Opened::Map { entries, key: key @ None } => {
                let Kind::Scalar { text, .. } = node.kind else {
                    return Err(Reason::Yaml("a key that is no text".to_owned()));
                };
                if entries.iter().any(|(name, _)| *name == text) {
                    return Err(Reason::Yaml(format!("key `{}` stands twice", cut(&text))));
                }
                *key = Some(node.text_at.unwrap_or(node.at));
                let empty = Kind::Scalar { text: String::new(), plain: true };
                entries.push((text, Node::new(empty, node.at)));
            }
            Opened::Map { entries, key: key @ Some(_) } => {
                if let (Some(last), Some(key_at)) = (entries.last_mut(), key.take()) {
                    last.1 = Node { key_at, ..node };
                }
            }
        }
        Ok(())
    }
}

/// Where digests begin (the offset basis of FNV-1a).
pub(crate) const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// `digest` with `bytes` mixed in (FNV-1a, with the length in front).
pub(crate) fn mix(digest: u64, bytes: &[u8]) -> u64 {
    let length = (bytes.len() as u64).to_be_bytes();
    length.iter().chain(bytes).fold(digest, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// `text` cut for a message.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::{Kind, parse};

    #[test]
    fn quoted_null_is_text() {
        let nodes = parse("a: null\nb: 'null'\nc:\nd: ''\n").expect("valid");
        assert!(nodes[0].get("a").expect("a").is_null());
        assert_eq!(nodes[0].get("b").expect("b").text(), Some("null"));
        assert!(nodes[0].get("c").expect("c").is_null());
        assert_eq!(nodes[0].get("d").expect("d").text(), Some(""));
    }

    #[test]
    fn several_documents_and_positions() {
        let nodes = parse("a: 1\n---\nb:\n  - x\n").expect("valid");
        assert_eq!(nodes.len(), 2);
        assert_eq!(nodes[1].get("b").expect("b").items()[0].at.line, 4);
        assert!(matches!(nodes[1].kind, Kind::Map(_)));
        let nodes = parse("a:\n  'k|m': \"x y\"\n  b: two\n    lines\n").expect("valid");
        let inner = nodes[0].get("a").expect("a");
        let place = |(_, at): crate::document::Refusal| at.expect("a place").to_string();
        let (quoted, folded) = (&inner.entries()[0].1, &inner.entries()[1].1);
        assert_eq!(place(quoted.refuse_key(crate::Reason::UnknownKind, 2)), "2:6");
        assert_eq!(place(quoted.refuse_text(crate::Reason::UnknownKind, 2)), "2:13");
        assert_eq!(place(folded.refuse_text(crate::Reason::UnknownKind, 5)), "3:6");
    }

    #[test]
    fn bombs_and_nests_are_refused() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let alias = vec![format!("*a{}", level - 1); 10].join(",");
            bomb = format!("{bomb}a{level}: &a{level} [{alias}]\n");
        }
        assert_eq!(parse(&bomb).expect_err("bomb").0.code(), "too_large");
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(5_000)).is_err());
        assert!(parse("a: 1\na: 2\n").is_err(), "a key twice");
        assert!(parse("a: *nowhere\n").is_err());
    }
}
