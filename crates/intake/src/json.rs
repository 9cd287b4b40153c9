//! Lines of JSON: which form an object has, and how it is read.

mod ecs;
mod flat;
mod native;
mod ocsf;
mod windows;

use std::collections::HashMap;
use std::sync::Arc;

use metsuke_event::Kind;
use metsuke_event::logsource::{LogSource, of_kind};
use serde_json::{Map, Value as Json};

use crate::format::Format;
use crate::record::{Output, Place, Record, Sources};
use crate::windows::Mapper;

type Object = Map<String, Json>;

/// What a form's reader gives: the record, or why there is none.
type Read = Result<Record, String>;

/// Reads objects; keeps what it learnt of their classes.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    windows: Mapper,
    sources: SourcesOf,
}

impl Reader {
    pub(crate) fn line(&mut self, format: Format, number: u64, line: &[u8], out: &mut Output) {
        if matches!(line, [] | b"[" | b"]") {
            return;
        }
        let place = Place::Line(number);
        let object = match serde_json::from_slice(line) {
            Ok(Json::Object(object)) => object,
            Ok(_) => return out.problem(place, "JSON, but no object"),
            Err(error) => return out.problem(place, format!("broken JSON: {error}")),
        };
        match self.object(format, number, object) {
            Ok(record) => out.records.push(record),
            Err(reason) => out.problem(place, reason),
        }
    }

    fn object(&mut self, format: Format, number: u64, object: Object) -> Read {
        match format {
            Format::Native => native::read(&mut self.sources, number, object),
            Format::Ocsf => ocsf::read(&mut self.sources, number, object),
            Format::Ecs if object.contains_key("winlog") => {
                Ok(self.windows.record(windows::raw(number, object)))
            }
            Format::Ecs => ecs::read(&mut self.sources, number, object),
            _ if windows::is(&object) => Ok(self.windows.record(windows::raw(number, object))),
            _ if object.contains_key("class_uid") => ocsf::read(&mut self.sources, number, object),
            _ if native::is(&object) => native::read(&mut self.sources, number, object),
            _ if ecs::is(&object) => ecs::read(&mut self.sources, number, object),
            _ => flat::read(number, object),
        }
    }
}

/// The operating systems that log sources know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum System {
    Windows,
    Linux,
    Macos,
    Unknown,
}

impl System {
    /// By a name of it, or else by what a path of it looks like.
    pub(crate) fn of(name: Option<&str>, path: Option<&str>) -> Self {
        let name = name.unwrap_or_default().to_ascii_lowercase();
        if name.contains("windows") {
            Self::Windows
        } else if name.contains("mac") || name.contains("darwin") {
            Self::Macos
        } else if name.contains("linux") {
            Self::Linux
        } else {
            match path.unwrap_or_default().as_bytes() {
                [b'/', ..] => Self::Linux,
                [_, b':', b'\\', ..] | [b'\\', b'\\', ..] => Self::Windows,
                _ => Self::Unknown,
            }
        }
    }

    const fn product(self) -> Option<&'static str> {
        match self {
            Self::Windows => Some("windows"),
            Self::Linux => Some("linux"),
            Self::Macos => Some("macos"),
            Self::Unknown => None,
        }
    }
}

/// The log sources of kinds, made once.
#[derive(Debug, Default)]
pub(crate) struct SourcesOf(HashMap<(Kind, System), Sources>);

impl SourcesOf {
    /// The log sources of activities of `kind` on `system`.
    pub(crate) fn get(&mut self, kind: Kind, system: System) -> Sources {
        let make = || -> Sources {
            let of = |source: &LogSource<'static>| LogSource {
                product: source.product.and(system.product()),
                ..*source
            };
            of_kind(kind).iter().map(of).collect()
        };
        Arc::clone(self.0.entry((kind, system)).or_insert_with(make))
    }
}
