//! What processes change about themselves: told when it differs from what was known.

use metsuke_event::activity::{Activity, TransitionActivity};
use metsuke_event::{Process, ProcessKey, Text, Timestamp, Transition};

use super::apply::text;
use super::labels;
use super::record::{Change, Head, kind};
use crate::world::World;

/// Kinds of namespaces in the order of the records, with their `CLONE_NEW…` bit.
const KINDS: [(&str, u32); 7] = [
    ("pid", 0x2000_0000),
    ("mount", 0x0002_0000),
    ("net", 0x4000_0000),
    ("user", 0x1000_0000),
    ("cgroup", 0x0200_0000),
    ("uts", 0x0400_0000),
    ("ipc", 0x0800_0000),
];

/// System calls whose change stands in `asked`.
const SETGROUPS: u32 = 116;
const SETFSUID: u32 = 122;
const SETFSGID: u32 = 123;

/// `CLONE_NEWTIME`: of this kind no inode is kept.
const TIME: (&str, u32) = ("time", 0x80);

/// The fields of the namespaces, in the order of the records.
pub(super) fn namespaces(process: &mut Process) -> [&mut Option<u64>; 7] {
    [
        &mut process.pid_namespace,
        &mut process.mount_namespace,
        &mut process.network_namespace,
        &mut process.user_namespace,
        &mut process.cgroup_namespace,
        &mut process.uts_namespace,
        &mut process.ipc_namespace,
    ]
}

/// Sets the namespaces; gives the kinds of those that differ from what was known, or that were
/// asked for where nothing was known.
fn enter(process: &mut Process, change: &Change<'_>) -> Vec<&'static str> {
    let mut entered = Vec::new();
    for ((field, inode), (name, bit)) in
        namespaces(process).into_iter().zip(change.namespaces).zip(KINDS)
    {
        let inode = Some(u64::from(inode));
        if *field != inode && (field.is_some() || change.asked & bit != 0) {
            entered.push(name);
        }
        *field = inode;
    }
    if change.asked & TIME.1 != 0 {
        entered.push(TIME.0);
    }
    entered
}

pub(super) fn apply(
    world: &mut World,
    head: &Head,
    change: &Change<'_>,
    (key, time): (ProcessKey, Timestamp),
) {
    match head.kind {
        kind::RENAMED => rename(world, change, (key, time)),
        kind::NAMESPACE => {
            let mut entered = Vec::new();
            let (_, process) = world.alter(key, |process| entered = enter(process, change));
            if entered.is_empty() {
                return;
            }
            let transition = Transition {
                call: Some(labels::call(change.call)),
                namespace: Some(entered.join(" ").into()),
                ..Transition::default()
            };
            let activity = Activity::Transition(TransitionActivity::Namespace, transition);
            world.push(time, &process, activity);
        }
        _ => identify(world, head, change, (key, time)),
    }
}

fn rename(world: &mut World, change: &Change<'_>, (key, time): (ProcessKey, Timestamp)) {
    if change.name == change.old_name {
        return;
    }
    let (_, process) = world.alter(key, |process| process.name = text(change.name));
    let transition = Transition {
        call: Some(labels::call(change.call)),
        old_name: text(change.old_name),
        name: text(change.name),
        ..Transition::default()
    };
    world.push(time, &process, Activity::Transition(TransitionActivity::Rename, transition));
}

fn identify(
    world: &mut World,
    head: &Head,
    change: &Change<'_>,
    (key, time): (ProcessKey, Timestamp),
) {
    let (user, effective) = (Some(u64::from(head.uid)), Some(u64::from(change.euid)));
    let (group, effective_group) = (Some(u64::from(change.gid)), Some(u64::from(change.egid)));
    let (before, process) = world.alter(key, |process| {
        process.user_id = user;
        process.effective_user_id = effective;
        process.group_id = group;
        process.effective_group_id = effective_group;
        process.capabilities = Some(change.capabilities);
    });
    let files = |call: u32| (change.call == call).then_some(u64::from(change.asked));
    let (fs_user_id, fs_group_id) = (files(SETFSUID), files(SETFSGID));
    let groups = (change.call == SETGROUPS).then(|| groups(change));
    // What of these was before is not known; the kernel's program tells what changed, or may have.
    let is_other = fs_user_id.is_some() || fs_group_id.is_some() || groups.is_some();
    let same = !is_other
        && before.user_id == user
        && before.effective_user_id == effective
        && before.group_id == group
        && before.effective_group_id.or(before.group_id) == effective_group
        && before.capabilities == Some(change.capabilities);
    if same {
        return;
    }
    let transition = Transition {
        call: Some(labels::call(change.call)),
        user_id: user,
        effective_user_id: effective,
        old_effective_user_id: before.effective_user_id,
        effective_group_id: effective_group,
        old_capabilities: before.capabilities,
        capabilities: Some(change.capabilities),
        fs_user_id,
        fs_group_id,
        groups,
        ..Transition::default()
    };
    world.push(time, &process, Activity::Transition(TransitionActivity::SetUser, transition));
}

/// The groups of a process beside its own; empty when there are none.
fn groups(change: &Change<'_>) -> Text {
    let count = usize::try_from(change.asked).unwrap_or(usize::MAX);
    let known = change.groups.unwrap_or_default();
    let mut listed: Vec<String> = known.iter().take(count).map(u32::to_string).collect();
    if let Some(more) = count.checked_sub(known.len()).filter(|more| *more > 0) {
        listed.push(format!("and {more} more"));
    }
    listed.join(" ").into()
}
