//! Back-tests: what a detection would have done over history.

use axum::Json;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use metsuke_catalog::clock::now;
use metsuke_control::library::DOCUMENT_MAX;
use metsuke_control::trials::{self, Tried};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::body::Body;
use crate::exceptions::{DayTally, HostTally, by_day, by_host};
use crate::hosts::Hosts;
use crate::paging;
use crate::problem::Problem;
use crate::shape::Time;
use crate::techniques::{Hit, hit};

/// Hosts shown of one back-test, those with most hits.
const HOSTS: usize = 100;
/// Largest body with a document: JSON writes some characters as six.
const MAX_BODY_BYTES: usize = 2 * DOCUMENT_MAX;

/// Begins a back-test of a document or of a detection in force.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct BacktestRequest {
    /// The document.
    pub text: Option<String>,
    /// The detection, when there is no document.
    pub id: Option<String>,
    /// From when, RFC 3339.
    pub from: String,
    /// Until when.
    pub to: String,
}

/// A back-test that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BacktestBegun {
    /// Identity.
    pub id: String,
}

/// Where a back-test stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BacktestState {
    /// It reads on.
    Running,
    /// It came to its end.
    Done,
    /// It could not.
    Failed,
}

/// What a back-test found so far.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Backtest {
    /// Identity.
    pub id: String,
    /// Where it stands.
    pub state: BacktestState,
    /// Why it failed.
    pub error: Option<String>,
    /// How far it is, 0 to 1.
    pub progress: f64,
    /// From when.
    pub from: Time,
    /// Until when.
    pub to: Time,
    /// Activities read.
    pub events: u64,
    /// Hits; of a model its alerts.
    pub hits: u64,
    /// Alerts that stand on it.
    pub alerts: u64,
    /// Hits by endpoint, most first, at most a hundred.
    pub hosts: Vec<HostTally>,
    /// Hits by day; days without are left out.
    pub per_day: Vec<DayTally>,
    /// When the first activity that was read happened; null before any.
    pub first: Option<Time>,
    /// When the last one did.
    pub last: Option<Time>,
    /// Hits per host and day, over the endpoints that had activities and the time from the first of
    /// them to the last, of an hour at least.
    pub noise_per_host_day: f64,
    /// The first hits, at most twenty.
    pub examples: Vec<Hit>,
    /// How long it took.
    pub seconds: f64,
    /// Why it is not the whole; null when it is.
    pub incomplete: Option<String>,
}

/// Begins a back-test; 409 while another runs.
#[utoipa::path(post, path = "/api/v1/backtests", operation_id = "begin_backtest", tag = "detections",
    request_body = BacktestRequest,
    responses((status = 202, body = BacktestBegun), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
async fn begin_backtest(
    State(app): State<App>,
    account: Account,
    Body(request): Body<BacktestRequest>,
) -> Result<(StatusCode, Json<BacktestBegun>), Problem> {
    let range = paging::range(Some(&request.from), Some(&request.to))?;
    let tried = match (request.text, request.id) {
        (Some(text), _) if text.len() > DOCUMENT_MAX => {
            return Err(Problem::invalid(format!("a document has at most {DOCUMENT_MAX} bytes")));
        }
        (Some(text), _) => Tried::Text(text),
        (None, Some(id)) => Tried::Id(id),
        (None, None) => return Err(Problem::invalid("give `text` or `id`: what to try")),
    };
    let id = app.trials.start(tried, (range.from, range.to), account.name()).await?;
    Ok((StatusCode::ACCEPTED, Json(BacktestBegun { id })))
}

/// How a back-test stands. The last sixteen are kept until the server stops.
#[utoipa::path(get, path = "/api/v1/backtests/{id}", operation_id = "get_backtest", tag = "detections",
    params(("id" = String, Path, description = "Back-test id")),
    responses((status = 200, body = Backtest), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_backtest(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<Backtest>, Problem> {
    let told = app.trials.backtest(&id).ok_or_else(|| Problem::not_found("back-test"))?;
    let hosts = Hosts::load(&app).await?;
    let mut by_host = by_host(&told.hosts, &hosts);
    by_host.truncate(HOSTS);
    Ok(Json(Backtest {
        state: match told.state {
            trials::BacktestState::Running => BacktestState::Running,
            trials::BacktestState::Done => BacktestState::Done,
            trials::BacktestState::Failed => BacktestState::Failed,
        },
        noise_per_host_day: told.noise_per_host_day(),
        id: told.id,
        error: told.error,
        progress: told.progress,
        from: told.range.0.into(),
        to: told.range.1.into(),
        first: told.read.map(|(first, _)| first.into()),
        last: told.read.map(|(_, last)| last.into()),
        events: told.events,
        hits: told.hits,
        alerts: told.alerts,
        hosts: by_host,
        per_day: by_day(&told.per_day),
        examples: told.examples.into_iter().map(|one| hit(one, &hosts)).collect(),
        seconds: told.seconds,
        incomplete: told.incomplete,
    }))
}

/// Ends a back-test and forgets what it found: for who began it, and for administrators.
#[utoipa::path(delete, path = "/api/v1/backtests/{id}", operation_id = "cancel_backtest", tag = "detections",
    params(("id" = String, Path, description = "Back-test id")),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn cancel_backtest(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let missing = || Problem::not_found("back-test");
    let told = app.trials.backtest(&id).ok_or_else(missing)?;
    if told.actor != account.name() && !account.is_admin() {
        let why = "only who began a back-test, or an administrator, may end it";
        return Err(Problem::forbidden("role", why));
    }
    app.catalog.audit(now(), account.name(), "backtest.cancel", (&id, "")).await?;
    if !app.trials.cancel(&id) {
        return Err(missing());
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    let begin = OpenApiRouter::new().routes(routes!(begin_backtest));
    OpenApiRouter::new()
        .routes(routes!(get_backtest, cancel_backtest))
        .merge(begin.layer(DefaultBodyLimit::max(MAX_BODY_BYTES)))
}
