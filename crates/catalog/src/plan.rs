//! Response plans as rows. Which state may follow which is `respond`'s; here a change is
//! compare-and-set, so that of two who change a plan at once one is told.

use metsuke_event::id::PlanId;
use metsuke_event::{AlertId, EndpointId, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde::{Deserialize, Serialize};

use crate::alert::add_history;
use crate::audit::{Deed, append};
use crate::schema::plan::{ActiveModel, Column, Entity, Model};
use crate::{
    Catalog, CatalogError, Change, Result, behind, database, from_json, from_text, to_json,
};

/// One step of a plan's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanUpdate {
    /// When.
    pub time: Timestamp,
    /// The state reached.
    pub state: String,
    /// For people.
    pub detail: String,
}

/// One plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRecord {
    /// Identity.
    pub id: PlanId,
    /// Where.
    pub endpoint: EndpointId,
    /// What: `terminate`, `poc`.
    pub verb: String,
    /// The process, for verbs that have one.
    pub target: Option<String>,
    /// How far, for verbs that have it.
    pub scope: Option<String>,
    /// The alert it was made from.
    pub alert: Option<AlertId>,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Where it stands.
    pub state: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it is given up if not carried out.
    pub expires: Timestamp,
    /// Its life so far.
    pub updates: Vec<PlanUpdate>,
    /// What came of it.
    pub result: Option<serde_json::Value>,
    /// Whether it was ever sent to the endpoint.
    pub sent: bool,
    /// The plan as it travels to the sensor.
    pub body: serde_json::Value,
}

/// A step to store.
#[derive(Clone, Debug)]
pub struct PlanChange {
    /// The state it must be in.
    pub from: String,
    /// The step.
    pub update: PlanUpdate,
    /// What came of it, when that is known now.
    pub result: Option<serde_json::Value>,
    /// Who changed it.
    pub actor: String,
}

/// Which plans. An empty list means any state.
#[derive(Clone, Debug, Default)]
pub struct PlanFilter {
    /// Endpoint.
    pub endpoint: Option<EndpointId>,
    /// States.
    pub states: Vec<String>,
    /// Alert.
    pub alert: Option<AlertId>,
    /// Only plans behind this one in the list: when it was made, and its identity.
    pub after: Option<(Timestamp, PlanId)>,
}

impl TryFrom<Model> for PlanRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: from_text("plan", &row.id)?,
            endpoint: from_text("plan", &row.endpoint)?,
            verb: row.verb,
            target: row.target,
            scope: row.scope,
            alert: row.alert.map(|id| from_text("plan", &id)).transpose()?,
            reason: row.reason,
            actor: row.actor,
            state: row.state,
            created: Timestamp::from_nanos(row.created),
            expires: Timestamp::from_nanos(row.expires),
            updates: from_json("plan", &row.updates)?,
            result: row.result.map(|text| from_json("plan", &text)).transpose()?,
            sent: row.sent,
            body: from_json("plan", &row.body)?,
        })
    }
}

impl Catalog {
    /// Stores a new plan and logs who made it.
    pub async fn create_plan(&self, plan: &PlanRecord) -> Result<()> {
        let tx = self.begin().await?;
        let row = Model {
            id: plan.id.to_string(),
            endpoint: plan.endpoint.to_string(),
            verb: plan.verb.clone(),
            target: plan.target.clone(),
            scope: plan.scope.clone(),
            alert: plan.alert.map(|id| id.to_string()),
            reason: plan.reason.clone(),
            actor: plan.actor.clone(),
            state: plan.state.clone(),
            created: plan.created.as_nanos(),
            expires: plan.expires.as_nanos(),
            updates: to_json("plan", &plan.updates)?,
            result: plan.result.as_ref().map(|result| to_json("plan", result)).transpose()?,
            sent: plan.sent,
            body: to_json("plan", &plan.body)?,
        };
        Entity::insert(ActiveModel::from(row).reset_all())
            .exec_without_returning(&tx)
            .await
            .map_err(database("store a plan"))?;
        let id = plan.id.to_string();
        let detail = format!(
            "{} {} on {}: {}",
            plan.verb,
            plan.target.as_deref().unwrap_or(""),
            plan.endpoint,
            plan.reason
        );
        let deed =
            Deed { actor: &plan.actor, action: "response.create", target: &id, detail: &detail };
        append(&tx, plan.created, deed).await?;
        if let Some(alert) = plan.alert {
            let what = format!("response {} made: {}", plan.verb, plan.reason);
            let history = (plan.actor.as_str(), what.as_str());
            add_history(&tx, plan.created, &alert.to_string(), history).await?;
        }
        tx.commit().await.map_err(database("commit"))?;
        self.tell(Change::Plan(plan.id));
        Ok(())
    }

    /// Stores a step of a plan's life.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when the plan is in another state than `change.from`.
    pub async fn change_plan(&self, id: PlanId, change: PlanChange) -> Result<PlanRecord> {
        let tx = self.begin().await?;
        let row = Entity::find_by_id(id.to_string()).one(&tx).await;
        let row = row.map_err(database("read plans"))?.ok_or(CatalogError::NotFound("plan"))?;
        if row.state != change.from {
            return Err(CatalogError::Conflict(format!(
                "the plan is {} by now, no longer {}",
                row.state, change.from
            )));
        }
        let mut updates: Vec<PlanUpdate> = from_json("plan", &row.updates)?;
        updates.push(change.update.clone());
        let alert = row.alert.clone();
        let mut row: ActiveModel = row.into();
        row.state = Set(change.update.state.clone());
        row.updates = Set(to_json("plan", &updates)?);
        if let Some(result) = &change.result {
            row.result = Set(Some(to_json("plan", result)?));
        }
        let row = row.update(&tx).await.map_err(database("store a plan"))?;
        let target = id.to_string();
        let detail = format!("{} {}", change.update.state, change.update.detail);
        let deed = Deed {
            actor: &change.actor,
            action: "response.state",
            target: &target,
            detail: &detail,
        };
        append(&tx, change.update.time, deed).await?;
        if let Some(alert) = alert {
            let what = format!("response {}: {detail}", row.verb);
            add_history(&tx, change.update.time, &alert, (&change.actor, &what)).await?;
        }
        tx.commit().await.map_err(database("commit"))?;
        self.tell(Change::Plan(id));
        row.try_into()
    }

    /// Notes that the plan is on its way to the endpoint: from now on only the endpoint knows
    /// whether it began.
    pub async fn plan_sent(&self, id: PlanId) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::Sent, Expr::value(true))
            .filter(Column::Id.eq(id.to_string()))
            .exec(&self.write)
            .await
            .map_err(database("store a plan"))?;
        Ok(())
    }

    /// One plan.
    pub async fn plan(&self, id: PlanId) -> Result<Option<PlanRecord>> {
        let row = Entity::find_by_id(id.to_string()).one(&self.read).await;
        row.map_err(database("read plans"))?.map(TryInto::try_into).transpose()
    }

    /// Plans that match, newest first, at most `limit`.
    pub async fn plans(&self, filter: &PlanFilter, limit: u64) -> Result<Vec<PlanRecord>> {
        let mut query = Entity::find();
        if let Some(endpoint) = filter.endpoint {
            query = query.filter(Column::Endpoint.eq(endpoint.to_string()));
        }
        if !filter.states.is_empty() {
            query = query.filter(Column::State.is_in(filter.states.iter().map(String::as_str)));
        }
        if let Some(alert) = filter.alert {
            query = query.filter(Column::Alert.eq(alert.to_string()));
        }
        if let Some((created, id)) = filter.after {
            let keys = [(Column::Created, created.as_nanos())];
            query = query.filter(behind(&keys, (Column::Id, &id.to_string())));
        }
        let rows = query
            .order_by_desc(Column::Created)
            .order_by_asc(Column::Id)
            .limit(limit)
            .all(&self.read)
            .await
            .map_err(database("read plans"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
