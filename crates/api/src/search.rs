//! Search over every activity of every endpoint, with its fields and their values for completion.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::problem::Problem;
use crate::shape::{EventRow, FacetValue, Loss, Time};

/// One bar of the histogram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Bucket {
    /// Start, inclusive.
    pub from: Time,
    /// End, exclusive.
    pub to: Time,
    /// Activities.
    pub count: u64,
}

/// What was found, and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SearchAnswer {
    /// The activities, newest first unless asked otherwise.
    pub items: Vec<EventRow>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// How many match, where it was counted.
    pub total: Option<u64>,
    /// Activities over time.
    pub histogram: Vec<Bucket>,
    /// Most frequent values of the fields asked for.
    pub facets: BTreeMap<String, Vec<FacetValue>>,
    /// What was lost in the range: "not found" is only as good as what was seen.
    pub loss: Vec<Loss>,
    /// Rows looked at.
    pub scanned_rows: u64,
    /// Time it took, in milliseconds.
    pub took_ms: u64,
    /// False when a part of the store could not answer.
    pub complete: bool,
}

/// What to search.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// The query, for example `exe:*/curl AND NOT user:root`; empty matches everything.
    pub q: Option<String>,
    /// From when (RFC 3339); a day before `to` by default.
    pub from: Option<String>,
    /// Until when (RFC 3339); now by default.
    pub to: Option<String>,
    /// At most this many, 1 to 1000; 100 by default.
    pub limit: Option<u32>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// `desc` (default) or `asc` by time.
    pub order: Option<String>,
    /// Bars of the histogram, 0 to 500; none by default.
    pub buckets: Option<u32>,
    /// Fields to count values of, comma-separated.
    pub facets: Option<String>,
}

/// One field that queries may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SearchField {
    /// Canonical name.
    pub name: String,
    /// `text`, `number`, `bool`, `ip` or `time`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line of documentation.
    pub doc: String,
    /// Other names that mean it.
    pub aliases: Vec<String>,
}

/// Which values.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ValuesQuery {
    /// The field, by any of its names.
    pub field: String,
    /// How the values begin.
    pub prefix: Option<String>,
}

/// Searches every activity.
#[utoipa::path(get, path = "/api/v1/search", operation_id = "search", tag = "search", params(SearchQuery),
    responses((status = 200, body = SearchAnswer), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn search(
    State(app): State<App>,
    account: Account,
    Query(query): Query<SearchQuery>,
) -> Result<Json<SearchAnswer>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// Every field that queries may name.
#[utoipa::path(get, path = "/api/v1/search/fields", operation_id = "list_search_fields", tag = "search",
    responses((status = 200, body = Vec<SearchField>), (status = 401, body = Problem)))]
async fn list_search_fields(account: Account) -> Json<Vec<SearchField>> {
    Json(Vec::new())
}

/// The most frequent values of a field in the last 24 hours.
#[utoipa::path(get, path = "/api/v1/search/values", operation_id = "list_search_values", tag = "search", params(ValuesQuery),
    responses((status = 200, body = Vec<FacetValue>), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_search_values(
    State(app): State<App>,
    account: Account,
    Query(query): Query<ValuesQuery>,
) -> Result<Json<Vec<FacetValue>>, Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(search))
        .routes(routes!(list_search_fields))
        .routes(routes!(list_search_values))
}
