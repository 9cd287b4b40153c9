//! Documents: what one would bring, taking it in, and the look back that this begins.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::StatusCode;
use metsuke_event::Text;
use metsuke_indicators::Order;
use metsuke_intel::problem::Weight;
use metsuke_intel::read::{self, Format, Origin};
use tokio::sync::OwnedSemaphorePermit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asked::DocumentQuery;
use super::shape::{
    IndicatorConflict, IndicatorImport, IndicatorPreview, IndicatorSample, Retro, RetroRef,
    problems,
};
use super::{confidence, number, refused, source};
use crate::App;
use crate::auth::Account;
use crate::body::Params;
use crate::paging::list;
use crate::problem::Problem;

/// Largest document: read, its tree takes about ten times that in memory. Larger feeds come in parts.
const MAX_DOCUMENT_BYTES: usize = 64 << 20;
/// Documents that may be on their way or read at once.
pub(crate) const MAX_DOCUMENTS: usize = 2;
/// Most labels given with a document.
const MAX_LABELS: usize = 16;
/// Longest name of a document, in bytes.
const MAX_NAME_BYTES: usize = 512;

/// A document's bytes, with its place among those that may be read at once.
struct Document(Bytes, OwnedSemaphorePermit);

impl FromRequest<App> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let place = std::sync::Arc::clone(&app.documents).try_acquire_owned().map_err(|_| {
            Problem::unavailable("other documents are being read; try again in a moment")
        })?;
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let most = MAX_DOCUMENT_BYTES >> 20;
                let why = format!("a document has at most {most} MiB; send it in parts");
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", why)
            } else {
                Problem::invalid(rejection.body_text())
            }
        })?;
        if bytes.is_empty() {
            return Err(Problem::invalid("the body is the document; it is empty"));
        }
        Ok(Self(bytes, place))
    }
}

fn format(name: Option<&str>) -> Result<Option<Format>, Problem> {
    match name.unwrap_or("auto") {
        "auto" | "" => Ok(None),
        "text" => Ok(Some(Format::List)),
        name => Format::ALL
            .iter()
            .find_map(|(known, format)| (*known == name).then_some(Some(*format)))
            .ok_or_else(|| {
                let known = "`auto`, `stix`, `misp`, `openioc`, `csv`, `text` or `report`";
                Problem::invalid(format!("`format` is {known}"))
            }),
    }
}

fn origin(query: &DocumentQuery, whose: &str, actor: &str) -> Result<Origin, Problem> {
    let labels: Vec<Text> = list(query.label.as_deref()).map(Text::from).collect();
    if labels.len() > MAX_LABELS || labels.iter().any(|label| label.len() > read::MAX_LABELS.1) {
        return Err(Problem::invalid(format!("`label` is at most {MAX_LABELS} words")));
    }
    let name = query.document.as_deref().filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.len() > MAX_NAME_BYTES) {
        return Err(Problem::invalid(format!("`document` has at most {MAX_NAME_BYTES} bytes")));
    }
    let expires = query.expires.as_deref().filter(|text| !text.is_empty());
    let expires = expires
        .map(|text| text.parse().map_err(|why| Problem::invalid(format!("`expires`: {why}"))))
        .transpose()?;
    Ok(Origin {
        source: whose.into(),
        document: name.map(Text::from),
        confidence: confidence(query.confidence)?,
        action: query.list.map(Into::into).unwrap_or_default(),
        owner: Some(actor.into()),
        labels,
        expires,
        ..Origin::default()
    })
}

/// What a document would bring; nothing is changed.
#[utoipa::path(post, path = "/api/v1/indicators/preview", operation_id = "preview_indicators", tag = "indicators",
    params(DocumentQuery), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = IndicatorPreview), (status = 400, body = Problem), (status = 401, body = Problem), (status = 413, body = Problem), (status = 503, body = Problem)))]
async fn preview_indicators(
    State(app): State<App>,
    account: Account,
    Params(query): Params<DocumentQuery>,
    Document(bytes, place): Document,
) -> Result<Json<IndicatorPreview>, Problem> {
    let format = format(query.format.as_deref())?;
    let whose = query.source.as_deref().unwrap_or("preview");
    let origin = origin(&query, whose, account.name())?;
    let indicators = app.indicators.clone();
    let read = tokio::task::spawn_blocking(move || {
        let _place = place;
        indicators.preview(&bytes, format, &origin)
    });
    let preview = read.await.map_err(|error| Problem::internal("reading the document", &error))?;
    let sample = preview.sample.into_iter().map(|one| IndicatorSample {
        kind: one.kind.name().to_owned(),
        value: one.value,
        defanged_from: one.defanged_from,
    });
    let conflicts = preview.conflicts.into_iter().map(|one| IndicatorConflict {
        value: one.value,
        kind: one.kind.name().to_owned(),
        why: one.why,
        code: one.code.to_owned(),
        by: one.by,
    });
    Ok(Json(IndicatorPreview {
        format: preview.format.to_owned(),
        counts: preview.counts.into_iter().map(|(kind, n)| (kind.to_owned(), n)).collect(),
        total: preview.total,
        new: preview.new,
        known: preview.known,
        allowed: preview.allowed,
        conflicts: conflicts.collect(),
        refused: problems(&preview.problems, Weight::Refused),
        notes: problems(&preview.problems, Weight::Note),
        sample: sample.collect(),
    }))
}

/// Takes a document in, and begins to look back for what it brings. Taking the same document again
/// changes what its indicators say, and looks back once more.
#[utoipa::path(post, path = "/api/v1/indicators/import", operation_id = "import_indicators", tag = "indicators",
    params(DocumentQuery), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = IndicatorImport), (status = 400, body = Problem), (status = 401, body = Problem), (status = 413, body = Problem), (status = 503, body = Problem)))]
async fn import_indicators(
    State(app): State<App>,
    account: Account,
    Params(query): Params<DocumentQuery>,
    Document(bytes, _place): Document,
) -> Result<Json<IndicatorImport>, Problem> {
    let format = format(query.format.as_deref())?;
    let whose = source(query.source.as_deref().unwrap_or_default())?;
    let origin = origin(&query, whose, account.name())?;
    let order = Order { bytes, format, origin, actor: account.name().to_owned() };
    let imported = app.indicators.import(order).await.map_err(refused)?;
    Ok(Json(IndicatorImport {
        imported: imported.fresh,
        known: imported.known,
        refused: problems(&imported.problems, Weight::Refused),
        retro: RetroRef { id: imported.import.to_string() },
    }))
}

/// How far the look back of an import is.
#[utoipa::path(get, path = "/api/v1/indicators/retro/{id}", operation_id = "get_indicator_retro", tag = "indicators",
    params(("id" = String, Path, description = "As the import gave it")),
    responses((status = 200, body = Retro), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_indicator_retro(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<Retro>, Problem> {
    let import = app.catalog.import(number(&id, "import")?).await?;
    Ok(Json(import.ok_or_else(|| Problem::not_found("import"))?.into()))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(preview_indicators))
        .routes(routes!(import_indicators))
        .layer(DefaultBodyLimit::max(MAX_DOCUMENT_BYTES))
        .merge(OpenApiRouter::new().routes(routes!(get_indicator_retro)))
}
