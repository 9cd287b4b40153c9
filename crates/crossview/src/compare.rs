//! The comparison: views in, differences out. Pure.
//!
//! A rule says which view owes to show what another one sees. A difference is what the first shows
//! and the second does not, when both worked. Two passes are compared, and only differences that
//! are in both, for the same process, are kept: everything else may be a race.

use std::collections::{BTreeMap, BTreeSet};

use crate::view::{Pass, ProcessRef, Subject, SubjectType, View};

/// `missing_from` owes to show whatever `seen_by` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Type of the subjects.
    pub of: SubjectType,
    /// The view that knows.
    pub seen_by: &'static str,
    /// The view that owes it.
    pub missing_from: &'static str,
    /// Only subjects whose identity begins so; empty for all.
    pub only: &'static [&'static str],
    /// What a difference is called unless a closer look knows better.
    pub technique: &'static str,
}

const fn rule(
    of: SubjectType,
    seen_by: &'static str,
    missing_from: &'static str,
    technique: &'static str,
) -> Rule {
    Rule { of, seen_by, missing_from, only: &[], technique }
}

const fn only(rule: Rule, only: &'static [&'static str]) -> Rule {
    Rule { only, ..rule }
}

use SubjectType::{Bpf, File, Module, Mount, Process, Socket};

/// What is owed. The first rule that finds a subject missing names the technique, so those that
/// say more stand first.
pub const RULES: &[Rule] = &[
    rule(Process, "bpf_iter_task", "readdir_proc", "hidden_from_proc"),
    rule(Process, "pidfd_open", "readdir_proc", "hidden_from_proc"),
    rule(Process, "cgroup_procs", "readdir_proc", "hidden_from_proc"),
    rule(Process, "sched_tracepoints", "readdir_proc", "hidden_from_proc"),
    rule(Process, "bpf_iter_task", "proc_entry", "hidden_from_proc"),
    rule(Process, "bpf_iter_task", "proc_entry_elsewhere", "hidden_from_proc"),
    rule(Process, "readdir_proc", "bpf_iter_task", "hidden_from_iterator"),
    rule(Process, "readdir_proc", "ls_proc", "preload"),
    rule(Process, "readdir_proc", "ps", "preload"),
    rule(Module, "sys_module", "proc_modules", "hidden_module"),
    rule(Module, "kallsyms", "proc_modules", "hidden_module"),
    rule(Module, "bpf_iter_ksym", "proc_modules", "hidden_module"),
    rule(Module, "bpf_iter_ksym", "kallsyms", "hidden_module"),
    rule(Module, "proc_modules", "sys_module", "hidden_module"),
    rule(Socket, "bpf_iter_task_file", "reachable_namespaces", "unreachable_namespace"),
    rule(Socket, "bpf_iter_task_file", "own_namespace", "foreign_namespace"),
    rule(Socket, "bpf_iter_task_file", "proc_net", "hidden_socket"),
    rule(Socket, "bpf_iter_net", "proc_net", "hidden_socket"),
    rule(Socket, "sock_diag", "proc_net", "hidden_socket"),
    only(
        rule(Socket, "bpf_iter_net", "sock_diag", "hidden_socket"),
        &["tcp:", "listen:", "udp:", "unix:"],
    ),
    rule(File, "running_executable", "directory_entry", "deleted_executable"),
    rule(File, "open_by_name", "getdents", "hidden_from_listing"),
    rule(File, "getdents", "ls", "preload"),
    rule(Mount, "mountinfo", "proc_entry", "tmpfs_over_proc"),
    rule(Mount, "listmount", "mountinfo", "hidden_mount"),
    rule(Bpf, "bpf_iter", "bpf_ids", "hidden_bpf"),
    rule(Bpf, "bpf_ids", "bpf_iter", "hidden_from_iterator"),
    rule(Bpf, "bpf_ids", "owners", "no_owner"),
];

/// What one subject's views disagree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub of: SubjectType,
    /// Its identity within its type.
    pub id: String,
    /// As the view that knows most shows it.
    pub subject: Subject,
    /// Views that show it.
    pub seen_by: BTreeSet<&'static str>,
    /// Views that owe it and do not.
    pub missing_from: BTreeSet<&'static str>,
    /// How it is thought to be hidden.
    pub technique: &'static str,
    /// More for people.
    pub detail: String,
}

/// Every difference of one pass, by type and identity.
pub fn differences(pass: &Pass, rules: &[Rule]) -> BTreeMap<(SubjectType, String), Difference> {
    let mut found = BTreeMap::new();
    for rule in rules {
        let whole = |name| pass.view(rule.of, name).filter(|view| view.is_whole());
        // A view cut off still shows what it shows; only what it does not show means nothing.
        let knows = pass.view(rule.of, rule.seen_by);
        let (Some(knows), Some(owes)) = (knows, whole(rule.missing_from)) else { continue };
        for (id, subject) in missing(knows, owes, rule.only) {
            let key = (rule.of, id.clone());
            let difference = found.entry(key).or_insert_with(|| begin(pass, rule, id));
            difference.seen_by.insert(rule.seen_by);
            difference.missing_from.insert(rule.missing_from);
            difference.subject = richer(&difference.subject, subject);
        }
    }
    found
}

fn missing<'a>(
    knows: &'a View,
    owes: &'a View,
    only: &'static [&'static str],
) -> impl Iterator<Item = (&'a String, &'a Subject)> {
    knows.subjects.iter().filter(move |(id, _)| {
        !owes.subjects.contains_key(*id)
            && (only.is_empty() || only.iter().any(|start| id.starts_with(start)))
    })
}

fn begin(pass: &Pass, rule: &Rule, id: &str) -> Difference {
    let clue = pass.clues.get(&(rule.of, id.to_owned()));
    Difference {
        of: rule.of,
        id: id.to_owned(),
        subject: Subject::default(),
        seen_by: BTreeSet::new(),
        missing_from: BTreeSet::new(),
        technique: clue.map_or(rule.technique, |clue| clue.technique),
        detail: clue.map_or_else(String::new, |clue| clue.detail.clone()),
    }
}

/// The one that knows the process better, then the one with the longer label.
fn richer(one: &Subject, other: &Subject) -> Subject {
    let rank = |subject: &Subject| {
        let start = subject.process.as_ref().map(|process| process.start_ticks.is_some());
        (start, subject.label.len())
    };
    if rank(other) > rank(one) { other.clone() } else { one.clone() }
}

/// What differs in both passes, for the same process, on the same views.
pub fn lasting(
    first: &BTreeMap<(SubjectType, String), Difference>,
    second: BTreeMap<(SubjectType, String), Difference>,
) -> Vec<Difference> {
    second
        .into_iter()
        .filter_map(|(key, mut now)| {
            let before = first.get(&key)?;
            if !same(before.subject.process.as_ref(), now.subject.process.as_ref()) {
                return None;
            }
            now.seen_by.retain(|view| before.seen_by.contains(view));
            now.missing_from.retain(|view| before.missing_from.contains(view));
            if now.seen_by.is_empty() || now.missing_from.is_empty() {
                return None;
            }
            now.subject = richer(&before.subject, &now.subject);
            Some(now)
        })
        .collect()
}

/// Pids are reused: two processes are the same when their starts do not say otherwise.
fn same(before: Option<&ProcessRef>, now: Option<&ProcessRef>) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return true };
    before.pid == now.pid
        && before.start_ticks.zip(now.start_ticks).is_none_or(|(before, now)| before == now)
}

#[cfg(test)]
mod tests;
