//! Responses: plans that change a host, from the request to their end.

use axum::Json;
use axum::extract::DefaultBodyLimit;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metsuke_catalog::{EndpointRecord, PlanFilter, PlanRecord};
use metsuke_event::EndpointId;
use metsuke_event::id::PlanId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::body::{self, Body, Params};
use crate::hosts::Hosts;
use crate::paging::{self, At, Page};
use crate::ports::{Action, ResponseOrder};
use crate::problem::Problem;
use crate::shape::Time;

mod evidence;

/// Largest body of a response asked for: the longest holds the YARA rules of a scan, with escapes.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Seconds a plan waits for its endpoint when nothing else is said.
const TTL_DEFAULT_S: u32 = 600;
/// Shortest and longest wait, in seconds.
const TTL_S: std::ops::RangeInclusive<u32> = 10..=604_800;
/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 500;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// End a process or its storyline.
    Terminate,
    /// Make, drop, rename and copy a unique harmless file (the action is compiled into the sensor).
    Poc,
    /// Remove what an earlier `poc` left.
    PocCleanup,
    /// Read the memory of a process, without stopping it.
    Dump,
    /// Read a file.
    Collect,
    /// Look for YARA rules in files or in the memory of a process.
    Scan,
    /// List processes, sockets or kernel modules.
    ListLive,
    /// Compare what the kernel knows with what it tells programs.
    Crossview,
}

/// How far a termination reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResponseScope {
    /// The process alone.
    Process,
    /// Everything of its storyline.
    Storyline,
}

/// Where a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlanState {
    /// Waits for its endpoint.
    Queued,
    /// The sensor has it on disk.
    Delivered,
    /// The sensor is at it.
    Running,
    /// Done.
    Done,
    /// It could not be done; the last update says why.
    Failed,
    /// Its time ran out before it was carried out.
    Expired,
    /// Somebody took it back in time.
    Cancelled,
}

/// One step of a plan's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanUpdate {
    /// When.
    pub time: Time,
    /// The state reached.
    pub state: PlanState,
    /// For people.
    pub detail: String,
}

/// One plan.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Plan {
    /// Identity.
    pub id: String,
    /// What.
    pub verb: Verb,
    /// Where.
    pub endpoint: String,
    /// Its host name, where known.
    pub host: Option<String>,
    /// The process, path or list; for `poc_cleanup`: the plan whose files are removed.
    pub target: Option<String>,
    /// For `terminate`: how far.
    pub scope: Option<ResponseScope>,
    /// The alert it was made from.
    pub alert: Option<String>,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Where it stands.
    pub state: PlanState,
    /// When it was made.
    pub created: Time,
    /// When it is given up if not carried out.
    pub expires: Time,
    /// Its life so far.
    pub updates: Vec<PlanUpdate>,
    /// What came of it; its shape depends on the verb, null until it is known.
    #[schema(value_type = Option<Object>)]
    pub result: Option<serde_json::Value>,
}

/// A page of plans.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlanPage {
    /// Newest first.
    pub items: Vec<Plan>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// What to do, where and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ResponseRequest {
    /// What.
    pub verb: Verb,
    /// Where; not looked at by `/responses/all`.
    pub endpoint: String,
    /// For `terminate`, `dump` and `scan`: the process, BOOT-PID-TICKS.
    pub process: Option<String>,
    /// For `terminate`: how far; the process alone by default.
    pub scope: Option<ResponseScope>,
    /// Why; 1 to 500 characters.
    pub reason: String,
    /// The alert it is made from.
    pub alert: Option<String>,
    /// Seconds until it is given up if not carried out, 10 to 604800; 600 by default.
    pub ttl_s: Option<u32>,
    /// For `poc_cleanup`: the plan whose files are to be removed.
    pub cleanup_of: Option<String>,
    /// For `collect`: the file; for `scan`: the file or folder. Absolute.
    pub path: Option<String>,
    /// For `dump`: which mappings; `anonymous` by default.
    pub regions: Option<DumpRegions>,
    /// For `dump` and `collect`: at most so many bytes, 1 to 1073741824; 268435456 by default.
    pub max_bytes: Option<u64>,
    /// For `scan`: YARA source, 1 to 98304 bytes.
    pub rules: Option<String>,
    /// For `list_live`: of what.
    pub list: Option<LiveListName>,
}

/// Which mappings of a process are dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DumpRegions {
    /// Every one.
    All,
    /// Those without a file behind them.
    Anonymous,
    /// Those that can be executed.
    Executable,
    /// The main stack and the heap.
    StackHeap,
}

/// A list of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiveListName {
    /// Processes.
    Processes,
    /// Sockets.
    Sockets,
    /// Kernel modules.
    Modules,
}

/// What an order came to on one endpoint: a plan, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EndpointResponse {
    /// Where.
    pub endpoint: String,
    /// Its host name.
    pub host: String,
    /// The plan, when one was made.
    pub plan: Option<Plan>,
    /// Why none was made.
    pub problem: Option<Problem>,
}

/// What one order came to on every endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EndpointResponseList {
    /// One per enrolled endpoint, by host name.
    pub items: Vec<EndpointResponse>,
}

/// Which plans.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// Endpoint id.
    pub endpoint: Option<String>,
    /// A state, or `open` for those not ended.
    pub state: Option<String>,
    /// Alert id.
    pub alert: Option<String>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many, 1 to 500; 50 by default.
    pub limit: Option<u32>,
}

/// Makes a plan. For `poc` on all endpoints use `POST /api/v1/responses/all`.
#[utoipa::path(post, path = "/api/v1/responses", operation_id = "create_response", tag = "responses",
    request_body = ResponseRequest,
    responses((status = 201, body = Plan), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn create_response(
    State(app): State<App>,
    account: Account,
    Body(request): Body<ResponseRequest>,
) -> Result<(StatusCode, Json<Plan>), Problem> {
    let endpoint = request.endpoint.parse().map_err(|_| {
        Problem::invalid("`endpoint` is no endpoint id; for all of them use /responses/all")
    })?;
    let record = app.responses.order(order(&request, endpoint, account.name())?).await?;
    let hosts = Hosts::load(&app).await?;
    Ok((StatusCode::CREATED, Json(shape(record, &hosts)?)))
}

/// Makes the same plan for every enrolled endpoint; only `poc` permits that. An endpoint that fails
/// does not keep the others from theirs: the answer has a plan or a problem for each.
#[utoipa::path(post, path = "/api/v1/responses/all", operation_id = "create_response_all", tag = "responses",
    request_body = ResponseRequest,
    responses((status = 200, body = EndpointResponseList), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn create_response_all(
    State(app): State<App>,
    account: Account,
    Body(request): Body<ResponseRequest>,
) -> Result<Json<EndpointResponseList>, Problem> {
    if request.verb != Verb::Poc {
        return Err(Problem::invalid("only `poc` goes to every endpoint; use /responses"));
    }
    let wanted = order(&request, EndpointId::default(), account.name())?;
    let hosts = Hosts::load(&app).await?;
    let mut items = Vec::new();
    for EndpointRecord { id, host, .. } in app.catalog.endpoints().await? {
        let made = app.responses.order(ResponseOrder { endpoint: id, ..wanted.clone() }).await;
        let made = made.map_err(Problem::from).and_then(|record| shape(record, &hosts));
        let (plan, problem) = match made {
            Ok(plan) => (Some(plan), None),
            Err(problem) => (None, Some(problem)),
        };
        items.push(EndpointResponse { endpoint: id.to_string(), host, plan, problem });
    }
    Ok(Json(EndpointResponseList { items }))
}

/// Plans, newest first.
#[utoipa::path(get, path = "/api/v1/responses", operation_id = "list_responses", tag = "responses", params(PlanQuery),
    responses((status = 200, body = PlanPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_responses(
    State(app): State<App>,
    _account: Account,
    Params(query): Params<PlanQuery>,
) -> Result<Json<PlanPage>, Problem> {
    let page: Page<At<PlanId>> =
        Page::read("responses", query.cursor.as_deref(), query.limit, (50, 500))?;
    let filter = PlanFilter {
        endpoint: id(query.endpoint.as_deref(), "endpoint")?,
        states: states(query.state.as_deref()),
        alert: id(query.alert.as_deref(), "alert")?,
        after: page.after.map(|At(created, id)| (created, id)),
    };
    let records = app.catalog.plans(&filter, page.fetch()).await?;
    let (records, next) = page.cut(records, |record| At(record.created, record.id));
    let hosts = Hosts::load(&app).await?;
    let items =
        records.into_iter().map(|record| shape(record, &hosts)).collect::<Result<_, _>>()?;
    Ok(Json(PlanPage { items, next }))
}

/// One plan.
#[utoipa::path(get, path = "/api/v1/responses/{id}", operation_id = "get_response", tag = "responses",
    params(("id" = String, Path, description = "Plan id")),
    responses((status = 200, body = Plan), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_response(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<Plan>, Problem> {
    let id = body::id(&id, "plan")?;
    let record = app.catalog.plan(id).await?.ok_or_else(|| Problem::not_found("plan"))?;
    Ok(Json(shape(record, &Hosts::load(&app).await?)?))
}

/// Takes a plan back; 409 when it is too late.
#[utoipa::path(post, path = "/api/v1/responses/{id}/cancel", operation_id = "cancel_response", tag = "responses",
    params(("id" = String, Path, description = "Plan id")),
    responses((status = 200, body = Plan), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn cancel_response(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
) -> Result<Json<Plan>, Problem> {
    let id = body::id(&id, "plan")?;
    let record = app.responses.cancel(id, account.name()).await?;
    Ok(Json(shape(record, &Hosts::load(&app).await?)?))
}

/// An identity given in a query, or none.
pub(crate) fn id<T: std::str::FromStr>(
    text: Option<&str>,
    what: &str,
) -> Result<Option<T>, Problem> {
    let refuse = |_| Problem::invalid(format!("`{what}` is no {what} id"));
    text.filter(|text| !text.is_empty()).map(|text| text.parse().map_err(refuse)).transpose()
}

fn states(text: Option<&str>) -> Vec<String> {
    match text {
        Some("open") => ["queued", "delivered", "running"].map(str::to_owned).to_vec(),
        other => paging::list(other).map(str::to_owned).collect(),
    }
}

fn action(request: &ResponseRequest) -> Result<Action, Problem> {
    let earlier = id(request.cleanup_of.as_deref(), "cleanup_of")?;
    match request.verb {
        Verb::Terminate => {
            let process = evidence::process(request)?;
            Ok(match request.scope.unwrap_or(ResponseScope::Process) {
                ResponseScope::Process => Action::TerminateProcess(process),
                ResponseScope::Storyline => Action::TerminateStoryline(process),
            })
        }
        Verb::Poc if earlier.is_some() => {
            Err(Problem::invalid("`cleanup_of` belongs to `poc_cleanup`, not to `poc`"))
        }
        Verb::Poc => Ok(Action::Poc),
        Verb::PocCleanup => {
            let poc = earlier.ok_or_else(|| Problem::invalid("`cleanup_of` names the plan"))?;
            Ok(Action::PocCleanup(poc))
        }
        Verb::Dump | Verb::Collect | Verb::Scan | Verb::ListLive | Verb::Crossview => {
            evidence::verb(request).map(Action::Take)
        }
    }
}

fn order(
    request: &ResponseRequest,
    endpoint: EndpointId,
    actor: &str,
) -> Result<ResponseOrder, Problem> {
    let reason = request.reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON_CHARS {
        return Err(Problem::invalid(format!("`reason` has 1 to {MAX_REASON_CHARS} characters")));
    }
    let ttl_s = request.ttl_s.unwrap_or(TTL_DEFAULT_S);
    if !TTL_S.contains(&ttl_s) {
        return Err(Problem::invalid(format!("`ttl_s` is {} to {}", TTL_S.start(), TTL_S.end())));
    }
    Ok(ResponseOrder {
        action: action(request)?,
        endpoint,
        reason: reason.to_owned(),
        actor: actor.to_owned(),
        alert: id(request.alert.as_deref(), "alert")?,
        ttl_s,
    })
}

/// A stored word as the enum of the same name.
fn word<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, Problem> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|error| Problem::internal("reading a plan", &error))
}

pub(crate) fn shape(record: PlanRecord, hosts: &Hosts) -> Result<Plan, Problem> {
    let update = |update: metsuke_catalog::PlanUpdate| {
        Ok(PlanUpdate {
            time: update.time.into(),
            state: word(&update.state)?,
            detail: update.detail,
        })
    };
    Ok(Plan {
        id: record.id.to_string(),
        verb: word(&record.verb)?,
        endpoint: record.endpoint.to_string(),
        host: hosts.of(record.endpoint),
        target: record.target,
        scope: record.scope.as_deref().map(word).transpose()?,
        alert: record.alert.map(|id| id.to_string()),
        reason: record.reason,
        actor: record.actor,
        state: word(&record.state)?,
        created: record.created.into(),
        expires: record.expires.into(),
        updates: record.updates.into_iter().map(update).collect::<Result<_, Problem>>()?,
        result: record.result,
    })
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    let make = OpenApiRouter::new()
        .routes(routes!(create_response, list_responses))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    OpenApiRouter::new()
        .merge(make)
        .routes(routes!(create_response_all))
        .routes(routes!(get_response))
        .routes(routes!(cancel_response))
}
