//! Exceptions: what is collected and not alerted, with reason, owner, expiry, and a preview of what
//! they would have hidden.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metsuke_catalog::clock::now;
use metsuke_catalog::{DayCount, ExceptionRecord};
use metsuke_control::trials::Breadth;
use metsuke_event::{EndpointId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{Account, Admin};
use crate::body::Body;
use crate::detections::{TextProblem, problems, reason};
use crate::hosts::Hosts;
use crate::paging;
use crate::problem::Problem;
use crate::shape::Time;
use crate::techniques::{Hit, hit};

/// Days of hidden hits shown.
const DAYS: u16 = 14;
/// Days that a preview looks back when nothing is said.
const PREVIEW_DAYS: i64 = 7;
/// Longest that an exception holds: then somebody says again why, or it is gone.
const MAX_DAYS: i64 = 366;
/// Longest title, in characters.
const MAX_TITLE_CHARS: usize = 200;
/// Most detections, groups or endpoints one exception names.
const MAX_NAMES: usize = 1_000;
/// Longest condition, in bytes.
const MAX_CONDITION_BYTES: usize = 16 * 1024;

/// Hits of one day (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DayTally {
    /// Its start.
    pub day: Time,
    /// How many.
    pub count: u64,
}

/// Hits of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HostTally {
    /// Endpoint.
    pub endpoint: String,
    /// Host name; the id where none is known.
    pub host: String,
    /// How many.
    pub count: u64,
}

/// What an exception hid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HiddenHits {
    /// Hits since it was made.
    pub total: u64,
    /// Time of the last.
    pub last: Option<Time>,
    /// On each of the last fourteen days, oldest first.
    pub per_day: Vec<DayTally>,
}

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Exception {
    /// Identity.
    pub id: String,
    /// Title.
    pub title: String,
    /// Detections it is about; empty: every one.
    pub detections: Vec<String>,
    /// Groups it holds for.
    pub groups: Vec<String>,
    /// Endpoints it holds on; with no group either: everywhere.
    pub endpoints: Vec<String>,
    /// What the activity must be like, as a selection of Sigma; empty: whatever.
    pub condition: String,
    /// Why.
    pub reason: String,
    /// Whose it is.
    pub owner: String,
    /// When it was made.
    pub created: Time,
    /// From when on it hides nothing more.
    pub expires: Time,
    /// Whether that is past.
    pub expired: bool,
    /// What it hid.
    pub hidden: HiddenHits,
}

/// The exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExceptionList {
    /// The newest first.
    pub items: Vec<Exception>,
}

/// Makes an exception.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ExceptionRequest {
    /// Title.
    pub title: String,
    /// Detections it is about; empty: every one.
    #[serde(default)]
    pub detections: Vec<String>,
    /// Groups it holds for.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Endpoints it holds on.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// What the activity must be like, as a selection of Sigma; empty: whatever.
    #[serde(default)]
    pub condition: String,
    /// Why.
    pub reason: String,
    /// From when on it hides nothing more, RFC 3339; at most a year ahead.
    pub expires: String,
    /// That it is meant, although it names no detection and meets much of all that happens.
    #[serde(default)]
    pub confirmed: bool,
}

/// Asks what an exception would have hidden.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ExceptionPreviewRequest {
    /// Detections it is about; empty: every one.
    #[serde(default)]
    pub detections: Vec<String>,
    /// Groups it holds for.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Endpoints it holds on.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// What the activity must be like, as a selection of Sigma; empty: whatever.
    #[serde(default)]
    pub condition: String,
    /// From when, RFC 3339; a week before `to` when left out.
    pub from: Option<String>,
    /// Until when; now when left out.
    pub to: Option<String>,
}

/// An alert that would have another score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TouchedAlert {
    /// Alert id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its score.
    pub score_before: u8,
    /// Its score without what would be hidden.
    pub score_after: u8,
}

/// What an exception would have hidden.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ExceptionPreview {
    /// What is wrong with it; then nothing was looked at.
    pub problems: Vec<TextProblem>,
    /// Hits it would have hidden.
    pub hits_hidden: u64,
    /// Hits that were looked at: those that nothing hides yet.
    pub hits_looked_at: u64,
    /// Alerts it would have touched, at most twenty.
    pub alerts_touched: Vec<TouchedAlert>,
    /// Hidden hits by endpoint, most first.
    pub hosts: Vec<HostTally>,
    /// Hidden hits by day; days without are left out.
    pub per_day: Vec<DayTally>,
    /// Some of them, at most twenty.
    pub examples: Vec<Hit>,
    /// From when was looked.
    pub from: Time,
    /// Until when.
    pub to: Time,
    /// False when there are more hits than were looked at, or some activity is no longer there.
    pub complete: bool,
    /// Of an exception that names no detection, the share of recent activities that meet it, 0 to 1.
    pub share: Option<f64>,
    /// Whether that is so much that it has to be confirmed.
    pub broad: bool,
}

/// By host, most first.
pub(crate) fn by_host<'c>(
    counts: impl IntoIterator<Item = (&'c EndpointId, &'c u64)>,
    hosts: &Hosts,
) -> Vec<HostTally> {
    let tally = |(endpoint, count): (&EndpointId, &u64)| HostTally {
        endpoint: endpoint.to_string(),
        host: hosts.of(*endpoint).unwrap_or_else(|| endpoint.to_string()),
        count: *count,
    };
    let mut tallies: Vec<HostTally> = counts.into_iter().map(tally).collect();
    tallies.sort_by_key(|tally| std::cmp::Reverse(tally.count));
    tallies
}

/// By day.
pub(crate) fn by_day<'c>(
    counts: impl IntoIterator<Item = (&'c Timestamp, &'c u64)>,
) -> Vec<DayTally> {
    let tally = |(day, count): (&Timestamp, &u64)| DayTally { day: (*day).into(), count: *count };
    counts.into_iter().map(tally).collect()
}

/// An exception, with the hits it hid by day; none when it hid none lately.
fn shape(record: ExceptionRecord, now: Timestamp, days: Option<Vec<DayCount>>) -> Exception {
    let days = days.unwrap_or_else(|| {
        let ago = |days: u16| now.plus_nanos(-i64::from(days) * paging::DAY_NANOS);
        let begin = |time: Timestamp| {
            let day = time.as_nanos().div_euclid(paging::DAY_NANOS);
            Timestamp::from_nanos(day * paging::DAY_NANOS)
        };
        let empty = |days: u16| DayCount { day: begin(ago(days)), ..DayCount::default() };
        (0..DAYS).rev().map(empty).collect()
    });
    let tally = |day: DayCount| DayTally { day: day.day.into(), count: day.excepted };
    let per_day = days.into_iter().map(tally).collect();
    Exception {
        id: record.id,
        title: record.title,
        detections: record.detections,
        groups: record.groups,
        endpoints: record.endpoints.iter().map(ToString::to_string).collect(),
        condition: record.condition,
        reason: record.reason,
        owner: record.owner,
        created: record.created.into(),
        expires: record.expires.into(),
        expired: record.expires <= now,
        hidden: HiddenHits { total: record.hidden, last: record.last.map(Time), per_day },
    }
}

/// The exceptions, expired ones too.
#[utoipa::path(get, path = "/api/v1/exceptions", operation_id = "list_exceptions", tag = "exceptions",
    responses((status = 200, body = ExceptionList), (status = 401, body = Problem)))]
async fn list_exceptions(
    State(app): State<App>,
    _account: Account,
) -> Result<Json<ExceptionList>, Problem> {
    let now = now();
    let mut days = app.catalog.hidden_by_exception(now, DAYS).await?;
    let records = app.catalog.exceptions().await?.into_iter();
    let items = records.map(|record| {
        let days = days.remove(&record.id);
        shape(record, now, days)
    });
    Ok(Json(ExceptionList { items: items.collect() }))
}

/// What an exception would have hidden of the hits that are stored.
#[utoipa::path(post, path = "/api/v1/exceptions/preview", operation_id = "preview_exception", tag = "exceptions",
    request_body = ExceptionPreviewRequest,
    responses((status = 200, body = ExceptionPreview), (status = 400, body = Problem), (status = 401, body = Problem), (status = 503, body = Problem)))]
async fn preview_exception(
    State(app): State<App>,
    account: Account,
    Body(request): Body<ExceptionPreviewRequest>,
) -> Result<Json<ExceptionPreview>, Problem> {
    let mut range = paging::range(request.from.as_deref(), request.to.as_deref())?;
    if request.from.as_deref().unwrap_or_default().is_empty() {
        range.from = range.to.plus_nanos(-PREVIEW_DAYS * paging::DAY_NANOS);
    }
    let scope = ExceptionRequest {
        title: String::new(),
        detections: request.detections,
        groups: request.groups,
        endpoints: request.endpoints,
        condition: request.condition,
        reason: String::new(),
        expires: String::new(),
        confirmed: false,
    };
    // Whatever it is, it lies behind all that is looked at.
    let never = Timestamp::from_nanos(i64::MAX);
    let record = record(scope, account.name(), never)?;
    let preview = app.trials.preview(&record, (range.from, range.to)).await?;
    let hosts = Hosts::load(&app).await?;
    let alerts = preview.alerts.into_iter().map(|alert| TouchedAlert {
        id: alert.id.to_string(),
        title: alert.title,
        score_before: alert.before,
        score_after: alert.after,
    });
    Ok(Json(ExceptionPreview {
        problems: problems(preview.faults),
        hits_hidden: preview.hidden,
        hits_looked_at: preview.looked_at,
        alerts_touched: alerts.collect(),
        hosts: by_host(&preview.hosts, &hosts),
        per_day: by_day(&preview.per_day),
        examples: preview.examples.into_iter().map(|one| hit(one, &hosts)).collect(),
        from: range.from.into(),
        to: range.to.into(),
        complete: preview.complete,
        share: preview.breadth.map(|breadth| breadth.share()),
        broad: preview.breadth.is_some_and(|breadth| breadth.is_broad()),
    }))
}

fn record(
    request: ExceptionRequest,
    owner: &str,
    expires: Timestamp,
) -> Result<ExceptionRecord, Problem> {
    let lists = [&request.detections, &request.groups, &request.endpoints];
    if lists.iter().any(|list| list.len() > MAX_NAMES) {
        return Err(Problem::invalid(format!("an exception names at most {MAX_NAMES} of each")));
    }
    if request.condition.len() > MAX_CONDITION_BYTES {
        let why = format!("`condition` has at most {MAX_CONDITION_BYTES} bytes");
        return Err(Problem::invalid(why));
    }
    let endpoint = |text: &String| {
        let wrong = |_| Problem::invalid(format!("`{text}` is no endpoint's id"));
        text.parse::<EndpointId>().map_err(wrong)
    };
    Ok(ExceptionRecord {
        id: hex::encode(rand::random::<[u8; 8]>()),
        title: request.title.trim().to_owned(),
        endpoints: request.endpoints.iter().map(endpoint).collect::<Result<_, _>>()?,
        detections: once(request.detections),
        groups: once(request.groups),
        condition: request.condition,
        reason: request.reason,
        owner: owner.to_owned(),
        created: now(),
        expires,
        hidden: 0,
        last: None,
    })
}

/// Each name once, as they come.
fn once(names: Vec<String>) -> Vec<String> {
    let mut known = std::collections::HashSet::new();
    names.into_iter().filter(|name| known.insert(name.clone())).collect()
}

/// Refuses an exception that meets much of all that happens, unless it is said to be meant.
async fn meant(app: &App, record: &ExceptionRecord, confirmed: bool) -> Result<(), Problem> {
    if confirmed || !app.library.judge(record).is_empty() {
        return Ok(());
    }
    let _turn = app.library.turn().await?;
    let Some(breadth) = app.trials.breadth(record).await?.filter(Breadth::is_broad) else {
        return Ok(());
    };
    let which =
        if breadth.made_up { "made-up activities that differ" } else { "recent activities" };
    let why = format!(
        "it names no detection, and {} of {} {which} meet it: nearly everything would be hidden. Name \
         detections, narrow the condition, or send `confirmed: true` when it is meant",
        breadth.met, breadth.of
    );
    Err(Problem::new(StatusCode::CONFLICT, "too_broad", why))
}

/// Makes an exception; it is in force at once, here and on sensors.
#[utoipa::path(post, path = "/api/v1/exceptions", operation_id = "create_exception", tag = "exceptions",
    request_body = ExceptionRequest,
    responses((status = 201, body = Exception), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
async fn create_exception(
    State(app): State<App>,
    Admin(account): Admin,
    Body(mut request): Body<ExceptionRequest>,
) -> Result<(StatusCode, Json<Exception>), Problem> {
    request.reason = reason(&request.reason)?;
    let title = request.title.trim();
    if title.is_empty() || title.chars().count() > MAX_TITLE_CHARS {
        let why = format!("`title` has 1 to {MAX_TITLE_CHARS} characters");
        return Err(Problem::invalid(why));
    }
    let expires: Timestamp =
        request.expires.parse().map_err(|error| Problem::invalid(format!("`expires`: {error}")))?;
    if expires <= now() {
        return Err(Problem::invalid("`expires` lies in the past; give a time to come"));
    }
    if expires > now().plus_nanos(MAX_DAYS * paging::DAY_NANOS) {
        let why = format!("`expires` is at most {MAX_DAYS} days ahead; renew the exception then");
        return Err(Problem::invalid(why));
    }
    let confirmed = request.confirmed;
    let record = record(request, account.name(), expires)?;
    meant(&app, &record, confirmed).await?;
    app.library.except(record.clone()).await?;
    Ok((StatusCode::CREATED, Json(shape(record, now(), None))))
}

/// Removes an exception: what it hid from now on strikes again. The audit log keeps what it said.
#[utoipa::path(delete, path = "/api/v1/exceptions/{id}", operation_id = "remove_exception", tag = "exceptions",
    params(("id" = String, Path, description = "Exception id")),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove_exception(
    State(app): State<App>,
    Admin(account): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.library.unexcept(account.name(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_exceptions, create_exception))
        .routes(routes!(preview_exception))
        .routes(routes!(remove_exception))
}
