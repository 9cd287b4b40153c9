//! What is kept in memory of alerts, so that a look at incidents reads only what changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metsuke_event::finding::Level;
use metsuke_event::{AlertId, Timestamp};
use metsuke_incident::{Edit, Facts, Group, Question, join, questions};
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use super::reach::{Answer, Reaches};
use super::{Incident, Incidents, MAX_ALERTS};
use crate::alert::{AlertContext, Status};
use crate::hit::read_level;
use crate::schema::alert;
use crate::schema::incident::{edit, recorded_endpoint};
use crate::{Catalog, CatalogError, Result, database, from_json, from_text};

/// Alerts asked for by one statement.
const ASKED: usize = 500;
/// Processes of an alert that may join; see `AlertContext`.
const MAX_PROCESSES: usize = 400;

/// What is needed of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Brief {
    facts: Facts,
    title: String,
    score: u8,
    level: Level,
    status: Status,
    host: Option<String>,
    tactics: Vec<String>,
    updated: Timestamp,
}

/// Which alerts have changed since they were read.
#[derive(Debug, Default)]
enum Stale {
    /// All of them: none was read.
    #[default]
    All,
    /// These; at most [`MAX_ALERTS`].
    Some(BTreeSet<AlertId>),
}

/// [`Stale`], shared by those who change alerts and those who look at incidents.
#[derive(Debug, Default)]
pub(crate) struct StaleAlerts(Mutex<Stale>);

impl StaleAlerts {
    pub(crate) fn add(&self, alert: AlertId) {
        self.lock().add(alert);
    }

    pub(crate) fn all(&self) {
        *self.lock() = Stale::All;
    }

    fn take(&self) -> Stale {
        std::mem::replace(&mut *self.lock(), Stale::Some(BTreeSet::new()))
    }

    fn lock(&self) -> MutexGuard<'_, Stale> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stale {
    fn add(&mut self, alert: AlertId) {
        if let Self::Some(alerts) = self {
            alerts.insert(alert);
            if alerts.len() > MAX_ALERTS {
                *self = Self::All;
            }
        }
    }
}

/// The alerts as they were last read, and the incidents made of them.
#[derive(Debug, Default)]
pub(crate) struct Held {
    briefs: BTreeMap<AlertId, Brief>,
    recorded: HashMap<String, String>,
    edits: Vec<Edit>,
    pub(super) reaches: Option<Reaches>,
    /// What the fleet is to be asked about the alerts as they are.
    questions: Option<Vec<Question>>,
    current: Option<Arc<Incidents>>,
}

/// The columns of an alert that matter here.
type Row = (String, String, i32, i32, String, String, Option<String>, String, i64, i64);
/// The rest of them: a row has more columns than a tuple may have.
type Rest = (String, i64, i64, String, String);

impl Held {
    /// Reads what changed, and gives the incidents.
    pub(super) async fn refresh(&mut self, catalog: &Catalog) -> Result<Arc<Incidents>> {
        let db = &catalog.read;
        let mut stale = catalog.stale.take();
        if self.read_recorded(db).await? {
            // What was read of alerts before may belong to one of them.
            stale = Stale::All;
        }
        if self.reaches.is_none() {
            self.reaches = Some(Reaches::read(db).await?);
        }
        let read = self.read_alerts(db, &stale).await;
        if read.is_err() {
            catalog.stale.all();
        }
        let changed = read? | self.read_edits(db).await?;
        if let (Some(current), false) = (&self.current, changed) {
            return Ok(Arc::clone(current));
        }
        if changed {
            self.questions = None;
        }
        let total = alert::Entity::find().count(db).await.map_err(database("count alerts"))?;
        let incidents = Arc::new(self.joined(total.saturating_sub(self.briefs.len() as u64)));
        self.current = Some(Arc::clone(&incidents));
        Ok(incidents)
    }

    /// What the fleet is to be asked, the newest first.
    pub(super) fn questions(&mut self) -> &[Question] {
        if self.questions.is_none() {
            self.questions = Some(questions(&self.facts()));
        }
        self.questions.as_deref().unwrap_or_default()
    }

    /// Takes an answer of the fleet, for which those up to `forgotten` were forgotten: incidents are
    /// made anew at the next look.
    pub(super) fn learn(
        &mut self,
        question: Question,
        answer: Answer,
        forgotten: Option<Timestamp>,
    ) {
        if let Some(reaches) = &mut self.reaches {
            reaches.learn(question, answer);
            if let Some(until) = forgotten {
                reaches.forget(until);
            }
        }
        self.current = None;
    }

    fn facts(&self) -> Vec<Facts> {
        self.briefs.values().map(|brief| brief.facts.clone()).collect()
    }

    /// The hand-made changes that hold, as they were read last.
    async fn read_edits(&mut self, db: &DatabaseConnection) -> Result<bool> {
        let rows = edit::Entity::find()
            .filter(edit::Column::Undone.is_null())
            .order_by_desc(edit::Column::Id)
            .limit(metsuke_incident::bounds::EDITS as u64)
            .all(db)
            .await
            .map_err(database("read changes of incidents"))?;
        let edits = rows
            .into_iter()
            .map(|row| Ok(Edit { number: row.id, kind: from_json("incident", &row.body)? }))
            .collect::<Result<Vec<_>>>()?;
        let changed = edits != self.edits;
        self.edits = edits;
        Ok(changed)
    }

    async fn read_recorded(&mut self, db: &DatabaseConnection) -> Result<bool> {
        let count = recorded_endpoint::Entity::find().count(db).await;
        let count = count.map_err(database("read recordings"))?;
        if count == self.recorded.len() as u64 {
            return Ok(false);
        }
        let rows = recorded_endpoint::Entity::find().all(db).await;
        let rows = rows.map_err(database("read recordings"))?;
        self.recorded = rows.into_iter().map(|row| (row.endpoint, row.recording)).collect();
        Ok(true)
    }

    async fn read_alerts(&mut self, db: &DatabaseConnection, stale: &Stale) -> Result<bool> {
        let mut changed = false;
        match stale {
            // Some may be gone.
            Stale::All => {
                self.briefs.clear();
                self.read_some(db, Condition::all()).await?;
                changed = true;
            }
            Stale::Some(ids) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                for some in ids.chunks(ASKED) {
                    let these = alert::Column::Id.is_in(some.iter().map(String::as_str));
                    changed |= self.read_some(db, Condition::all().add(these)).await?;
                }
            }
        }
        self.shed();
        Ok(changed)
    }

    async fn read_some(&mut self, db: &DatabaseConnection, which: Condition) -> Result<bool> {
        use alert::Column;
        let query = || {
            alert::Entity::find()
                .filter(which.clone())
                .order_by_desc(Column::Last)
                .order_by_asc(Column::Id)
                .limit(MAX_ALERTS as u64)
                .select_only()
        };
        let first = query().columns([
            Column::Id,
            Column::Title,
            Column::Level,
            Column::Score,
            Column::Endpoint,
            Column::Storyline,
            Column::Host,
            Column::Tactics,
            Column::First,
            Column::Last,
        ]);
        let rest = query().columns([
            Column::Id,
            Column::Created,
            Column::Updated,
            Column::Status,
            Column::Context,
        ]);
        let first: Vec<Row> = first.into_tuple().all(db).await.map_err(database("read alerts"))?;
        let rest: Vec<Rest> = rest.into_tuple().all(db).await.map_err(database("read alerts"))?;
        let mut rest: HashMap<String, Rest> =
            rest.into_iter().map(|row| (row.0.clone(), row)).collect();
        let mut changed = false;
        for row in first {
            // One that changed between the two questions is stale, and read the next time.
            let Some(more) = rest.remove(&row.0) else { continue };
            let brief = self.brief(row, more)?;
            if self.briefs.get(&brief.facts.id) != Some(&brief) {
                self.briefs.insert(brief.facts.id, brief);
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Drops the oldest beyond the bound.
    fn shed(&mut self) {
        let over = self.briefs.len().saturating_sub(MAX_ALERTS);
        if over == 0 {
            return;
        }
        let mut ages: Vec<(Timestamp, AlertId)> =
            self.briefs.values().map(|brief| (brief.facts.last, brief.facts.id)).collect();
        ages.sort_unstable();
        for (_, id) in ages.into_iter().take(over) {
            self.briefs.remove(&id);
        }
    }

    fn brief(&self, row: Row, rest: Rest) -> Result<Brief> {
        let (id, title, level, score, endpoint, storyline, host, tactics, first, last) = row;
        let (_, created, updated, status, context) = rest;
        let context: AlertContext = from_json("alert", &context)?;
        let broken = || CatalogError::Corrupt { what: "alert", detail: "status".to_owned() };
        let users = context.processes.values().filter_map(|process| process.user.clone());
        Ok(Brief {
            facts: Facts {
                id: from_text("alert", &id)?,
                created: Timestamp::from_nanos(created),
                recording: self.recorded.get(&endpoint).cloned(),
                endpoint: from_text("alert", &endpoint)?,
                storyline,
                first: Timestamp::from_nanos(first),
                last: Timestamp::from_nanos(last),
                users: users.collect(),
                processes: context.processes.into_keys().take(MAX_PROCESSES).collect(),
                observables: context.observables,
            },
            title,
            score: u8::try_from(score).unwrap_or_default(),
            level: read_level(level)?,
            status: Status::from_name(&status).ok_or_else(broken)?,
            host,
            tactics: from_json("alert", &tactics)?,
            updated: Timestamp::from_nanos(updated),
        })
    }

    fn joined(&self, left_out: u64) -> Incidents {
        let nothing = Reaches::default();
        let reaches = self.reaches.as_ref().unwrap_or(&nothing);
        let groups = join(&self.facts(), &self.edits, &reaches.fleet);
        let items = groups.into_iter().filter_map(|group| self.incident(group)).collect();
        Incidents::of(items, left_out)
    }

    fn incident(&self, group: Group) -> Option<Incident> {
        let alerts: Vec<&Brief> =
            group.alerts.iter().filter_map(|id| self.briefs.get(id)).collect();
        let top = alerts.iter().max_by_key(|one| (one.score, std::cmp::Reverse(one.facts.id)))?;
        let recording = top.facts.recording.clone();
        let texts = |of: fn(&Brief) -> Vec<String>| -> BTreeSet<String> {
            alerts.iter().flat_map(|one| of(one)).collect()
        };
        Some(Incident {
            id: group.id,
            title: recording.clone().unwrap_or_else(|| top.title.clone()),
            score: top.score,
            level: alerts.iter().map(|one| one.level).max()?,
            status: status(&alerts),
            hosts: texts(|one| one.host.iter().cloned().collect()),
            users: texts(|one| one.facts.users.iter().cloned().collect()),
            tactics: texts(|one| one.tactics.clone()),
            recording,
            first: alerts.iter().map(|one| one.facts.first).min()?,
            last: alerts.iter().map(|one| one.facts.last).max()?,
            updated: alerts.iter().map(|one| one.updated).max()?,
            alerts: group.alerts,
            reasons: group.reasons,
        })
    }
}

fn status(alerts: &[&Brief]) -> Status {
    let all = |status: Status| alerts.iter().all(|one| one.status == status);
    match () {
        () if all(Status::Closed) => Status::Closed,
        () if all(Status::New) => Status::New,
        () => Status::InProgress,
    }
}
