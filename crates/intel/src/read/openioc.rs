//! OpenIOC 1.0 and 1.1 (Mandiant): the criteria of one document, or of several below one root.
//!
//! Read as a stream of tags: no entity is resolved but the five of XML and characters by number, no
//! other document is fetched.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::expression::{Expression, Wanted};
use super::{Gathered, Origin, Said, time};
use crate::indicator::{Indicator, Kind};
use crate::normalise::shown;
use crate::problem::{Problem, Reason};

/// Deepest nesting of elements.
const MAX_DEPTH: usize = 64;
/// Longest text of one element that is kept, in bytes.
const MAX_TEXT_BYTES: usize = 8192;

/// Reads OpenIOC; the object of each indicator is the item's id.
pub fn read(bytes: &[u8], origin: &Origin) -> (Vec<Indicator>, Vec<Problem>) {
    let mut gathered = Gathered::new(origin);
    let Some(bytes) = gathered.admit(bytes) else { return gathered.finish() };
    let mut state = State::default();
    let mut reader = Reader::from_reader(bytes);
    loop {
        let outcome = match reader.read_event() {
            Ok(Event::Start(tag)) => state.open(&tag),
            Ok(Event::Empty(tag)) => state.open(&tag).map(|()| state.close(&mut gathered)),
            Ok(Event::End(_)) => {
                state.close(&mut gathered);
                Ok(())
            }
            Ok(Event::Text(text)) => {
                state.text(&String::from_utf8_lossy(&text));
                Ok(())
            }
            Ok(Event::CData(text)) => {
                state.text(&String::from_utf8_lossy(&text));
                Ok(())
            }
            Ok(Event::GeneralRef(name)) => {
                state.text(&reference(&name));
                Ok(())
            }
            Ok(Event::Eof) => break,
            Ok(_) => Ok(()),
            Err(error) => Err(format!("is no XML: {error}")),
        };
        if let Err(reason) = outcome {
            gathered.refuse(format!("byte {}", reader.buffer_position()), reason);
            break;
        }
    }
    if state.items == 0 {
        gathered.refuse("document", Reason::nothing_found("holds no IndicatorItem"));
    }
    if !state.open.is_empty() {
        gathered.refuse("document", "ends in the midst of an element; what is whole was read");
    }
    gathered.finish()
}

fn reference(name: &quick_xml::events::BytesRef<'_>) -> String {
    if let Ok(Some(letter)) = name.resolve_char_ref() {
        return letter.to_string();
    }
    match &**name {
        b"amp" => "&",
        b"lt" => "<",
        b"gt" => ">",
        b"quot" => "\"",
        b"apos" => "'",
        _ => "\u{fffd}",
    }
    .to_owned()
}

/// One open element.
#[derive(Default)]
struct Element {
    name: String,
    text: String,
    /// Of an `Indicator`: whether its operands are joined by AND, and the operands.
    all: bool,
    operands: Vec<Expression>,
}

/// The item that is being read.
#[derive(Default)]
struct Item {
    id: String,
    condition: String,
    negated: bool,
    search: String,
    content: String,
}

#[derive(Default)]
struct State {
    open: Vec<Element>,
    item: Item,
    items: usize,
    said: Said,
}

impl State {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("elements are nested deeper than {MAX_DEPTH}"));
        }
        let local = tag.local_name();
        let name = String::from_utf8_lossy(local.as_ref()).into_owned();
        let mut element = Element::default();
        match name.as_str() {
            "ioc" | "OpenIOC" => self.said = Said::default(),
            "Indicator" => element.all = attribute(tag, "operator").eq_ignore_ascii_case("AND"),
            "IndicatorItem" => {
                self.item = Item {
                    id: attribute(tag, "id").into_owned(),
                    condition: attribute(tag, "condition").to_ascii_lowercase(),
                    negated: attribute(tag, "negate").eq_ignore_ascii_case("true"),
                    ..Item::default()
                };
            }
            "Context" => self.item.search = attribute(tag, "search").into_owned(),
            _ => {}
        }
        element.name = name;
        self.open.push(element);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            let room = MAX_TEXT_BYTES.saturating_sub(element.text.len());
            element.text.push_str(&text[..text.floor_char_boundary(room)]);
        }
    }

    fn close(&mut self, gathered: &mut Gathered<'_>) {
        let Some(element) = self.open.pop() else { return };
        match element.name.as_str() {
            "short_description" => self.said.label(&element.text),
            "authored_date" => self.said.first_seen = time(&element.text),
            "Content" => element.text.trim().clone_into(&mut self.item.content),
            "IndicatorItem" => {
                self.items += 1;
                let item = std::mem::take(&mut self.item);
                self.operand(item.expression(), gathered);
            }
            "Indicator" => {
                let whole = if element.all {
                    Expression::All(element.operands)
                } else {
                    Expression::Any(element.operands)
                };
                self.operand(whole, gathered);
            }
            _ => {}
        }
    }

    /// Gives an operand to the `Indicator` around it, or takes it when there is none. An OR outermost
    /// is taken piece by piece, so that memory does not grow with the document.
    fn operand(&mut self, operand: Expression, gathered: &mut Gathered<'_>) {
        let mut around = self.open.iter_mut().filter(|element| element.name == "Indicator");
        let outermost_any = around.next().is_none_or(|first| !first.all) && around.next().is_none();
        if outermost_any {
            let mut said = self.said.clone();
            said.object = None;
            operand.take("criteria", &said, gathered);
        } else if let Some(parent) =
            self.open.iter_mut().rev().find(|element| element.name == "Indicator")
        {
            parent.operands.push(operand);
        }
    }
}

fn attribute<'a>(tag: &'a BytesStart<'_>, name: &str) -> Cow<'a, str> {
    match tag.try_get_attribute(name) {
        Ok(Some(attribute)) => match attribute.unescape_value() {
            Ok(value) => Cow::Owned(value.into_owned()),
            Err(_) => Cow::Borrowed(""),
        },
        _ => Cow::Borrowed(""),
    }
}

impl Item {
    fn expression(self) -> Expression {
        let wanted = wanted(&self.search, self.condition == "contains");
        let equal = matches!(self.condition.as_str(), "is" | "contains" | "");
        match wanted {
            Some(wanted) if equal && !self.negated => Expression::Is(wanted, self.content),
            _ => {
                let no = if self.negated { "not " } else { "" };
                let Self { id, condition, search, content, .. } = self;
                Expression::NotUnderstood(shown(&format!(
                    "{search} {no}{condition} `{content}` {id}"
                )))
            }
        }
    }
}

/// What kind of value a search term holds; with `contains` only names of hosts, where a part that is
/// a whole domain is meant with what stands below it.
fn wanted(search: &str, contains: bool) -> Option<Wanted> {
    let (document, rest) = search.split_once('/')?;
    let last = rest.rsplit('/').next().unwrap_or(rest);
    if matches!(
        (document, rest),
        ("Network", "DNS")
            | ("DnsEntryItem", "Host" | "RecordName" | "RecordData/Host")
            | ("UrlHistoryItem", "HostName")
    ) {
        return Some(Wanted::Any);
    }
    if contains {
        return None;
    }
    let kind = match (document, last) {
        (_, "Md5sum") => Kind::Md5,
        (_, "Sha1sum") => Kind::Sha1,
        (_, "Sha256sum") => Kind::Sha256,
        (
            "FileItem" | "DriverItem" | "ModuleItem" | "ProcessItem",
            "FullPath" | "path" | "Path",
        ) => Kind::Path,
        ("PortItem", "remoteIP" | "RemoteIP")
        | ("RouteEntryItem", "Destination")
        | ("DnsEntryItem", "IPv4Address" | "IPv6Address")
        | ("Network", "IP") => return Some(Wanted::Any),
        ("Network", "URI")
        | ("UrlHistoryItem", "URL")
        | ("FileDownloadHistoryItem", "SourceURL") => Kind::Url,
        ("ProcessItem", "Name") if rest.starts_with("HandleList") => Kind::Name,
        ("Email", "From" | "ReplyTo" | "Sender") => Kind::Email,
        _ => return None,
    };
    Some(Wanted::One(kind))
}
