//! Indicators: what is believed bad or known good, from where, and where it was seen.
//!
//! Invariant: every change is made by the one worker behind [`metsuke_indicators::Indicators`] and
//! stands in the audit log.

mod asked;
mod document;
mod shape;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metsuke_catalog as catalog;
use metsuke_catalog::clock::now;
use metsuke_catalog::{IndicatorFilter, IndicatorRecord, SightingFilter};
use metsuke_indicators::{ChangeError, NewIndicator};
use metsuke_intel::read::{self, Origin};
use metsuke_intel::{Kind, refang};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::body::{Body, Params};
use crate::hosts::Hosts;
use crate::paging::Page;
use crate::problem::Problem;
use crate::responses::id;

pub use asked::{DocumentQuery, IndicatorPatch, IndicatorQuery, IndicatorRequest, SightingQuery};
pub(crate) use document::MAX_DOCUMENTS;
pub use shape::{
    DocumentProblem, EarliestSeen, Indicator, IndicatorConflict, IndicatorDetail, IndicatorImport,
    IndicatorList, IndicatorPage, IndicatorPreview, IndicatorSample, IndicatorSource,
    IndicatorSourceList, Provenance, Retro, RetroRef, RetroState, Sighting, SightingEvent,
    SightingPage,
};

/// Sightings told with one indicator.
const SIGHTINGS_SHOWN: u64 = 100;
/// Longest name of a source, in bytes.
const MAX_SOURCE_BYTES: usize = 200;

fn refused(error: ChangeError) -> Problem {
    match error {
        ChangeError::Catalog(error) => error.into(),
        ChangeError::Value(_) | ChangeError::Empty(_) => Problem::invalid(error.to_string()),
        ChangeError::Stopping => Problem::unavailable(error.to_string()),
    }
}

fn number(text: &str, what: &'static str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

fn source(name: &str) -> Result<&str, Problem> {
    let name = name.trim();
    if name.is_empty() || name.len() > MAX_SOURCE_BYTES {
        let most = MAX_SOURCE_BYTES;
        return Err(Problem::invalid(format!(
            "`source` says whose they are, in 1 to {most} bytes"
        )));
    }
    Ok(name)
}

fn confidence(sure: Option<u8>) -> Result<Option<u8>, Problem> {
    if sure.is_some_and(|sure| sure > 100) {
        return Err(Problem::invalid("`confidence` is 0 to 100"));
    }
    Ok(sure)
}

fn kind(name: Option<&str>) -> Result<Option<Kind>, Problem> {
    let name = name.filter(|name| !name.is_empty());
    name.map(|name| {
        Kind::from_name(name).ok_or_else(|| {
            let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            Problem::invalid(format!("`kind` is one of {}", known.join(", ")))
        })
    })
    .transpose()
}

fn filter(query: &IndicatorQuery, before: Option<i64>) -> Result<IndicatorFilter, Problem> {
    let mut filter = IndicatorFilter {
        kind: kind(query.kind.as_deref())?,
        source: query.source.clone().filter(|name| !name.is_empty()),
        action: query.list.map(Into::into),
        before,
        ..IndicatorFilter::default()
    };
    filter.expired = match query.state.as_deref().unwrap_or_default() {
        "" => None,
        "active" => Some((now(), false)),
        "expired" => Some((now(), true)),
        _ => return Err(Problem::invalid("`state` is `active` or `expired`")),
    };
    if let Some(text) = query.q.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        match read::guess(text) {
            // As wholes they are found at once, however many there are.
            Ok((
                Kind::Sha256 | Kind::Sha1 | Kind::Md5 | Kind::Ipv4 | Kind::Ipv6 | Kind::Cidr,
                value,
            )) => filter.value = Some(value),
            _ => filter.part = Some(refang::refang(text).into_owned()),
        }
    }
    Ok(filter)
}

/// Indicators, newest first.
#[utoipa::path(get, path = "/api/v1/indicators", operation_id = "list_indicators", tag = "indicators", params(IndicatorQuery),
    responses((status = 200, body = IndicatorPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_indicators(
    State(app): State<App>,
    _account: Account,
    Params(query): Params<IndicatorQuery>,
) -> Result<Json<IndicatorPage>, Problem> {
    let page: Page<i64> =
        Page::read("indicators", query.cursor.as_deref(), query.limit, (100, 500))?;
    let filter = filter(&query, page.after)?;
    let records = app.catalog.indicators(&filter, page.fetch()).await?;
    let (records, next) = page.cut(records, |record| record.id);
    let now = now();
    let items = records.into_iter().map(|record| Indicator::new(record, now)).collect();
    Ok(Json(IndicatorPage { items, next }))
}

/// One indicator: where it comes from, where it was seen, and where first.
#[utoipa::path(get, path = "/api/v1/indicators/{id}", operation_id = "get_indicator", tag = "indicators",
    params(("id" = String, Path, description = "Indicator id")),
    responses((status = 200, body = IndicatorDetail), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_indicator(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<IndicatorDetail>, Problem> {
    let record = app.catalog.indicator(number(&id, "indicator")?).await?;
    let record = record.ok_or_else(|| Problem::not_found("indicator"))?;
    let hosts = Hosts::load(&app).await?;
    let said = app.catalog.indicators_of(record.kind, &record.value).await?;
    let of = SightingFilter { indicator: Some(record.id), ..SightingFilter::default() };
    let seen = app.catalog.sightings(&of, SIGHTINGS_SHOWN).await?;
    let earliest_seen = record.earliest.clone().map(|earliest| EarliestSeen {
        time: earliest.time.into(),
        endpoint: earliest.endpoint.to_string(),
        host: hosts.of(earliest.endpoint),
        place: earliest.place.name().to_owned(),
    });
    Ok(Json(IndicatorDetail {
        provenance: provenance(&app, &said).await?,
        sighted: seen.into_iter().map(|one| Sighting::new(one, &hosts)).collect(),
        earliest_seen,
        indicator: Indicator::new(record, now()),
    }))
}

async fn provenance(app: &App, said: &[IndicatorRecord]) -> Result<Vec<Provenance>, Problem> {
    let mut all = Vec::new();
    for one in said {
        let again = (one.last_import != one.first_import).then_some(one.last_import);
        for import in [Some(one.first_import), again].into_iter().flatten() {
            // Where it stood is known of the document it last came in.
            let place = one.place.clone().filter(|_| import == one.last_import);
            if let Some(import) = app.catalog.import(import).await? {
                all.push(Provenance {
                    source: import.source,
                    document: import.document,
                    place,
                    imported: import.time.into(),
                    actor: import.actor,
                });
            }
        }
    }
    Ok(all)
}

/// Enters one indicator by hand, and begins to look back for it.
#[utoipa::path(post, path = "/api/v1/indicators", operation_id = "create_indicator", tag = "indicators",
    request_body = IndicatorRequest,
    responses((status = 201, body = Indicator), (status = 400, body = Problem), (status = 401, body = Problem), (status = 503, body = Problem)))]
async fn create_indicator(
    State(app): State<App>,
    account: Account,
    Body(request): Body<IndicatorRequest>,
) -> Result<(StatusCode, Json<Indicator>), Problem> {
    let origin = Origin {
        source: source(&request.source)?.into(),
        confidence: confidence(request.confidence)?,
        action: request.list.into(),
        expires: request.expires.map(|end| end.0),
        ..Origin::default()
    };
    let new = NewIndicator {
        kind: kind(request.kind.as_deref())?,
        value: request.value,
        origin,
        note: request.note.filter(|note| !note.is_empty()),
        actor: account.name().to_owned(),
    };
    let record = app.indicators.add(new).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(Indicator::new(record, now()))))
}

/// Changes list, confidence, end or note of an indicator.
#[utoipa::path(patch, path = "/api/v1/indicators/{id}", operation_id = "patch_indicator", tag = "indicators",
    params(("id" = String, Path, description = "Indicator id")), request_body = IndicatorPatch,
    responses((status = 200, body = Indicator), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
async fn patch_indicator(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
    Body(patch): Body<IndicatorPatch>,
) -> Result<Json<Indicator>, Problem> {
    let patch = catalog::IndicatorPatch {
        action: patch.list.map(Into::into),
        confidence: confidence(patch.confidence)?,
        expires: patch.expires.map(|end| end.map(|end| end.0)),
        note: patch.note,
    };
    let id = number(&id, "indicator")?;
    let record = app.indicators.change(id, patch, account.name()).await.map_err(refused)?;
    Ok(Json(Indicator::new(record, now())))
}

/// Removes an indicator; its sightings stay.
#[utoipa::path(delete, path = "/api/v1/indicators/{id}", operation_id = "delete_indicator", tag = "indicators",
    params(("id" = String, Path, description = "Indicator id")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
async fn delete_indicator(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.indicators.remove(number(&id, "indicator")?, account.name()).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Every source of indicators.
#[utoipa::path(get, path = "/api/v1/indicators/sources", operation_id = "list_indicator_sources", tag = "indicators",
    responses((status = 200, body = IndicatorSourceList), (status = 401, body = Problem)))]
async fn list_indicator_sources(
    State(app): State<App>,
    _account: Account,
) -> Result<Json<IndicatorSourceList>, Problem> {
    let sources = app.catalog.indicator_sources(now()).await?.into_iter();
    let items = sources.map(|one| IndicatorSource {
        source: one.source,
        count: one.count,
        active: one.active,
        sightings: one.sightings,
        last_import: one.last_import.map(Into::into),
    });
    Ok(Json(IndicatorSourceList { items: items.collect() }))
}

/// Removes everything a source says; the sightings stay.
#[utoipa::path(delete, path = "/api/v1/indicators/sources/{source}", operation_id = "delete_indicator_source", tag = "indicators",
    params(("source" = String, Path, description = "Its name")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
async fn delete_indicator_source(
    State(app): State<App>,
    account: Account,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    app.indicators.remove_source(&name, account.name()).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where indicators were met, newest first.
#[utoipa::path(get, path = "/api/v1/sightings", operation_id = "list_sightings", tag = "indicators", params(SightingQuery),
    responses((status = 200, body = SightingPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_sightings(
    State(app): State<App>,
    _account: Account,
    Params(query): Params<SightingQuery>,
) -> Result<Json<SightingPage>, Problem> {
    let page: Page<i64> =
        Page::read("sightings", query.cursor.as_deref(), query.limit, (100, 500))?;
    let filter = SightingFilter {
        indicator: id(query.indicator.as_deref(), "indicator")?,
        endpoint: id(query.endpoint.as_deref(), "endpoint")?,
        before: page.after,
    };
    let records = app.catalog.sightings(&filter, page.fetch()).await?;
    let (records, next) = page.cut(records, |record| record.id);
    let hosts = Hosts::load(&app).await?;
    let items = records.into_iter().map(|record| Sighting::new(record, &hosts)).collect();
    Ok(Json(SightingPage { items, next }))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_indicators, create_indicator))
        .routes(routes!(get_indicator, patch_indicator, delete_indicator))
        .routes(routes!(list_indicator_sources))
        .routes(routes!(delete_indicator_source))
        .routes(routes!(list_sightings))
        .merge(document::routes())
}
