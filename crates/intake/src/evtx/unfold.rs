//! Nodes with their values, unfolded into the fields of an event.

use metsuke_event::Value;
use metsuke_event::time::Timestamp;
use metsuke_event::value::Text;

use crate::bounds;
use crate::evtx::cursor::{Broken, Read};
use crate::evtx::names::Names;
use crate::evtx::template::{Element, Node, Slice, Start, Templates};
use crate::evtx::value::{self, BINARY_XML};
use crate::windows::Raw;

/// A record as its binary XML gives it.
#[derive(Debug, Default)]
pub(crate) struct Unfolded {
    raw: Raw,
    pub(crate) number: u64,
    pub(crate) time: Option<Timestamp>,
    /// Whether it held more than is kept.
    pub(crate) cut: bool,
    /// Values of `Data` without a name, a line each.
    data: Option<String>,
}

impl Unfolded {
    pub(crate) fn event(self) -> Raw {
        Raw { number: self.number, time: self.time, ..self.raw }
    }
}

/// Which part of an event the nodes stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Root,
    Event,
    System,
    Data,
}

/// Unfolds the binary XML from and to these places of the chunk.
pub(crate) fn record(
    templates: &mut Templates<'_>,
    names: &mut Names,
    range: (usize, usize),
) -> Read<Unfolded> {
    let nodes = templates.fragment(names, range, Start::WithDependency)?;
    let mut walker = Walker { templates, names, out: Unfolded::default(), steps: 0, bytes: 0 };
    walker.out.raw.fields.reserve(32);
    walker.walk(&nodes, &[], Part::Root, 0)?;
    let mut out = walker.out;
    if let Some(data) = out.data.take() {
        out.raw.fields.push((Text::clone(&names.data), Value::Text(data.into())));
    }
    if out.raw.fields.is_empty() { Err(Broken::Short) } else { Ok(out) }
}

struct Walker<'w, 'a> {
    templates: &'w mut Templates<'a>,
    names: &'w mut Names,
    out: Unfolded,
    steps: usize,
    bytes: usize,
}

impl Walker<'_, '_> {
    fn walk(&mut self, nodes: &[Node], values: &[Slice], part: Part, depth: usize) -> Read<()> {
        if depth > bounds::XML_DEPTH {
            return Err(Broken::Deep);
        }
        for node in nodes {
            self.steps += 1;
            if self.steps > bounds::UNFOLDED_STEPS || self.bytes > bounds::UNFOLDED_BYTES {
                self.out.cut = true;
                return Ok(());
            }
            match node {
                Node::Element(element) => self.element(element, values, part, depth + 1)?,
                Node::Instance(one) => self.walk(&one.template, &one.values, part, depth + 1)?,
                Node::Value(index) => {
                    if let Some(slice) = values.get(usize::from(*index))
                        && slice.kind == BINARY_XML
                        && slice.to > slice.from
                    {
                        // To parse it again costs about a step per byte.
                        self.steps += slice.to - slice.from;
                        let range = (slice.from, slice.to);
                        let nodes = self.templates.fragment(self.names, range, Start::Bare)?;
                        self.walk(&nodes, &[], part, depth + 1)?;
                    }
                }
                Node::Text(_) => {}
            }
        }
        Ok(())
    }

    fn element(
        &mut self,
        element: &Element,
        values: &[Slice],
        part: Part,
        depth: usize,
    ) -> Read<()> {
        let inner = match (part, &*element.name) {
            (Part::Root, "Event") => Part::Event,
            (Part::Root | Part::Event, "System") => Part::System,
            (Part::System, _) => {
                self.system(element, values);
                return Ok(());
            }
            (Part::Data, _) if is_leaf(&element.children, values) => {
                self.leaf(element, values);
                return Ok(());
            }
            _ => Part::Data,
        };
        self.walk(&element.children, values, inner, depth)
    }

    fn system(&mut self, element: &Element, values: &[Slice]) {
        match &*element.name {
            "Provider" => {
                for (name, value) in &element.attributes {
                    let field = match &**name {
                        "Name" => Text::clone(&self.names.provider),
                        "EventSourceName" => Text::clone(&self.names.source),
                        _ => continue,
                    };
                    let Some(Value::Text(text)) = self.value(value, values) else { continue };
                    if &**name == "Name" {
                        self.out.raw.provider = Some(Text::clone(&text));
                    }
                    self.push(field, Value::Text(text));
                }
            }
            "TimeCreated" => {
                for (_, value) in
                    element.attributes.iter().filter(|(name, _)| &**name == "SystemTime")
                {
                    self.out.time = match self.value(value, values) {
                        Some(Value::Time(time)) => Some(time),
                        Some(Value::Text(text)) => crate::builder::time(&text),
                        _ => None,
                    };
                }
            }
            "Execution" | "Security" | "Correlation" => {
                for (name, value) in &element.attributes {
                    let field = match &**name {
                        "ProcessID" => Text::clone(&self.names.process_id),
                        "ThreadID" => Text::clone(&self.names.thread_id),
                        "UserID" => Text::clone(&self.names.user_id),
                        "ActivityID" => Text::clone(&self.names.activity_id),
                        _ => continue,
                    };
                    if let Some(value) = self.value(value, values) {
                        self.push(field, value);
                    }
                }
            }
            name => {
                let Some(value) = self.value(&element.children, values) else { return };
                match (name, &value) {
                    ("EventID", Value::U64(id)) => self.out.raw.event_id = *id,
                    ("EventID", Value::Text(text)) => {
                        self.out.raw.event_id = text.trim().parse().unwrap_or_default();
                    }
                    ("Channel", Value::Text(text)) => {
                        self.out.raw.channel = Some(Text::clone(text));
                    }
                    ("Computer", Value::Text(text)) => {
                        self.out.raw.computer = Some(Text::clone(text));
                    }
                    _ => {}
                }
                self.push(Text::clone(&element.name), value);
            }
        }
    }

    fn leaf(&mut self, element: &Element, values: &[Slice]) {
        let mut named = None;
        for (name, value) in &element.attributes {
            if &**name == "Name" {
                named = match self.value(value, values) {
                    Some(Value::Text(text)) => Some(text),
                    _ => None,
                };
            }
        }
        let Some(value) = self.value(&element.children, values) else { return };
        match named {
            Some(name) if name.contains(' ') => {
                let name = self.names.name(&name);
                self.push(name, value);
            }
            Some(name) => self.push(name, value),
            None if &*element.name == "Data" => {
                let data = self.out.data.get_or_insert_default();
                if !data.is_empty() {
                    data.push('\n');
                }
                let text = value.as_ref().to_text();
                self.bytes += text.len();
                data.push_str(&text);
            }
            None => self.push(Text::clone(&element.name), value),
        }
    }

    fn push(&mut self, name: Text, value: Value) {
        if self.out.raw.fields.len() < bounds::FIELDS {
            self.out.raw.fields.push((name, value));
        } else {
            self.out.cut = true;
        }
    }

    /// The value that these nodes are together; `None` for null.
    fn value(&mut self, nodes: &[Node], values: &[Slice]) -> Option<Value> {
        match nodes {
            [] => Some(Value::Text(Text::default())),
            [Node::Text(text)] => Some(Value::Text(Text::clone(text))),
            [Node::Value(index)] => self.slice(values.get(usize::from(*index))?),
            many => {
                let mut joined = String::new();
                for node in many {
                    match node {
                        Node::Text(text) => joined.push_str(text),
                        Node::Value(index) => {
                            let value = self.slice(values.get(usize::from(*index))?);
                            if let Some(value) = value {
                                joined.push_str(&value.as_ref().to_text());
                            }
                        }
                        Node::Element(_) | Node::Instance(_) => {}
                    }
                    if joined.len() > bounds::TEXT_BYTES {
                        self.out.cut = true;
                        break;
                    }
                }
                self.bytes += joined.len();
                Some(Value::Text(joined.into()))
            }
        }
    }

    fn slice(&mut self, slice: &Slice) -> Option<Value> {
        let bytes = self.templates.chunk.get(slice.from..slice.to)?;
        self.steps += 1;
        self.bytes += bytes.len();
        if self.bytes > bounds::UNFOLDED_BYTES {
            self.out.cut = true;
            return None;
        }
        value::read(self.names, slice.kind, bytes)
    }
}

/// Whether no element stands among these nodes, nor in their values.
fn is_leaf(nodes: &[Node], values: &[Slice]) -> bool {
    nodes.iter().all(|node| match node {
        Node::Text(_) => true,
        Node::Value(index) => {
            values.get(usize::from(*index)).is_none_or(|slice| slice.kind != BINARY_XML)
        }
        Node::Element(_) | Node::Instance(_) => false,
    })
}
