//! Loads and attaches the BPF objects.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;

// Named for its build metadata only: build.rs finds libbpf's C headers by it.
use libbpf_rs::{
    Link, MapCore, MapFlags, MapHandle, Object, ObjectBuilder, OpenObject, PrintLevel, set_print,
};
use libbpf_sys as _;
use metsuke_event::coverage::{HookTrial, Outcome, Tier};

use crate::cgroups::Bounds;
use crate::config::ProbeConfig;
use crate::coverage::{self, hook};
use crate::procfs;
use crate::sensitive::{KernelName, Looks, Patterns, looks};
use crate::tier2::hooks::{self, Hooks, Word};
use crate::tier2::tables::{Entry, NAMES, Tables};

static TRACING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tracing.bpf.o"));
static MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/module.bpf.o"));
static LSM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lsm.bpf.o"));

/// Why the objects are not in this build; empty when they are.
const MISSING: &str = env!("METSUKE_BPF_MISSING");

/// Longest file or folder name that the kernel looks up, its NUL included (`MAX_NAME`).
const NAME_BYTES: usize = 32;

const NAME_SENSITIVE: u8 = 1;
const NAME_MEMORY: u8 = 2;

/// The hooks of `tracing.bpf.c` and what each is for.
const HOOKS: [(&str, &str, &str); 9] = [
    ("on_fork", "tp_btf/sched_process_fork", "processes: fork"),
    (
        "on_exec",
        "tp_btf/sched_process_exec",
        "processes: exec with arguments, before the first instruction",
    ),
    ("on_exit", "tp_btf/sched_process_exit", "processes: exit"),
    ("on_group", "tp_btf/cgroup_mkdir", "names of control groups, also of those soon gone"),
    ("on_move", "tp_btf/cgroup_attach_task", "processes that enter the scope"),
    (
        "on_socket_state",
        "tp_btf/inet_sock_set_state",
        "flows: their ends with bytes and duration, late refusals",
    ),
    ("on_rename", "tp_btf/task_rename", "processes that give themselves another name"),
    ("on_signal", "tp_btf/signal_generate", "signals to other processes"),
    (
        "on_system_call",
        "tp_btf/sys_exit",
        "files, flows, DNS; users and namespaces changed; memory, other processes, BPF, settings",
    ),
];

/// The programs that system calls go over to.
const GROUPS: &str = "groups";

/// Tables that the programs, or user mode, cannot do without.
const TABLES: [&str; 10] = [
    "records",
    "lost",
    "files",
    "flows",
    "acts",
    "ends",
    "datagram_sockets",
    "known_executables",
    NAMES,
    GROUPS,
];

/// The optional programs for `io_uring`: the first row that the kernel takes is used. Since Linux 6.3
/// the tracepoint of requests has another name.
const RINGS: [&[&str]; 3] =
    [&["on_ring_result", "on_ring_request"], &["on_ring_result", "on_ring_request_old"], &[]];

/// The loaded objects with what user mode needs of them. Dropping it takes the hooks away.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) records: Arc<MapHandle>,
    pub(super) lost: Arc<MapHandle>,
    pub(super) files: Arc<MapHandle>,
    pub(super) flows: Arc<MapHandle>,
    pub(super) acts: Arc<MapHandle>,
    pub(super) ends: Arc<MapHandle>,
    pub(super) datagrams: Arc<MapHandle>,
    pub(super) executables: Arc<MapHandle>,
    pub(super) modules: bool,
    hooks: Hooks,
    tables: Tables,
    objects: Vec<Object>,
}

impl Loaded {
    /// Takes the hooks away; what is queued can still be read.
    pub(super) fn detach(&mut self) {
        self.hooks.clear();
    }

    /// Looks after hooks and tables; what was done is to be told.
    pub(super) fn look(&mut self, now: u64) -> Vec<Word> {
        let mut words = self.hooks.look(&self.objects, now);
        words.extend(self.tables.look(now));
        words
    }

    /// Hooks and tables that are not as they should be, and why.
    pub(super) fn off(&self) -> Vec<String> {
        self.hooks.off().into_iter().chain(self.tables.off()).collect()
    }
}

/// The verifier's log and libbpf's remarks go to tracing, not to standard error.
pub(crate) fn quiet() {
    #[expect(clippy::needless_pass_by_value, reason = "the signature libbpf-rs asks for")]
    fn log(_: PrintLevel, text: String) {
        tracing::debug!(target: "metsuke_probe::libbpf", "{}", text.trim_end());
    }
    set_print(Some((PrintLevel::Debug, log)));
}

/// Tries tier 1: whether the kernel takes a BPF LSM program. It is taken away again at once.
pub(crate) fn try_lsm() -> HookTrial {
    quiet();
    let purpose = "deny executions in the kernel";
    let tried = built(LSM).and_then(|()| {
        let object = open(LSM)?.load().map_err(|error| explain(&error))?;
        attach(&object).map(drop)
    });
    hook(Tier::Lsm, "lsm/bprm_check_security", purpose, outcome(tried))
}

/// Loads and attaches tier 2. The trials tell each hook's outcome, also when it fails.
pub(super) fn load(config: &ProbeConfig, bounds: &Bounds) -> (Option<Loaded>, Vec<HookTrial>) {
    quiet();
    let mut trials = Vec::new();
    let loaded = try_tracing(config, bounds, &mut trials);
    let Some(mut loaded) = loaded else { return (None, trials) };
    let purpose = "kernel modules loaded and removed";
    let modules = try_modules(&loaded, bounds, config);
    let result = modules.map(|(object, links)| {
        loaded.modules = true;
        let place = loaded.objects.len();
        loaded.objects.push(object);
        for (name, link) in links {
            loaded.hooks.add(place, &name, link);
        }
    });
    trials.push(hook(Tier::Tracing, "tp_btf/module_load", purpose, outcome(result)));
    (Some(loaded), trials)
}

fn try_tracing(
    config: &ProbeConfig,
    bounds: &Bounds,
    trials: &mut Vec<HookTrial>,
) -> Option<Loaded> {
    let (object, rings) = match built(TRACING).and_then(|()| load_tracing(config, bounds)) {
        Ok(loaded) => loaded,
        Err(reason) => {
            for (_, name, purpose) in HOOKS {
                trials.push(hook(Tier::Tracing, name, purpose, outcome(Err(reason.clone()))));
            }
            return None;
        }
    };
    let loaded = (|| {
        let maps = open_tables(&object)?;
        let map = |name: &str| {
            let found = maps.iter().find(|(known, _)| *known == name);
            found.map(|(_, map)| Arc::clone(map)).ok_or_else(|| format!("no table {name}"))
        };
        let entries = name_sensitive(map(NAMES)?.as_ref(), &Patterns::new(&config.sensitive))?;
        let every = hooks::nanos(config.hooks.look);
        Ok::<_, String>((
            (map("records")?, map("lost")?),
            (map("files")?, map("flows")?, map("acts")?),
            (map("ends")?, map("datagram_sockets")?, map("known_executables")?),
            Tables::new(maps, entries, every),
        ))
    })();
    let mut hooks = Hooks::new(config.hooks);
    let mut works = true;
    for (program, name, purpose) in HOOKS {
        let attached = attach_one(&object, program);
        works &= attached.is_ok();
        let attached = attached.map(|link| hooks.add(0, program, link));
        trials.push(hook(Tier::Tracing, name, purpose, outcome(attached)));
    }
    let attached = rings.and_then(|programs| {
        let attach = |program: &&'static str| Ok((*program, attach_one(&object, program)?));
        programs.iter().map(attach).collect::<Result<Vec<_>, String>>()
    });
    let purpose = "files and connections that programs use through io_uring";
    let attached = attached.map(|attached| {
        for (program, link) in attached {
            hooks.add(0, program, link);
        }
    });
    trials.push(hook(Tier::Tracing, coverage::RING_HOOK, purpose, outcome(attached)));
    match loaded {
        Ok(((records, lost), (files, flows, acts), (ends, datagrams, executables), tables))
            if works =>
        {
            Some(Loaded {
                records,
                lost,
                files,
                flows,
                acts,
                ends,
                datagrams,
                executables,
                modules: false,
                hooks,
                tables,
                objects: vec![object],
            })
        }
        Ok(_) => None,
        Err(reason) => {
            trials.push(hook(Tier::Tracing, "maps", "sums and names", outcome(Err(reason))));
            None
        }
    }
}

/// A descriptor of each of [`TABLES`]: the one that is looked at is the one that is used. Those of
/// [`GROUPS`] stay as they are from now on.
fn open_tables(object: &Object) -> Result<Vec<(&'static str, Arc<MapHandle>)>, String> {
    let open = |name: &&'static str| {
        let found = object.maps().find(|map| map.name() == *name);
        let found = found.ok_or_else(|| format!("the object has no map {name}"))?;
        let map = MapHandle::try_from(&found).map_err(|error| explain(&error))?;
        // Emptied, it would leave every hook attached and blind. Its slots are filled by now.
        if *name == GROUPS
            && let Err(error) = map.freeze()
        {
            tracing::warn!(%error, "whoever may use BPF can take the programs of system calls away");
        }
        Ok((*name, Arc::new(map)))
    };
    TABLES.iter().map(open).collect()
}

/// Loads `tracing.bpf.c` with as many of its optional programs as the kernel takes; with those, or
/// why there are none.
fn load_tracing(
    config: &ProbeConfig,
    bounds: &Bounds,
) -> Result<(Object, Result<&'static [&'static str], String>), String> {
    let mut refused = String::new();
    for programs in RINGS {
        let mut object = open(TRACING)?;
        configure(&mut object, config, bounds)?;
        for mut program in object.progs_mut() {
            if programs.iter().any(|name| program.name() == *name) {
                program.set_autoload(true);
            }
        }
        match object.load() {
            Ok(object) if programs.is_empty() => return Ok((object, Err(refused))),
            Ok(object) => return Ok((object, Ok(programs))),
            // The refusal of the newest names says most.
            Err(error) if refused.is_empty() => refused = explain(&error),
            Err(error) if programs.is_empty() => return Err(explain(&error)),
            Err(_) => {}
        }
    }
    Err(refused)
}

fn try_modules(
    loaded: &Loaded,
    bounds: &Bounds,
    config: &ProbeConfig,
) -> Result<(Object, Vec<(String, Link)>), String> {
    let mut object = open(MODULE)?;
    configure(&mut object, config, bounds)?;
    for mut map in object.maps_mut() {
        let shared = match map.name().to_str() {
            Some("records") => &loaded.records,
            Some("lost") => &loaded.lost,
            _ => continue,
        };
        map.reuse_fd(shared.as_fd()).map_err(|error| explain(&error))?;
    }
    let object = object.load().map_err(|error| explain(&error))?;
    let links = attach(&object)?;
    Ok((object, links))
}

pub(crate) fn built(object: &[u8]) -> Result<(), String> {
    if object.is_empty() {
        return Err(format!("this build has no BPF objects: {MISSING}"));
    }
    Ok(())
}

pub(crate) fn open(object: &[u8]) -> Result<OpenObject, String> {
    ObjectBuilder::default().open_memory(object).map_err(|error| explain(&error))
}

/// Sets `struct config` of `shared.h`.
fn configure(object: &mut OpenObject, config: &ProbeConfig, bounds: &Bounds) -> Result<(), String> {
    let mut value = Vec::with_capacity(32 + size_of::<Looks>());
    value.extend(bounds.id.to_ne_bytes());
    value.extend(bounds.level.to_ne_bytes());
    value.extend(std::process::id().to_ne_bytes());
    for index in 0..4 {
        value.extend(config.dns_ports.get(index).copied().unwrap_or(0).to_ne_bytes());
    }
    let own_mounts = procfs::namespace(std::process::id(), "mnt").unwrap_or(0);
    value.extend(u32::try_from(own_mounts).unwrap_or(0).to_ne_bytes());
    value.extend(0_u32.to_ne_bytes());
    let names: Vec<_> = kernel_names(&Patterns::new(&config.sensitive)).into_keys().collect();
    value.extend(looks(&names).iter().flatten().flat_map(|bits| bits.to_ne_bytes()));
    let map = object.maps_mut().find(|map| map.name().to_string_lossy().ends_with(".config"));
    let mut map = map.ok_or("the object has no configuration section")?;
    map.set_initial_value(&value).map_err(|error| explain(&error))
}

/// The names that the kernel looks up, with what each stands for (`NAME_…` of `file.h`).
fn kernel_names(patterns: &Patterns) -> BTreeMap<KernelName, u8> {
    let mut names: BTreeMap<_, _> =
        patterns.kernel_names().into_iter().map(|name| (name, NAME_SENSITIVE)).collect();
    names.insert(KernelName::File("mem".to_owned()), NAME_MEMORY);
    names
}

/// Writes the names that the kernel looks up; gives what was written.
fn name_sensitive(map: &MapHandle, patterns: &Patterns) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (name, means) in kernel_names(patterns) {
        let (name, folder) = match &name {
            KernelName::File(name) => (name, 0_u32),
            KernelName::Folder(name) => (name, 1),
        };
        let mut key = [0_u8; NAME_BYTES + 4];
        // The kernel cuts longer names likewise, so a prefix meets them; the pattern decides.
        let length = name.len().min(NAME_BYTES - 1);
        key[..length].copy_from_slice(&name.as_bytes()[..length]);
        key[NAME_BYTES..].copy_from_slice(&folder.to_ne_bytes());
        map.update(&key, &[means], MapFlags::ANY).map_err(|error| explain(&error))?;
        entries.push((key.to_vec(), means));
    }
    Ok(entries)
}

fn attach(object: &Object) -> Result<Vec<(String, Link)>, String> {
    let attach = |program: libbpf_rs::ProgramMut<'_>| {
        let name = program.name().to_string_lossy().into_owned();
        Ok((name, program.attach().map_err(|error| explain(&error))?))
    };
    object.progs_mut().map(attach).collect()
}

pub(super) fn attach_one(object: &Object, name: &str) -> Result<Link, String> {
    let program = object.progs_mut().find(|program| program.name() == name);
    let program = program.ok_or_else(|| format!("the object has no program {name}"))?;
    program.attach().map_err(|error| explain(&error))
}

fn outcome(result: Result<(), String>) -> Outcome {
    match result {
        Ok(()) => Outcome::Works,
        Err(reason) => Outcome::Refused { reason },
    }
}

/// The error with what could be done about it.
pub(crate) fn explain(error: &libbpf_rs::Error) -> String {
    use libbpf_rs::ErrorKind;
    // SAFETY: geteuid always succeeds and touches no memory.
    let root = unsafe { libc::geteuid() } == 0;
    let missing = std::io::Error::from_raw_os_error(libc::ESRCH).to_string();
    let text = format!("{error:#}");
    let hint = match error.kind() {
        ErrorKind::PermissionDenied if root => {
            "; this kernel, or the container around the sensor, refuses such programs even to root"
        }
        ErrorKind::PermissionDenied => {
            "; run as root, or with CAP_BPF, CAP_PERFMON and CAP_DAC_READ_SEARCH"
        }
        ErrorKind::NotFound => "; this kernel has no such hook",
        _ if text == missing => "; this kernel has no such hook",
        _ => "",
    };
    text + hint
}
