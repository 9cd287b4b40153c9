//! The answer to "who has this file": where it is, and for which endpoints nobody can say.

use std::collections::HashMap;

use metsuke_catalog::{EndpointRecord, FileFilter, InventoryRecord, InventoryState};
use metsuke_event::inventory::{Item, ItemKind, Survey};
use metsuke_event::{EndpointId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{EndpointStatus, STALE_NANOS, status};
use crate::shape::Time;

/// Endpoints named that were not looked at; beyond it they are only counted.
const NAMED_MAX: usize = 500;

/// A file on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FleetFile {
    /// The endpoint.
    pub endpoint: String,
    /// Its host name.
    pub host: Option<String>,
    /// Whether it is heard of now.
    pub status: EndpointStatus,
    /// When it was last heard of: what is said of it is as old as that.
    pub last_seen: Option<Time>,
    /// Path.
    pub path: String,
    /// SHA-256; null when it could not be hashed.
    pub sha256: Option<String>,
    /// `elf`, `script` or `pe`.
    pub format: String,
    /// Size in bytes.
    pub size: u64,
    /// Owner.
    pub uid: u32,
    /// When its content last changed, as the file system says.
    pub modified: Time,
    /// The package it belongs to.
    pub package: Option<String>,
    /// `unmodified`, `modified` or `unknown`; null when it belongs to no package.
    pub integrity: Option<String>,
    /// When the server first heard of it.
    pub first_seen: Time,
    /// When it last changed.
    pub updated: Time,
    /// When it went; null while it is there.
    pub gone: Option<Time>,
}

/// An endpoint for which the answer does not, or not fully, hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NotLookedAt {
    /// The endpoint.
    pub endpoint: String,
    /// Its host name.
    pub host: String,
    /// Whether it is heard of now.
    pub status: EndpointStatus,
    /// When it was last heard of.
    pub last_seen: Option<Time>,
    /// `none` (no inventory came), `incomplete` (the first one is on its way), `stale` (taken too
    /// long ago), `outside` (the path is in no place that is looked at), `partial` (some files were
    /// left out).
    pub reason: String,
    /// When its files were last looked at.
    pub taken: Option<Time>,
    /// In words.
    pub detail: String,
}

/// A page of files over the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FilePage {
    /// By endpoint and path.
    pub items: Vec<FleetFile>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// How many endpoints there are.
    pub endpoints: u64,
    /// For how many of them the answer fully holds.
    pub looked_at: u64,
    /// The others; at most 500 of them.
    pub not_looked_at: Vec<NotLookedAt>,
}

fn text(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn file(record: InventoryRecord, host: Option<&EndpointRecord>) -> Option<FleetFile> {
    let Item::Executable(file) = record.item else { return None };
    let last_seen = host.and_then(|host| host.last_seen);
    Some(FleetFile {
        endpoint: record.endpoint.to_string(),
        host: host.map(|host| host.host.clone()),
        status: status(last_seen),
        last_seen: last_seen.map(Time),
        path: file.path,
        sha256: file.sha256,
        format: text(file.format),
        size: file.size,
        uid: file.uid,
        modified: file.modified.into(),
        package: file.package,
        integrity: file.integrity.map(text),
        first_seen: record.first_seen.into(),
        updated: record.updated.into(),
        gone: record.gone.map(Time),
    })
}

/// Why the answer does not fully hold for a host: reason and words.
fn doubt(
    now: Timestamp,
    filter: &FileFilter,
    state: Option<&InventoryState>,
) -> Option<(&'static str, String)> {
    let Some(state) = state else {
        return Some(("none", "no inventory of it has come".to_owned()));
    };
    let survey = state.surveys.iter().find(|survey| survey.kind == ItemKind::Executable);
    let Some((survey, taken)) = survey.and_then(|survey| Some((survey, survey.taken?))) else {
        return Some(("incomplete", "its files are being looked at for the first time".to_owned()));
    };
    if !state.whole {
        return Some(("incomplete", "its inventory is on its way".to_owned()));
    }
    if let FileFilter::Path(path) = filter
        && !is_covered(survey, path)
    {
        return Some(("outside", format!("looked at: {}", survey.places.join(", "))));
    }
    if now.nanos_since(taken) > STALE_NANOS {
        return Some(("stale", format!("its files were last looked at {taken}")));
    }
    // What is only said to explain is no gap in the files.
    let gaps = survey.left_out.iter().filter(|left| !left.reason.starts_with("owners_of"));
    let gaps: Vec<String> =
        gaps.map(|left| format!("{} ({}, {})", left.count, left.reason, left.example)).collect();
    (!gaps.is_empty()).then(|| ("partial", format!("left out: {}", gaps.join("; "))))
}

fn is_covered(survey: &Survey, path: &str) -> bool {
    // What stands before a `*` is what is known of the path.
    let known = path.split('*').next().unwrap_or_default();
    survey.places.iter().any(|place| {
        let inside = known
            .strip_prefix(place.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || place.ends_with('/'));
        inside || (path.contains('*') && place.starts_with(known))
    })
}

/// The answer.
pub(super) fn answer(
    now: Timestamp,
    (rows, next): (Vec<InventoryRecord>, Option<String>),
    (filter, endpoints, states): (&FileFilter, &[EndpointRecord], &[InventoryState]),
) -> FilePage {
    let states: HashMap<EndpointId, &InventoryState> =
        states.iter().map(|state| (state.endpoint, state)).collect();
    let hosts: HashMap<EndpointId, &EndpointRecord> =
        endpoints.iter().map(|host| (host.id, host)).collect();
    let mut not_looked_at = Vec::new();
    let mut doubtful = 0;
    for host in endpoints {
        let state = states.get(&host.id).copied();
        let Some((reason, detail)) = doubt(now, filter, state) else { continue };
        doubtful += 1;
        if not_looked_at.len() < NAMED_MAX {
            let surveys = state.into_iter().flat_map(|state| &state.surveys);
            let mut files = surveys.filter(|survey| survey.kind == ItemKind::Executable);
            not_looked_at.push(NotLookedAt {
                endpoint: host.id.to_string(),
                host: host.host.clone(),
                status: status(host.last_seen),
                last_seen: host.last_seen.map(Time),
                reason: reason.to_owned(),
                taken: files.next().and_then(|survey| survey.taken).map(Time),
                detail,
            });
        }
    }
    let rows = rows.into_iter();
    FilePage {
        items: rows
            .filter_map(|row| {
                let host = hosts.get(&row.endpoint).copied();
                file(row, host)
            })
            .collect(),
        next,
        endpoints: endpoints.len() as u64,
        looked_at: endpoints.len() as u64 - doubtful,
        not_looked_at,
    }
}
