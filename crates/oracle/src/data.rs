//! Rules and events for both engines, from the public data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use metsuke_detect::{Document, RuleSet, compile};
use metsuke_event::{Event, ValueRef};
use serde_json::{Map, Value as Json};

use crate::reference::Reference;
use crate::support::windows::Sources;

/// One event as both engines take it, parsed.
pub struct Both {
    /// Its log sources.
    pub sources: Sources,
    /// For ours.
    pub event: Event,
    /// For the reference: the same fields, names and values.
    pub json: Json,
}

impl Both {
    /// The event for ours, and the same as JSON.
    pub fn new(sources: Sources, event: Event) -> Self {
        let json = |value: ValueRef<'_>| match value {
            ValueRef::U64(number) => Json::from(number),
            ValueRef::I64(number) => Json::from(number),
            ValueRef::Bool(flag) => Json::from(flag),
            other => Json::from(other.to_text()),
        };
        let mut fields = Map::new();
        for (name, value) in event.unmapped.iter() {
            if !fields.contains_key(&*name) {
                fields.insert(name.to_string(), json(value));
            }
        }
        Self { sources, event, json: Json::Object(fields) }
    }
}

/// Where rules and recordings are.
pub fn folder() -> Result<PathBuf> {
    crate::support::shared_data("metsuke-oracle")
        .context("there is no public data; set METSUKE_SHARED_DATA to its folder")
}

/// The rules that both engines take.
pub fn rules(data: &Path) -> Result<(Arc<RuleSet>, Reference)> {
    let mut documents = Vec::new();
    let mut failed = None;
    crate::support::collect(&data.join("sigma"), "yml", &mut |path| match std::fs::read_to_string(
        path,
    ) {
        Ok(text) => documents.push(Document { path: path.display().to_string(), text }),
        Err(error) => failed = Some(error),
    });
    if let Some(error) = failed {
        return Err(error).context("a rule cannot be read");
    }
    let reference = Reference::new(&documents)?;
    let (ours, refused) = compile(documents);
    for one in refused {
        println!("ours refuses {one}");
    }
    Ok((ours, reference))
}
