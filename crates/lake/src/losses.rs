//! Loss: what sensors say in their health events, and what the lake itself lost.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use metsuke_event::{Activity, Event, LossInterval};

use crate::error::LakeError;

mod book;
#[cfg(test)]
mod book_tests;

pub(crate) use book::LossBook;

/// The loss that `event` speaks of, if it does: a count above zero, or a true interval without a
/// count ("started" and "stopped" are moments, and no loss).
pub(crate) fn of_event(event: &Event) -> Option<LossInterval> {
    let Activity::Health(health) = &event.activity else { return None };
    let to = health.to.unwrap_or(event.time);
    let from = health.from.unwrap_or(to);
    if health.lost == Some(0) || (health.lost.is_none() && from == to) {
        return None;
    }
    // A clock set back in between turns the ends around.
    Some(LossInterval {
        endpoint: event.id.endpoint,
        from: from.min(to),
        to: from.max(to),
        part: health.part.as_deref().unwrap_or("sensor").to_owned(),
        reason: health.reason.as_deref().unwrap_or("unknown").to_owned(),
        lost: health.lost,
    })
}

/// The lake's own losses: one JSON object a line.
#[derive(Debug)]
pub(crate) struct LossLog {
    path: PathBuf,
}

impl LossLog {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { path: dir.join("losses.jsonl") }
    }

    /// Everything on record; lines that cannot be read are passed over.
    pub(crate) fn read(&self) -> Vec<LossInterval> {
        let Ok(text) = std::fs::read_to_string(&self.path) else { return Vec::new() };
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Adds what is not on record yet, durable on return; gives what was not.
    pub(crate) fn add(&self, losses: Vec<LossInterval>) -> Result<Vec<LossInterval>, LakeError> {
        let known = self.read();
        let mut new = losses;
        new.retain(|loss| !known.contains(loss));
        let mut lines = String::new();
        for loss in &new {
            tracing::error!(part = loss.part, reason = loss.reason, from = %loss.from, to = %loss.to, "events lost");
            if let Ok(line) = serde_json::to_string(loss) {
                lines.push_str(&line);
                lines.push('\n');
            }
        }
        if lines.is_empty() {
            return Ok(new);
        }
        let write = || {
            let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
            file.write_all(lines.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| LakeError::io("note a loss in", &self.path, source))?;
        Ok(new)
    }
}
