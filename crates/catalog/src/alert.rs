//! Alerts with their triage.

use std::collections::{BTreeMap, BTreeSet};

use metsuke_event::finding::Alert;
use metsuke_event::{AlertId, Timestamp};
use metsuke_incident::Observable;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde::{Deserialize, Serialize};

use crate::audit::{Deed, append};
use crate::schema::{alert, alert_history};
use crate::{Catalog, CatalogError, Change, Result, database, from_json, to_json};

/// Most history entries shown of an alert.
const MAX_HISTORY: u64 = 200;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody looked yet.
    New,
    /// Somebody is at it.
    InProgress,
    /// Done.
    Closed,
}

impl Status {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InProgress => "in_progress",
            Self::Closed => "closed",
        }
    }

    /// The status called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::New, Self::InProgress, Self::Closed].into_iter().find(|status| status.name() == name)
    }
}

/// What an alert turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A real attack.
    TruePositive,
    /// It happened as described, and was allowed.
    Benign,
    /// The detection was wrong.
    FalsePositive,
}

impl Finding {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TruePositive => "true_positive",
            Self::Benign => "benign",
            Self::FalsePositive => "false_positive",
        }
    }

    /// The finding called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::TruePositive, Self::Benign, Self::FalsePositive]
            .into_iter()
            .find(|finding| finding.name() == name)
    }
}

/// A process by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessBrief {
    /// Short name.
    pub name: Option<String>,
    /// Executable.
    pub exe: Option<String>,
    /// User.
    pub user: Option<String>,
}

/// What is known of the entities an alert speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertContext {
    /// Host name.
    pub host: Option<String>,
    /// The processes of its steps, by identity.
    pub processes: BTreeMap<String, ProcessBrief>,
    /// What its steps touched that may tie it to other alerts.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub observables: BTreeSet<Observable>,
}

/// The state of triage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertTriage {
    /// Where it stands.
    pub status: Status,
    /// What it turned out to be.
    pub finding: Option<Finding>,
    /// Who is at it.
    pub assignee: Option<String>,
    /// Counts the changes, from 1.
    pub version: u32,
}

/// One alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRecord {
    /// What was detected.
    pub alert: Alert,
    /// Names of what it speaks of.
    pub context: AlertContext,
    /// Triage.
    pub triage: AlertTriage,
    /// When it was first raised.
    pub created: Timestamp,
    /// When it last grew or was changed.
    pub updated: Timestamp,
}

/// One entry of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub what: String,
}

/// A change in triage; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct TriageChange {
    /// New status.
    pub status: Option<Status>,
    /// New finding, or none.
    pub finding: Option<Option<Finding>>,
    /// New assignee, or none.
    pub assignee: Option<Option<String>>,
    /// A note.
    pub note: Option<String>,
    /// The version the change is based on.
    pub expected_version: u32,
}

impl AlertRecord {
    /// ATT&CK techniques of the model and all steps, sorted.
    pub fn techniques(&self) -> BTreeSet<&str> {
        self.detections().flat_map(|d| d.techniques.iter().map(String::as_str)).collect()
    }

    /// ATT&CK tactics of the model and all steps, sorted.
    pub fn tactics(&self) -> BTreeSet<&str> {
        self.detections().flat_map(|d| d.tactics.iter().map(String::as_str)).collect()
    }

    fn detections(&self) -> impl Iterator<Item = &metsuke_event::finding::DetectionRef> {
        std::iter::once(&self.alert.detection)
            .chain(self.alert.highlights.iter().map(|step| &step.detection))
    }

    /// The process that matters most: of the step with the highest level, the first.
    pub fn main_process(&self) -> Option<(&str, &ProcessBrief)> {
        let level = self.alert.highlights.iter().map(|step| step.detection.level).max()?;
        let step = self.alert.highlights.iter().find(|step| step.detection.level == level)?;
        self.context.processes.get_key_value(&step.process).map(|(uid, p)| (uid.as_str(), p))
    }

    /// The user of that process.
    pub fn user(&self) -> Option<&str> {
        self.main_process().and_then(|(_, process)| process.user.as_deref())
    }

    fn words(&self) -> String {
        let mut words = vec![self.alert.detection.title.as_str(), &self.alert.detection.id];
        words.extend(self.context.host.as_deref());
        for process in self.context.processes.values() {
            words.extend(process.name.as_deref());
            words.extend(process.exe.as_deref());
            words.extend(process.user.as_deref());
        }
        words.extend(self.alert.highlights.iter().map(|step| step.detection.title.as_str()));
        words.sort_unstable();
        words.dedup();
        words.join("\n").to_lowercase()
    }

    pub(crate) fn row(&self) -> Result<alert::Model> {
        Ok(alert::Model {
            id: self.alert.id.to_string(),
            detection_id: self.alert.detection.id.clone(),
            title: self.alert.detection.title.clone(),
            level: self.alert.detection.level as i32,
            score: i32::from(self.alert.score),
            revision: i32::try_from(self.alert.revision).unwrap_or(i32::MAX),
            endpoint: self.alert.endpoint.to_string(),
            storyline: self.alert.storyline.clone(),
            host: self.context.host.clone(),
            user: self.user().map(str::to_owned),
            techniques: to_json("alert", &self.techniques())?,
            tactics: to_json("alert", &self.tactics())?,
            highlights: i32::try_from(self.alert.highlights.len()).unwrap_or(i32::MAX),
            first: self.alert.first.as_nanos(),
            last: self.alert.last.as_nanos(),
            created: self.created.as_nanos(),
            updated: self.updated.as_nanos(),
            status: self.triage.status.name().to_owned(),
            finding: self.triage.finding.map(|finding| finding.name().to_owned()),
            assignee: self.triage.assignee.clone(),
            version: i32::try_from(self.triage.version).unwrap_or(i32::MAX),
            words: self.words(),
            body: to_json("alert", &self.alert)?,
            context: to_json("alert", &self.context)?,
        })
    }
}

impl TryFrom<alert::Model> for AlertRecord {
    type Error = CatalogError;

    fn try_from(row: alert::Model) -> Result<Self> {
        let broken = |detail: &str| CatalogError::Corrupt { what: "alert", detail: detail.into() };
        let mut alert: Alert = from_json("alert", &row.body)?;
        alert.revision = u32::try_from(row.revision).unwrap_or(0);
        let finding = match row.finding.as_deref() {
            None => None,
            Some(name) => Some(Finding::from_name(name).ok_or_else(|| broken("finding"))?),
        };
        Ok(Self {
            alert,
            context: from_json("alert", &row.context)?,
            triage: AlertTriage {
                status: Status::from_name(&row.status).ok_or_else(|| broken("status"))?,
                finding,
                assignee: row.assignee,
                version: u32::try_from(row.version).unwrap_or(0),
            },
            created: Timestamp::from_nanos(row.created),
            updated: Timestamp::from_nanos(row.updated),
        })
    }
}

pub(crate) async fn add_history(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    alert: &str,
    (actor, what): (&str, &str),
) -> Result<()> {
    let row = alert_history::ActiveModel {
        alert: Set(alert.to_owned()),
        time: Set(now.as_nanos()),
        actor: Set(actor.to_owned()),
        what: Set(what.to_owned()),
        ..Default::default()
    };
    alert_history::Entity::insert(row)
        .exec_without_returning(tx)
        .await
        .map_err(database("store an alert's history"))?;
    Ok(())
}

impl Catalog {
    /// One alert.
    pub async fn alert(&self, id: AlertId) -> Result<Option<AlertRecord>> {
        let row = alert::Entity::find_by_id(id.to_string()).one(&self.read).await;
        row.map_err(database("read alerts"))?.map(TryInto::try_into).transpose()
    }

    /// The history of an alert, oldest first; at most the last 200 entries.
    pub async fn alert_history(&self, id: AlertId) -> Result<Vec<HistoryEntry>> {
        let rows = alert_history::Entity::find()
            .filter(alert_history::Column::Alert.eq(id.to_string()))
            .order_by_desc(alert_history::Column::Id)
            .limit(MAX_HISTORY)
            .all(&self.read)
            .await
            .map_err(database("read an alert's history"))?;
        let entry = |row: alert_history::Model| HistoryEntry {
            time: Timestamp::from_nanos(row.time),
            actor: row.actor,
            what: row.what,
        };
        Ok(rows.into_iter().rev().map(entry).collect())
    }

    /// Changes the triage of an alert.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when somebody else changed it since `expected_version`.
    pub async fn triage(
        &self,
        now: Timestamp,
        actor: &str,
        id: AlertId,
        change: TriageChange,
    ) -> Result<AlertRecord> {
        let tx = self.begin().await?;
        let row = alert::Entity::find_by_id(id.to_string()).one(&tx).await;
        let row = row.map_err(database("read alerts"))?.ok_or(CatalogError::NotFound("alert"))?;
        let mut record = AlertRecord::try_from(row)?;
        if record.triage.version != change.expected_version {
            return Err(CatalogError::Conflict(format!(
                "the alert was changed meanwhile (version {}, yours {}); load it again",
                record.triage.version, change.expected_version
            )));
        }
        let what = apply(&mut record.triage, change);
        record.triage.version += 1;
        record.updated = now;
        alert::ActiveModel::from(record.row()?)
            .reset_all()
            .update(&tx)
            .await
            .map_err(database("store an alert"))?;
        crate::count::note_live_alert(&tx, &record).await?;
        let target = id.to_string();
        add_history(&tx, now, &target, (actor, &what)).await?;
        let deed = Deed { actor, action: "alert.triage", target: &target, detail: &what };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        self.tell(Change::Alert(id));
        Ok(record)
    }
}

/// Applies the change and says in words what it did.
fn apply(triage: &mut AlertTriage, change: TriageChange) -> String {
    let mut did = Vec::new();
    if let Some(status) = change.status {
        did.push(format!("status {}", status.name()));
        triage.status = status;
    }
    if let Some(finding) = change.finding {
        did.push(format!("finding {}", finding.map_or("none", Finding::name)));
        triage.finding = finding;
    }
    if let Some(assignee) = change.assignee {
        did.push(format!("assigned to {}", assignee.as_deref().unwrap_or("nobody")));
        triage.assignee = assignee;
    }
    if let Some(note) = change.note {
        did.push(format!("note: {note}"));
    }
    if did.is_empty() { "nothing".to_owned() } else { did.join(", ") }
}
