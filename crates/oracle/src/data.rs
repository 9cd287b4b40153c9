//! Rules and events for both engines, from the public data.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use metsuke_detect::{Document, RuleSet, compile};
use metsuke_event::logsource::LogSource;
use metsuke_event::{Event, FIELDS, ValueRef};
use metsuke_intake::evtx::{CHUNK_BYTES, HEADER_BYTES, Reader};
use metsuke_intake::{Format, Lines, Output, Record};
use serde_json::{Map, Value as Json};

use crate::reference::Reference;

/// One event as both engines take it, parsed.
#[derive(Clone)]
pub struct Both {
    /// Its log sources.
    pub sources: Vec<LogSource<'static>>,
    /// For ours: typed.
    pub event: Event,
    /// For the reference: the same fields by the names that rules have for them.
    pub json: Json,
}

impl Both {
    fn new(record: Record) -> Self {
        let json = |value: ValueRef<'_>| match value {
            ValueRef::U64(number) => Json::from(number),
            ValueRef::I64(number) => Json::from(number),
            ValueRef::Bool(flag) => Json::from(flag),
            other => Json::from(other.to_text()),
        };
        let event = record.event;
        let mut fields = Map::new();
        let typed = FIELDS.iter().filter_map(|spec| Some((spec, event.get(spec.id)?)));
        for (name, value) in typed.flat_map(|(spec, value)| {
            let plain = |name: &&'static str| name.split('@').next().unwrap_or_default();
            spec.sigma.iter().map(plain).map(move |name| (name, value))
        }) {
            fields.entry(name).or_insert_with(|| json(value));
        }
        for (name, value) in event.unmapped.iter() {
            fields.entry(&*name).or_insert_with(|| json(value));
        }
        Self { sources: record.sources.to_vec(), event, json: Json::Object(fields) }
    }
}

/// Calls `take` for every event of the JSON lines in the zips below `folder`.
pub fn recorded(folder: &Path, take: &mut dyn FnMut(Both)) -> Result<()> {
    for path in files(folder, "zip")? {
        let mut archive = zip::ZipArchive::new(File::open(&path)?)?;
        for index in 0..archive.len() {
            let entry = archive.by_index(index)?;
            if !entry.name().is_ok_and(|name| name.ends_with(".json")) {
                continue;
            }
            let (mut lines, mut out) = (Lines::new(Format::Auto), Output::default());
            for line in BufReader::new(entry).split(b'\n') {
                lines.line(&line?, &mut out);
                out.records.drain(..).map(Both::new).for_each(&mut *take);
            }
        }
    }
    Ok(())
}

/// Calls `take` for every record of the Windows logs below `folder`.
pub fn logs(folder: &Path, take: &mut dyn FnMut(Both)) -> Result<()> {
    for path in files(folder, "evtx")? {
        let bytes = std::fs::read(&path)?;
        let (mut reader, mut out) = (Reader::new(), Output::default());
        for (number, chunk) in
            bytes.get(HEADER_BYTES..).unwrap_or_default().chunks(CHUNK_BYTES).enumerate()
        {
            reader.chunk((HEADER_BYTES + number * CHUNK_BYTES) as u64, chunk, &mut out);
            out.records.drain(..).map(Both::new).for_each(&mut *take);
        }
    }
    Ok(())
}

/// The files below `folder` with this extension, in order.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder);
        for entry in entries.with_context(|| format!("{} cannot be read", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Where rules and recordings are.
pub fn folder() -> Result<PathBuf> {
    let folder = std::env::var_os("METSUKE_SHARED_DATA").map(PathBuf::from);
    folder.filter(|folder| folder.is_dir()).context(
        "there is no public data: set METSUKE_SHARED_DATA to the folder of rules and recordings",
    )
}

/// The public rules.
pub fn documents(data: &Path) -> Result<Vec<Document>> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path)?;
        Ok(Document { path: path.display().to_string(), text })
    };
    files(&data.join("sigma"), "yml")?.into_iter().map(read).collect()
}

/// The rules that both engines take.
pub fn rules(data: &Path) -> Result<(Arc<RuleSet>, Reference)> {
    let documents = documents(data)?;
    let reference = Reference::new(&documents)?;
    let (ours, refused) = compile(documents);
    for one in refused {
        println!("ours refuses {one}");
    }
    Ok((ours, reference))
}
