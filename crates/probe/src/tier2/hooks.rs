//! The attached programs: whether they still are, and what they cost.
//!
//! A hook that runs for more than its share of the cores is taken away, which is told with its name, and
//! attached again later; one of [`ALWAYS`] is only told. A hook that somebody took away is attached again at once, which is told too.
//!
//! The kernel counts run time only while somebody asks it to (`BPF_ENABLE_STATS`, Linux 5.8), for all
//! programs of the host, and that costs each run some tens of nanoseconds: so it is asked for a short
//! while at a time. Invariant: a hook is judged by [`STRIKES`] such whiles in a row, never by one.

use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libbpf_rs::{Link, Object};
use metsuke_event::Timestamp;

use super::load::attach_one;
use crate::config::HookBudget;
use crate::host;

/// How long run times are counted at a time, in nanoseconds.
const WINDOW_NANOS: u64 = 250_000_000;
/// Windows in a row over the budget until a hook is taken away: a burst is no misbehaviour.
const STRIKES: u32 = 3;

/// Hooks that stay whatever they cost: any program can keep them busy, and would then be unseen.
const ALWAYS: [&str; 4] = ["on_fork", "on_exec", "on_exit", "on_system_call"];

/// One program.
#[derive(Debug)]
struct Hook {
    /// Which of the objects holds it.
    object: usize,
    name: String,
    /// `None` while it is taken away.
    link: Option<Link>,
    /// The kernel's number of the program; 0 where it does not tell, and then its link is trusted.
    program: u32,
    /// Why it is, while it is; and why it could not be attached again, the last time that was tried.
    why: String,
    refused: Option<String>,
    strikes: u32,
    /// Run time and runs when the window began.
    began: Option<Cost>,
    /// When it is tried again, in nanoseconds since boot.
    again: u64,
    /// When it was last known to be attached: what came later may be unseen.
    attached: Timestamp,
}

/// What a program has used since it was loaded, as far as it was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    nanos: u64,
    runs: u64,
}

/// Every program that is to be attached.
#[derive(Debug)]
pub(super) struct Hooks {
    all: Vec<Hook>,
    /// Held while run times are counted, with the time since when.
    counting: Option<(OwnedFd, u64)>,
    next_window: u64,
    next_look: u64,
    budget: HookBudget,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// `hook_off`, `hook_on`, `hook_detached`, `hook_failed`, `hook_over_budget`; `names_changed`,
    /// `table_lost`.
    pub(super) reason: &'static str,
    pub(super) detail: String,
    /// Since when the hook has seen nothing; as `at` when it misses nothing until now.
    pub(super) from: Timestamp,
    pub(super) at: Timestamp,
    /// What somebody else has touched: `bpf_link` or `bpf_map`; `None` when nobody has.
    pub(super) tampered: Option<&'static str>,
}

fn word(reason: &'static str, detail: String) -> Word {
    let now = host::now();
    Word {
        reason,
        detail,
        from: now,
        at: now,
        tampered: (reason == "hook_detached").then_some("bpf_link"),
    }
}

impl Hooks {
    pub(super) fn new(budget: HookBudget) -> Self {
        let now = host::since_boot();
        let every = nanos(budget.every);
        Self { all: Vec::new(), counting: None, next_window: now + every, next_look: now, budget }
    }

    /// One more program, attached.
    pub(super) fn add(&mut self, object: usize, name: &str, link: Link) {
        self.all.push(Hook {
            object,
            name: name.to_owned(),
            program: program_of(link.as_fd()).unwrap_or(0),
            link: Some(link),
            why: String::new(),
            refused: None,
            strikes: 0,
            began: None,
            again: 0,
            attached: host::now(),
        });
    }

    /// Takes every hook away.
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.counting = None;
    }

    /// Looks whether everything is as it should be; what was done about it is to be told.
    pub(super) fn look(&mut self, objects: &[Object], now: u64) -> Vec<Word> {
        let mut words = Vec::new();
        if now >= self.next_look {
            self.next_look = now + nanos(self.budget.look);
            for hook in &mut self.all {
                words.extend(hook.mend(objects, now, &self.budget));
            }
        }
        // Not only with a look: a window is shorter than the time between two.
        self.count(objects, now, &mut words);
        words
    }

    /// What is not attached now, each hook by its name, and why.
    pub(super) fn off(&self) -> Vec<String> {
        let off = self.all.iter().filter(|hook| hook.link.is_none());
        off.map(Hook::cause).collect()
    }

    fn count(&mut self, objects: &[Object], now: u64, words: &mut Vec<Word>) {
        match &self.counting {
            Some((_, since)) if now - since >= WINDOW_NANOS => {
                let length = now - since;
                for hook in &mut self.all {
                    words.extend(hook.judge(objects, (now, length), &self.budget));
                }
                self.counting = None;
                self.next_window = now + nanos(self.budget.every);
            }
            None if now >= self.next_window => match enable_stats() {
                Ok(counting) => {
                    for hook in &mut self.all {
                        hook.began = program(objects, hook).and_then(cost);
                    }
                    self.counting = Some((counting, now));
                }
                // Linux before 5.8, or a right that is missing: nothing is judged.
                Err(error) => {
                    tracing::debug!(%error, "the kernel does not count what hooks cost");
                    self.next_window = u64::MAX;
                }
            },
            _ => {}
        }
    }
}

impl Hook {
    /// Attaches what is not attached and should be.
    fn mend(&mut self, objects: &[Object], now: u64, budget: &HookBudget) -> Option<Word> {
        let was_off = match &self.link {
            Some(link) if self.program == 0 || program_of(link.as_fd()) == Some(self.program) => {
                self.attached = host::now();
                return None;
            }
            Some(_) => false,
            None if now < self.again => return None,
            None => true,
        };
        let (name, from) = (self.name.clone(), self.attached);
        let word = match attach_one(objects.get(self.object)?, &name) {
            Ok(link) => {
                // The old one's descriptor may be another file's by now: it is not closed.
                std::mem::forget(self.link.replace(link));
                self.attached = host::now();
                self.refused = None;
                if was_off {
                    word("hook_on", format!("{name} is attached again"))
                } else {
                    let detail = format!("somebody took {name} away; it is attached again");
                    word("hook_detached", detail)
                }
            }
            Err(error) => self.refuse(error, now + nanos(budget.again)),
        };
        Some(Word { from, ..word })
    }

    /// It could not be attached: it is tried `again`. Why it is off stays what it was.
    fn refuse(&mut self, error: String, again: u64) -> Word {
        let was_off = self.link.is_none();
        if !was_off {
            self.why = "somebody took it away".into();
        }
        self.again = again;
        std::mem::forget(self.link.take());
        let name = &self.name;
        let detail = format!("{name} is not attached and cannot be: {error}; tried again");
        self.refused = Some(error);
        word(if was_off { "hook_failed" } else { "hook_detached" }, detail)
    }

    /// Its name, and why it is off.
    fn cause(&self) -> String {
        let refused = self.refused.as_ref();
        let refused = refused.map(|error| format!(", and it cannot be attached: {error}"));
        format!("{} is off: {}{}", self.name, self.why, refused.unwrap_or_default())
    }

    /// Takes it away when it was over its budget for long, or only tells that.
    fn judge(
        &mut self,
        objects: &[Object],
        (now, length): (u64, u64),
        budget: &HookBudget,
    ) -> Option<Word> {
        let (began, ended) = (self.began.take()?, program(objects, self).and_then(cost)?);
        let nanos_used = ended.nanos.saturating_sub(began.nanos);
        let runs = ended.runs.saturating_sub(began.runs);
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let all = length.max(1).saturating_mul(cores);
        let permille = nanos_used.saturating_mul(1_000) / all;
        let is_over = nanos_used > 0 && permille >= u64::from(budget.permille);
        self.strikes = if is_over { self.strikes + 1 } else { 0 };
        if self.strikes < STRIKES || self.link.is_none() {
            return None;
        }
        self.strikes = 0;
        let each = nanos_used / runs.max(1);
        let cost = format!(
            "{} took {permille} thousandths of all cores ({runs} runs of {each} ns in {} ms), its \
             budget is {}",
            self.name,
            length / 1_000_000,
            budget.permille,
        );
        if ALWAYS.contains(&self.name.as_str()) {
            return Some(word(
                "hook_over_budget",
                format!("{cost}: it stays, for nothing replaces it"),
            ));
        }
        (self.link, self.again) = (None, now + nanos(budget.again));
        self.why = format!(
            "it took {permille} thousandths of all cores, and its budget is {}",
            budget.permille
        );
        let off = word(
            "hook_off",
            format!(
                "{cost}: it is taken away for {} s, and what it sees is not seen",
                budget.again.as_secs()
            ),
        );
        self.attached = off.at;
        Some(off)
    }
}

pub(super) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn program<'a>(objects: &'a [Object], hook: &Hook) -> Option<libbpf_rs::Program<'a>> {
    objects.get(hook.object)?.progs().find(|program| program.name() == hook.name.as_str())
}

/// Has the kernel count run times until the descriptor is closed.
fn enable_stats() -> std::io::Result<OwnedFd> {
    // SAFETY: a system call with an integer; the result is checked before use.
    let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
    if fd < 0 {
        return Err(std::io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What a program has used.
#[expect(clippy::needless_pass_by_value, reason = "a program is a reference already")]
fn cost(program: libbpf_rs::Program<'_>) -> Option<Cost> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut length = u32::try_from(size_of::<libbpf_sys::bpf_prog_info>()).ok()?;
    let fd = program.as_fd().as_raw_fd();
    // SAFETY: `info` has the length that is given and outlives the call; without buffers in it the
    // kernel writes nothing else.
    let result = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(fd, &raw mut info, &raw mut length) };
    (result == 0).then_some(Cost { nanos: info.run_time_ns, runs: info.run_cnt })
}

/// The program of a link, by the kernel's number; `None` when the descriptor is none of a link.
fn program_of(link: BorrowedFd<'_>) -> Option<u32> {
    let mut info = libbpf_sys::bpf_link_info::default();
    let mut length = u32::try_from(size_of::<libbpf_sys::bpf_link_info>()).ok()?;
    let fd = link.as_raw_fd();
    // SAFETY: as in `cost`.
    let result = unsafe { libbpf_sys::bpf_link_get_info_by_fd(fd, &raw mut info, &raw mut length) };
    (result == 0).then_some(info.prog_id)
}

#[cfg(test)]
mod tests {
    use super::Hook;
    use crate::host;

    #[test]
    fn a_hook_that_cannot_be_attached_again_still_says_why_it_went() {
        let mut hook = Hook {
            object: 0,
            name: "on_rename".to_owned(),
            link: None,
            program: 0,
            why: "it took 90 thousandths of all cores".to_owned(),
            refused: None,
            strikes: 0,
            began: None,
            again: 0,
            attached: host::now(),
        };
        let gone = "on_rename is off: it took 90 thousandths of all cores";
        assert_eq!(hook.cause(), gone);
        for error in ["no room", "no right"] {
            let word = hook.refuse(error.to_owned(), 7);
            assert_eq!((word.reason, hook.again), ("hook_failed", 7));
            assert_eq!(hook.cause(), format!("{gone}, and it cannot be attached: {error}"));
        }
    }
}
