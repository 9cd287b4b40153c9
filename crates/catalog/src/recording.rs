//! Recordings: incidents that were brought in from files, and the endpoints made for their hosts.
//!
//! Invariant: an endpoint of a recording is of one recording, and never one that a sensor enrolled as.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use metsuke_event::{EndpointId, Timestamp};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::audit::{Deed, append};
use crate::endpoint::EndpointRecord;
use crate::schema::content::alert_detection;
use crate::schema::incident::{recorded_endpoint, recording};
use crate::schema::{alert, alert_history, endpoint, hit};
use crate::{Catalog, CatalogError, Change, Result, database, from_text};

/// How the scope of an endpoint begins that was made for a recorded host; its recording's name follows.
pub const RECORDED: &str = "recording:";

/// Endpoints asked for by one statement.
const ASKED: usize = 500;

/// Where a recording stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingState {
    /// Events come in.
    Open,
    /// Detection ran over all of it.
    Detected,
    /// It was taken out: nobody is shown it, and its endpoints stay known, so that the events of it
    /// that are stored never count as live.
    Removed,
}

impl RecordingState {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Detected => "detected",
            Self::Removed => "removed",
        }
    }

    fn read(name: &str) -> Self {
        match name {
            "detected" => Self::Detected,
            "removed" => Self::Removed,
            _ => Self::Open,
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

/// Those of `endpoints` that were made for recorded hosts.
pub(crate) async fn among(
    tx: &impl ConnectionTrait,
    endpoints: impl IntoIterator<Item = EndpointId>,
) -> Result<HashSet<EndpointId>> {
    let endpoints: BTreeSet<String> = endpoints.into_iter().map(|id| id.to_string()).collect();
    let mut found = HashSet::new();
    for some in endpoints.into_iter().collect::<Vec<_>>().chunks(ASKED) {
        let rows: Vec<String> = recorded_endpoint::Entity::find()
            .filter(recorded_endpoint::Column::Endpoint.is_in(some))
            .select_only()
            .column(recorded_endpoint::Column::Endpoint)
            .into_tuple()
            .all(tx)
            .await
            .map_err(database("read recordings"))?;
        for row in rows {
            found.insert(from_text("recording", &row)?);
        }
    }
    Ok(found)
}

fn record(row: recording::Model, hosts: BTreeMap<EndpointId, String>) -> RecordingRecord {
    RecordingRecord {
        name: row.name,
        actor: row.actor,
        created: Timestamp::from_nanos(row.created),
        state: RecordingState::read(&row.state),
        events: row.events.cast_unsigned(),
        report: row.report,
        hosts,
    }
}

impl Catalog {
    /// The recording called `name`, which is made when it is not there. One that was removed is open
    /// again with the events that are still stored.
    pub async fn open_recording(
        &self,
        now: Timestamp,
        actor: &str,
        name: &str,
    ) -> Result<RecordingRecord> {
        let tx = self.begin().await?;
        let mut made = Vec::new();
        let known = recording::Entity::find_by_id(name).one(&tx).await;
        let known = known.map_err(database("read recordings"))?;
        let is_there = |row: &recording::Model| row.state != RecordingState::Removed.name();
        if !known.as_ref().is_some_and(is_there) {
            let row = recording::ActiveModel {
                name: Set(name.to_owned()),
                actor: Set(actor.to_owned()),
                created: Set(now.as_nanos()),
                state: Set(RecordingState::Open.name().to_owned()),
                events: Set(known.as_ref().map_or(0, |row| row.events)),
                report: Set(None),
            };
            if known.is_some() {
                row.update(&tx).await.map_err(database("store a recording"))?;
                let hosts: Vec<_> = hosts_of(&tx, name).await?.into_iter().collect();
                made = add_hosts(&tx, now, name, &hosts).await?;
            } else {
                recording::Entity::insert(row)
                    .exec_without_returning(&tx)
                    .await
                    .map_err(database("store a recording"))?;
            }
            let deed = Deed { actor, action: "recording.open", target: name, detail: "" };
            append(&tx, now, deed).await?;
        }
        tx.commit().await.map_err(database("commit"))?;
        for id in made {
            self.tell(Change::Endpoint(id));
        }
        self.recording(name).await?.ok_or(CatalogError::NotFound("recording"))
    }

    /// Every recording, by name.
    pub async fn recordings(&self) -> Result<Vec<RecordingRecord>> {
        let rows = recording::Entity::find()
            .filter(recording::Column::State.ne(RecordingState::Removed.name()))
            .order_by_asc(recording::Column::Name);
        let rows = rows.all(&self.read).await.map_err(database("read recordings"))?;
        let mut hosts: HashMap<String, BTreeMap<EndpointId, String>> = HashMap::new();
        let all = recorded_endpoint::Entity::find().all(&self.read).await;
        for row in all.map_err(database("read recordings"))? {
            let endpoint = from_text("recording", &row.endpoint)?;
            hosts.entry(row.recording).or_default().insert(endpoint, row.host);
        }
        let with_hosts = |row: recording::Model| {
            let of = hosts.remove(&row.name).unwrap_or_default();
            record(row, of)
        };
        Ok(rows.into_iter().map(with_hosts).collect())
    }

    /// One recording.
    pub async fn recording(&self, name: &str) -> Result<Option<RecordingRecord>> {
        let row = recording::Entity::find_by_id(name)
            .filter(recording::Column::State.ne(RecordingState::Removed.name()))
            .one(&self.read)
            .await
            .map_err(database("read recordings"))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(record(row, hosts_of(&self.read, name).await?)))
    }

    /// The endpoints that were made for recorded hosts, of recordings that were removed too, with the
    /// recording's name.
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
        let made = add_hosts(&tx, now, name, hosts).await?;
        tx.commit().await.map_err(database("commit"))?;
        for id in made {
            self.tell(Change::Endpoint(id));
        }
        Ok(())
    }

    /// Counts events that were taken; what detection found before no longer is all. The audit log says
    /// so once, not for each of the many parts in which they come.
    pub async fn count_recorded(
        &self,
        now: Timestamp,
        actor: &str,
        name: &str,
        more: u64,
    ) -> Result<()> {
        let tx = self.begin().await?;
        let row = recording::Entity::find_by_id(name).one(&tx).await;
        let row = row.map_err(database("read recordings"))?;
        let row = row.ok_or(CatalogError::NotFound("recording"))?;
        let begins = row.events == 0 || row.state != RecordingState::Open.name();
        let events = Expr::col(recording::Column::Events);
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        recording::Entity::update_many()
            .col_expr(recording::Column::Events, events.add(more))
            .col_expr(recording::Column::State, Expr::value(RecordingState::Open.name()))
            .filter(recording::Column::Name.eq(name))
            .exec(&tx)
            .await
            .map_err(database("store a recording"))?;
        if begins {
            let deed = Deed { actor, action: "recording.fill", target: name, detail: "" };
            append(&tx, now, deed).await?;
        }
        tx.commit().await.map_err(database("commit"))
    }

    /// Takes a recording out: its hosts, and what detection found on them. Its events stay stored,
    /// where nothing is deleted singly, and never count as live.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when it is not there.
    pub async fn remove_recording(&self, now: Timestamp, actor: &str, name: &str) -> Result<()> {
        let tx = self.begin().await?;
        let row = recording::Entity::find_by_id(name).one(&tx).await;
        let row = row.map_err(database("read recordings"))?;
        let is_there = |row: &recording::Model| row.state != RecordingState::Removed.name();
        let row = row.filter(is_there).ok_or(CatalogError::NotFound("recording"))?;
        let hosts: Vec<EndpointId> = hosts_of(&tx, name).await?.into_keys().collect();
        for some in hosts.chunks(ASKED) {
            forget(&tx, some).await?;
        }
        let state = Expr::value(RecordingState::Removed.name());
        recording::Entity::update_many()
            .col_expr(recording::Column::State, state)
            .col_expr(recording::Column::Report, Expr::value(None::<String>))
            .filter(recording::Column::Name.eq(name))
            .exec(&tx)
            .await
            .map_err(database("remove a recording"))?;
        let detail = format!("{} events of {} hosts", row.events, hosts.len());
        let deed = Deed { actor, action: "recording.remove", target: name, detail: &detail };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        self.stale.all();
        for id in hosts {
            self.tell(Change::Endpoint(id));
        }
        Ok(())
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

/// The hosts of the recording called `name`.
async fn hosts_of(db: &impl ConnectionTrait, name: &str) -> Result<BTreeMap<EndpointId, String>> {
    let rows = recorded_endpoint::Entity::find()
        .filter(recorded_endpoint::Column::Recording.eq(name))
        .all(db)
        .await
        .map_err(database("read recordings"))?;
    let host =
        |row: recorded_endpoint::Model| Ok((from_text("recording", &row.endpoint)?, row.host));
    rows.into_iter().map(host).collect()
}

/// Makes endpoints for hosts of a recording, where they are not there; returns those it made.
async fn add_hosts(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    name: &str,
    hosts: &[(EndpointId, String)],
) -> Result<Vec<EndpointId>> {
    let mut made = Vec::new();
    for (id, host) in hosts {
        let known = endpoint::Entity::find_by_id(id.to_string()).one(tx).await;
        if known.map_err(database("read endpoints"))?.is_none() {
            let mut record = EndpointRecord::new(*id, host, now);
            record.scope = Some(format!("{RECORDED}{name}"));
            crate::endpoint::insert(tx, &record).await?;
            made.push(*id);
        }
        let row = recorded_endpoint::ActiveModel {
            endpoint: Set(id.to_string()),
            recording: Set(name.to_owned()),
            host: Set(host.clone()),
        };
        let key = OnConflict::column(recorded_endpoint::Column::Endpoint).do_nothing().to_owned();
        recorded_endpoint::Entity::insert(row)
            .on_conflict(key)
            .try_insert()
            .exec_without_returning(tx)
            .await
            .map_err(database("store a recorded host"))?;
    }
    Ok(made)
}

/// Forgets endpoints with all that was found on them.
async fn forget(tx: &impl ConnectionTrait, endpoints: &[EndpointId]) -> Result<()> {
    let ids: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    let gone = database("remove a recording");
    let hits = hit::Entity::delete_many().filter(hit::Column::Endpoint.is_in(&ids));
    hits.exec(tx).await.map_err(gone)?;
    let alerts = || {
        let of = alert::Column::Endpoint.is_in(&ids);
        Query::select().column(alert::Column::Id).from(alert::Entity).and_where(of).to_owned()
    };
    let histories = alert_history::Column::Alert.in_subquery(alerts());
    let histories = alert_history::Entity::delete_many().filter(histories).exec(tx).await;
    histories.map_err(database("remove a recording"))?;
    let noted = alert_detection::Column::Alert.in_subquery(alerts());
    let noted = alert_detection::Entity::delete_many().filter(noted).exec(tx).await;
    noted.map_err(database("remove a recording"))?;
    let of = alert::Column::Endpoint.is_in(&ids);
    let alerts = alert::Entity::delete_many().filter(of).exec(tx).await;
    alerts.map_err(database("remove a recording"))?;
    let rows = endpoint::Entity::delete_many().filter(endpoint::Column::Id.is_in(&ids));
    rows.exec(tx).await.map_err(database("remove a recording"))?;
    Ok(())
}

async fn log(tx: &impl ConnectionTrait, now: Timestamp, actor: &str, name: &str) -> Result<()> {
    append(tx, now, Deed { actor, action: "recording.detect", target: name, detail: "" }).await
}
