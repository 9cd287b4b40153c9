//! The small parent process of a sensor: starts it, listens to its beats, starts it again, and
//! brings in a new one without a gap when asked (SIGHUP).
//!
//! Invariants: it holds no privilege that it uses and reads nothing from outside but beats;
//! whatever it did to the sensor it tells the sensor, which tells the server.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use metsuke_event::Timestamp;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use crate::clock;
use crate::notify::Notifier;
use crate::sys::{self, End};
use crate::ward::Ward;
use crate::watchdog::{Act, Watchdog};
use crate::word::{Suspicion, Word};

/// How often the sensor is looked at, in milliseconds.
const TICK_MS: i32 = 500;
/// How long the sensor may take to stop, in milliseconds: its own deadlines, and a margin.
const STOP_MS: u64 = 40_000;
/// Names the process to go on with after this one has replaced its own program.
const ADOPT: &str = "METSUKE_ADOPT";
/// The exit code of a command that failed.
const FAILURE: u8 = 1;

/// What is guarded.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The sensor's program; read again at each start.
    pub program: PathBuf,
    /// Arguments of its `run`.
    pub run: Vec<OsString>,
    /// Arguments with which this program becomes its guard again.
    pub supervise: Vec<OsString>,
}

#[derive(Default)]
struct Flags {
    stop: Arc<AtomicBool>,
    renew: Arc<AtomicBool>,
    child: Arc<AtomicBool>,
}

struct Guard {
    charge: Charge,
    flags: Flags,
    dog: Watchdog,
    began: Instant,
    ward: Option<Ward>,
    incoming: Option<Ward>,
    restart_at: u64,
    /// Why there is none now, told to the next one.
    why: Option<Word>,
    /// Since when it stands still, for having been stopped.
    stopped: Option<Timestamp>,
    stopping: Option<u64>,
    notifier: Notifier,
}

/// Guards until told to stop (SIGTERM, SIGINT); gives the exit code.
///
/// # Errors
/// When signals cannot be received, or the sensor's program cannot be started at all.
pub fn supervise(charge: Charge) -> io::Result<u8> {
    let flags = Flags::default();
    signal_hook::flag::register(SIGTERM, Arc::clone(&flags.stop))?;
    signal_hook::flag::register(SIGINT, Arc::clone(&flags.stop))?;
    signal_hook::flag::register(SIGHUP, Arc::clone(&flags.renew))?;
    // Nothing is done with it but that it ends a wait.
    signal_hook::flag::register(SIGCHLD, Arc::clone(&flags.child))?;
    let adopted = std::env::var(ADOPT).ok().and_then(|text| Ward::adopt(&text));
    let ward = match adopted {
        Some(ward) => ward,
        None => Ward::start(&charge.program, &charge.run, &[])?,
    };
    let guard = Guard {
        charge,
        flags,
        dog: Watchdog::new(0),
        began: Instant::now(),
        ward: Some(ward),
        incoming: None,
        restart_at: 0,
        why: None,
        stopped: None,
        stopping: None,
        notifier: Notifier::from_environment(),
    };
    guard.run()
}

impl Guard {
    fn run(mut self) -> io::Result<u8> {
        loop {
            self.take_signals();
            self.listen();
            self.look_at_incoming();
            if let Some(code) = self.look_at_ward() {
                return Ok(code);
            }
            self.start_if_due();
            self.keep_alive();
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn take_signals(&mut self) {
        if self.flags.stop.swap(false, Ordering::AcqRel) && self.stopping.is_none() {
            self.stopping = Some(self.now_ms());
            self.notifier.stopping();
            for ward in self.ward.iter().chain(&self.incoming) {
                // It may have ended; then there is nothing to stop.
                let _ = ward.signal(libc::SIGTERM);
                let _ = ward.signal(libc::SIGCONT);
            }
        }
        let renew = self.flags.renew.swap(false, Ordering::AcqRel);
        if renew && self.stopping.is_none() && self.ward.is_some() && self.incoming.is_none() {
            match Ward::start(&self.charge.program, &self.charge.run, &["--takeover"]) {
                Ok(ward) => self.incoming = Some(ward),
                Err(error) => self.upgrade_failed(&error.to_string()),
            }
        }
    }

    /// What is started again: the program on disk, or, when somebody took it away, the one that this
    /// guard itself runs, which the kernel keeps as long as it does.
    fn program(&self) -> &Path {
        const OWN: &str = "/proc/self/exe";
        if self.charge.program.exists() {
            return &self.charge.program;
        }
        tracing::warn!(program = %self.charge.program.display(), "the sensor's program is gone; starting the guard's own");
        Path::new(OWN)
    }

    fn upgrade_failed(&mut self, why: &str) {
        tracing::error!(why, "the new sensor does not take over; the present one goes on");
        let now = clock::now();
        self.say(&Word {
            reason: "upgrade_failed".to_owned(),
            from: now,
            to: now,
            suspicion: Suspicion::None,
            detail: format!("the new sensor did not take over: {why}"),
        });
    }

    fn say(&mut self, word: &Word) {
        if let Some(ward) = &mut self.ward {
            ward.say(word);
        }
    }

    /// Waits for a beat, a signal, or the next look.
    fn listen(&mut self) {
        let wards: Vec<&Ward> = self.ward.iter().chain(&self.incoming).collect();
        let fds: Vec<_> = wards.iter().filter_map(|ward| ward.beats_fd()).collect();
        sys::wait_readable(&fds, TICK_MS);
        let now = self.now_ms();
        if let Some(incoming) = &mut self.incoming {
            incoming.take_beats();
        }
        if self.ward.as_mut().is_some_and(Ward::take_beats) {
            self.dog.beat(now);
            self.notifier.alive();
            if let Some(from) = self.stopped.take() {
                self.say(&Word {
                    reason: "stopped".to_owned(),
                    from,
                    to: clock::now(),
                    suspicion: Suspicion::Tampering,
                    detail: "somebody stopped the sensor by a signal; its guard had it go on"
                        .to_owned(),
                });
            }
        }
    }

    fn look_at_incoming(&mut self) {
        let Some(incoming) = &self.incoming else { return };
        if let Some(end) = incoming.ended() {
            self.incoming = None;
            self.upgrade_failed(&describe(end));
        }
    }

    /// The exit code when all is over.
    fn look_at_ward(&mut self) -> Option<u8> {
        let Some(ward) = &self.ward else {
            return self.stopping.map(|_| FAILURE);
        };
        let end = ward.ended()?;
        let last_beat = ward.last_beat();
        self.ward = None;
        if self.stopping.is_some() {
            return Some(match end {
                End::Code(code) => u8::try_from(code).unwrap_or(FAILURE),
                End::Signal(_) => FAILURE,
            });
        }
        let now = self.now_ms();
        if end == End::Code(0)
            && let Some(incoming) = self.incoming.take()
        {
            self.ward = Some(incoming);
            self.dog.started(now);
            self.renew_self();
            return None;
        }
        let wait = self.dog.failed(now);
        self.restart_at = now + wait;
        tracing::error!(wait_ms = wait, "the sensor {}; it is started again", describe(end));
        let by_us = self.why.is_some();
        self.why.get_or_insert_with(|| Word {
            reason: "restarted".to_owned(),
            from: last_beat,
            to: clock::now(),
            suspicion: if blameable(end) && !by_us {
                Suspicion::Tampering
            } else {
                Suspicion::None
            },
            detail: format!("the sensor {}; its guard started it again", describe(end)),
        });
        None
    }

    fn start_if_due(&mut self) {
        if self.ward.is_some() || self.stopping.is_some() || self.now_ms() < self.restart_at {
            return;
        }
        let now = self.now_ms();
        match Ward::start(self.program(), &self.charge.run, &[]) {
            Ok(ward) => {
                self.ward = Some(ward);
                self.dog.started(now);
                if let Some(word) = self.why.take() {
                    self.say(&Word { to: clock::now(), ..word });
                }
            }
            Err(error) => {
                self.restart_at = now + self.dog.failed(now);
                tracing::error!(%error, "the sensor cannot be started; its program may be gone");
            }
        }
    }

    /// Continues what was stopped, ends what is stuck.
    fn keep_alive(&mut self) {
        let now = self.now_ms();
        let Some(ward) = &self.ward else { return };
        if self.stopping.is_some_and(|since| now.saturating_sub(since) >= STOP_MS) {
            let _ = ward.signal(libc::SIGKILL);
            return;
        }
        match self.dog.look(now, ward.condition()) {
            Act::Wait => {}
            Act::Continue => {
                self.stopped.get_or_insert(ward.last_beat());
                // It may have ended meanwhile.
                let _ = ward.signal(libc::SIGCONT);
            }
            Act::Kill { silent_ms } => {
                let traced = ward.condition() == crate::watchdog::Condition::Traced;
                let word = Word {
                    reason: "stalled".to_owned(),
                    from: ward.last_beat(),
                    to: clock::now(),
                    suspicion: if traced { Suspicion::Tampering } else { Suspicion::None },
                    detail: format!(
                        "the sensor gave no sign of life for {silent_ms} ms{}; its guard ended it \
                         and started it again",
                        if traced { ", held by a debugger" } else { "" }
                    ),
                };
                tracing::error!("{}", word.detail);
                self.why = Some(word);
                let _ = ward.signal(libc::SIGKILL);
            }
        }
    }

    /// Becomes the program that is on disk now, and goes on with the same sensor.
    fn renew_self(&mut self) {
        let Some(adopt) = self.ward.as_ref().and_then(Ward::hand_over) else { return };
        let error = Command::new(&self.charge.program)
            .args(&self.charge.supervise)
            .env(ADOPT, adopt)
            .exec();
        tracing::warn!(%error, "the guard goes on as it is; only the sensor is new");
    }
}

/// Deadly signals that a fault of one's own does not bring.
fn blameable(end: End) -> bool {
    matches!(end, End::Signal(libc::SIGKILL | libc::SIGTERM | libc::SIGINT | libc::SIGQUIT))
        || end == End::Code(0)
}

fn describe(end: End) -> String {
    match end {
        End::Code(0) => "ended although its guard had not asked for it".to_owned(),
        End::Code(code) => format!("failed with exit code {code}"),
        End::Signal(signal) => format!("was ended by signal {signal}"),
    }
}
