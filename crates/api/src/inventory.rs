//! What is on each host, and who in the fleet has a file, whether or not it ever ran and whether or
//! not the host is on.
//!
//! Invariant: an answer names the endpoints it does not, or not fully, speak for, and why.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use metsuke_catalog::clock::now;
use metsuke_catalog::{FileFilter, InventoryFilter, InventoryRecord, InventoryState};
use metsuke_event::inventory::{Item, ItemKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::body::{self, Params};
use crate::endpoints::{EndpointStatus, status};
use crate::paging::Page;
use crate::problem::Problem;
use crate::shape::{FieldValue, Time};

mod fleet;
mod place;

pub use fleet::{FilePage, FleetFile, NotLookedAt};
use place::{Key, Spot};

/// An inventory of files that was taken longer ago is stale: sensors walk every hour.
const STALE_NANOS: i64 = 3 * 3_600 * 1_000_000_000;

/// Things that were left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct InventoryLeftOut {
    /// Stable reason, for example `limit` or `unreadable`.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// One of them.
    pub example: String,
}

/// How far one kind was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct InventorySurvey {
    /// `executable`, `package`, `user`, `service`, `product`, `holder`, `system`.
    pub kind: String,
    /// When it was last taken in full; null while the first look is on its way.
    pub taken: Option<Time>,
    /// How many items the host has of it, as far as the server has heard.
    pub items: u64,
    /// Where was looked.
    pub places: Vec<String>,
    /// What was left out.
    pub left_out: Vec<InventoryLeftOut>,
    /// Why this kind cannot be had at all.
    pub missing: Option<String>,
}

/// One thing on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct InventoryItem {
    /// What tells it from others of its kind there.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// SHA-256, where it has one.
    pub sha256: Option<String>,
    /// When the server first heard of it.
    pub first_seen: Time,
    /// When it last changed.
    pub updated: Time,
    /// When it went; null while it is there.
    pub gone: Option<Time>,
    /// What is known of it, by name.
    pub fields: BTreeMap<String, FieldValue>,
}

/// A page of a host's things of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct InventoryPage {
    /// By key.
    pub items: Vec<InventoryItem>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// When the sensor last said something of its inventory; null when it never did.
    pub updated: Option<Time>,
    /// Whether all of it has come.
    pub complete: bool,
    /// How far each kind was looked at.
    pub surveys: Vec<InventorySurvey>,
}

/// Which things.
#[derive(Clone, Debug, Deserialize, IntoParams)]
struct InventoryQuery {
    /// `executable`, `package`, `user`, `service`, `product`, `holder` or `system`.
    kind: Option<String>,
    /// Only those that hold this text.
    q: Option<String>,
    /// Also what went in the last three months.
    gone: Option<bool>,
    /// From the page before.
    cursor: Option<String>,
    /// 1 to 1,000; 200 by default.
    limit: Option<u32>,
}

/// Which files.
#[derive(Clone, Debug, Deserialize, IntoParams)]
struct FileQuery {
    /// SHA-256 in hexadecimal.
    sha256: Option<String>,
    /// Path; `*` stands for anything.
    path: Option<String>,
    /// From the page before.
    cursor: Option<String>,
    /// 1 to 1,000; 200 by default.
    limit: Option<u32>,
}

/// What is on a host.
#[utoipa::path(get, path = "/api/v1/endpoints/{id}/inventory", operation_id = "get_inventory", tag = "inventory",
    params(("id" = String, Path, description = "Endpoint id"), InventoryQuery),
    responses((status = 200, body = InventoryPage), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_inventory(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
    Params(query): Params<InventoryQuery>,
) -> Result<Json<InventoryPage>, Problem> {
    let page: Page<Key> =
        Page::read("inventory", query.cursor.as_deref(), query.limit, (200, 1_000))?;
    let id = body::id(&id, "endpoint")?;
    app.catalog.endpoint(id).await?.ok_or_else(|| Problem::not_found("endpoint"))?;
    let kind = query.kind.as_deref().filter(|text| !text.is_empty()).unwrap_or("executable");
    let kind: ItemKind =
        kind.parse().map_err(|error| Problem::invalid(format!("`kind`: {error}")))?;
    let filter = InventoryFilter {
        text: query.q.filter(|text| !text.is_empty()),
        gone: query.gone.unwrap_or(false),
    };
    let after = page.after.as_ref().map(|key| key.0.as_str());
    let rows = app.catalog.inventory(id, kind, &filter, (after, page.fetch())).await?;
    let (rows, next) = page.cut(rows, |row| Key(row.item.key()));
    let state = app.catalog.inventory_state(id).await?;
    let counts = app.catalog.inventory_counts(id).await?;
    Ok(Json(InventoryPage {
        items: rows.iter().map(shape).collect(),
        next,
        updated: state.as_ref().map(|state| state.updated.into()),
        complete: state.as_ref().is_some_and(|state| state.whole),
        surveys: surveys(state.as_ref(), &counts),
    }))
}

/// Who has a file: everywhere it is or was in the last three months, and where was not looked.
#[utoipa::path(get, path = "/api/v1/inventory/files", operation_id = "find_files", tag = "inventory",
    params(FileQuery),
    responses((status = 200, body = FilePage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn find_files(
    State(app): State<App>,
    _account: Account,
    Params(query): Params<FileQuery>,
) -> Result<Json<FilePage>, Problem> {
    let page: Page<Spot> = Page::read("files", query.cursor.as_deref(), query.limit, (200, 1_000))?;
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let filter = match (text(query.sha256), text(query.path)) {
        (Some(hash), None) => {
            let hash = hash.to_ascii_lowercase();
            if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Problem::invalid("`sha256` has 64 hexadecimal digits"));
            }
            FileFilter::Sha256(hash)
        }
        (None, Some(path)) => FileFilter::Path(path),
        _ => return Err(Problem::invalid("give either `sha256` or `path`")),
    };
    let after = page.after.as_ref().map(|spot| (spot.0, spot.1.as_str()));
    let rows = app.catalog.find_files(&filter, (after, page.fetch())).await?;
    let (rows, next) = page.cut(rows, |row| Spot(row.endpoint, row.item.key()));
    let endpoints = app.catalog.endpoints().await?;
    let states = app.catalog.inventory_states().await?;
    Ok(Json(fleet::answer(now(), (rows, next), (&filter, &endpoints, &states))))
}

fn surveys(
    state: Option<&InventoryState>,
    counts: &BTreeMap<ItemKind, u64>,
) -> Vec<InventorySurvey> {
    let told = state.into_iter().flat_map(|state| &state.surveys);
    let survey = |survey: &metsuke_event::inventory::Survey| InventorySurvey {
        kind: survey.kind.name().to_owned(),
        taken: survey.taken.map(Time),
        items: counts.get(&survey.kind).copied().unwrap_or(0),
        places: survey.places.clone(),
        left_out: survey
            .left_out
            .iter()
            .map(|left| InventoryLeftOut {
                reason: left.reason.clone(),
                count: left.count,
                example: left.example.clone(),
            })
            .collect(),
        missing: survey.missing.clone(),
    };
    told.map(survey).collect()
}

fn shape(record: &InventoryRecord) -> InventoryItem {
    InventoryItem {
        key: record.item.key(),
        name: record.item.name().to_owned(),
        sha256: record.item.sha256().map(str::to_owned),
        first_seen: record.first_seen.into(),
        updated: record.updated.into(),
        gone: record.gone.map(Time),
        fields: fields(&record.item),
    }
}

/// What is known of an item, by name: lists in one text, what is nested with a dot.
fn fields(item: &Item) -> BTreeMap<String, FieldValue> {
    let mut fields = BTreeMap::new();
    if let Ok(serde_json::Value::Object(object)) = serde_json::to_value(item) {
        flatten("", object, &mut fields);
    }
    fields.remove("kind");
    fields
}

fn flatten(
    prefix: &str,
    object: serde_json::Map<String, serde_json::Value>,
    fields: &mut BTreeMap<String, FieldValue>,
) {
    use serde_json::Value;
    for (name, value) in object {
        let name = format!("{prefix}{name}");
        let value = match value {
            // An item is nested once; this cannot go deep.
            Value::Object(inner) => {
                flatten(&format!("{name}."), inner, fields);
                continue;
            }
            Value::Null => continue,
            Value::Bool(flag) => FieldValue::Bool(flag),
            Value::Number(number) => match number.as_i64() {
                Some(number) if number.unsigned_abs() < 1 << 53 => FieldValue::Number(number),
                _ => FieldValue::Text(number.to_string()),
            },
            Value::String(text) => FieldValue::Text(text),
            Value::Array(list) => {
                let texts = list.iter().map(|one| one.as_str().unwrap_or_default());
                FieldValue::Text(texts.collect::<Vec<_>>().join(", "))
            }
        };
        fields.insert(name, value);
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_inventory)).routes(routes!(find_files))
}
