//! Tier 2: the BPF objects, their queue and what becomes of their records.
//!
//! Invariant: records are applied in the order in which the kernel queued them.

mod acts;
mod apply;
mod attributes;
mod changes;
mod environ;
mod executables;
mod flows;
mod hooks;
mod labels;
mod load;
mod lost;
mod names;
mod objects;
mod record;
mod streams;
mod sums;
mod tables;

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use libbpf_rs::{RingBuffer, RingBufferBuilder};
use metsuke_event::activity::SensorActivity;
use metsuke_event::coverage::HookTrial;
use metsuke_event::{Activity, Health, Kind, Process, Tally};

pub(crate) use load::{built, explain, open, quiet, try_lsm};

use crate::cgroups::Bounds;
use crate::config::ProbeConfig;
use crate::emit::Notice;
use crate::host;
use crate::sensitive::Patterns;
use crate::stats::set;
use crate::world::World;
use environ::Environments;
use executables::Executables;
use load::Loaded;
use lost::Lost;
use names::Names;
use streams::Streams;
use sums::{Maps, Sums};

/// Records taken from the queue in one go: of some hundred bytes each, a few thousand at most.
const TAKEN: usize = 512;

/// How often that is done before chores get their turn under load.
const TURNS: usize = 16;

/// Between two rounds at least.
const PAUSE: Duration = Duration::from_millis(1);

/// The kernel's side of tier 2, attached.
pub(crate) struct Tracing {
    queue: Queue,
    loaded: Loaded,
    lost: Lost,
    state: State,
}

/// What records leave behind until they can be told.
pub(crate) struct State {
    sums: Sums,
    names: Names,
    streams: Streams,
    executables: Executables,
    environments: Environments,
    /// Unix sockets that are told.
    unix: Patterns,
}

struct Queue {
    ring: RingBuffer<'static>,
    /// Ready when the kernel has woken us, and not whenever something is queued.
    alarm: OwnedFd,
    bytes: Rc<RefCell<Vec<u8>>>,
}

impl Tracing {
    /// Loads and attaches everything; the trials tell each hook's outcome.
    pub(crate) fn load(config: &ProbeConfig, bounds: &Bounds) -> (Option<Self>, Vec<HookTrial>) {
        let (loaded, trials) = load::load(config, bounds);
        let tracing = loaded.and_then(|loaded| {
            Self::new(loaded, Patterns::new(&config.unix_sockets))
                .inspect_err(|error| tracing::warn!(%error, "the kernel's queue cannot be read"))
                .ok()
        });
        (tracing, trials)
    }

    fn new(loaded: Loaded, unix: Patterns) -> Result<Self, libbpf_rs::Error> {
        let bytes = Rc::new(RefCell::new(Vec::new()));
        let copy = Rc::clone(&bytes);
        let mut builder = RingBufferBuilder::new();
        builder.add(&*loaded.records, move |record: &[u8]| {
            copy.borrow_mut().extend_from_slice(record);
            0
        })?;
        let ring = builder.build()?;
        let alarm = alarm(loaded.records.as_fd())?;
        let sums = Sums::new(Maps {
            files: Arc::clone(&loaded.files),
            flows: Arc::clone(&loaded.flows),
            acts: Arc::clone(&loaded.acts),
            ends: Arc::clone(&loaded.ends),
            datagrams: Arc::clone(&loaded.datagrams),
        });
        let lost = Lost::new(Arc::clone(&loaded.lost));
        Ok(Self {
            queue: Queue { ring, alarm, bytes },
            lost,
            state: State {
                sums,
                names: Names::default(),
                streams: Streams::default(),
                executables: Executables::new(Arc::clone(&loaded.executables)),
                environments: Environments::default(),
                unix,
            },
            loaded,
        })
    }

    /// Whether kernel modules are seen.
    pub(crate) fn sees_modules(&self) -> bool {
        self.loaded.modules
    }

    /// Waits until the kernel wakes us or `longest` is over.
    pub(crate) fn wait(&self, longest: Duration) {
        // Who wakes us does so more than once: a pause keeps batches large.
        std::thread::sleep(PAUSE);
        let timeout = i32::try_from(longest.as_millis()).unwrap_or(i32::MAX);
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: `event` has room for the one event asked for and outlives the call; the descriptor
        // is ours. An error (a signal) only ends the wait early.
        let _ =
            unsafe { libc::epoll_wait(self.queue.alarm.as_raw_fd(), &raw mut event, 1, timeout) };
    }

    /// Takes what is queued and tells what is due.
    pub(crate) fn round(&mut self, world: &mut World) {
        self.drain(world);
        let now = host::since_boot();
        self.state.tell_due(world, now);
        let words = self.loaded.look(now);
        if !words.is_empty() {
            world.counters.set_hooks_off(self.loaded.off());
        }
        for word in words {
            tell(world, word);
        }
        if self.lost.is_due(now) {
            self.tell_losses(world);
        }
    }

    /// Takes what is queued, within bounds; whether there was anything.
    fn drain(&mut self, world: &mut World) -> bool {
        let mut any = false;
        for _ in 0..TURNS {
            if !self.take(world) {
                break;
            }
            any = true;
        }
        any
    }

    fn take(&mut self, world: &mut World) -> bool {
        self.queue.ring.consume_raw_n(TAKEN);
        let bytes = self.queue.bytes.take();
        let mut rest = bytes.as_slice();
        let any = !rest.is_empty();
        let mut newest = None;
        while let Some(size) = rest.first_chunk::<4>() {
            let size = usize::try_from(u32::from_ne_bytes(*size)).unwrap_or(usize::MAX);
            // A size of nothing or beyond the end is no record of ours: give up this round.
            let Some((bytes, after)) = rest.split_at_checked(size).filter(|_| size >= 4) else {
                tracing::error!(size, "a kernel record has an impossible size");
                break;
            };
            rest = after;
            if let Some((head, body)) = record::parse(bytes) {
                newest = Some(head.time);
                self.state.apply(world, &head, body);
            }
        }
        if let Some(time) = newest {
            let lag = host::since_boot().saturating_sub(time) / 1_000_000;
            set(&world.counters.lag_ms, lag);
        }
        let mut bytes = bytes;
        bytes.clear();
        self.queue.bytes.replace(bytes);
        any
    }

    /// Takes the hooks away, then tells everything that is still known.
    pub(crate) fn finish(&mut self, world: &mut World) {
        self.loaded.detach();
        while self.drain(world) {}
        self.state.tell_all(world);
        self.tell_losses(world);
    }

    fn tell_losses(&mut self, world: &mut World) {
        let given_up = self.state.streams.take_given_up();
        if given_up > 0 {
            world.emitter.notice(Notice {
                part: "probe.dns_streams",
                reason: "no_room",
                lost: Some(Tally::of(Kind::DnsQuery, given_up)),
                from: self.lost.since(),
                to: host::now(),
                detail: Some(
                    "directions of DNS over TCP that were left in the midst of a message"
                        .to_owned(),
                ),
            });
        }
        self.lost.tell(world);
    }
}

/// Tells what became of a hook, or of a table.
fn tell(world: &mut World, word: hooks::Word) {
    tracing::warn!(word.reason, word.detail, "a hook");
    let (from, at, reason) = (word.from, word.at, word.reason);
    if let Some(object) = word.tampered {
        let health = Health {
            part: Some("probe".into()),
            object: Some(object.into()),
            reason: Some(reason.into()),
            detail: Some(word.detail.as_str().into()),
            from: Some(from),
            to: Some(at),
            ..Health::default()
        };
        let nobody =
            Process { missing: Some("the_kernel_does_not_tell".into()), ..Process::default() };
        let tampered = Activity::Sensor(SensorActivity::Tamper, health);
        world.emitter.push(at, &Arc::new(nobody), tampered);
    }
    let detail = Some(word.detail);
    let part = if word.tampered == Some("bpf_map") { "probe.table" } else { "probe.hook" };
    world.emitter.notice(Notice { part, reason, lost: None, from, to: at, detail });
}

/// Edge-triggered: a queue that merely holds records is left to the clock, so that each round takes
/// many. What the kernel wakes us for while nobody waits is kept for the next wait.
fn alarm(queue: BorrowedFd<'_>) -> Result<OwnedFd, std::io::Error> {
    // SAFETY: a plain system call; what it gives is a descriptor or an error.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    let alarm = unsafe { OwnedFd::from_raw_fd(fd) };
    let edge = libc::EPOLLET.cast_unsigned();
    let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned() | edge, u64: 0 };
    // SAFETY: both descriptors are open, and `event` outlives the call.
    let added =
        unsafe { libc::epoll_ctl(fd, libc::EPOLL_CTL_ADD, queue.as_raw_fd(), &raw mut event) };
    if added != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(alarm)
}
