//! How much of what happens an exception meets that names no detection: one that meets nearly everything
//! blinds nearly everything.

use std::sync::Arc;

use metsuke_catalog::ExceptionRecord;
use metsuke_catalog::clock::now;
use metsuke_detect::Engine;
use metsuke_event::{Event, Kind, Process};

use super::Trials;
use crate::library::ChangeError;

const HOUR_NANOS: i64 = 3_600 * 1_000_000_000;
/// From how many hours of the last week activities are taken, and how many of each.
const SAMPLED_HOURS: i64 = 8;
const SAMPLED_OF_HOUR: usize = 500;
const WEEK_HOURS: i64 = 7 * 24;
/// Fewer than these say too little: then made-up activities, of which none is like another, do.
const FEWEST: u64 = 100;
/// From this share on, one in so many, an exception is broad.
const ONE_IN: u64 = 4;

/// How many of some activities meet an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breadth {
    /// Those that meet it.
    pub met: u64,
    /// All that were looked at.
    pub of: u64,
    /// Whether these were made up, for want of history.
    pub made_up: bool,
}

impl Breadth {
    /// Whether it meets so much that it must be meant.
    pub const fn is_broad(&self) -> bool {
        self.of > 0 && self.met * ONE_IN >= self.of
    }

    /// The share that meets it, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn share(&self) -> f64 {
        self.met as f64 / self.of.max(1) as f64
    }
}

impl Trials {
    /// How much of what happens, wherever it does, meets the condition of `record`; `None` when it names
    /// the detections it is about, or does not compile.
    ///
    /// # Errors
    /// When history cannot be read.
    pub async fn breadth(&self, record: &ExceptionRecord) -> Result<Option<Breadth>, ChangeError> {
        let force = self.library.in_force();
        let filter = force.rules.filters().next();
        let (true, Some(filter)) = (record.detections.is_empty(), filter) else { return Ok(None) };
        let everywhere =
            ExceptionRecord { groups: Vec::new(), endpoints: Vec::new(), ..record.clone() };
        let one = std::slice::from_ref(&everywhere);
        let (overlay, refused) =
            crate::library::overlay((&[], one), &force.groups, force.weights());
        if !refused.is_empty() {
            return Ok(None);
        }
        let mut engine = Engine::new(Arc::clone(&force.rules));
        engine.lay(overlay);
        let mut breadth = Breadth { met: 0, of: 0, made_up: false };
        let mut look = |breadth: &mut Breadth, event: &Event| {
            breadth.of += 1;
            let meets = engine.exception_for(event, &filter.detection.id).is_some();
            breadth.met += u64::from(meets);
        };
        let begin = now().plus_nanos(-WEEK_HOURS * HOUR_NANOS);
        for part in 0..SAMPLED_HOURS {
            // The last hour is the one before now.
            let hours = (part + 1) * WEEK_HOURS / SAMPLED_HOURS - 1;
            let from = begin.plus_nanos(hours * HOUR_NANOS);
            let page = self.history.page((from, from.plus_nanos(HOUR_NANOS)), None).await;
            let page = page.map_err(ChangeError::Invalid)?;
            for event in page.events.iter().take(SAMPLED_OF_HOUR) {
                look(&mut breadth, event);
            }
        }
        if breadth.of < FEWEST {
            breadth = Breadth { met: 0, of: 0, made_up: true };
            for event in made_up() {
                look(&mut breadth, &event);
            }
        }
        Ok(Some(breadth))
    }
}

/// Starts of processes of which none is like another.
fn made_up() -> impl Iterator<Item = Event> {
    let names = ["/usr/bin/vim", "/opt/app/server", "/bin/ls", "/usr/sbin/sshd", "/home/u/run.py"];
    let users = ["root", "www-data", "ann", "postgres", "nobody"];
    names.into_iter().zip(users).zip(1_u64..).map(|((exe, user), number)| {
        let mut event = Event::empty(Kind::ProcessExec);
        (event.id.seq, event.time) = (number, now());
        event.process = Arc::new(Process {
            uid: Some(format!("made-up-{number}").into()),
            pid: Some(number * 977),
            exe: Some(exe.into()),
            name: exe.rsplit('/').next().map(Into::into),
            cmd_line: Some(
                format!("{exe} {}", "-x".repeat(usize::try_from(number).unwrap_or(1))).into(),
            ),
            user_name: Some(user.into()),
            ..Process::default()
        });
        event
    })
}
