//! Observed techniques: ATT&CK techniques by real hits.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State};
use metsuke_catalog::{HitFilter, HitGroup};
use metsuke_event::finding;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::PageQuery;
use crate::auth::Account;
use crate::body::Params;
use crate::hosts::Hosts;
use crate::paging::{self, Page};
use crate::problem::Problem;
use crate::shape::{DetectionRef, Level, Matched, Time};

/// A detection and how often it struck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DetectionCount {
    /// Detection id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Hits.
    pub count: u64,
}

/// One observed technique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Technique {
    /// ATT&CK id.
    pub id: String,
    /// Name; the id where no name is known.
    pub name: String,
    /// Tactics it was seen under.
    pub tactics: Vec<String>,
    /// Hits in the range.
    pub count: u64,
    /// Endpoints with at least one hit.
    pub endpoints: u64,
    /// The last hit.
    pub last: Time,
    /// Highest level among the hits.
    pub level: Level,
    /// The detections that struck.
    pub detections: Vec<DetectionCount>,
}

/// Observed techniques.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TechniqueList {
    /// Most frequent first.
    pub items: Vec<Technique>,
}

/// One hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hit {
    /// What struck.
    pub detection: DetectionRef,
    /// Identity of the activity.
    pub event: String,
    /// Time of the activity.
    pub time: Time,
    /// Endpoint.
    pub endpoint: String,
    /// Host name, where known.
    pub host: Option<String>,
    /// Process that acted.
    pub process: String,
    /// Root of its storyline.
    pub storyline: String,
    /// Why.
    pub matched: Vec<Matched>,
}

/// A page of hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HitPage {
    /// Newest first.
    pub items: Vec<Hit>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// Which range.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RangeQuery {
    /// From when (RFC 3339); a day before `to` by default.
    pub from: Option<String>,
    /// Until when (RFC 3339); now by default.
    pub to: Option<String>,
}

/// Techniques observed in a range.
#[utoipa::path(get, path = "/api/v1/techniques", operation_id = "list_techniques", tag = "techniques", params(RangeQuery),
    responses((status = 200, body = TechniqueList), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_techniques(
    State(app): State<App>,
    _account: Account,
    Params(range): Params<RangeQuery>,
) -> Result<Json<TechniqueList>, Problem> {
    let range = paging::range(range.from.as_deref(), range.to.as_deref())?;
    let groups = app.catalog.hit_groups(range.from, range.to).await?;
    Ok(Json(TechniqueList { items: by_technique(groups) }))
}

/// The hits of one technique, its sub-techniques included.
#[utoipa::path(get, path = "/api/v1/techniques/{id}/hits", operation_id = "list_technique_hits", tag = "techniques",
    params(("id" = String, Path, description = "ATT&CK technique id"), PageQuery),
    responses((status = 200, body = HitPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_technique_hits(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
    Params(page): Params<PageQuery>,
) -> Result<Json<HitPage>, Problem> {
    let page: Page<i64> = Page::read("hits", page.cursor.as_deref(), page.limit, (100, 500))?;
    let filter = HitFilter {
        technique: Some(id),
        excepted: Some(false),
        before: page.after,
        ..HitFilter::default()
    };
    let records = app.catalog.hits(&filter, page.fetch()).await?;
    let (records, next) = page.cut(records, |record| record.id);
    let hosts = Hosts::load(&app).await?;
    let items = records.into_iter().map(|record| hit(record.hit, &hosts)).collect();
    Ok(Json(HitPage { items, next }))
}

/// Hits by technique, most frequent first. A detection with several techniques counts for each.
pub(crate) fn by_technique(groups: Vec<HitGroup>) -> Vec<Technique> {
    let mut found: BTreeMap<String, (Technique, BTreeSet<String>)> = BTreeMap::new();
    for group in groups {
        for id in &group.detection.techniques {
            let level = group.detection.level.into();
            let (technique, endpoints) = found.entry(id.clone()).or_insert_with(|| {
                let technique = Technique {
                    id: id.clone(),
                    name: crate::attack::name(id).unwrap_or(id).to_owned(),
                    tactics: Vec::new(),
                    count: 0,
                    endpoints: 0,
                    last: group.last.into(),
                    level,
                    detections: Vec::new(),
                };
                (technique, BTreeSet::new())
            });
            technique.count += group.count;
            technique.last = technique.last.max(group.last.into());
            technique.level = technique.level.max(level);
            endpoints.insert(group.endpoint.clone());
            for tactic in &group.detection.tactics {
                if !technique.tactics.contains(tactic) {
                    technique.tactics.push(tactic.clone());
                }
            }
            let known = technique.detections.iter_mut().find(|d| d.id == group.detection.id);
            match known {
                Some(known) => known.count += group.count,
                None => technique.detections.push(DetectionCount {
                    id: group.detection.id.clone(),
                    title: group.detection.title.clone(),
                    count: group.count,
                }),
            }
        }
    }
    let mut items: Vec<Technique> = found
        .into_values()
        .map(|(technique, endpoints)| Technique { endpoints: endpoints.len() as u64, ..technique })
        .collect();
    items.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.id.cmp(&b.id)));
    items
}

pub(crate) fn hit(hit: finding::Hit, hosts: &Hosts) -> Hit {
    Hit {
        detection: hit.detection.into(),
        event: hit.event.to_string(),
        time: hit.time.into(),
        endpoint: hit.event.endpoint.to_string(),
        host: hosts.of(hit.event.endpoint),
        process: hit.process,
        storyline: hit.storyline,
        matched: hit.matched.into_iter().map(Matched::from).collect(),
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_techniques)).routes(routes!(list_technique_hits))
}
