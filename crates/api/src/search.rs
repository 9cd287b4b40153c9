//! Search over every activity of every endpoint, with its fields and their values for completion.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use metsuke_event::field::{FIELDS, FieldSpec, by_any_name, by_id};
use metsuke_event::{FieldId, FieldType};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::body::Params;
use crate::hosts::Hosts;
use crate::paging;
use crate::ports::{Answer, Question, TimeOrder};
use crate::problem::Problem;
use crate::shape::{EventRow, FacetValue, Loss, Time};

/// Most bars of a histogram.
const MAX_BUCKETS: u32 = 500;
/// Most fields counted in one search.
const MAX_FACETS: usize = 12;
/// Most values offered for completion.
const MAX_VALUES: usize = 20;
/// Longest query, in bytes; the language's own bound is lower or equal.
const MAX_QUERY_BYTES: usize = 16 * 1024;

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
    /// Rows that were read to answer.
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
    _account: Account,
    Params(query): Params<SearchQuery>,
) -> Result<Json<SearchAnswer>, Problem> {
    let begun = Instant::now();
    let question = question(query)?;
    let answer = app.telemetry.search(question).await?;
    let hosts = Hosts::load(&app).await?;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(shape(answer, &hosts, took_ms)))
}

/// Every field that queries may name.
#[utoipa::path(get, path = "/api/v1/search/fields", operation_id = "list_search_fields", tag = "search",
    responses((status = 200, body = Vec<SearchField>), (status = 401, body = Problem)))]
async fn list_search_fields(_account: Account) -> Json<Vec<SearchField>> {
    Json(FIELDS.iter().map(|spec| search_field(spec)).collect())
}

/// The most frequent values of a field in the last 24 hours.
#[utoipa::path(get, path = "/api/v1/search/values", operation_id = "list_search_values", tag = "search", params(ValuesQuery),
    responses((status = 200, body = Vec<FacetValue>), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_search_values(
    State(app): State<App>,
    _account: Account,
    Params(query): Params<ValuesQuery>,
) -> Result<Json<Vec<FacetValue>>, Problem> {
    let field = known_field(&query.field)?;
    let prefix = query.prefix.unwrap_or_default();
    let values = app.telemetry.values(field, &prefix, MAX_VALUES).await?;
    Ok(Json(values.into_iter().map(|(value, count)| FacetValue { value, count }).collect()))
}

fn known_field(name: &str) -> Result<FieldId, Problem> {
    let spec = by_any_name(name);
    spec.map(|spec| spec.id).ok_or_else(|| {
        Problem::invalid(format!("there is no field `{name}`; see /api/v1/search/fields"))
    })
}

fn question(query: SearchQuery) -> Result<Question, Problem> {
    let text = query.q.unwrap_or_default();
    if text.len() > MAX_QUERY_BYTES {
        return Err(Problem::invalid(format!("a query has at most {MAX_QUERY_BYTES} bytes")));
    }
    let order = match query.order.as_deref() {
        None | Some("" | "desc") => TimeOrder::NewestFirst,
        Some("asc") => TimeOrder::OldestFirst,
        Some(_) => return Err(Problem::invalid("`order` is `asc` or `desc`")),
    };
    let buckets = query.buckets.unwrap_or(0);
    if buckets > MAX_BUCKETS {
        return Err(Problem::invalid(format!("`buckets` is 0 to {MAX_BUCKETS}")));
    }
    let facets: Vec<FieldId> =
        paging::list(query.facets.as_deref()).map(known_field).collect::<Result<_, _>>()?;
    if facets.len() > MAX_FACETS {
        return Err(Problem::invalid(format!("at most {MAX_FACETS} facets")));
    }
    Ok(Question {
        query: text,
        range: paging::range(query.from.as_deref(), query.to.as_deref())?,
        limit: paging::limit(query.limit, 100, 1_000)?,
        cursor: query.cursor.filter(|cursor| !cursor.is_empty()),
        order,
        buckets: buckets as usize,
        facets,
    })
}

fn shape(answer: Answer, hosts: &Hosts, took_ms: u64) -> SearchAnswer {
    let bucket = |(range, count): (crate::ports::Range, u64)| Bucket {
        from: range.from.into(),
        to: range.to.into(),
        count,
    };
    let values = |values: Vec<(String, u64)>| {
        values.into_iter().map(|(value, count)| FacetValue { value, count }).collect()
    };
    SearchAnswer {
        items: answer.events.iter().map(EventRow::from).collect(),
        next: answer.next,
        total: answer.total,
        histogram: answer.histogram.into_iter().map(bucket).collect(),
        facets: answer
            .facets
            .into_iter()
            .filter_map(|(field, found)| Some((by_id(field)?.name.to_owned(), values(found))))
            .collect(),
        loss: hosts.loss(answer.loss),
        scanned_rows: answer.scanned_rows,
        took_ms,
        complete: answer.complete,
    }
}

fn search_field(spec: &FieldSpec) -> SearchField {
    let sigma = spec.sigma.iter().filter(|name| !name.contains('@')).copied();
    let kind = match spec.ty {
        FieldType::Text => "text",
        FieldType::U64 | FieldType::I64 => "number",
        FieldType::Bool => "bool",
        FieldType::Ip => "ip",
        FieldType::Time => "time",
    };
    SearchField {
        name: spec.name.to_owned(),
        kind: kind.to_owned(),
        doc: spec.doc.to_owned(),
        aliases: spec.ecs.into_iter().chain(sigma).map(str::to_owned).collect(),
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(search))
        .routes(routes!(list_search_fields))
        .routes(routes!(list_search_values))
}
