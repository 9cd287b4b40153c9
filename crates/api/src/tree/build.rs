//! From activities to the nodes of a process tree. Pure.

use std::collections::HashMap;

use metsuke_catalog::HitRecord;
use metsuke_event::activity::ProcessActivity;
use metsuke_event::{Activity, Event, Process, Text};

use super::{TreeCounts, TreeHit, TreeNode};
use crate::shape::Time;

/// Most processes in one tree; later ones are left out.
const MAX_NODES: usize = 5_000;
/// Most hits shown of one process.
const MAX_HITS_OF_PROCESS: usize = 50;
/// Longest chain of parents followed: a guard against rings in hostile data.
const MAX_DEPTH: usize = 4_096;

/// Whether something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    Nothing,
    /// Some processes.
    Some,
}

fn empty(uid: &str) -> TreeNode {
    TreeNode {
        uid: uid.to_owned(),
        parent_uid: None,
        pid: None,
        name: None,
        exe: None,
        cmd_line: None,
        cwd: None,
        user: None,
        sha256: None,
        start: None,
        end: None,
        exit_code: None,
        hits: Vec::new(),
        counts: TreeCounts::default(),
        in_scope: true,
    }
}

fn put<T>(slot: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *slot = value;
    }
}

fn text(value: Option<&Text>) -> Option<String> {
    value.map(ToString::to_string)
}

/// What the last activity says of a process stands: after an exec it is another program.
fn describe(node: &mut TreeNode, process: &Process) {
    put(&mut node.parent_uid, text(process.parent_uid.as_ref()));
    put(&mut node.pid, process.pid);
    put(&mut node.name, text(process.name.as_ref()));
    put(&mut node.exe, text(process.exe.as_ref()));
    put(&mut node.cmd_line, text(process.cmd_line.as_ref()));
    put(&mut node.cwd, text(process.cwd.as_ref()));
    put(&mut node.user, text(process.user_name.as_ref()));
    put(&mut node.sha256, text(process.sha256.as_ref()));
    put(&mut node.start, process.start_time.map(Time));
    put(&mut node.exit_code, process.exit_code);
}

/// A parent that did nothing in the range is known by what its child says of it.
fn parent(process: &Process) -> Option<TreeNode> {
    let mut node = empty(process.parent_uid.as_deref()?);
    node.in_scope = false;
    node.pid = process.parent_pid;
    node.name = text(process.parent_name.as_ref());
    node.exe = text(process.parent_exe.as_ref());
    node.cmd_line = text(process.parent_cmd_line.as_ref());
    node.user = text(process.parent_user_name.as_ref());
    Some(node)
}

/// The processes that acted in `events`, with their parents and hits, by start.
pub(crate) fn nodes(events: &[Event], hits: Vec<HitRecord>) -> (Vec<TreeNode>, Cut) {
    let mut places: HashMap<Text, usize> = HashMap::new();
    let mut nodes: Vec<TreeNode> = Vec::new();
    let mut cut = Cut::Nothing;
    for event in events {
        let Some(uid) = &event.process.uid else { continue };
        let place = match places.get(uid) {
            Some(place) => *place,
            None if nodes.len() >= MAX_NODES => {
                cut = Cut::Some;
                continue;
            }
            None => {
                nodes.push(empty(uid));
                places.insert(Text::clone(uid), nodes.len() - 1);
                nodes.len() - 1
            }
        };
        let node = &mut nodes[place];
        describe(node, &event.process);
        match &event.activity {
            Activity::Process(ProcessActivity::Exit) => node.end = Some(event.time.into()),
            Activity::File(..) => node.counts.file += 1,
            Activity::Network(..) => node.counts.network += 1,
            Activity::Dns(_) => node.counts.dns += 1,
            _ => {}
        }
    }
    for event in events {
        let Some(node) = parent(&event.process) else { continue };
        if nodes.len() < MAX_NODES && !places.contains_key(node.uid.as_str()) {
            places.insert(node.uid.as_str().into(), nodes.len());
            nodes.push(node);
        }
    }
    for record in hits.into_iter().rev() {
        let hit = record.hit;
        let Some(place) = places.get(hit.process.as_str()) else { continue };
        let known = &mut nodes[*place].hits;
        if known.len() < MAX_HITS_OF_PROCESS {
            known.push(TreeHit {
                technique: hit.detection.techniques.first().cloned(),
                detection_id: hit.detection.id,
                title: hit.detection.title,
                level: hit.detection.level.into(),
                time: hit.time.into(),
            });
        }
    }
    for node in &mut nodes {
        node.hits.sort_by_key(|hit| hit.time);
    }
    // A parent without a start stands before everything.
    nodes.sort_by(|a, b| (a.start, &a.uid).cmp(&(b.start, &b.uid)));
    (nodes, cut)
}

/// The topmost known ancestor of `uid`, itself included.
pub(crate) fn topmost(nodes: &[TreeNode], uid: &str) -> Option<String> {
    let by_uid: HashMap<&str, &TreeNode> =
        nodes.iter().map(|node| (node.uid.as_str(), node)).collect();
    let mut top = *by_uid.get(uid).or_else(|| by_uid.get(nodes.first()?.uid.as_str()))?;
    for _ in 0..MAX_DEPTH {
        match top.parent_uid.as_deref().and_then(|parent| by_uid.get(parent)) {
            Some(parent) => top = parent,
            None => break,
        }
    }
    Some(top.uid.clone())
}
