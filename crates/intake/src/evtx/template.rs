//! Binary XML compiled into nodes: templates once per chunk, and what stands alone.

use std::collections::HashMap;
use std::rc::Rc;

use metsuke_event::value::Text;

use crate::bounds;
use crate::evtx::CHUNK_BYTES;
use crate::evtx::cursor::{Broken, Cursor, Read};
use crate::evtx::names::Names;

/// A piece of an event.
#[derive(Debug)]
pub(crate) enum Node {
    Element(Element),
    Text(Text),
    /// The value of this number of the instance.
    Value(u16),
    /// A template with its values.
    Instance(Instance),
}

#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) name: Text,
    pub(crate) attributes: Vec<(Text, Vec<Node>)>,
    pub(crate) children: Vec<Node>,
}

/// A template with its values.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) template: Rc<[Node]>,
    pub(crate) values: Vec<Slice>,
}

/// A value as it stands in the chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) kind: u8,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// The templates of one chunk.
#[derive(Debug)]
pub(crate) struct Templates<'a> {
    pub(crate) chunk: &'a [u8],
    /// By offset; `None` while one is being compiled, so that none can stand in itself.
    known: HashMap<usize, Option<Rc<[Node]>>>,
    compiled: usize,
}

/// Whether an element's start has a dependency identifier: everywhere but in binary XML that is
/// itself a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    WithDependency,
    Bare,
}

impl<'a> Templates<'a> {
    pub(crate) fn new(chunk: &'a [u8]) -> Self {
        Self { chunk, known: HashMap::new(), compiled: 0 }
    }

    /// Reads the binary XML from `at` to `end`.
    pub(crate) fn fragment(
        &mut self,
        names: &mut Names,
        (at, end): (usize, usize),
        start: Start,
    ) -> Read<Vec<Node>> {
        let cursor = Cursor::within(self.chunk, at, end);
        let mut parser = Parser { templates: self, names, cursor, start };
        parser.nodes(0)
    }

    fn get(&mut self, names: &mut Names, offset: usize) -> Read<Rc<[Node]>> {
        match self.known.get(&offset) {
            Some(Some(known)) => return Ok(Rc::clone(known)),
            Some(None) => return Err(Broken::Template),
            None => {}
        }
        let mut cursor = Cursor::within(self.chunk, offset, self.chunk.len());
        cursor.take(4 + 16)?;
        let size = cursor.u32()? as usize;
        if size > cursor.left() {
            return Err(Broken::Template);
        }
        self.compiled = self.compiled.saturating_add(size);
        if self.compiled > bounds::TEMPLATE_BYTES {
            return Err(Broken::Templates);
        }
        self.known.insert(offset, None);
        let range = (cursor.at, cursor.at + size);
        let nodes: Rc<[Node]> = self.fragment(names, range, Start::WithDependency)?.into();
        self.known.insert(offset, Some(Rc::clone(&nodes)));
        Ok(nodes)
    }
}

struct Parser<'p, 'a> {
    templates: &'p mut Templates<'a>,
    names: &'p mut Names,
    cursor: Cursor<'a>,
    start: Start,
}

impl Parser<'_, '_> {
    /// Nodes until the end of the element or of the whole.
    fn nodes(&mut self, depth: usize) -> Read<Vec<Node>> {
        if depth > bounds::XML_DEPTH {
            return Err(Broken::Deep);
        }
        let mut nodes = Vec::new();
        while self.cursor.left() > 0 {
            let at = self.cursor.at;
            let token = self.cursor.u8()?;
            match token & 0xbf {
                // End of the fragment; end of an element.
                0x00 | 0x04 => break,
                0x01 => nodes.push(self.element(token, depth)?),
                0x05 | 0x07 => {
                    let text = self.text(token & 0xbf)?;
                    nodes.push(Node::Text(text));
                }
                0x08 => {
                    let unit = self.cursor.u16()?;
                    nodes.push(Node::Text(self.names.wide_name(&unit.to_le_bytes())));
                }
                0x09 => {
                    let entity = self.name()?;
                    nodes.push(Node::Text(self.names.kept(entity_text(&entity))));
                }
                0x0a => {
                    self.name()?;
                }
                0x0b => {
                    let count = usize::from(self.cursor.u16()?);
                    self.cursor.take(count * 2)?;
                }
                0x0c => nodes.push(self.instance()?),
                0x0d | 0x0e => {
                    let index = self.cursor.u16()?;
                    self.cursor.u8()?;
                    nodes.push(Node::Value(index));
                }
                0x0f => {
                    self.cursor.take(3)?;
                }
                _ => return Err(Broken::Token(token, at)),
            }
        }
        Ok(nodes)
    }

    fn element(&mut self, token: u8, depth: usize) -> Read<Node> {
        let begin = self.cursor;
        if self.start == Start::WithDependency {
            self.cursor.u16()?;
        }
        let mut size = self.cursor.u32()? as usize;
        if size > self.cursor.left() && self.start == Start::WithDependency {
            // Some writers leave the dependency identifier out.
            self.cursor = begin;
            size = self.cursor.u32()? as usize;
        }
        if size > self.cursor.left() {
            return Err(Broken::Short);
        }
        let name = self.name()?;
        let mut element = Element { name, attributes: Vec::new(), children: Vec::new() };
        if token & 0x40 != 0 {
            self.cursor.u32()?;
        }
        loop {
            let at = self.cursor.at;
            let token = self.cursor.u8()?;
            match token & 0xbf {
                0x06 => {
                    let name = self.name()?;
                    let value = self.attribute()?;
                    element.attributes.push((name, value));
                }
                0x02 => {
                    element.children = self.nodes(depth + 1)?;
                    return Ok(Node::Element(element));
                }
                0x03 => return Ok(Node::Element(element)),
                _ => return Err(Broken::Token(token, at)),
            }
        }
    }

    /// What follows an attribute's name; the token after it is left for the element.
    fn attribute(&mut self) -> Read<Vec<Node>> {
        let mut value = Vec::new();
        loop {
            let before = self.cursor;
            let token = self.cursor.u8()? & 0xbf;
            match token {
                0x05 | 0x07 => value.push(Node::Text(self.text(token)?)),
                0x08 => {
                    let unit = self.cursor.u16()?;
                    value.push(Node::Text(self.names.wide_name(&unit.to_le_bytes())));
                }
                0x09 => {
                    let entity = self.name()?;
                    value.push(Node::Text(self.names.kept(entity_text(&entity))));
                }
                0x0d | 0x0e => {
                    let index = self.cursor.u16()?;
                    self.cursor.u8()?;
                    value.push(Node::Value(index));
                }
                _ => {
                    self.cursor = before;
                    return Ok(value);
                }
            }
        }
    }

    fn text(&mut self, token: u8) -> Read<Text> {
        if token == 0x05 {
            // The type of the value; in templates it is always text.
            self.cursor.u8()?;
        }
        let count = usize::from(self.cursor.u16()?);
        let bytes = self.cursor.take(count * 2)?;
        Ok(self.names.wide_name(bytes))
    }

    /// A name by its offset; where it is first used it stands in line.
    fn name(&mut self) -> Read<Text> {
        let offset = self.cursor.u32()? as usize;
        let mut at = Cursor::within(self.templates.chunk, offset, CHUNK_BYTES);
        at.take(6)?;
        let count = usize::from(at.u16()?);
        let bytes = at.take(count * 2)?;
        if offset == self.cursor.at {
            // Its text ends with a null.
            self.cursor.take(8 + count * 2 + 2)?;
        }
        Ok(self.names.wide_name(bytes))
    }

    fn instance(&mut self) -> Read<Node> {
        self.cursor.take(5)?;
        let offset = self.cursor.u32()? as usize;
        if offset == self.cursor.at {
            // Defined in line.
            self.cursor.take(20)?;
            let size = self.cursor.u32()? as usize;
            self.cursor.take(size)?;
        }
        let template = self.templates.get(self.names, offset)?;
        let count = self.cursor.u32()? as usize;
        if count > self.cursor.left() / 4 {
            return Err(Broken::Short);
        }
        let mut values = Vec::with_capacity(count);
        let mut at = self.cursor.at + count * 4;
        for _ in 0..count {
            let size = usize::from(self.cursor.u16()?);
            let kind = self.cursor.u8()?;
            self.cursor.u8()?;
            values.push(Slice { kind, from: at, to: at + size });
            at += size;
        }
        self.cursor.take(at - self.cursor.at)?;
        Ok(Node::Instance(Instance { template, values }))
    }
}

fn entity_text(name: &str) -> &str {
    match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        other => other,
    }
}
