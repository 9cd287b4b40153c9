//! The keeper: starts a holder, hears it, and ends it when it falls silent; the kernel then allows
//! what waited.
//!
//! Invariant: it opens no file while a holder lives, so a gate that hangs cannot hang its keeper.

use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Passed;
use super::group::end_with_parent;
use super::hold::pair;
use super::message::{MESSAGE_MAX, Message};
use crate::deny::{Decision, DenyList};

/// A holder that says nothing for so long hangs: it beats every second.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long there is no gate after a holder ended by itself or had to be ended.
const PAUSE: Duration = Duration::from_secs(30);
/// Holders that ended so after which there is no further: it would not help.
const ENDS_MAX: u32 = 3;
/// How long a message is waited for at a time.
const TICK: Duration = Duration::from_millis(200);

/// What a keeper tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// So many mounts are gated from now on.
    Holds(u64),
    /// Something was met.
    Met(Box<Decision>),
    /// What was let pass unseen has grown.
    Passed(Passed),
    /// There is no gate now; the code says how it ended, the text why. What waited was allowed.
    Ended(&'static str, String),
}

/// How a keeper is set up.
pub struct KeeperConfig {
    /// The program that becomes the holder: it calls [`super::holder`] with its standard input.
    pub command: Box<dyn Fn() -> Command + Send>,
    /// The list that the holder has too: decisions name its entries.
    pub list: DenyList,
    /// How long there is no gate after one ended.
    pub pause: Duration,
    /// Where news go; it must not wait.
    pub tell: Box<dyn Fn(News) + Send>,
}

impl KeeperConfig {
    /// The defaults.
    pub fn new(
        command: impl Fn() -> Command + Send + 'static,
        list: DenyList,
        tell: impl Fn(News) + Send + 'static,
    ) -> Self {
        Self { command: Box::new(command), list, pause: PAUSE, tell: Box::new(tell) }
    }
}

impl fmt::Debug for KeeperConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeeperConfig").field("pause", &self.pause).finish_non_exhaustive()
    }
}

/// A keeper at work. Dropping it ends the holder.
#[derive(Debug)]
pub struct Keeper {
    stop: Arc<AtomicBool>,
    holder: Arc<AtomicU32>,
    /// Held while a holder lives; whoever drops the keeper ends it through this, at once.
    child: Arc<Mutex<Option<Child>>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread, and it the holder.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(config: KeeperConfig) -> io::Result<Self> {
        let keeper = Kept {
            config,
            stop: Arc::default(),
            holder: Arc::default(),
            child: Arc::default(),
            passed: Passed::default(),
            garbled: 0,
        };
        let (stop, holder) = (Arc::clone(&keeper.stop), Arc::clone(&keeper.holder));
        let child = Arc::clone(&keeper.child);
        let thread = std::thread::Builder::new()
            .name("metsuke-keeper".to_owned())
            .spawn(move || keeper.run())?;
        Ok(Self { stop, holder, child, thread: Some(thread) })
    }

    /// The holder's process id; `None` while there is none.
    pub fn holder(&self) -> Option<u32> {
        Some(self.holder.load(Ordering::Acquire)).filter(|pid| *pid != 0)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        end(&self.child);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the gate's keeper ended by a panic");
        }
    }
}

/// Ends the holder, if there is one. It is a child that was not reaped, so its pid is its own.
fn end(child: &Mutex<Option<Child>>) {
    if let Some(mut child) = child.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // One that has ended already cannot be ended again.
        let _ = child.kill();
        let _ = child.wait();
    }
}

struct Kept {
    config: KeeperConfig,
    stop: Arc<AtomicBool>,
    holder: Arc<AtomicU32>,
    child: Arc<Mutex<Option<Child>>>,
    passed: Passed,
    /// Messages of this holder that name no entry of the list, or are none.
    garbled: u64,
}

impl Kept {
    fn run(mut self) {
        for ends in 1..=ENDS_MAX {
            let (code, why) = match self.start() {
                Ok(channel) => self.hear(&channel),
                Err(error) => ("no_holder", format!("the holder cannot be started: {error}")),
            };
            self.holder.store(0, Ordering::Release);
            end(&self.child);
            if self.stopped() {
                return;
            }
            let last = code == "refused" || ends == ENDS_MAX;
            let next = if last { "there is no gate from now on" } else { "it is started again" };
            (self.config.tell)(News::Ended(code, format!("{why}; {next}")));
            let since = Instant::now();
            while !last && !self.stopped() && since.elapsed() < self.config.pause {
                std::thread::sleep(TICK.min(self.config.pause));
            }
            if last || self.stopped() {
                return;
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn start(&mut self) -> io::Result<UnixDatagram> {
        let (ours, theirs) = pair()?;
        ours.set_read_timeout(Some(TICK))?;
        let mut command = (self.config.command)();
        command.stdin(Stdio::from(theirs));
        end_with_this_thread(&mut command);
        let mut held = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        self.holder.store(child.id(), Ordering::Release);
        (self.passed, self.garbled) = (Passed::default(), 0);
        *held = Some(child);
        Ok(ours)
    }

    /// Until the holder ends or is to be ended, and why.
    fn hear(&mut self, channel: &UnixDatagram) -> (&'static str, String) {
        let mut heard = Instant::now();
        let mut bytes = [0; MESSAGE_MAX];
        while !self.stopped() {
            match channel.recv(&mut bytes) {
                Ok(count) => {
                    heard = Instant::now();
                    if let Some(why) = self.take(&bytes[..count]) {
                        return ("refused", why);
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return ("holder_ended", error.to_string()),
            }
            if let Some(status) = self.ended() {
                return ("holder_ended", format!("the holder ended by itself: {status}"));
            }
            if heard.elapsed() >= SILENCE_MAX {
                let seconds = SILENCE_MAX.as_secs();
                return ("holder_hung", format!("the holder said nothing for {seconds} s"));
            }
        }
        ("stopped", String::new())
    }

    fn ended(&self) -> Option<String> {
        let mut held = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let status = held.as_mut()?.try_wait().ok()??;
        Some(status.to_string())
    }

    /// Why there can be no gate, if that is what it says.
    fn take(&mut self, bytes: &[u8]) -> Option<String> {
        let tell = &self.config.tell;
        let passed = match Message::parse(bytes, &self.config.list) {
            Some(Message::Refused(why)) => return Some(why),
            Some(Message::Ready(mounts)) => {
                tell(News::Holds(mounts));
                return None;
            }
            Some(Message::Met(_, decision)) => {
                tell(News::Met(decision));
                return None;
            }
            Some(Message::Beat(passed)) => {
                Passed { untold: passed.untold.saturating_add(self.garbled), ..passed }
            }
            None => {
                self.garbled += 1;
                Passed { untold: self.passed.untold.saturating_add(1), ..self.passed }
            }
        };
        if passed != self.passed {
            self.passed = passed;
            tell(News::Passed(passed));
        }
        None
    }
}

/// Also when the keeper's whole process is killed the holder goes with it.
#[expect(unsafe_code, reason = "what a child does before its program begins has no safe form")]
fn end_with_this_thread(command: &mut Command) {
    // SAFETY: the closure makes one system call with integers, and touches no memory.
    unsafe { command.pre_exec(end_with_parent) };
}
