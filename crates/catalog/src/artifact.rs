//! Artifacts as rows: what plans brought, where it came from, what it is. The bytes lie beside the
//! catalog, under their SHA-256.

use std::collections::BTreeSet;
use std::time::Duration;

use metsuke_event::id::PlanId;
use metsuke_event::{EndpointId, Timestamp};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::audit::{Deed, append};
use crate::schema::artifact::{ActiveModel, Column, Entity, Model};
use crate::{
    Catalog, CatalogError, Change, Result, behind, database, from_json, from_text, to_json,
};

/// One artifact.
#[derive(Clone, Debug, PartialEq)]
pub struct ArtifactRecord {
    /// The plan that brought it, and its identity.
    pub plan: PlanId,
    /// Where it was taken.
    pub endpoint: EndpointId,
    /// What it is: `dump`, `file`, `matches`, `list`, `crossview`.
    pub kind: String,
    /// Of what.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// When it was taken, by the sensor's clock.
    pub taken: Timestamp,
    /// When it was stored.
    pub stored: Timestamp,
    /// What else is known of it.
    pub meta: serde_json::Value,
}

/// How long, and how many bytes of, artifacts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArtifactsKept {
    /// Those stored longer ago go.
    pub age: Duration,
    /// Beyond so many bytes in all the oldest go.
    pub bytes: u64,
}

/// Which artifacts.
#[derive(Clone, Debug, Default)]
pub struct ArtifactFilter {
    /// Endpoint.
    pub endpoint: Option<EndpointId>,
    /// Plan.
    pub plan: Option<PlanId>,
    /// Only those behind this one in the list: when it was stored, and its plan.
    pub after: Option<(Timestamp, PlanId)>,
}

impl TryFrom<Model> for ArtifactRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            plan: from_text("artifact", &row.plan)?,
            endpoint: from_text("artifact", &row.endpoint)?,
            kind: row.kind,
            name: row.name,
            size: row.size.cast_unsigned(),
            sha256: row.sha256,
            taken: Timestamp::from_nanos(row.taken),
            stored: Timestamp::from_nanos(row.stored),
            meta: from_json("artifact", &row.meta)?,
        })
    }
}

impl Catalog {
    /// Notes an artifact whose bytes are on disk, and logs it. Noted before, nothing changes.
    pub async fn store_artifact(&self, artifact: &ArtifactRecord) -> Result<()> {
        let tx = self.begin().await?;
        let id = artifact.plan.to_string();
        let known = Entity::find_by_id(id.clone()).one(&tx).await;
        if known.map_err(database("read artifacts"))?.is_some() {
            return Ok(());
        }
        let row = ActiveModel {
            plan: Set(id.clone()),
            endpoint: Set(artifact.endpoint.to_string()),
            kind: Set(artifact.kind.clone()),
            name: Set(artifact.name.clone()),
            size: Set(artifact.size.cast_signed()),
            sha256: Set(artifact.sha256.clone()),
            taken: Set(artifact.taken.as_nanos()),
            stored: Set(artifact.stored.as_nanos()),
            meta: Set(to_json("artifact", &artifact.meta)?),
        };
        Entity::insert(row)
            .exec_without_returning(&tx)
            .await
            .map_err(database("store an artifact"))?;
        let actor = format!("sensor:{}", artifact.endpoint);
        let ArtifactRecord { kind, name, size, sha256, .. } = artifact;
        let detail = format!("{kind} {name}: {size} bytes, sha256 {sha256}");
        let deed = Deed { actor: &actor, action: "artifact.store", target: &id, detail: &detail };
        append(&tx, artifact.stored, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        self.tell(Change::Plan(artifact.plan));
        Ok(())
    }

    /// Forgets artifacts that are too old, or too many, the oldest first, and logs each. Says which;
    /// their bytes are the caller's to remove, unless another artifact has the same.
    pub async fn prune_artifacts(
        &self,
        now: Timestamp,
        kept: ArtifactsKept,
    ) -> Result<Vec<ArtifactRecord>> {
        let tx = self.begin().await?;
        let rows = Entity::find()
            .order_by_desc(Column::Stored)
            .order_by_asc(Column::Plan)
            .all(&tx)
            .await
            .map_err(database("read artifacts"))?;
        let age = i64::try_from(kept.age.as_nanos()).unwrap_or(i64::MAX);
        let oldest = now.as_nanos().saturating_sub(age);
        let (mut bytes, mut pruned) = (0_u64, Vec::new());
        for row in rows {
            bytes = bytes.saturating_add(row.size.cast_unsigned());
            let why = if row.stored < oldest {
                "too old"
            } else if bytes > kept.bytes {
                // With every older one, for the sum only grows.
                "too many bytes"
            } else {
                continue;
            };
            Entity::delete_by_id(row.plan.clone())
                .exec(&tx)
                .await
                .map_err(database("forget an artifact"))?;
            let detail = format!("{why}: {} {}, sha256 {}", row.kind, row.name, row.sha256);
            let (actor, action) = ("server", "artifact.prune");
            append(&tx, now, Deed { actor, action, target: &row.plan, detail: &detail }).await?;
            pruned.push(ArtifactRecord::try_from(row)?);
        }
        tx.commit().await.map_err(database("commit"))?;
        for artifact in &pruned {
            self.tell(Change::Plan(artifact.plan));
        }
        Ok(pruned)
    }

    /// The SHA-256 of every artifact there is.
    pub async fn artifact_hashes(&self) -> Result<BTreeSet<String>> {
        let hashes = Entity::find().select_only().column(Column::Sha256).distinct();
        let hashes = hashes.into_tuple::<String>().all(&self.read).await;
        Ok(hashes.map_err(database("read artifacts"))?.into_iter().collect())
    }

    /// The artifact of `plan`.
    pub async fn artifact(&self, plan: PlanId) -> Result<Option<ArtifactRecord>> {
        let row = Entity::find_by_id(plan.to_string()).one(&self.read).await;
        row.map_err(database("read artifacts"))?.map(TryInto::try_into).transpose()
    }

    /// Artifacts that match, newest first, at most `limit`.
    pub async fn artifacts(
        &self,
        filter: &ArtifactFilter,
        limit: u64,
    ) -> Result<Vec<ArtifactRecord>> {
        let mut query = Entity::find();
        if let Some(endpoint) = filter.endpoint {
            query = query.filter(Column::Endpoint.eq(endpoint.to_string()));
        }
        if let Some(plan) = filter.plan {
            query = query.filter(Column::Plan.eq(plan.to_string()));
        }
        if let Some((stored, plan)) = filter.after {
            let keys = [(Column::Stored, stored.as_nanos())];
            query = query.filter(behind(&keys, (Column::Plan, &plan.to_string())));
        }
        let rows = query
            .order_by_desc(Column::Stored)
            .order_by_asc(Column::Plan)
            .limit(limit)
            .all(&self.read)
            .await
            .map_err(database("read artifacts"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
