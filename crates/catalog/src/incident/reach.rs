//! How common values are in the fleet: which are to be asked for, and the answers, which are kept so that
//! incidents are the same after a restart.
//!
//! Who had a value, the event store knows; the server asks it ([`Catalog::reach_wanted`]) and tells
//! ([`Catalog::note_reach`]). Endpoints of recordings do not count.

use std::collections::{BTreeMap, BTreeSet};

use metsuke_event::{EndpointId, Timestamp};
use metsuke_incident::{Fleet, Question, Reach, ReasonKind, bounds};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::schema::endpoint;
use crate::schema::incident::{reach, recorded_endpoint};
use crate::{Catalog, CatalogError, Change, Result, database};

/// Answers kept, those about the newest alerts: some 200 bytes each.
const KEPT: u64 = 20_000;
/// How long an endpoint must have been watched before the time that is asked about, for its silence
/// then to mean something.
const WATCHED_NANOS: i64 = 24 * 3_600 * 1_000_000_000;
/// After which an answer without history is asked for again while the value may still spread.
const AGAIN_NANOS: i64 = 3_600 * 1_000_000_000;

/// Who had a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Endpoints that had it in the time before ([`Question::before`]).
    pub before: BTreeSet<EndpointId>,
    /// Endpoints that had it while it spread ([`Question::spread`]).
    pub during: BTreeSet<EndpointId>,
}

/// An answer, and when it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    reach: Reach,
    asked: Timestamp,
}

/// The answers at hand.
#[derive(Debug, Default)]
pub(crate) struct Reaches {
    pub(super) fleet: Fleet,
    /// Those that may be other ones later, with when they were given.
    passing: BTreeMap<Question, Timestamp>,
}

impl Reaches {
    pub(super) async fn read(db: &DatabaseConnection) -> Result<Self> {
        let rows = reach::Entity::find()
            .order_by_desc(reach::Column::Since)
            .limit(KEPT)
            .all(db)
            .await
            .map_err(database("read how common values are"))?;
        let mut reaches = Self::default();
        for row in rows {
            let (question, answer) = read(row)?;
            reaches.learn(question, answer);
        }
        Ok(reaches)
    }

    pub(super) fn learn(&mut self, question: Question, answer: Answer) {
        let (_, over) = question.spread();
        if answer.reach.has_history || answer.asked >= over {
            self.passing.remove(&question);
        } else {
            self.passing.insert(question.clone(), answer.asked);
        }
        self.fleet.learn(question, answer.reach);
    }

    /// Forgets the answers about alerts up to `until`.
    pub(super) fn forget(&mut self, until: Timestamp) {
        self.passing.retain(|question, _| question.since > until);
        self.fleet.forget(until);
    }

    /// Whether the fleet is to be asked `question`, for the first time or again.
    fn is_wanted(&self, question: &Question, now: Timestamp) -> bool {
        let again = |asked: &Timestamp| now.nanos_since(*asked) >= AGAIN_NANOS;
        self.fleet.reach(question).is_none() || self.passing.get(question).is_some_and(again)
    }
}

fn read(row: reach::Model) -> Result<(Question, Answer)> {
    let kind = ReasonKind::from_name(&row.kind);
    let broken = || CatalogError::Corrupt { what: "reach", detail: format!("kind {}", row.kind) };
    let kind = kind.ok_or_else(broken)?;
    let reach = Reach {
        fleet: row.fleet.cast_unsigned(),
        before: row.had_before.cast_unsigned(),
        during: row.had_during.cast_unsigned(),
        has_history: row.has_history,
    };
    let since = Timestamp::from_nanos(row.since);
    let answer = Answer { reach, asked: Timestamp::from_nanos(row.asked) };
    Ok((Question { kind, value: row.value, since }, answer))
}

fn row(question: &Question, answer: &Answer) -> reach::ActiveModel {
    reach::ActiveModel {
        kind: Set(question.kind.name().to_owned()),
        value: Set(question.value.clone()),
        since: Set(question.since.as_nanos()),
        fleet: Set(answer.reach.fleet.cast_signed()),
        had_before: Set(answer.reach.before.cast_signed()),
        had_during: Set(answer.reach.during.cast_signed()),
        has_history: Set(answer.reach.has_history),
        asked: Set(answer.asked.as_nanos()),
    }
}

/// How far a value reaches among the endpoints `live`, each with when it was enrolled.
fn reach_of(question: &Question, spread: &Spread, live: &BTreeMap<EndpointId, Timestamp>) -> Reach {
    let (_, end) = question.before();
    let watched = end.plus_nanos(-WATCHED_NANOS);
    let count = |had: &BTreeSet<EndpointId>| {
        let known = had.iter().filter(|id| live.contains_key(*id)).count();
        (known as u64).min(bounds::COMMON_HOSTS_MAX)
    };
    let long = live.values().filter(|enrolled| **enrolled <= watched).count();
    Reach {
        fleet: live.len() as u64,
        before: count(&spread.before),
        during: count(&spread.during),
        has_history: 2 * long >= live.len(),
    }
}

impl Catalog {
    /// What the event store is to be asked about values that alerts of several hosts share, the newest
    /// first, at most `most`.
    pub async fn reach_wanted(&self, now: Timestamp, most: usize) -> Result<Vec<Question>> {
        let mut held = self.incidents.lock().await;
        held.refresh(self).await?;
        let questions = held.questions().to_vec();
        let Some(reaches) = &held.reaches else { return Ok(Vec::new()) };
        let wanted = questions.into_iter().filter(|one| reaches.is_wanted(one, now));
        Ok(wanted.take(most).collect())
    }

    /// Takes the event store's answers; incidents follow them from the next look on.
    pub async fn note_reach(&self, now: Timestamp, answers: Vec<(Question, Spread)>) -> Result<()> {
        if answers.is_empty() {
            return Ok(());
        }
        let live = self.live_endpoints().await?;
        let mut held = self.incidents.lock().await;
        for (question, spread) in answers {
            let answer = Answer { reach: reach_of(&question, &spread, &live), asked: now };
            let forgotten = self.store_reach(&question, &answer).await?;
            held.learn(question, answer, forgotten);
        }
        drop(held);
        self.tell(Change::Incidents);
        Ok(())
    }

    /// Endpoints that are none of a recording, with when they were enrolled.
    async fn live_endpoints(&self) -> Result<BTreeMap<EndpointId, Timestamp>> {
        let recorded = recorded_endpoint::Entity::find().all(&self.read).await;
        let recorded = recorded.map_err(database("read recordings"))?;
        let recorded: BTreeSet<String> = recorded.into_iter().map(|row| row.endpoint).collect();
        let all: Vec<(String, i64)> = endpoint::Entity::find()
            .select_only()
            .columns([endpoint::Column::Id, endpoint::Column::Enrolled])
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("read endpoints"))?;
        let live = all.into_iter().filter(|(id, _)| !recorded.contains(id));
        live.map(|(id, enrolled)| {
            Ok((crate::from_text("endpoint", &id)?, Timestamp::from_nanos(enrolled)))
        })
        .collect()
    }

    /// Stores an answer; the time up to which older ones were forgotten for it.
    async fn store_reach(&self, question: &Question, answer: &Answer) -> Result<Option<Timestamp>> {
        use reach::Column;
        let mut again = OnConflict::columns([Column::Kind, Column::Value, Column::Since]);
        again.update_columns([
            Column::Fleet,
            Column::HadBefore,
            Column::HadDuring,
            Column::HasHistory,
            Column::Asked,
        ]);
        reach::Entity::insert(row(question, answer))
            .on_conflict(again)
            .exec_without_returning(&self.write)
            .await
            .map_err(database("store how common a value is"))?;
        let kept = reach::Entity::find().count(&self.read).await;
        if kept.map_err(database("count answers"))? > KEPT {
            let oldest = reach::Entity::find().order_by_desc(Column::Since).offset(KEPT);
            let oldest = oldest.one(&self.read).await.map_err(database("read old answers"))?;
            if let Some(oldest) = oldest {
                let old = reach::Entity::delete_many().filter(Column::Since.lte(oldest.since));
                old.exec(&self.write).await.map_err(database("forget old answers"))?;
                return Ok(Some(Timestamp::from_nanos(oldest.since)));
            }
        }
        Ok(None)
    }
}
