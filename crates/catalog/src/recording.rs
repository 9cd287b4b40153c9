//! Recordings: incidents that were brought in from files, and the endpoints made for their hosts.
//!
//! Invariant: an endpoint of a recording is of one recording, and never one that a sensor enrolled as.

use std::collections::{BTreeMap, HashMap};

use metsuke_event::{EndpointId, Timestamp};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set};

use crate::audit::{Deed, append};
use crate::endpoint::EndpointRecord;
use crate::schema::incident::{recorded_endpoint, recording};
use crate::{Catalog, CatalogError, Change, Result, database, from_text};

/// How the scope of an endpoint begins that was made for a recorded host; its recording's name follows.
pub const RECORDED: &str = "recording:";

/// Where a recording stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingState {
    /// Events come in.
    Open,
    /// Detection ran over all of it.
    Detected,
}

impl RecordingState {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Detected => "detected",
        }
    }
}

/// One recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingRecord {
    /// Its name.
    pub name: String,
    /// Who brought it in.
    pub actor: String,
    /// When.
    pub created: Timestamp,
    /// Where it stands.
    pub state: RecordingState,
    /// Events taken.
    pub events: u64,
    /// What detection found, as JSON.
    pub report: Option<String>,
    /// The recorded hosts.
    pub hosts: BTreeMap<EndpointId, String>,
}

impl RecordingRecord {
    /// Its identity: 32 hexadecimal digits that follow from its name.
    pub fn id(&self) -> String {
        crate::hashed(&format!("recording {}", self.name)).chars().take(32).collect()
    }
}

impl Catalog {
    /// The recording called `name`, which is made when it is not there.
    pub async fn open_recording(
        &self,
        now: Timestamp,
        actor: &str,
        name: &str,
    ) -> Result<RecordingRecord> {
        let tx = self.begin().await?;
        let known = recording::Entity::find_by_id(name).one(&tx).await;
        if known.map_err(database("read recordings"))?.is_none() {
            let row = recording::ActiveModel {
                name: Set(name.to_owned()),
                actor: Set(actor.to_owned()),
                created: Set(now.as_nanos()),
                state: Set(RecordingState::Open.name().to_owned()),
                events: Set(0),
                report: Set(None),
            };
            recording::Entity::insert(row)
                .exec_without_returning(&tx)
                .await
                .map_err(database("store a recording"))?;
            let deed = Deed { actor, action: "recording.open", target: name, detail: "" };
            append(&tx, now, deed).await?;
        }
        tx.commit().await.map_err(database("commit"))?;
        self.recording(name).await?.ok_or(CatalogError::NotFound("recording"))
    }

    /// Every recording, by name.
    pub async fn recordings(&self) -> Result<Vec<RecordingRecord>> {
        let rows = recording::Entity::find().order_by_asc(recording::Column::Name);
        let rows = rows.all(&self.read).await.map_err(database("read recordings"))?;
        let mut hosts: HashMap<String, BTreeMap<EndpointId, String>> = HashMap::new();
        let all = recorded_endpoint::Entity::find().all(&self.read).await;
        for row in all.map_err(database("read recordings"))? {
            let endpoint = from_text("recording", &row.endpoint)?;
            hosts.entry(row.recording).or_default().insert(endpoint, row.host);
        }
        rows.into_iter()
            .map(|row| {
                Ok(RecordingRecord {
                    hosts: hosts.remove(&row.name).unwrap_or_default(),
                    name: row.name,
                    actor: row.actor,
                    created: Timestamp::from_nanos(row.created),
                    state: match row.state.as_str() {
                        "detected" => RecordingState::Detected,
                        _ => RecordingState::Open,
                    },
                    events: row.events.cast_unsigned(),
                    report: row.report,
                })
            })
            .collect()
    }

    /// One recording.
    pub async fn recording(&self, name: &str) -> Result<Option<RecordingRecord>> {
        Ok(self.recordings().await?.into_iter().find(|one| one.name == name))
    }

    /// The endpoints that were made for recorded hosts, with the recording's name.
    pub async fn recorded_endpoints(&self) -> Result<HashMap<EndpointId, String>> {
        let rows = recorded_endpoint::Entity::find().all(&self.read).await;
        rows.map_err(database("read recordings"))?
            .into_iter()
            .map(|row| Ok((from_text("recording", &row.endpoint)?, row.recording)))
            .collect()
    }

    /// Makes endpoints for hosts of a recording; those that are there stay.
    pub async fn add_recorded_hosts(
        &self,
        now: Timestamp,
        name: &str,
        hosts: &[(EndpointId, String)],
    ) -> Result<()> {
        let tx = self.begin().await?;
        let mut made = Vec::new();
        for (id, host) in hosts {
            let known = crate::schema::endpoint::Entity::find_by_id(id.to_string()).one(&tx).await;
            if known.map_err(database("read endpoints"))?.is_none() {
                let mut record = EndpointRecord::new(*id, host, now);
                record.scope = Some(format!("{RECORDED}{name}"));
                crate::endpoint::insert(&tx, &record).await?;
                made.push(*id);
            }
            let row = recorded_endpoint::ActiveModel {
                endpoint: Set(id.to_string()),
                recording: Set(name.to_owned()),
                host: Set(host.clone()),
            };
            let key =
                OnConflict::column(recorded_endpoint::Column::Endpoint).do_nothing().to_owned();
            recorded_endpoint::Entity::insert(row)
                .on_conflict(key)
                .try_insert()
                .exec_without_returning(&tx)
                .await
                .map_err(database("store a recorded host"))?;
        }
        tx.commit().await.map_err(database("commit"))?;
        for id in made {
            self.tell(Change::Endpoint(id));
        }
        Ok(())
    }

    /// Counts events that were taken; what detection found before no longer is all.
    pub async fn count_recorded(&self, name: &str, more: u64) -> Result<()> {
        let events = Expr::col(recording::Column::Events);
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        let tx = self.begin().await?;
        recording::Entity::update_many()
            .col_expr(recording::Column::Events, events.add(more))
            .col_expr(recording::Column::State, Expr::value(RecordingState::Open.name()))
            .filter(recording::Column::Name.eq(name))
            .exec(&tx)
            .await
            .map_err(database("store a recording"))?;
        tx.commit().await.map_err(database("commit"))
    }

    /// Stores what detection found in a recording.
    pub async fn finish_recording(
        &self,
        now: Timestamp,
        actor: &str,
        name: &str,
        report: &str,
    ) -> Result<()> {
        let tx = self.begin().await?;
        let state = Expr::value(RecordingState::Detected.name());
        recording::Entity::update_many()
            .col_expr(recording::Column::State, state)
            .col_expr(recording::Column::Report, Expr::value(report))
            .filter(recording::Column::Name.eq(name))
            .exec(&tx)
            .await
            .map_err(database("store a recording"))?;
        log(&tx, now, actor, name).await?;
        tx.commit().await.map_err(database("commit"))
    }
}

async fn log(tx: &impl ConnectionTrait, now: Timestamp, actor: &str, name: &str) -> Result<()> {
    append(tx, now, Deed { actor, action: "recording.detect", target: name, detail: "" }).await
}
