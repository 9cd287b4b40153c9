//! Loads and attaches the objects that deny, by trial.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::Arc;

use libbpf_rs::{
    Link, MapCore, MapFlags, MapHandle, Object, ObjectBuilder, PrintLevel, ProgramMut, set_print,
};
use libbpf_sys as _; // Named for its build metadata: build.rs finds libbpf's C headers by it.
use metsuke_event::Timestamp;
use metsuke_event::coverage::{HookTrial, Outcome, Tier};

use super::image::{Image, Place, TABLES};
use super::watch::{self, Found, Group, Hook, Named, Watched};

static LSM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/deny_lsm.bpf.o"));
static KILL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/deny_kill.bpf.o"));

/// Why the objects are not in this build; empty when they are.
const MISSING: &str = env!("METSUKE_BPF_MISSING");

/// Programs of an object: their hooks, and what each is for. Those of control groups have their
/// type before the hook's slash.
type Hooks = &'static [(&'static str, &'static str, &'static str)];

const LSM_HOOKS: Hooks = &[
    ("on_exec", "lsm/bprm_check_security", "deny executions"),
    ("on_map", "lsm/mmap_file", "deny libraries, and programs started through ld.so"),
    ("on_protect", "lsm/file_mprotect", "deny making memory executable later"),
    ("on_open", "lsm/file_open", "deny opening files"),
    ("on_connect", "lsm/socket_connect", "deny destinations"),
    ("on_send", "lsm/socket_sendmsg", "deny destinations of datagrams"),
    ("on_read_file", "lsm/kernel_read_file", "deny kernel modules"),
    ("on_module_request", "lsm/kernel_module_request", "deny modules that the kernel asks for"),
    ("on_load_data", "lsm/kernel_load_data", "deny modules loaded from memory"),
    ("on_ptrace", "lsm/ptrace_access_check", "deny tracing"),
    ("on_bpf", "lsm/bpf", "deny loading BPF programs"),
];

const KILL_HOOKS: Hooks = &[
    ("on_executed", "tp_btf/sched_process_exec", "kill before the first instruction"),
    ("on_connect4", "cgroup/connect4", "deny destinations"),
    ("on_connect6", "cgroup/connect6", "deny destinations"),
    ("on_sendmsg4", "cgroup/sendmsg4", "deny destinations of datagrams"),
    ("on_sendmsg6", "cgroup/sendmsg6", "deny destinations of datagrams"),
];

/// One tier's objects, attached. Dropping it takes the hooks away.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) tier: Tier,
    tables: Vec<MapHandle>,
    settings: MapHandle,
    pub(super) contents: Arc<MapHandle>,
    pub(super) denials: MapHandle,
    pub(super) counts: MapHandle,
    watched: Watched,
    object: Object,
}

/// Tries `tier` (LSM or tracing); the trials tell each hook's outcome. `group` is the scope's
/// folder, or the hierarchy's root for the whole host.
pub(super) fn attach(tier: Tier, group: Option<&PathBuf>) -> (Option<Attached>, Vec<HookTrial>) {
    let (began, kept) = (watch::now(), group.cloned().map(Group::new));
    let (bytes, hooks) = if tier == Tier::Lsm { (LSM, LSM_HOOKS) } else { (KILL, KILL_HOOKS) };
    quiet();
    let object = load(bytes);
    let mut attached = Vec::new();
    let mut trials = Vec::new();
    for (program, hook, purpose) in hooks {
        let tried = match &object {
            Ok(object) => attach_one(object, program, hook, group),
            Err(reason) => Err(reason.clone()),
        };
        let outcome = match tried {
            Ok(link) => {
                attached.push(Hook::new((program, hook), link, began));
                Outcome::Works
            }
            Err(reason) => Outcome::Refused { reason },
        };
        let (hook, purpose) = ((*hook).to_owned(), (*purpose).to_owned());
        trials.push(HookTrial { tier, hook, purpose, outcome });
    }
    // Without its first hook a tier does not stop executions, which is what it is for.
    let works = matches!(trials.first(), Some(HookTrial { outcome: Outcome::Works, .. }));
    let attached = object.ok().filter(|_| works).and_then(|object| {
        Attached::new(tier, object, (attached, kept), began)
            .inspect_err(|error| tracing::error!(error, "the tables of the deny list"))
            .ok()
    });
    (attached, trials)
}

impl Attached {
    fn new(
        tier: Tier,
        object: Object,
        (hooks, group): (Vec<Hook>, Option<Group>),
        began: Timestamp,
    ) -> Result<Self, String> {
        let map = |name: &str| {
            let found = object.maps().find(|map| map.name() == name);
            let found = found.ok_or_else(|| format!("the object has no map {name}"))?;
            MapHandle::try_from(&found).map_err(|error| format!("{error:#}"))
        };
        let tables = TABLES.iter().map(|name| map(name)).collect::<Result<Vec<_>, _>>()?;
        let (settings, contents) = (map("settings")?, Arc::new(map("contents")?));
        let (denials, counts) = (map("denials")?, map("counts")?);
        let named = named(&tables, [&settings, &contents, &denials, &counts]);
        let watched = Watched::new(hooks, named, group, began);
        Ok(Self { tier, tables, settings, contents, denials, counts, watched, object })
    }

    /// Looks after hooks and tables; `written` is what the tables hold, when that is known.
    pub(super) fn look(&mut self, written: Option<(&Image, Place)>, now: Timestamp) -> Vec<Found> {
        let mut found = self.watched.hooks(&self.object, now);
        let others = [&self.settings, &*self.contents, &self.denials, &self.counts];
        let held = (&self.tables[..], &self.settings);
        found.extend(self.watched.tables(named(&self.tables, others), held, written, now));
        found
    }

    /// A new list was written, whole, from `began` on.
    pub(super) fn written(&mut self, began: Timestamp) {
        self.watched.written(began);
    }

    /// Hooks and tables that are not as they should be.
    pub(super) fn off(&self) -> Vec<String> {
        self.watched.off()
    }

    /// Goes from `old` to `new`: first what is new or changed, then what is asked at all, then what
    /// has gone. Each entry changes at once.
    pub(super) fn change(&self, old: &Image, new: &Image, place: Place) -> Result<(), String> {
        let explain = |error: libbpf_rs::Error| format!("{error:#}");
        for (map, (old, new)) in self.tables.iter().zip(old.tables.iter().zip(&new.tables)) {
            for (key, verdict) in new.iter().filter(|(key, now)| old.get(*key) != Some(*now)) {
                map.update(key, &verdict.bytes(), MapFlags::ANY).map_err(explain)?;
            }
        }
        self.settle(new, place)?;
        for (map, (old, new)) in self.tables.iter().zip(old.tables.iter().zip(&new.tables)) {
            for key in old.keys().filter(|key| !new.contains_key(*key)) {
                match map.delete(key) {
                    // It never came to be there: an earlier list broke off.
                    Err(error) if error.kind() == libbpf_rs::ErrorKind::NotFound => {}
                    deleted => deleted.map_err(explain)?,
                }
            }
        }
        Ok(())
    }

    /// Writes what is asked at all, where, and who is spared.
    pub(super) fn settle(&self, image: &Image, place: Place) -> Result<(), String> {
        let settings = image.settings(place);
        self.settings
            .update(&0_u32.to_ne_bytes(), &settings, MapFlags::ANY)
            .map_err(|error| format!("{error:#}"))
    }

    /// How many hooks are attached.
    pub(super) fn hooks(&self) -> usize {
        self.watched.attached()
    }
}

/// Each table with its name, always in the same order.
fn named<'a>(
    tables: &'a [MapHandle],
    others: [&'a MapHandle; 4],
) -> impl Iterator<Item = Named<'a>> {
    let others = ["settings", "contents", "denials", "counts"].into_iter().zip(others);
    TABLES.into_iter().zip(tables).chain(others)
}

fn load(bytes: &[u8]) -> Result<Object, String> {
    if bytes.is_empty() {
        return Err(format!("this build has no BPF objects: {MISSING}"));
    }
    let explain = |error: libbpf_rs::Error| explain(&error);
    ObjectBuilder::default().open_memory(bytes).map_err(explain)?.load().map_err(explain)
}

pub(super) fn attach_one(
    object: &Object,
    program: &str,
    hook: &str,
    group: Option<&PathBuf>,
) -> Result<Link, String> {
    let found: Option<ProgramMut<'_>> = object.progs_mut().find(|found| found.name() == program);
    let found = found.ok_or_else(|| format!("the object has no program {program}"))?;
    if !hook.starts_with("cgroup/") {
        return found.attach().map_err(|error| explain(&error));
    }
    let group = group.ok_or("no cgroup v2 hierarchy is mounted; mount one")?;
    let folder = File::open(group).map_err(|error| format!("{}: {error}", group.display()))?;
    found.attach_cgroup(folder.as_fd().as_raw_fd()).map_err(|error| explain(&error))
}

/// The verifier's log and libbpf's remarks go to tracing, not to standard error.
fn quiet() {
    #[expect(clippy::needless_pass_by_value, reason = "the signature libbpf-rs asks for")]
    fn log(_: PrintLevel, text: String) {
        tracing::debug!(target: "metsuke_enforce::libbpf", "{}", text.trim_end());
    }
    set_print(Some((PrintLevel::Debug, log)));
}

/// The error with what could be done about it.
fn explain(error: &libbpf_rs::Error) -> String {
    use libbpf_rs::ErrorKind;
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => {
            "; run as root; a kernel without `bpf` in its `lsm=` list, or a container, refuses it \
             even to root"
        }
        ErrorKind::NotFound => "; this kernel has no such hook",
        _ => "",
    };
    format!("{error:#}{hint}")
}
