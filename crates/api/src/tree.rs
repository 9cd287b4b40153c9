//! The process tree of a storyline, with what each process did and which detections struck it.

mod build;

use axum::Json;
use axum::extract::{Path, State};
use metsuke_catalog::HitFilter;
use metsuke_event::EndpointId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::{around, load};
use crate::auth::Account;
use crate::body::Params;
use crate::hosts::{Hosts, loss_of};
use crate::paging;
use crate::ports::Range;
use crate::problem::Problem;
use crate::shape::{Level, Loss, Time};

/// A detection that struck a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TreeHit {
    /// Detection id.
    pub detection_id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Level,
    /// First of its techniques.
    pub technique: Option<String>,
    /// When.
    pub time: Time,
}

/// How much a process did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TreeCounts {
    /// File activities.
    pub file: u64,
    /// Network activities.
    pub network: u64,
    /// DNS questions.
    pub dns: u64,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TreeNode {
    /// Identity BOOT-PID-TICKS.
    pub uid: String,
    /// Identity of its parent, where known.
    pub parent_uid: Option<String>,
    /// Process id.
    pub pid: Option<u64>,
    /// Short name.
    pub name: Option<String>,
    /// Executable.
    pub exe: Option<String>,
    /// Command line.
    pub cmd_line: Option<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// User.
    pub user: Option<String>,
    /// SHA-256 of the executable.
    pub sha256: Option<String>,
    /// When it started, where known.
    pub start: Option<Time>,
    /// When it ended; null while it runs or when unseen.
    pub end: Option<Time>,
    /// Exit status.
    pub exit_code: Option<i64>,
    /// Detections that struck it, by time.
    pub hits: Vec<TreeHit>,
    /// How much it did.
    pub counts: TreeCounts,
    /// Whether it acted in the answered range; false for ancestors known only by name.
    pub in_scope: bool,
}

/// A tree of processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tree {
    /// Endpoint.
    pub endpoint: String,
    /// Host name, where known.
    pub host: Option<String>,
    /// Identity of the topmost process; null when the tree is empty.
    pub root: Option<String>,
    /// The processes, by start.
    pub nodes: Vec<TreeNode>,
    /// What was lost in the range.
    pub loss: Vec<Loss>,
    /// Whether nodes are missing because there are too many.
    pub truncated: bool,
}

/// Which tree.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TreeQuery {
    /// Endpoint id.
    pub endpoint: String,
    /// A process, or a storyline's root.
    pub process: String,
    /// From when (RFC 3339); a day before `to` by default.
    pub from: Option<String>,
    /// Until when (RFC 3339); now by default.
    pub to: Option<String>,
}

/// The process tree of an alert's storyline.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/tree", operation_id = "get_alert_tree", tag = "tree",
    params(("id" = String, Path, description = "Alert id")),
    responses((status = 200, body = Tree), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_alert_tree(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<Tree>, Problem> {
    let record = load(&app, &id).await?;
    let (endpoint, range) = (record.alert.endpoint, around(&record));
    tree(&app, endpoint, &record.alert.storyline, range).await.map(Json)
}

/// The process tree around a process.
#[utoipa::path(get, path = "/api/v1/tree", operation_id = "get_tree", tag = "tree", params(TreeQuery),
    responses((status = 200, body = Tree), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn get_tree(
    State(app): State<App>,
    _account: Account,
    Params(query): Params<TreeQuery>,
) -> Result<Json<Tree>, Problem> {
    let range = paging::range(query.from.as_deref(), query.to.as_deref())?;
    let endpoint = query.endpoint.parse();
    let endpoint = endpoint.map_err(|_| Problem::invalid("`endpoint` is no endpoint id"))?;
    tree(&app, endpoint, &query.process, range).await.map(Json)
}

/// Most hits shown in one tree; the newest.
const MAX_HITS: u64 = 5_000;

/// The tree of the storyline that `process` belongs to.
async fn tree(
    app: &App,
    endpoint: EndpointId,
    process: &str,
    range: Range,
) -> Result<Tree, Problem> {
    let mut story = app.telemetry.story(endpoint, process, range).await?;
    let own = story.events.iter().find(|event| event.process.uid.as_deref() == Some(process));
    let storyline = own.and_then(|event| event.process.storyline.as_deref().map(str::to_owned));
    if let Some(storyline) = storyline.as_deref().filter(|storyline| *storyline != process) {
        story = app.telemetry.story(endpoint, storyline, range).await?;
    }
    let root = storyline.unwrap_or_else(|| process.to_owned());
    let filter = HitFilter { storyline: Some((endpoint, root.clone())), ..HitFilter::default() };
    let hits = app.catalog.hits(&filter, MAX_HITS).await?;
    let hosts = Hosts::load(app).await?;
    let (nodes, cut) = build::nodes(&story.events, hits);
    Ok(Tree {
        endpoint: endpoint.to_string(),
        host: hosts.of(endpoint),
        root: build::topmost(&nodes, &root),
        nodes,
        loss: hosts.loss(loss_of(story.loss, endpoint)),
        truncated: story.truncated || cut == build::Cut::Some,
    })
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_alert_tree)).routes(routes!(get_tree))
}
