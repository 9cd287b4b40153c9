//! The thread that looks after the sensor itself: beats for the guard, hears what the guard, the
//! kernel and a successor have to say, and notices what was done to the sensor.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use metsuke_guard::Leash;
use metsuke_guard::handover::Ear;
use metsuke_guard::protected::{Protected, Touch};
use metsuke_guard::senders::Senders;
use metsuke_guard::stall::{self, Stall};
use metsuke_guard::watch::Watch;
use metsuke_guard::word::{Suspicion, Word};

use crate::delegate::Shared;
use crate::grounds::Grounds;
use crate::health::Note;
use crate::pulse::Physician;
use crate::{facts, install_cmd, own};

/// Looks at what changes rarely are this many paces apart.
const RARELY: u32 = 10;

/// What it looks with.
pub(crate) struct Sentry {
    shared: Arc<Shared>,
    protected: Arc<Protected>,
    leash: Option<Leash>,
    senders: Option<Senders>,
    watch: Option<Watch>,
    ear: Option<Ear>,
    grounds: Grounds,
    physician: Physician,
    paces: u32,
}

/// What of the sensor's own is protected.
pub(crate) fn protected(state: &Path, config: Option<PathBuf>, guard: Option<u32>) -> Protected {
    const UNITS: [&str; 3] =
        ["/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"];
    let unit = "metsuke-sensor.service".to_owned();
    let mut files: Vec<PathBuf> = own::program().into_iter().collect();
    files.extend(files.first().and_then(|sensor| install_cmd::scanner_beside(sensor)));
    files.extend(config.and_then(|path| std::path::absolute(path).ok()));
    files.extend(
        UNITS.iter().map(|folder| PathBuf::from(folder).join(&unit)).filter(|f| f.exists()),
    );
    let mut pids = vec![std::process::id()];
    pids.extend(guard);
    let folders = std::path::absolute(state).ok().and_then(|path| path.canonicalize().ok());
    Protected { pids, files, folders: folders.into_iter().collect(), unit }
}

impl Sentry {
    pub(crate) fn new(
        shared: Arc<Shared>,
        protected: Arc<Protected>,
        leash: Option<Leash>,
        senders: Option<Senders>,
    ) -> Self {
        let watch = match Watch::open(Protected::clone(&protected)) {
            Ok((watch, refused)) => {
                for refused in refused {
                    tracing::debug!(refused, "a folder of the sensor's own is not watched");
                }
                Some(watch)
            }
            Err(error) => {
                tracing::warn!(%error, "who touches the sensor's files is told by the probe alone");
                None
            }
        };
        let ear = Ear::open(&shared.setup.state)
            .inspect_err(|error| tracing::warn!(%error, "no other sensor can take over from this"))
            .ok();
        let grounds = Grounds::now(&shared.setup.state);
        let physician = Physician::new();
        Self { shared, protected, leash, senders, watch, ear, grounds, physician, paces: 0 }
    }

    /// Looks until `stop` is set.
    pub(crate) fn run(mut self, stop: &AtomicBool) {
        let began = Instant::now();
        let now_ms = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut stall = Stall::new(now_ms(), stall::waited_ns());
        while !stop.load(Ordering::Acquire) {
            self.pause();
            if let Some(stalled) = stall.look(now_ms(), stall::waited_ns()) {
                self.stalled(stalled);
            }
            self.look();
        }
        self.look();
    }

    fn pause(&self) {
        match &self.watch {
            Some(watch) => watch.wait(i32::try_from(stall::PACE_MS).unwrap_or(i32::MAX)),
            None => std::thread::sleep(std::time::Duration::from_millis(stall::PACE_MS)),
        }
    }

    fn look(&mut self) {
        self.mind_the_guard();
        self.mind_signals();
        if !self.shared.care.is_leaving() {
            self.mind_files();
        }
        if let Some(successor) = self.ear.as_ref().and_then(Ear::hear) {
            tracing::info!("another sensor watches already; this one keeps what it has and leaves");
            self.shared.care.succeed(successor);
        }
        self.paces += 1;
        if self.paces.is_multiple_of(RARELY) {
            for touch in self.grounds.look(&self.shared.setup.state) {
                self.tell(touch, None);
            }
        }
    }

    fn tell(&self, touch: Touch, actor: Option<u32>) {
        let actor = actor.map_or_else(own::nobody, |pid| Arc::new(own::actor(pid)));
        self.shared.care.tell(own::tampered(touch, facts::now(), actor));
    }

    fn mind_the_guard(&mut self) {
        let Some(leash) = &mut self.leash else { return };
        if self.physician.is_well(&self.shared.care.pulse, Instant::now()) {
            leash.beat();
        }
        let heard = leash.listen();
        for word in heard.words {
            self.hear(word);
        }
        let touch =
            |reason, detail: &str| Touch { object: "process", reason, detail: detail.to_owned() };
        if heard.guard_ended {
            let what = "the sensor's guard ended; the sensor goes on without one";
            self.tell(touch("guard_ended", what), None);
            let trouble = format!("{what}: restart the service");
            self.shared.trouble("guard", Some(trouble));
        }
        if heard.guard_stopped {
            let what = "somebody stopped the sensor's guard by a signal; the sensor had it go on";
            self.tell(touch("guard_stopped", what), None);
        }
    }

    fn hear(&self, word: Word) {
        let reason = match word.reason.as_str() {
            "stopped" => "stopped",
            "stalled" => "stalled",
            "restarted" => "restarted",
            "upgrade_failed" => "upgrade_failed",
            _ => "guard",
        };
        if word.suspicion == Suspicion::Tampering {
            let detail = word.detail.clone();
            self.tell(Touch { object: "process", reason, detail }, None);
        }
        let Word { from, to, detail, .. } = word;
        self.shared.note(Note { part: "guard", reason, lost: None, from, to, detail });
    }

    fn stalled(&self, stalled: stall::Stalled) {
        let to = facts::now();
        let ms = i64::try_from(stalled.ms).unwrap_or(i64::MAX);
        let from = to.plus_nanos(ms.saturating_mul(-1_000_000));
        let detail = match stalled.cause {
            stall::Cause::Starved => "others took the CPU from the sensor",
            stall::Cause::Held => {
                "the sensor was stopped, frozen, held by a debugger or out of its group's CPU quota"
            }
        };
        let detail = format!("{detail} for {} ms", stalled.ms);
        let reason = stalled.cause.name();
        self.shared.note(Note {
            part: "sensor",
            reason,
            lost: None,
            from,
            to,
            detail: detail.clone(),
        });
        if stalled.cause == stall::Cause::Held {
            self.tell(Touch { object: "process", reason, detail }, None);
        }
    }

    /// Signals that can be caught, from others than the guard, the parent and process 1.
    fn mind_signals(&mut self) {
        let Some(senders) = &mut self.senders else { return };
        for signalled in senders.since() {
            let Some(sender) = signalled.sender else { continue };
            let own_parent = std::os::unix::process::parent_id();
            if sender == 1 || sender == own_parent || self.protected.is_own(u64::from(sender)) {
                continue;
            }
            let detail = format!("signal {} was sent to the sensor", signalled.signal);
            self.tell(Touch { object: "process", reason: "signal", detail }, Some(sender));
        }
    }

    fn mind_files(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        let round = watch.round();
        for touched in round.touched {
            let detail = touched.path.display().to_string();
            self.tell(Touch { object: "file", reason: touched.reason, detail }, Some(touched.pid));
        }
        if round.overflowed {
            let now = facts::now();
            let detail = "more touches of the sensor's files than its watch holds".to_owned();
            let (part, reason) = ("sensor", "queue_full");
            self.shared.note(Note { part, reason, lost: None, from: now, to: now, detail });
        }
    }
}
