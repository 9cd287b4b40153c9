//! Alerts: the list by score with facets, one alert explained, triage with conflict notice.

mod place;
mod shape;

use axum::Json;
use axum::extract::{Path, State};
use metsuke_catalog::clock::now;
use metsuke_catalog::{AlertFilter, AlertOrder, AlertRecord, Finding, Status, TriageChange};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::place::{ORDERS, Place};
use crate::auth::Account;
use crate::body::{self, Body, Params};
use crate::hosts::{Hosts, loss_of};
use crate::paging::{self, At, Numbered, Page};
use crate::ports::Range;
use crate::problem::Problem;
use crate::shape::{EventRow, ScorePart};

pub use shape::{
    Alert, AlertCore, AlertFacets, AlertFinding, AlertHistory, AlertPage, AlertPatch, AlertQuery,
    AlertStatus, AlertSummary, PageQuery, Timeline,
};
pub(crate) use shape::{LEVELS, core, highlights, shape_facets, summary};

/// How far before an alert's first step its storyline is looked at: 24 hours.
const BEFORE_NANOS: i64 = paging::DAY_NANOS;
/// How far after its last step: an hour.
const AFTER_NANOS: i64 = 3_600 * 1_000_000_000;
/// Longest note, in characters.
const MAX_NOTE_CHARS: usize = 4_000;
/// Most words of a text search.
const MAX_WORDS: usize = 16;

/// Alerts that match, highest score first unless asked otherwise.
#[utoipa::path(get, path = "/api/v1/alerts", operation_id = "list_alerts", tag = "alerts",
    params(AlertQuery),
    responses((status = 200, body = AlertPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_alerts(
    State(app): State<App>,
    account: Account,
    Params(query): Params<AlertQuery>,
) -> Result<Json<AlertPage>, Problem> {
    let order = order(query.sort.as_deref())?;
    let page = Page::<Place>::read("alerts", query.cursor.as_deref(), query.limit, (50, 500))?;
    if page.after.as_ref().is_some_and(|after| after.order != order) {
        return Err(paging::bad_cursor());
    }
    let filter = filter(&query, account.name())?;
    let after = page.after.as_ref().map(|after| &after.place);
    let slice = app.catalog.alerts(&filter, order, (after, page.fetch())).await?;
    let facets = app.catalog.alert_facets(&filter).await?;
    let (items, next) = page.cut(slice.items, |record| Place::of(record, order));
    let incidents = app.catalog.incidents().await?;
    Ok(Json(AlertPage {
        items: items.iter().map(|record| summary(record, &incidents)).collect(),
        next,
        total: slice.total,
        facets: shape_facets(facets),
    }))
}

fn order(sort: Option<&str>) -> Result<AlertOrder, Problem> {
    let name = sort.filter(|name| !name.is_empty()).unwrap_or(ORDERS[0].0);
    let known = ORDERS.iter().find(|(known, _)| *known == name);
    known
        .map(|(_, order)| *order)
        .ok_or_else(|| Problem::invalid("`sort` is `score`, `created` or `last`"))
}

/// One alert, explained.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", operation_id = "get_alert", tag = "alerts",
    params(("id" = String, Path, description = "Alert id")),
    responses((status = 200, body = Alert), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_alert(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<Alert>, Problem> {
    let record = load(&app, &id).await?;
    let history = app.catalog.alert_history(record.alert.id).await?;
    let hosts = Hosts::load(&app).await?;
    let loss = loss_of(app.telemetry.loss(around(&record)), record.alert.endpoint);
    let force = app.library.in_force();
    let page = force.known(&record.alert.detection.id);
    let name = |id: &str| Some((id.to_owned(), crate::attack::name(id)?.to_owned()));
    let incidents = app.catalog.incidents().await?;
    Ok(Json(Alert {
        core: core(&record, &incidents),
        technique_names: record.techniques().into_iter().filter_map(name).collect(),
        parts: record.alert.parts.iter().cloned().map(ScorePart::from).collect(),
        highlights: highlights(&record),
        page: page.map(|known| known.page.clone()).unwrap_or_default(),
        loss: hosts.loss(loss),
        history: history.into_iter().map(AlertHistory::from).collect(),
    }))
}

/// Changes status, finding, assignee, or adds a note; 409 when somebody else changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/alerts/{id}", operation_id = "patch_alert", tag = "alerts",
    params(("id" = String, Path, description = "Alert id")), request_body = AlertPatch,
    responses((status = 200, body = AlertSummary), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn patch_alert(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
    Body(patch): Body<AlertPatch>,
) -> Result<Json<AlertSummary>, Problem> {
    let id = body::id(&id, "alert")?;
    let change = change(&app, &account, patch).await?;
    let judged = change.finding.is_some();
    let record = app.catalog.triage(now(), account.name(), id, change).await?;
    if judged {
        app.library.weigh_anew().await?;
    }
    Ok(Json(summary(&record, &*app.catalog.incidents().await?)))
}

/// Activities of the alert's storyline, by time.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/timeline", operation_id = "get_alert_timeline", tag = "alerts",
    params(("id" = String, Path, description = "Alert id"), PageQuery),
    responses((status = 200, body = Timeline), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_alert_timeline(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Timeline>, Problem> {
    let page: Page<At<Numbered>> =
        Page::read("timeline", page.cursor.as_deref(), page.limit, (200, 1_000))?;
    let record = load(&app, &id).await?;
    let (endpoint, range) = (record.alert.endpoint, around(&record));
    let story = app.telemetry.story(endpoint, &record.alert.storyline, range).await?;
    let hosts = Hosts::load(&app).await?;
    let mut events = story.events;
    events.sort_unstable_by_key(|event| At::from(event));
    events.retain(|event| page.after.is_none_or(|after| At::from(event) > after));
    let (items, next) = page.cut(events, |event| event.into());
    Ok(Json(Timeline {
        items: items.iter().map(EventRow::from).collect(),
        next,
        loss: hosts.loss(loss_of(story.loss, endpoint)),
        truncated: story.truncated,
    }))
}

pub(crate) async fn load(app: &App, id: &str) -> Result<AlertRecord, Problem> {
    let id = body::id(id, "alert")?;
    app.catalog.alert(id).await?.ok_or_else(|| Problem::not_found("alert"))
}

/// The time an alert's storyline is looked at.
pub(crate) fn around(record: &AlertRecord) -> Range {
    Range {
        from: record.alert.first.plus_nanos(-BEFORE_NANOS),
        to: record.alert.last.plus_nanos(AFTER_NANOS),
    }
}

fn filter(query: &AlertQuery, me: &str) -> Result<AlertFilter, Problem> {
    let status = |name: &str| {
        Status::from_name(name)
            .ok_or_else(|| Problem::invalid("`status` is `new`, `in_progress` or `closed`"))
    };
    let level = |name: &str| {
        let number = LEVELS.iter().position(|level| *level == name);
        let number = number.and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| Problem::invalid(format!("`level` is one of {LEVELS:?}")))
    };
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let endpoint = text(&query.endpoint).map(|id| id.parse()).transpose();
    Ok(AlertFilter {
        status: paging::list(query.status.as_deref()).map(status).collect::<Result<_, _>>()?,
        level: paging::list(query.level.as_deref()).map(level).collect::<Result<_, _>>()?,
        endpoint: endpoint.map_err(|_| Problem::invalid("`endpoint` is no endpoint id"))?,
        host: text(&query.host),
        technique: text(&query.technique),
        tactic: text(&query.tactic),
        detection: text(&query.detection),
        assignee: text(&query.assignee).map(|name| match name.as_str() {
            "none" => None,
            "me" => Some(me.to_owned()),
            _ => Some(name),
        }),
        words: query
            .q
            .as_deref()
            .unwrap_or_default()
            .split_whitespace()
            .take(MAX_WORDS)
            .map(str::to_owned)
            .collect(),
        min_score: query.min_score,
    })
}

async fn change(app: &App, account: &Account, patch: AlertPatch) -> Result<TriageChange, Problem> {
    let finding = match patch.finding.as_deref() {
        None => None,
        Some("") => Some(None),
        Some(name) => Some(Some(Finding::from_name(name).ok_or_else(|| {
            Problem::invalid("`finding` is `true_positive`, `benign`, `false_positive` or empty")
        })?)),
    };
    let assignee = match patch.assignee.as_deref() {
        None => None,
        Some("") => Some(None),
        Some("me") => Some(Some(account.name().to_owned())),
        Some(name) => match app.catalog.account(name).await? {
            Some(known) => Some(Some(known.name)),
            None => return Err(Problem::invalid("`assignee` is no account")),
        },
    };
    let note = patch.note.filter(|note| !note.trim().is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE_CHARS) {
        return Err(Problem::invalid(format!("a note has at most {MAX_NOTE_CHARS} characters")));
    }
    Ok(TriageChange {
        status: patch.status.map(Status::from),
        finding,
        assignee,
        note,
        expected_version: patch.expected_version,
    })
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_alerts))
        .routes(routes!(get_alert, patch_alert))
        .routes(routes!(get_alert_timeline))
}
