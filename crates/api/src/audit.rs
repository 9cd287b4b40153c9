//! The audit log: who changed what, append-only and hash-chained.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::PageQuery;
use crate::auth::Admin;
use crate::body::Params;
use crate::paging::Page;
use crate::problem::Problem;
use crate::shape::Time;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Position in the chain, from 1.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// Who: an account, `sensor:ENDPOINT`, or `server`.
    pub actor: String,
    /// What, as a stable word, for example `session.create`.
    pub action: String,
    /// To what.
    pub target: String,
    /// More for people; no secrets.
    pub detail: String,
    /// SHA-256 over the entry and the hash before it.
    pub hash: String,
}

impl From<metsuke_catalog::AuditEntry> for AuditEntry {
    fn from(entry: metsuke_catalog::AuditEntry) -> Self {
        Self {
            seq: entry.seq,
            time: entry.time.into(),
            actor: entry.actor,
            action: entry.action,
            target: entry.target,
            detail: entry.detail,
            hash: entry.hash,
        }
    }
}

/// A page of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditPage {
    /// Newest first.
    pub items: Vec<AuditEntry>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// Entries, newest first.
#[utoipa::path(get, path = "/api/v1/audit", operation_id = "list_audit", tag = "audit", params(PageQuery),
    responses((status = 200, body = AuditPage), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn list_audit(
    State(app): State<App>,
    _admin: Admin,
    Params(page): Params<PageQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let page: Page<u64> = Page::read("audit", page.cursor.as_deref(), page.limit, (100, 500))?;
    let entries = app.catalog.audit_entries(page.after, page.fetch()).await?;
    let (entries, next) = page.cut(entries, |entry| entry.seq);
    let items = entries.into_iter().map(AuditEntry::from).collect();
    Ok(Json(AuditPage { items, next }))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_audit))
}
