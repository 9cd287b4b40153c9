//! Processes: the kernel's task iterator, pids tried one by one, control groups and the caller's
//! tracepoints, against what `/proc`, `ls` and `ps` show.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::config::Config;
use crate::helper;
use crate::host::{self, Groups, Pace, listed_pids};
use crate::kernel::Iterators;
use crate::kernel::record::{self, Task};
use crate::mounts::Namespaces;
use crate::raw;
use crate::view::{Pass, ProcessRef, Subject, SubjectType, View};

/// Pids tried at most: the kernel's own limit on 64 bits (`PID_MAX_LIMIT`).
const MAX_PID: u32 = 4_194_304;

/// First of all processes.
const INIT: u32 = 1;

const OF: SubjectType = SubjectType::Process;

/// Looks at them in every way. What owes is asked first, so that a process which starts meanwhile
/// shows as missing in one pass only.
pub(crate) fn look(
    config: &Config,
    iterators: &Iterators,
    groups: &Groups,
    namespaces: &Namespaces,
) -> Pass {
    let mut pass = Pass::default();
    let mut pace = Pace::default();
    let listed = listed_pids().map_err(|error| error.to_string());
    pass.views.push(shown(config, "ls_proc", &["/bin/ls", "-1", "-U", "/proc"]));
    pass.views.push(shown(config, "ps", &["/bin/ps", "-e", "-o", "pid="]));
    let tasks = iterators.read::<{ record::TASK }>("on_task");
    let tasks: Result<Vec<Task>, String> =
        tasks.map(|tasks| tasks.iter().map(record::task).collect());
    let all: BTreeSet<u32> = listed
        .iter()
        .flatten()
        .copied()
        .chain(tasks.iter().flatten().map(|task| task.pid))
        .collect();
    let entries = entries(&all, &mut pass, &mut pace);
    let starts: BTreeMap<u32, (u64, String)> = entries
        .subjects
        .values()
        .filter_map(|subject| {
            let process = subject.process.as_ref()?;
            Some((process.pid, (process.start_ticks?, process.name.clone())))
        })
        .collect();
    elsewhere(&all, namespaces, &mut pass);
    pass.views.push(entries);
    pass.views.push(View::from_result(
        "readdir_proc",
        OF,
        listed.clone().map(|pids| pids.into_iter().map(|pid| plain(pid, &starts)).collect()),
    ));
    pass.views.push(View::from_result("bpf_iter_task", OF, iterated(tasks, &listed)));
    pass.views.push(tried(&mut pace));
    pass.views.push(grouped(groups, &mut pace));
    pass.views.push(known(config));
    pass
}

/// A subject of which the pid is known, and perhaps what `/proc` says of it.
fn plain(pid: u32, starts: &BTreeMap<u32, (u64, String)>) -> (String, Subject) {
    let (start_ticks, name) = starts.get(&pid).cloned().unzip();
    let process = ProcessRef { pid, start_ticks, name: name.unwrap_or_default(), cgroup: None };
    (pid.to_string(), Subject { label: label(&process), process: Some(process) })
}

fn label(process: &ProcessRef) -> String {
    format!("{} {}", process.pid, process.name).trim_end().to_owned()
}

fn iterated(
    tasks: Result<Vec<Task>, String>,
    listed: &Result<BTreeSet<u32>, String>,
) -> Result<Vec<(String, Subject)>, String> {
    let mut shown: Vec<_> = tasks?
        .into_iter()
        .map(|task| {
            let process = ProcessRef {
                pid: task.pid,
                start_ticks: Some(task.start_ticks),
                name: task.name,
                cgroup: Some(task.cgroup),
            };
            let label = match (task.is_kernel, task.exe.is_empty()) {
                (false, false) => format!("{} ({})", label(&process), task.exe),
                _ => label(&process),
            };
            (task.pid.to_string(), Subject { label, process: Some(process) })
        })
        .collect();
    // The task iterator of some kernels (6.18 among them) begins behind the first process.
    if listed.iter().flatten().any(|pid| *pid == INIT) {
        shown.push(plain(INIT, &BTreeMap::new()));
    }
    Ok(shown)
}

/// What a child's output says, one pid a line.
fn shown(config: &Config, name: &'static str, command: &[&str]) -> View {
    let output = helper::output(config, command[0], &command[1..]);
    let pids = output.map(|output| {
        let text = String::from_utf8_lossy(&output).into_owned();
        let pids = text.lines().filter_map(|line| line.trim().parse::<u32>().ok());
        pids.map(|pid| plain(pid, &BTreeMap::new())).collect()
    });
    View::from_result(name, OF, pids)
}

/// Processes whose entry in `/proc` is there, lies on the same file system, and is of themselves.
fn entries(pids: &BTreeSet<u32>, pass: &mut Pass, pace: &mut Pace) -> View {
    let Ok(proc_device) = fs::metadata("/proc").map(|meta| meta.dev()) else {
        return View::refused("proc_entry", OF, "/proc cannot be read; mount proc on it");
    };
    let mut view = View::new("proc_entry", OF);
    for pid in pids {
        pace.step();
        let id = pid.to_string();
        let Ok(meta) = fs::metadata(format!("/proc/{pid}")) else { continue };
        if meta.dev() != proc_device {
            let detail = format!("another file system lies over /proc/{pid}");
            pass.clue(OF, &id, "tmpfs_over_proc", detail);
            continue;
        }
        let Some((said, start, name)) = host::stat(*pid) else { continue };
        if said != *pid {
            let detail = format!("/proc/{pid} shows the process {said} ({name})");
            pass.clue(OF, &id, "bind_over_proc", detail);
            continue;
        }
        view.show(id, plain(*pid, &BTreeMap::from([(*pid, (start, name))])).1);
    }
    view
}

/// All processes but those whose entry is covered in another mount namespace of this host.
fn elsewhere(pids: &BTreeSet<u32>, namespaces: &Namespaces, pass: &mut Pass) {
    let mut view = View::new("proc_entry_elsewhere", OF);
    let mut covered = BTreeSet::new();
    for cover in namespaces.covers.iter().filter(|cover| cover.is_of_this_host) {
        let detail = format!(
            "in the mount namespace {} of process {}, {} lies over /proc/{}",
            cover.namespace,
            cover.holder,
            if cover.technique == "tmpfs_over_proc" { "a file system" } else { &cover.root },
            cover.pid
        );
        pass.clue(OF, &cover.pid.to_string(), cover.technique, detail);
        covered.insert(cover.pid);
    }
    for pid in pids.difference(&covered) {
        view.show(pid.to_string(), Subject::default());
    }
    pass.views.push(view);
}

/// Every pid that may exist, tried.
fn tried(pace: &mut Pace) -> View {
    let max = host::text("/proc/sys/kernel/pid_max").ok();
    let max = max.and_then(|text| text.trim().parse().ok()).unwrap_or(MAX_PID).min(MAX_PID);
    let mut view = View::new("pidfd_open", OF);
    for pid in 1..=max {
        // Most pids of a large range are free; only every tenth try counts as a step.
        if pid % 10 == 0 {
            pace.step();
        }
        match raw::has_process(pid) {
            Ok(true) => {
                let (id, subject) = plain(pid, &BTreeMap::new());
                view.show(id, subject);
            }
            Ok(false) => {}
            Err(error) => return View::refused("pidfd_open", OF, error.to_string()),
        }
    }
    view
}

fn grouped(groups: &Groups, pace: &mut Pace) -> View {
    if !groups.is_mounted() {
        let reason = "no control group hierarchy (version 2) is mounted";
        return View::refused("cgroup_procs", OF, reason);
    }
    let mut view = View::new("cgroup_procs", OF);
    for (group, path) in groups.directories() {
        pace.step();
        // Groups in threaded mode have no such file to read.
        let Ok(text) = host::text(path.join("cgroup.procs")) else { continue };
        for pid in text.lines().filter_map(|line| line.parse::<u32>().ok()) {
            // 0 is a process of a pid namespace that is not seen from here.
            if pid != 0 {
                let (id, mut subject) = plain(pid, &BTreeMap::new());
                if let Some(process) = &mut subject.process {
                    process.cgroup = Some(group);
                }
                view.show(id, subject);
            }
        }
    }
    view
}

fn known(config: &Config) -> View {
    let mut view = View::new("sched_tracepoints", OF);
    for known in &config.known {
        let process = ProcessRef {
            pid: known.pid,
            start_ticks: Some(known.start_ticks),
            name: known.name.clone(),
            cgroup: None,
        };
        view.show(
            known.pid.to_string(),
            Subject { label: label(&process), process: Some(process) },
        );
    }
    view
}
