//! Ending one process, or everything of a storyline.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use metsuke_event::{BootId, ProcessKey};
use metsuke_respond::outcome::{Ended, Spared};

use crate::host::{self, Seen};
use crate::pidfd::{Pidfd, Signal};
use crate::scope::EnforceScope;

/// How long a killed process may take to be gone; longer means it hangs in the kernel.
const GONE_LIMIT: Duration = Duration::from_secs(5);
/// How long held processes may take to stand still, per round.
const STILL_LIMIT: Duration = Duration::from_millis(250);
/// How often that is looked at.
const STILL_LOOK: Duration = Duration::from_millis(1);
/// Most processes one storyline may have; a fork bomb is stopped and killed up to here per plan.
const MEMBERS_MAX: usize = 4_096;
/// Most processes opened at a time, well below the usual limit of open files.
const OPEN_MAX: usize = 256;
/// Rounds of looking for children that were born while their parents were being held. Held
/// processes have none, so this ends by itself; the bound is for what refuses to be held.
const ROUNDS_MAX: usize = 32;

/// Why a process was left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TerminateError {
    /// From another boot.
    #[error("the process belongs to an earlier boot of this host; it ended with it")]
    OtherBoot,
    /// Ended.
    #[error("the process has ended by itself")]
    Gone,
    /// The pid is another process's now.
    #[error(
        "pid {pid} belongs to another process now (started at tick {found}, not {expected}); nothing was done"
    )]
    Reused {
        /// The pid.
        pid: u32,
        /// The start the plan names.
        expected: u64,
        /// The start found.
        found: u64,
    },
    /// Outside the scope.
    #[error("the process is in control group `{cgroup}`, outside this sensor's scope `{scope}`")]
    OutsideScope {
        /// Where it is.
        cgroup: String,
        /// Where the sensor may act.
        scope: String,
    },
    /// Never to be ended.
    #[error("{0} is never ended by a sensor")]
    Protected(&'static str),
    /// The kernel said no.
    #[error("the kernel refused: {0}; the sensor needs CAP_KILL")]
    Kernel(String),
    /// Killed, but still there.
    #[error("it was sent SIGKILL but still hangs in the kernel after {0} s")]
    Hangs(u64),
    /// Too many.
    #[error(
        "the storyline has more than {MEMBERS_MAX} processes; the rest was left alone: send the plan again"
    )]
    TooMany,
}

/// What a storyline's end came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Ended, with evidence.
    pub ended: Vec<Ended>,
    /// Left alone, with reasons; those that had ended by themselves are not among them.
    pub spared: Vec<Spared>,
}

/// Ends processes within one scope, in one boot.
#[derive(Clone, Debug)]
pub struct Terminator {
    scope: EnforceScope,
    boot: BootId,
}

impl Terminator {
    /// For `scope`, in the running `boot`.
    pub const fn new(scope: EnforceScope, boot: BootId) -> Self {
        Self { scope, boot }
    }

    /// The scope.
    pub const fn scope(&self) -> &EnforceScope {
        &self.scope
    }

    /// Whether `target` may be ended, without doing anything.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, target: ProcessKey) -> Result<(), TerminateError> {
        self.held(target).map(drop)
    }

    /// Ends one process and waits until it is gone.
    ///
    /// # Errors
    /// Why it was left alone, or that it hangs.
    pub fn terminate(&self, target: ProcessKey) -> Result<Ended, TerminateError> {
        let (handle, evidence) = self.held(target)?;
        send(&handle, Signal::Kill)?;
        match handle.wait(GONE_LIMIT) {
            Ok(true) => Ok(evidence),
            Ok(false) => Err(TerminateError::Hangs(GONE_LIMIT.as_secs())),
            Err(error) => Err(TerminateError::Kernel(error.to_string())),
        }
    }

    /// Holds everything of a storyline still, and returns who that is: `members` names what is
    /// known of it (asked again each round, for more may be known by then), their descendants are
    /// found in `/proc`. When this returns, none of them can start another process.
    ///
    /// `note` is given everyone held so far and everyone about to be held, before the first of
    /// them is: who keeps that on disk can let them go on after a crash.
    ///
    /// Follow with [`Terminator::sweep`], or [`Terminator::release`] when that must not happen.
    ///
    /// # Errors
    /// What `note` said; then nobody is held any more.
    pub fn hold<E>(
        &self,
        members: &dyn Fn() -> Vec<ProcessKey>,
        note: &mut dyn FnMut(&[ProcessKey]) -> Result<(), E>,
    ) -> Result<Held, E> {
        let mut held = Held::default();
        for _ in 0..ROUNDS_MAX {
            let mut found = members();
            found.extend(self.children(&held));
            found.retain(|key| held.known.insert(*key));
            if found.is_empty() {
                break;
            }
            let before = held.members.len();
            let opened = self.open(&mut held, found);
            let meant = opened.iter().map(|(_, evidence)| evidence.process);
            let noted: Vec<ProcessKey> = held.members.iter().copied().chain(meant).collect();
            if let Err(error) = note(&noted) {
                self.release(&held.members);
                return Err(error);
            }
            for (handle, evidence) in opened {
                match send(&handle, Signal::Stop) {
                    Ok(()) => {
                        held.members.push(evidence.process);
                        held.evidence.push(evidence);
                    }
                    Err(error) => held.refused.push((evidence.process, error)),
                }
            }
            stand_still(&held.members[before..]);
        }
        Ok(held)
    }

    /// Opens those of `found` that may be ended, as far as there is room; the others are refused.
    fn open(&self, held: &mut Held, found: Vec<ProcessKey>) -> Vec<(Pidfd, Ended)> {
        let room = MEMBERS_MAX.saturating_sub(held.members.len()).min(OPEN_MAX);
        let mut opened = Vec::new();
        for key in found {
            if opened.len() >= room {
                if held.members.len() + opened.len() >= MEMBERS_MAX {
                    held.refused.push((key, TerminateError::TooMany));
                } else {
                    // Its turn comes in the next round.
                    held.known.remove(&key);
                }
                continue;
            }
            match self.held(key) {
                Ok(one) => opened.push(one),
                Err(error) => held.refused.push((key, error)),
            }
        }
        opened
    }

    /// Ends what is held, last found first: a parent that dies before its stopped children would
    /// make the kernel hang up on them and let them go on (orphaned process groups, POSIX
    /// `exit(3)`).
    pub fn sweep(&self, held: &Held) -> Swept {
        let mut swept = Swept::default();
        for (key, evidence) in held.members.iter().zip(&held.evidence).rev() {
            match self.terminate(*key) {
                // It could not end by itself while it was held.
                Ok(_) | Err(TerminateError::Gone) => swept.ended.push(evidence.clone()),
                Err(error) => swept.spare(*key, &error),
            }
        }
        swept.ended.reverse();
        for (key, error) in &held.refused {
            swept.spare(*key, error);
        }
        swept
    }

    /// Lets processes that were held go on.
    pub fn release(&self, members: &[ProcessKey]) {
        for key in members {
            if let Ok((handle, _)) = self.held(*key) {
                // It may have ended meanwhile.
                let _ = send(&handle, Signal::Continue);
            }
        }
    }

    /// Living children of held members.
    fn children(&self, held: &Held) -> Vec<ProcessKey> {
        let parents: Vec<u32> = held.members.iter().map(|key| key.pid).collect();
        host::all()
            .into_iter()
            .filter(|seen| parents.contains(&seen.parent) && !seen.is_dead())
            .map(|seen| seen.key(self.boot))
            .collect()
    }

    /// Opens the process and checks that it is the one meant, and may be ended. The order matters:
    /// the handle first, then the checks.
    fn held(&self, target: ProcessKey) -> Result<(Pidfd, Ended), TerminateError> {
        if target.pid == std::process::id() {
            return Err(TerminateError::Protected("the sensor itself"));
        }
        if target.pid <= 1 {
            return Err(TerminateError::Protected("process 1"));
        }
        if target.boot != self.boot {
            return Err(TerminateError::OtherBoot);
        }
        let handle = Pidfd::open(target.pid).map_err(|error| kernel(&error))?;
        let seen = Seen::look(target.pid).ok_or(TerminateError::Gone)?;
        if seen.start_ticks != target.start_ticks {
            return Err(TerminateError::Reused {
                pid: target.pid,
                expected: target.start_ticks,
                found: seen.start_ticks,
            });
        }
        if seen.is_dead() {
            return Err(TerminateError::Gone);
        }
        if seen.is_kernel() {
            return Err(TerminateError::Protected("a kernel thread"));
        }
        let cgroup = host::cgroup(target.pid);
        if !self.scope.contains(cgroup.as_deref()) {
            return Err(TerminateError::OutsideScope {
                cgroup: cgroup.unwrap_or_default(),
                scope: self.scope.to_string(),
            });
        }
        let evidence = Ended {
            process: target,
            exe: host::exe(target.pid),
            cmd_line: host::cmd_line(target.pid),
            cgroup: cgroup.unwrap_or_default(),
        };
        Ok((handle, evidence))
    }
}

/// Processes that hold still.
#[derive(Clone, Debug, Default)]
pub struct Held {
    members: Vec<ProcessKey>,
    /// Of each member, in the same order.
    evidence: Vec<Ended>,
    refused: Vec<(ProcessKey, TerminateError)>,
    known: HashSet<ProcessKey>,
}

impl Held {
    /// Who.
    pub fn members(&self) -> &[ProcessKey] {
        &self.members
    }
}

impl Swept {
    fn spare(&mut self, process: ProcessKey, error: &TerminateError) {
        if *error != TerminateError::Gone {
            self.spared.push(Spared { process, reason: error.to_string() });
        }
    }
}

/// A signal takes effect when its process is next scheduled; until then it can still fork. Waits
/// for that, at most [`STILL_LIMIT`]: one that hangs in the kernel does not fork either.
fn stand_still(members: &[ProcessKey]) {
    let moves = |key: &ProcessKey| {
        Seen::look(key.pid).is_some_and(|seen| {
            seen.start_ticks == key.start_ticks && !seen.is_dead() && seen.state != 'T'
        })
    };
    let end = Instant::now() + STILL_LIMIT;
    while Instant::now() < end && members.iter().any(moves) {
        std::thread::sleep(STILL_LOOK);
    }
}

fn send(handle: &Pidfd, signal: Signal) -> Result<(), TerminateError> {
    handle.send(signal).map_err(|error| kernel(&error))
}

fn kernel(error: &std::io::Error) -> TerminateError {
    match error.raw_os_error() {
        Some(libc::ESRCH) => TerminateError::Gone,
        _ => TerminateError::Kernel(error.to_string()),
    }
}
