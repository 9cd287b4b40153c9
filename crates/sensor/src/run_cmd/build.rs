//! Building a sensor from its arguments: everything is made here, and started.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::Context;
use metsuke_enforce::deny::{DenyList, Guard, Learner, Own as OwnProcesses};
use metsuke_enforce::{EnforceScope, PocPlace, Terminator};
use metsuke_event::coverage::Tier;
use metsuke_event::{Event, Timestamp};
use metsuke_evidence::Reach;
use metsuke_guard::protected::Touch;
use metsuke_guard::senders::Senders;
use metsuke_guard::{Leash, privileges};
use metsuke_link::Identity;
use metsuke_link::client::{Backoff, Client};
use metsuke_link::message::Downstream;
use metsuke_link::sealed::Purpose;
use metsuke_link::spool::watch::Watch;
use metsuke_link::spool::{Sequence, SharedSpool, Spool, SpoolConfig};
use metsuke_probe::{Meter, Probe, ProbeEnd, Reporter, Scope, Throttle};
use metsuke_respond::Policy;

use super::eyes::{self, Opened};
use super::{Args, Eyes, Parts, Sensor, thread};
use crate::border::Border;
use crate::config::{Config, ConfiguredScope};
use crate::delegate::{self, NOTES_MAX, Setup, Shared};
use crate::denials::{self, Denials, Told};
use crate::edge::{self, Content};
use crate::evidence::{self, Store, Taker};
use crate::executor::{Executor, Means};
use crate::governing::{Bounds, Governing};
use crate::health::Note;
use crate::known::Known;
use crate::live::Live;
use crate::pipeline::{Gate, Pipeline};
use crate::plans::Plans;
use crate::sentry::{self, Sentry};
use crate::takeover::Passed;
use crate::touches::Touches;
use crate::watchlist::Lists;
use crate::{facts, gate, install_cmd, own, probe_cmd, reach};

/// What the process has of its own, before anything is built.
pub(super) struct Own {
    pub(super) leash: Option<Leash>,
    pub(super) senders: Option<Senders>,
}

/// What is kept on disk.
struct Kept {
    spool: SharedSpool,
    sequence: Sequence,
    watch: Watch,
    plans: Plans,
    evidence: Store,
}

impl Kept {
    fn open(state: &Path, config: &Config) -> anyhow::Result<Self> {
        let mut spool = SpoolConfig::new(state.join("spool"));
        spool.max_bytes = config.spool_max_bytes.unwrap_or(spool.max_bytes);
        spool.segment_bytes = spool.segment_bytes.min(spool.max_bytes / 4);
        let dir = spool.dir.clone();
        let spool = SharedSpool::new(Spool::open(spool)?);
        let sequence = Sequence::open(&dir, metsuke_probe::boot_id()?)?;
        let watch = Watch::open(&dir)?;
        let plans = Plans::open(&state.join("plans")).context("the plans cannot be read")?;
        let evidence = Store::open(&state.join("evidence")).context("evidence cannot be kept")?;
        Ok(Self { spool, sequence, watch, plans, evidence })
    }
}

/// Builds and starts everything but the link.
///
/// # Errors
/// When the state cannot be read, the scope is none, or a thread cannot be started.
pub(super) fn sensor(
    args: &Args,
    config: &Config,
    identity: Identity,
    opened: Opened,
    own: Own,
) -> anyhow::Result<Sensor> {
    let enforcement = enforcement(args, config)?;
    let Kept { spool, sequence, mut watch, plans, evidence } = Kept::open(&args.state, config)?;
    let ((end, told), (work, jobs)) = (sync_channel(1), sync_channel(1));
    let ((notes, said), (taking, asked)) = (sync_channel(NOTES_MAX), sync_channel(1));
    let guard = own.leash.as_ref().map(Leash::guard);
    let meter = opened.meter();
    let (content, refused_content) = Content::load(&args.state, &identity);
    let (policy, refused_policy) = load_policy(&args.state, &identity);
    let (lists, refused_lists) = Lists::load(&args.state, &identity);
    let mut setup = setup(args, config, &identity, &opened, guard)?;
    let denying = Denying::prepare(args, config, &opened, guard)?;
    complete(&mut setup, &denying, &content);
    let shared = Arc::new(Shared::new(delegate::Parts {
        setup,
        spool,
        probe: Box::new(meter.clone()),
        work: [work.clone(), taking],
        notes,
        plans,
        evidence,
        policy,
        content,
        lists,
    }));
    say_refused(&shared, "content", refused_content);
    say_refused(&shared, "policy", refused_policy);
    say_refused(&shared, "indicators", refused_lists);
    note_the_past(&shared, &mut watch, opened.passed.as_ref());
    note_limits(&shared, &opened.probe, &enforcement);
    opened.known.lead_to(denying.learner());
    // Before anything is found that it asks about.
    let denials = denying.begin(&shared)?;
    start_inventory(&shared, args, config, opened.known.clone());
    let protected = Arc::new(sentry::protected(&args.state, args.config.clone(), guard));
    let Opened { probe, sink, events, throttle, passed, .. } = opened;
    let since = probe.is_ok().then(facts::ticks_since_boot).flatten();
    let live = Arc::new(Live::new(since.unwrap_or(u64::MAX), facts::now()));
    let touches = Touches::new(Arc::clone(&protected));
    let gate = gate(config, &shared.setup, (meter, throttle), passed, touches);
    let pipeline =
        Pipeline { shared: Arc::clone(&shared), sequence, watch, live: Arc::clone(&live), gate };
    let means = Means {
        terminator: enforcement.map(|scope| Terminator::new(scope, shared.setup.boot)),
        poc: poc_place(args, config)?,
        live,
    };
    let executor = Executor::new(Arc::clone(&shared), means);
    let taker = Taker::new(Arc::clone(&shared), evidence_means(args, config)?);
    let sentry = Sentry::new(Arc::clone(&shared), protected, own.leash, own.senders);
    let over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&over);
    Ok(Sensor {
        client: Client {
            identity,
            backoff: Backoff::default(),
            plan_news: Arc::clone(&shared.plan_news),
        },
        parts: Parts {
            sink: probe.is_err().then_some(sink),
            probe: probe.ok().map(|probe| Box::new(probe) as Box<dyn Eyes>),
            end,
            pipeline: thread("metsuke-pipeline", move || run(pipeline, &events, &said, &told))?,
            executor: thread("metsuke-executor", move || executor.run(&jobs))?,
            taker: thread("metsuke-evidence", move || taker.run(&asked))?,
            sentry: Some((thread("metsuke-sentry", move || sentry.run(&stop))?, over)),
            denials,
            work,
            shared,
        },
    })
}

/// What stands between the probe and the numbers.
fn gate(
    config: &Config,
    setup: &Setup,
    (meter, throttle): (Meter, Throttle),
    passed: Option<Passed>,
    touches: Touches,
) -> Gate {
    let flood_per_second = config.flood_per_second();
    let bounds = Bounds { budgets: config.budgets, flood_per_second, throttle };
    let begin_ns = passed.as_ref().and_then(|passed| passed.cut).map(|cut| cut.at_ns);
    let tier = setup.coverage.as_ref().map(|coverage| coverage.tier.number());
    let how = if passed.is_some() { "taken_over" } else { "started" };
    Gate {
        governing: Governing::new(bounds),
        border: Border::new(meter, begin_ns),
        touches,
        held: passed.map(|passed| passed.held).unwrap_or_default(),
        started: Some(own::started(tier, how)),
    }
}

/// The pipeline's thread.
fn run(
    pipeline: Pipeline,
    events: &Receiver<Vec<Event>>,
    said: &Receiver<Note>,
    told: &Receiver<ProbeEnd>,
) {
    // It reads what others wrote, and needs nothing but its own files.
    if let Err(error) = privileges::drop_all_of_this_thread() {
        tracing::warn!(%error, "the pipeline keeps its privileges");
    }
    pipeline.run(events, said, told);
}

/// What is needed to deny: hooks where the sensor may act, the list, and where decisions are told.
struct Denying {
    guard: Option<Guard>,
    list: DenyList,
    gate: Option<gate::Plan>,
    reporter: Reporter,
}

impl Denying {
    /// Attaches the hooks; nothing is denied yet.
    fn prepare(
        args: &Args,
        config: &Config,
        opened: &Opened,
        own: Option<u32>,
    ) -> anyhow::Result<Self> {
        let best = args.max_tier.map_or(Tier::Lsm, probe_cmd::tier);
        let scope = enforcement(args, config)?;
        Ok(Self {
            list: denials::list(&config.deny)?,
            gate: gated(args, config, scope.as_ref().ok(), own),
            guard: scope.ok().map(|scope| attached(&scope, best, own)),
            reporter: opened.probe.as_ref().map(Probe::reporter).unwrap_or_default(),
        })
    }

    /// For those who hash files anyway.
    fn learner(&self) -> Option<Learner> {
        self.guard.as_ref().and_then(Guard::learner)
    }

    /// Puts the list in force, where something can be denied.
    fn begin(self, shared: &Arc<Shared>) -> anyhow::Result<Option<Denials>> {
        let Self { guard, list, gate, reporter } = self;
        let [noted, touched, troubled] = std::array::from_fn(|_| Arc::clone(shared));
        let told = Told {
            reporter,
            note: Box::new(move |note| noted.note(note)),
            tampered: Box::new(move |touch| {
                touched.care.tell(own::tampered(touch, facts::now(), own::nobody()));
            }),
            trouble: Box::new(move |what| troubled.trouble("deny", what)),
        };
        guard.map(|guard| Denials::start(guard, list, gate.as_ref(), told)).transpose()
    }
}

/// The gate that is asked for; none without mounts, a list, or where the sensor may not act.
fn gated(
    args: &Args,
    config: &Config,
    scope: Option<&EnforceScope>,
    guard: Option<u32>,
) -> Option<gate::Plan> {
    let wanted = !config.gate.mounts.is_empty() && !config.deny.is_empty();
    Some(gate::Plan {
        config: args.config.clone().filter(|_| wanted)?,
        settings: config.gate.clone(),
        state: args.state.clone(),
        scope: scope?.clone(),
        guard,
    })
}

/// The hooks, which never meet what is the sensor's own: its guard, and what either started.
fn attached(scope: &EnforceScope, best: Tier, guard: Option<u32>) -> Guard {
    let mut attached = Guard::attach(scope, best);
    if let Err(error) = attached.spare(OwnProcesses { guard }) {
        tracing::error!(%error, "only this process is spared from what is denied");
    }
    attached
}

/// Completes the probe's report of what can be done here.
fn complete(setup: &mut Setup, denying: &Denying, content: &Content) {
    if let Some(coverage) = &mut setup.coverage {
        if let Some(guard) = &denying.guard {
            reach::in_force(coverage, guard);
        }
        reach::detections(coverage, &content.rules);
    }
}

fn setup(
    args: &Args,
    config: &Config,
    identity: &Identity,
    opened: &Opened,
    guard: Option<u32>,
) -> anyhow::Result<Setup> {
    let scope = match eyes::scope(args, config) {
        Scope::Host => "host".to_owned(),
        Scope::Cgroup(path) => path.display().to_string(),
    };
    let enforcement = enforcement(args, config)?;
    Ok(Setup {
        state: args.state.clone(),
        endpoint: identity.endpoint,
        boot: metsuke_probe::boot_id()?,
        host: facts::host(),
        scope,
        enforcement: enforcement.as_ref().map_or_else(Clone::clone, ToString::to_string),
        started: facts::now(),
        coverage: opened.probe.as_ref().ok().map(Probe::coverage),
        guard,
    })
}

/// The policy the server sent last, if it is as the server signed it, else the built-in one.
fn load_policy(state: &Path, identity: &Identity) -> (Policy, Option<String>) {
    let path = delegate::policy_file(state);
    match edge::kept(identity, &path, Purpose::Policy) {
        Ok(Some(Downstream::Policy(policy))) => (policy, None),
        Ok(_) => (Policy::default(), None),
        Err(problem) => (Policy::default(), Some(problem)),
    }
}

/// A file of the sensor's own that is not what the server signed: somebody changed it.
fn say_refused(shared: &Shared, part: &'static str, problem: Option<String>) {
    let Some(problem) = problem else { return };
    tracing::error!(problem);
    let touch = Touch { object: "file", reason: "signature_wrong", detail: problem.clone() };
    shared.care.tell(own::tampered(touch, facts::now(), own::nobody()));
    shared.trouble(part, Some(problem));
}

/// Says since when nobody watched; a first run begins to say so.
fn note_the_past(shared: &Shared, watch: &mut Watch, passed: Option<&Passed>) {
    let now = facts::now();
    let note =
        |reason, lost, detail| Note { part: "sensor", reason, lost, from: now, to: now, detail };
    if let Some(passed) = passed.filter(|passed| !passed.shed.is_empty()) {
        let detail = "activities came faster than they could be held while another sensor let go";
        shared.note(note("queue_full", Some(passed.shed.clone()), detail.to_owned()));
    }
    let cut = passed.and_then(|passed| passed.cut);
    if let Some(cut) = cut {
        let pause_us = cut.pause_ns / 1_000;
        let mut detail = format!(
            "another sensor let go, and this one goes on; nothing was seen for {pause_us} µs around \
             the cut"
        );
        if cut.may_double() {
            detail.push_str(": activities at the cut may be told twice");
        }
        shared.note(note("handed_over", None, detail));
    } else if let Some((kept, ending)) = watch.before() {
        shared.note(Note::down(kept, ending));
    } else {
        first_watch(watch, shared.setup.started);
    }
}

/// Else a first run that is killed within its first second would leave no trace.
fn first_watch(watch: &mut Watch, started: Timestamp) {
    if let Err(error) = watch.kept(started) {
        tracing::warn!(%error, "the watch is not set");
    }
}

/// Starts the inventory; without it the sensor works on, and says why.
fn start_inventory(shared: &Shared, args: &Args, config: &Config, known: Known) {
    let is_scoped = !matches!(eyes::scope(args, config), Scope::Host);
    if let Some(why) = shared.inventory.start(&config.inventory, &args.state, is_scoped, known) {
        shared.trouble("no_inventory", Some(why));
    }
}

/// Says so when there is no probe, or nowhere to act.
fn note_limits(
    shared: &Shared,
    probe: &anyhow::Result<Probe>,
    enforcement: &Result<EnforceScope, String>,
) {
    if let Err(error) = probe {
        tracing::error!("nothing is seen on this host: {error:#}");
        shared.note(Note::blind(error));
        shared.trouble("probe", Some(format!("nothing is seen: {error:#}")));
    }
    if let Err(reason) = enforcement {
        shared.trouble("enforcement", Some(format!("no plan can end a process: {reason}")));
    }
}

/// Where the sensor may act; the inner error says why nowhere. A scope that was asked for and
/// cannot be used is an error of the command, never a wider scope.
fn enforcement(args: &Args, config: &Config) -> anyhow::Result<Result<EnforceScope, String>> {
    match (&args.scope_cgroup, &config.scope) {
        (Some(path), _) | (None, ConfiguredScope::Cgroup(path)) => {
            Ok(Ok(EnforceScope::cgroup(path)?))
        }
        (None, ConfiguredScope::Host) => Ok(Ok(EnforceScope::Host)),
        (None, ConfiguredScope::Unsaid) => Ok(Err(
            "this sensor watches the whole host and has no scope to act in, so it only watches; \
             start it with --scope-cgroup, or set \"scope\": \"host\" in its configuration"
                .to_owned(),
        )),
    }
}

/// What evidence is taken with. A sensor without a scope reads the whole host: reading is not acting.
fn evidence_means(args: &Args, config: &Config) -> anyhow::Result<evidence::Means> {
    let (scope, roots) = match eyes::scope(args, config) {
        Scope::Host => (EnforceScope::Host, config.evidence_roots.clone()),
        Scope::Cgroup(path) => {
            let roots = config.evidence_roots.clone().unwrap_or_default();
            (EnforceScope::cgroup(&path)?, Some(roots))
        }
    };
    let beside = std::env::current_exe().context("this program's own path is not known")?;
    let beside = beside.with_file_name(install_cmd::SCANNER);
    let boot = metsuke_probe::boot_id()?;
    Ok(evidence::Means {
        reach: Reach { scope, boot, roots, private: vec![Identity::path(&args.state)] },
        yara: config.yara.clone().unwrap_or(beside),
        cpu_percent: config.evidence_cpu_percent.unwrap_or(evidence::CPU_PERCENT),
    })
}

fn poc_place(args: &Args, config: &Config) -> anyhow::Result<PocPlace> {
    let chosen = args.poc_dir.as_ref().or(config.poc_dir.as_ref());
    let dir = chosen.cloned().unwrap_or_else(|| args.state.join("poc"));
    let cgroup = match eyes::scope(args, config) {
        Scope::Cgroup(path) => Some(path),
        Scope::Host => None,
    };
    Ok(PocPlace {
        dir: absolute(&dir)?,
        cgroup,
        sensor: std::env::current_exe().context("this program's own path is not known")?,
    })
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no usable path", path.display()))
}
