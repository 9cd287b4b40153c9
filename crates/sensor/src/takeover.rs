//! Taking over from a running sensor: this one watches already; what it sees is held until the
//! other has kept what came before the cut and let go.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context;
use metsuke_event::{Event, Tally};
use metsuke_guard::handover::{Cut, Takeover};
use metsuke_guard::since_boot_ns;

/// Activities held while the other lets go: some seconds of a very busy host.
const HELD_MAX: usize = 262_144;
/// How long is waited for activities at a time.
const BEAT: Duration = Duration::from_millis(50);

/// What the takeover gave.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Where this sensor's watch begins; `None` when the other ended without saying where.
    pub(crate) cut: Option<Cut>,
    /// What was seen meanwhile.
    pub(crate) held: Vec<Event>,
    /// What found no room.
    pub(crate) shed: Tally,
}

/// Asks the sensor with this state folder to let go, and waits until it has.
pub(crate) fn take(state: &Path, events: &Receiver<Vec<Event>>) -> anyhow::Result<Passed> {
    let takeover = Takeover::ask(state, since_boot_ns()).context(
        "no sensor runs with this state folder that could be taken over from; start without \
         --takeover",
    )?;
    let waiting = std::thread::Builder::new()
        .name("metsuke-takeover".to_owned())
        .spawn(move || takeover.wait())
        .context("the thread metsuke-takeover cannot be started")?;
    let mut passed = Passed::default();
    while !waiting.is_finished() {
        match events.recv_timeout(BEAT) {
            Ok(batch) if passed.held.len() + batch.len() <= HELD_MAX => passed.held.extend(batch),
            Ok(batch) => {
                for event in &batch {
                    passed.shed.count(&event.activity);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(BEAT),
        }
    }
    match waiting.join() {
        Ok(Ok(cut)) => passed.cut = Some(cut),
        Ok(Err(error)) => tracing::warn!(%error, "the other sensor let go without a cut"),
        Err(_) => anyhow::bail!("waiting for the other sensor broke down"),
    }
    Ok(passed)
}
