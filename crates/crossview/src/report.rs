//! What a look found, for people, for the sensor's state folder and as activities.

use std::sync::Arc;

use metsuke_event::activity::{Activity, Event};
use metsuke_event::entity::Discrepancy;
use metsuke_event::{BootId, Kind, Process, ProcessKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::compare::Difference;
use crate::view::{ProcessRef, SubjectType, View, ViewState};

/// Discrepancies told at most; a host with more is told how many there were.
pub(crate) const MAX_TOLD: usize = 1_000;

/// Passes in which every discrepancy was there.
const PASSES: u64 = 2;

/// How one way of looking fared, in the second pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewReport {
    /// Its name.
    pub name: String,
    /// What it looks at.
    pub of: SubjectType,
    /// Why it could not look; absent when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Subjects it showed.
    pub count: u64,
    /// Subjects beyond the bound, which were not compared.
    #[serde(default)]
    pub cut: u64,
}

impl ViewReport {
    pub(crate) fn of(view: &View) -> Self {
        let refused = match &view.state {
            ViewState::Works => None,
            ViewState::Refused(reason) => Some(reason.clone()),
        };
        let count = view.subjects.len() as u64;
        Self { name: view.name.to_owned(), of: view.of, refused, count, cut: view.cut }
    }
}

/// One thing that is hidden from somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What.
    pub of: SubjectType,
    /// Which one, for people.
    pub subject: String,
    /// Views that know it.
    pub seen_by: Vec<String>,
    /// Views that owe it and do not show it.
    pub missing_from: Vec<String>,
    /// How it is thought to be hidden.
    pub technique: String,
    /// More for people.
    pub detail: String,
    /// Passes in which it was there.
    pub passes: u64,
    /// The process it is or belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
}

impl From<Difference> for Found {
    fn from(difference: Difference) -> Self {
        let names = |views: &std::collections::BTreeSet<&'static str>| {
            views.iter().map(|view| (*view).to_owned()).collect()
        };
        Self {
            of: difference.of,
            subject: difference.subject.label,
            seen_by: names(&difference.seen_by),
            missing_from: names(&difference.missing_from),
            technique: difference.technique.to_owned(),
            detail: difference.detail,
            passes: PASSES,
            process: difference.subject.process,
        }
    }
}

impl Found {
    /// As the entity of an activity.
    pub fn entity(&self) -> Discrepancy {
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        Discrepancy {
            subject_type: text(self.of.name()),
            subject: text(&self.subject),
            seen_by: text(&self.seen_by.join(", ")),
            missing_from: text(&self.missing_from.join(", ")),
            technique: text(&self.technique),
            detail: text(&self.detail),
            passes: Some(self.passes),
        }
    }

    /// As an activity at `time`, of the process it belongs to; what belongs to none is the
    /// kernel's, which is called by the pid that no process has.
    pub fn event(&self, boot: BootId, time: Timestamp) -> Event {
        let uid = |pid, start_ticks| ProcessKey { boot, pid, start_ticks }.to_string().into();
        let process = self.process.as_ref().map_or_else(
            || Process {
                pid: Some(0),
                uid: Some(uid(0, 0)),
                name: Some("kernel".into()),
                missing: Some("kernel".into()),
                ..Process::default()
            },
            |process| Process {
                pid: Some(u64::from(process.pid)),
                name: (!process.name.is_empty()).then(|| process.name.as_str().into()),
                uid: process.start_ticks.map(|start_ticks| uid(process.pid, start_ticks)),
                ..Process::default()
            },
        );
        let mut event = Event::empty(Kind::Discrepancy);
        event.time = time;
        event.process = Arc::new(process);
        event.activity = Activity::Discrepancy(self.entity());
        event
    }
}

/// A look's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When the second pass ended.
    pub taken: Timestamp,
    /// `host`, or the control group.
    pub scope: String,
    /// How each view fared.
    pub views: Vec<ViewReport>,
    /// What is hidden, the same in both passes.
    pub discrepancies: Vec<Found>,
    /// Discrepancies beyond the bound, which are not listed.
    pub left_out: u64,
    /// Wall time of both passes and the pause, in milliseconds.
    pub duration_ms: u64,
    /// CPU time of the calling process for it, children excluded, in milliseconds.
    pub cpu_ms: u64,
}

impl Report {
    /// Views that could not look, as `name: reason`.
    pub fn lost_views(&self) -> Vec<String> {
        let refused = |view: &ViewReport| {
            view.refused.as_ref().map(|reason| format!("{}: {reason}", view.name))
        };
        self.views.iter().filter_map(refused).collect()
    }
}
