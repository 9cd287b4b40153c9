//! Processes hidden from `/proc` and from the C library.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use metsuke_crossview::SubjectType::Process;
use metsuke_testkit::table::{Outcome, Table, row};
use metsuke_testkit::{Cgroup, needs};

use crate::support::{
    Sleeper, apart, config, cover, library, look, of_pid, only, private_mounts, works,
};

/// Leaves out names given by the variable `HIDE` from what `readdir` shows.
pub(crate) const HIDE: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static int hidden(const char *name) {
	const char *hide = getenv("HIDE");
	return hide && strcmp(name, hide) == 0;
}

struct dirent *readdir(DIR *dir) {
	struct dirent *(*next)(DIR *) = dlsym(RTLD_NEXT, "readdir");
	struct dirent *entry;
	do entry = next(dir); while (entry && hidden(entry->d_name));
	return entry;
}

struct dirent64 *readdir64(DIR *dir) {
	struct dirent64 *(*next)(DIR *) = dlsym(RTLD_NEXT, "readdir64");
	struct dirent64 *entry;
	do entry = next(dir); while (entry && hidden(entry->d_name));
	return entry;
}
"#;

#[test]
fn a_process_below_a_tmpfs_is_told() -> anyhow::Result<()> {
    let test = "a_process_below_a_tmpfs_is_told";
    needs!(test, Root, Cgroup, PrivateMounts);
    let group = Cgroup::create("crossview")?;
    let (hidden, open) = (Sleeper::plain(&group)?, Sleeper::plain(&group)?);
    let config = config(&group, &[Process]);
    let report = apart(|| {
        private_mounts()?;
        cover(hidden.pid(), None)?;
        look(&config)
    })?;
    if !works(&report, test, "bpf_iter_task") {
        return Ok(());
    }
    let found = only(&report, Process, hidden.pid());
    assert_eq!(found.technique, "tmpfs_over_proc");
    assert!(found.seen_by.contains(&"bpf_iter_task".to_owned()), "{found:?}");
    assert!(found.missing_from.contains(&"proc_entry".to_owned()), "{found:?}");
    assert!(found.subject.contains("sleep"), "named by the kernel: {found:?}");
    assert!(of_pid(&report, Process, open.pid()).is_empty(), "{report:#?}");
    let reason = "process tmpfs_over_proc: bpf_iter_task sees it, the entry in /proc is covered";
    row(
        Table::Crossview,
        "tmpfs over /proc/PID, in the sensor's own namespace",
        Outcome::Seen,
        reason,
    );
    Ok(())
}

#[test]
fn a_process_whose_entry_shows_another_is_told() -> anyhow::Result<()> {
    let test = "a_process_whose_entry_shows_another_is_told";
    needs!(test, Root, Cgroup, PrivateMounts);
    let group = Cgroup::create("crossview")?;
    let (hidden, open) = (Sleeper::plain(&group)?, Sleeper::plain(&group)?);
    let config = config(&group, &[Process]);
    let report = apart(|| {
        private_mounts()?;
        cover(hidden.pid(), Some(open.pid()))?;
        look(&config)
    })?;
    if !works(&report, test, "bpf_iter_task") {
        return Ok(());
    }
    let found = only(&report, Process, hidden.pid());
    assert_eq!(found.technique, "bind_over_proc");
    assert!(found.detail.contains(&open.pid().to_string()), "{found:?}");
    assert!(of_pid(&report, Process, open.pid()).is_empty(), "{report:#?}");
    let reason = "process bind_over_proc: the entry says it is of another process";
    row(Table::Crossview, "another /proc/PID bound over /proc/PID", Outcome::Seen, reason);
    Ok(())
}

#[test]
fn a_process_covered_in_another_mount_namespace_is_told() -> anyhow::Result<()> {
    let test = "a_process_covered_in_another_mount_namespace_is_told";
    needs!(test, Root, Cgroup, PrivateMounts);
    let group = Cgroup::create("crossview")?;
    let hidden = Sleeper::plain(&group)?;
    let pid = hidden.pid();
    let mut command = group.command("/bin/sleep");
    command.arg("601");
    // SAFETY: the process has one thread after fork; what it calls are system calls, and
    // allocation, which the C library allows there.
    unsafe {
        command.pre_exec(move || {
            private_mounts()?;
            cover(pid, None)
        });
    }
    let hider = Sleeper::start(command, "sleep")?;
    let report = look(&config(&group, &[Process]))?;
    if !works(&report, test, "bpf_iter_task") {
        return Ok(());
    }
    let found = only(&report, Process, pid);
    assert_eq!(found.technique, "tmpfs_over_proc");
    assert_eq!(found.missing_from, ["proc_entry_elsewhere"]);
    assert!(found.detail.contains(&hider.pid().to_string()), "who holds it: {found:?}");
    let reason = "process tmpfs_over_proc: told with the namespace and a process that lives in it";
    row(
        Table::Crossview,
        "tmpfs over /proc/PID, in another mount namespace",
        Outcome::Seen,
        reason,
    );
    Ok(())
}

#[test]
fn a_process_hidden_from_ls_and_ps_by_a_preloaded_library_is_told() -> anyhow::Result<()> {
    let test = "a_process_hidden_from_ls_and_ps_by_a_preloaded_library_is_told";
    needs!(test, Root, Cgroup);
    let folder = tempfile::tempdir()?;
    let library = match library(HIDE, folder.path()) {
        Ok(library) => library,
        Err(reason) => {
            metsuke_testkit::not_run::not_run(test, &reason);
            return Ok(());
        }
    };
    let group = Cgroup::create("crossview")?;
    let (hidden, open) = (Sleeper::plain(&group)?, Sleeper::plain(&group)?);
    let mut config = config(&group, &[Process]);
    config.helper_environment = vec![
        (OsString::from("LD_PRELOAD"), library.into_os_string()),
        (OsString::from("HIDE"), OsString::from(hidden.pid().to_string())),
    ];
    let report = look(&config)?;
    if !works(&report, test, "ps") || !works(&report, test, "ls_proc") {
        return Ok(());
    }
    let found = only(&report, Process, hidden.pid());
    assert_eq!(found.technique, "preload");
    assert_eq!(found.missing_from, ["ls_proc", "ps"]);
    assert!(of_pid(&report, Process, open.pid()).is_empty(), "{report:#?}");
    let reason = "process preload: getdents64 lists it, ls and ps do not";
    row(Table::Crossview, "LD_PRELOAD hiding a process from ls and ps", Outcome::Seen, reason);
    Ok(())
}

#[test]
fn what_is_not_hidden_is_not_told() -> anyhow::Result<()> {
    needs!("what_is_not_hidden_is_not_told", Root, Cgroup);
    let group = Cgroup::create("crossview")?;
    let sleepers = [Sleeper::plain(&group)?, Sleeper::plain(&group)?];
    let mut config = config(&group, &metsuke_crossview::SubjectType::ALL);
    config.directories = vec!["/etc".into(), "/usr/bin".into()];
    let report = look(&config)?;
    assert_eq!(report.discrepancies, [], "with {:?}", sleepers.map(|sleeper| sleeper.pid()));
    assert!(report.views.len() > 10, "{:#?}", report.views);
    let text = serde_json::to_string(&report)?;
    assert_eq!(serde_json::from_str::<metsuke_crossview::Report>(&text)?, report);
    Ok(())
}
