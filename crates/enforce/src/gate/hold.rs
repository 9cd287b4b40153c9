//! The holder: asks the kernel, answers, and says every second that it lives.
//!
//! One thread takes questions and answers those that need no reading; two read files. The first
//! never reads a file of a gated mount, so it is there to allow what waits too long, also when a
//! disk hangs. It asks for a file's metadata, which no network and no other program answers for:
//! such file systems are not gated.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::group::{Answer, Group, Question, READ_MAX, room_for_files, wait_readable};
use super::judge::{Judge, Verdict};
use super::message::Message;
use super::{GateSpec, mounts};
use crate::deny::{Disposition, Operations};

/// How often a holder says that it lives.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// Questions that wait to be read at most; each is a thread of somebody's that stands still. Each
/// is an open file, too, and where none can be opened the kernel denies: so few that twice as many
/// (those answered for want of time stay with the readers until they come to them) and what is
/// read at once fit in the 1,024 files of a process that cannot get more.
const QUESTIONS_MAX: usize = 256;
/// Threads that read: one file that is slow to read leaves the other.
const READERS: usize = 2;
/// Files that a holder has open beside its questions, and more.
const OTHER_FILES: usize = 64;
const _: () = assert!(2 * QUESTIONS_MAX + READ_MAX + READERS + OTHER_FILES <= 1_024);

/// Holds the gate until nobody listens on `channel` any more: what a [`super::Keeper`] gave the
/// process as standard input.
///
/// # Errors
/// When a mount may not be gated, the kernel does not ask, or a thread cannot be started; the keeper
/// is told, too.
pub fn holder(spec: GateSpec, channel: BorrowedFd<'_>) -> io::Result<()> {
    let channel = UnixDatagram::from(channel.try_clone_to_owned()?);
    channel.set_nonblocking(true)?;
    let channel = Arc::new(channel);
    if let Err(error) = room_for_files() {
        tracing::debug!(%error, "the holder has to do with the files it may open");
    }
    match Holder::begin(spec, Arc::clone(&channel)) {
        Ok((holder, marked)) => {
            say(&channel, &Message::Ready(marked))?;
            holder.run()
        }
        Err(error) => {
            let why = chain(error.as_ref());
            say(&channel, &Message::Refused(why.clone()))?;
            Err(io::Error::other(why))
        }
    }
}

/// Tells the keeper, instead of [`holder`], that there can be no gate and why: it starts no other.
///
/// # Errors
/// When the keeper is gone.
pub fn refuse(why: &str, channel: BorrowedFd<'_>) -> io::Result<()> {
    let channel = UnixDatagram::from(channel.try_clone_to_owned()?);
    say(&channel, &Message::Refused(why.to_owned()))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

fn say(channel: &UnixDatagram, message: &Message) -> io::Result<()> {
    channel.send(&message.bytes()).map(drop)
}

struct Holder {
    group: Arc<Group>,
    judge: Arc<Judge>,
    channel: Arc<UnixDatagram>,
    wait: Duration,
    to_read: SyncSender<Arc<Question>>,
    waiting: VecDeque<(Instant, Arc<Question>)>,
    beaten: Option<Instant>,
}

impl Holder {
    fn begin(
        spec: GateSpec,
        channel: Arc<UnixDatagram>,
    ) -> Result<(Self, u64), Box<dyn std::error::Error>> {
        let wait = spec.wait;
        let operations = spec.list.operations().within(Operations::EXEC.and(Operations::OPEN));
        let places = mounts::check(&spec.mounts, &spec.private)?;
        let group = Arc::new(Group::open()?);
        let judge = Arc::new(Judge::new(spec));
        let (to_read, questions) = sync_channel(QUESTIONS_MAX);
        let questions = Arc::new(Mutex::new(questions));
        for number in 0..READERS {
            let reader = (Arc::clone(&questions), Arc::clone(&judge), Arc::clone(&channel));
            std::thread::Builder::new()
                .name(format!("metsuke-gate-{number}"))
                .spawn(move || read(&reader.0, &reader.1, &reader.2))?;
        }
        let mut marked = 0;
        if !operations.is_empty() {
            // Last of all: from here on somebody may wait for us.
            for place in &places {
                group.ask_about(place, operations)?;
                marked += 1;
            }
        }
        let (waiting, beaten) = (VecDeque::new(), None);
        Ok((Self { group, judge, channel, wait, to_read, waiting, beaten }, marked))
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            let next = self.waiting.front().map(|(due, _)| *due);
            let until = next.map_or(BEAT, |due| due.saturating_duration_since(Instant::now()));
            // A millisecond more, so that what is due is due when this returns.
            let timeout = i32::try_from(until.min(BEAT).as_millis()).unwrap_or(0) + 1;
            let fds = [self.group.as_fd(), self.channel.as_fd()];
            let [asked, hung_up] = wait_readable(fds, timeout);
            if asked {
                let questions = self.group.questions()?;
                if questions.is_none() {
                    self.judge.counters.unopened.fetch_add(1, Ordering::Relaxed);
                }
                for question in questions.into_iter().flatten() {
                    self.take(question);
                }
            }
            self.allow_what_is_due();
            if hung_up || self.beaten.is_none_or(|at| at.elapsed() >= BEAT) {
                self.beaten = Some(Instant::now());
                let beat = Message::Beat(self.judge.counters.passed());
                match say(&self.channel, &beat) {
                    Ok(()) => {}
                    // The keeper has much to read: it knows that we live.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // It is gone, and nobody would end this process if it hung.
                    Err(_) => return Ok(()),
                }
            }
        }
    }

    fn take(&mut self, question: Question) {
        match self.judge.quick(&question) {
            Verdict::Unread => {
                let question = Arc::new(question);
                if self.waiting.len() >= QUESTIONS_MAX {
                    // Behind a slow one others were answered long ago; their files are closed now.
                    self.waiting.retain(|(_, question)| !question.is_answered());
                }
                if self.waiting.len() >= QUESTIONS_MAX
                    || self.to_read.try_send(Arc::clone(&question)).is_err()
                {
                    self.judge.counters.shed.fetch_add(1, Ordering::Relaxed);
                    question.answer(Answer::Allow);
                    return;
                }
                self.waiting.push_back((Instant::now() + self.wait, question));
            }
            verdict => settle(&self.judge, &self.channel, &question, verdict),
        }
    }

    /// All wait equally long, so the first is due first.
    fn allow_what_is_due(&mut self) {
        let now = Instant::now();
        while self
            .waiting
            .front()
            .is_some_and(|(due, question)| question.is_answered() || *due <= now)
        {
            let late = self.waiting.pop_front().is_some_and(|(_, q)| q.answer(Answer::Allow));
            self.judge.counters.late.fetch_add(u64::from(late), Ordering::Relaxed);
        }
    }
}

/// A reader's life: it ends with the process.
fn read(questions: &Mutex<Receiver<Arc<Question>>>, judge: &Judge, channel: &UnixDatagram) {
    loop {
        let next = questions.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(question) = next else { return };
        if question.is_answered() {
            continue;
        }
        let verdict = judge.thorough(&question);
        settle(judge, channel, &question, verdict);
    }
}

/// Answers, and tells what was decided.
fn settle(judge: &Judge, channel: &UnixDatagram, question: &Question, verdict: Verdict) {
    let Verdict::Met(entry, decision) = verdict else {
        question.answer(Answer::Allow);
        return;
    };
    let denied = decision.disposition == Disposition::Denied;
    // Told before it is answered: who is denied finds it told. What was allowed for want of time
    // is not told as decided.
    question.answer_after(if denied { Answer::Deny } else { Answer::Allow }, || {
        if say(channel, &Message::Met(entry, decision)).is_err() {
            judge.counters.untold.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Both ends of what holder and keeper speak by.
pub(super) fn pair() -> io::Result<(UnixDatagram, OwnedFd)> {
    let (ours, theirs) = UnixDatagram::pair()?;
    Ok((ours, OwnedFd::from(theirs)))
}
