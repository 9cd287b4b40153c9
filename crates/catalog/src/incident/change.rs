//! What people change about incidents by hand: split, merge, and taking the last of it back.

use std::collections::BTreeSet;

use metsuke_event::{AlertId, Timestamp};
use metsuke_incident::{EditKind, bounds};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::{Incident, Incidents};
use crate::audit::{Deed, append};
use crate::schema::incident::edit;
use crate::{Catalog, CatalogError, Result, database, from_json, to_json};

/// Most entries of an incident's history.
const MAX_HISTORY: usize = 200;

/// One entry of an incident's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentEntry {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub what: String,
}

impl Catalog {
    /// Takes `alerts` out of the incident that holds `id`; later alerts do not bring them together
    /// again. Gives the incidents that its alerts are in now.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] when they are none of it, or all of it.
    pub async fn split_incident(
        &self,
        now: Timestamp,
        actor: &str,
        id: AlertId,
        alerts: &[AlertId],
    ) -> Result<Vec<Incident>> {
        let mut held = self.incidents.lock().await;
        let incidents = held.refresh(self).await?;
        let incident = incidents.holding(id).ok_or(CatalogError::NotFound("incident"))?;
        let apart: BTreeSet<AlertId> = alerts.iter().copied().collect();
        if apart.is_empty() || !apart.iter().all(|alert| incident.alerts.contains(alert)) {
            return Err(CatalogError::Invalid(
                "`alerts` must name alerts of this incident, at least one; load it again".into(),
            ));
        }
        let rest = incident.alerts.iter().filter(|alert| !apart.contains(alert));
        let rest: Vec<AlertId> = rest.copied().collect();
        if rest.is_empty() {
            return Err(CatalogError::Invalid(
                "that are all alerts of the incident: nothing would be split".into(),
            ));
        }
        check_size(incident.alerts.len())?;
        let before = incident.alerts.clone();
        let kind = EditKind::Split { apart: apart.into_iter().collect(), rest };
        self.add_edit(now, (actor, "incident.split", incident.id), &kind).await?;
        Ok(covering(&*held.refresh(self).await?, &before))
    }

    /// Makes one incident of those that hold `ids`.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] when they are fewer than two, or of different recordings.
    pub async fn merge_incidents(
        &self,
        now: Timestamp,
        actor: &str,
        ids: &[AlertId],
    ) -> Result<Incident> {
        let mut held = self.incidents.lock().await;
        let incidents = held.refresh(self).await?;
        let mut merged: Vec<&Incident> = Vec::new();
        for id in ids {
            let one = incidents.holding(*id).ok_or(CatalogError::NotFound("incident"))?;
            if !merged.iter().any(|known| known.id == one.id) {
                merged.push(one);
            }
        }
        let Some(first) = merged.first().filter(|_| merged.len() > 1) else {
            return Err(CatalogError::Invalid("`incidents` must name two or more".into()));
        };
        if merged.iter().any(|one| one.recording != first.recording) {
            return Err(CatalogError::Invalid(
                "a recording is kept apart from other recordings and from what is live".into(),
            ));
        }
        let alerts: Vec<AlertId> = merged.iter().flat_map(|one| one.alerts.clone()).collect();
        check_size(alerts.len())?;
        let place = first.id;
        let kind = EditKind::Merge { alerts };
        self.add_edit(now, (actor, "incident.merge", place), &kind).await?;
        let incidents = held.refresh(self).await?;
        incidents.holding(place).cloned().ok_or(CatalogError::NotFound("incident"))
    }

    /// Takes the last change back that was made by hand to the incident that holds `id`. Gives the
    /// incidents that the alerts concerned are in now.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when nothing was changed by hand.
    pub async fn undo_incident(
        &self,
        now: Timestamp,
        actor: &str,
        id: AlertId,
    ) -> Result<Vec<Incident>> {
        let mut held = self.incidents.lock().await;
        let incidents = held.refresh(self).await?;
        let incident = incidents.holding(id).ok_or(CatalogError::NotFound("incident"))?;
        let last = self
            .edits_of(incident)
            .await?
            .into_iter()
            .find(|(row, _)| row.undone.is_none())
            .ok_or_else(|| {
                CatalogError::Conflict("nothing was changed by hand in this incident".into())
            })?;
        let (row, kind) = last;
        let mut concerned: Vec<AlertId> = incident.alerts.clone();
        concerned.extend(kind.alerts());
        let tx = self.begin().await?;
        let mut row: edit::ActiveModel = row.into();
        row.undone = Set(Some(now.as_nanos()));
        row.undone_by = Set(Some(actor.to_owned()));
        row.update(&tx).await.map_err(database("store a change of an incident"))?;
        let target = incident.id.to_string();
        let what = described(&kind);
        let deed = Deed { actor, action: "incident.undo", target: &target, detail: &what };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        Ok(covering(&*held.refresh(self).await?, &concerned))
    }

    /// What people did with an incident, oldest first; at most the last 200 entries.
    pub async fn incident_history(&self, incident: &Incident) -> Result<Vec<IncidentEntry>> {
        let mut entries = Vec::new();
        for (row, kind) in self.edits_of(incident).await? {
            let what = described(&kind);
            if let (Some(undone), Some(by)) = (row.undone, row.undone_by) {
                entries.push(IncidentEntry {
                    time: Timestamp::from_nanos(undone),
                    actor: by,
                    what: format!("taken back: {what}"),
                });
            }
            entries.push(IncidentEntry {
                time: Timestamp::from_nanos(row.time),
                actor: row.actor,
                what,
            });
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.time));
        entries.truncate(MAX_HISTORY);
        entries.reverse();
        Ok(entries)
    }

    /// The changes that name an alert of `incident`, the last one first.
    async fn edits_of(&self, incident: &Incident) -> Result<Vec<(edit::Model, EditKind)>> {
        let rows = edit::Entity::find()
            .order_by_desc(edit::Column::Id)
            .limit(bounds::EDITS as u64)
            .filter(edit::Column::Id.gt(0))
            .all(&self.read)
            .await
            .map_err(database("read changes of incidents"))?;
        let alerts: BTreeSet<AlertId> = incident.alerts.iter().copied().collect();
        let mut found = Vec::new();
        for row in rows {
            let kind: EditKind = from_json("incident", &row.body)?;
            if kind.alerts().any(|alert| alerts.contains(&alert)) {
                found.push((row, kind));
            }
        }
        Ok(found)
    }

    async fn add_edit(
        &self,
        now: Timestamp,
        (actor, action, incident): (&str, &str, AlertId),
        kind: &EditKind,
    ) -> Result<()> {
        let tx = self.begin().await?;
        let row = edit::ActiveModel {
            time: Set(now.as_nanos()),
            actor: Set(actor.to_owned()),
            body: Set(to_json("incident", kind)?),
            ..Default::default()
        };
        edit::Entity::insert(row)
            .exec_without_returning(&tx)
            .await
            .map_err(database("store a change of an incident"))?;
        let (target, detail) = (incident.to_string(), described(kind));
        append(&tx, now, Deed { actor, action, target: &target, detail: &detail }).await?;
        tx.commit().await.map_err(database("commit"))
    }
}

fn check_size(alerts: usize) -> Result<()> {
    if alerts > bounds::EDIT_ALERTS {
        return Err(CatalogError::Invalid(format!(
            "an incident of more than {} alerts cannot be changed by hand",
            bounds::EDIT_ALERTS
        )));
    }
    Ok(())
}

/// The incidents that hold `alerts`.
fn covering(incidents: &Incidents, alerts: &[AlertId]) -> Vec<Incident> {
    let mut found: Vec<Incident> = Vec::new();
    for incident in alerts.iter().filter_map(|alert| incidents.holding(*alert)) {
        if !found.iter().any(|known| known.id == incident.id) {
            found.push(incident.clone());
        }
    }
    found
}

fn described(kind: &EditKind) -> String {
    match kind {
        EditKind::Split { apart, rest } => {
            format!("split: {} alerts taken out, {} stayed", apart.len(), rest.len())
        }
        EditKind::Merge { alerts } => format!("merged: {} alerts together", alerts.len()),
    }
}
