//! The tree of processes of one endpoint, built from its events.

use std::collections::{BTreeMap, BTreeSet};

use metsuke_event::activity::{Activity, ProcessActivity};
use metsuke_event::{Event, Process, Text, Timestamp};
use serde::Serialize;

/// Ancestors followed at most: deeper than any real lineage, and a stop for forged loops.
const MAX_DEPTH: usize = 256;

/// How many activities of each class a process did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// File activities.
    pub file: u64,
    /// Network activities.
    pub network: u64,
    /// DNS questions.
    pub dns: u64,
}

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Identity.
    pub uid: Text,
    /// Identity of the parent, when known.
    pub parent_uid: Option<Text>,
    /// Process id.
    pub pid: Option<u64>,
    /// Short name.
    pub name: Option<Text>,
    /// Executable.
    pub exe: Option<Text>,
    /// Command line.
    pub cmd_line: Option<Text>,
    /// Working directory.
    pub cwd: Option<Text>,
    /// User name.
    pub user: Option<Text>,
    /// SHA-256 of the executable.
    pub sha256: Option<Text>,
    /// Storyline.
    pub storyline: Option<Text>,
    /// Start.
    pub start: Option<Timestamp>,
    /// End, once seen.
    pub end: Option<Timestamp>,
    /// Exit status.
    pub exit_code: Option<i64>,
    /// What it did.
    pub counts: Counts,
    /// False when it is known only as another's parent.
    pub in_scope: bool,
    /// Time of the newest event the description comes from.
    #[serde(skip)]
    described: Option<Timestamp>,
}

/// Processes and who started whom.
#[derive(Clone, Debug)]
pub struct Tree {
    capacity: usize,
    nodes: BTreeMap<Text, Node>,
    children: BTreeMap<Text, BTreeSet<Text>>,
    refused: u64,
}

impl Tree {
    /// An empty tree of at most `capacity` processes.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, nodes: BTreeMap::new(), children: BTreeMap::new(), refused: 0 }
    }

    /// A tree of `events`, of at most `capacity` processes.
    pub fn build<'a>(capacity: usize, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut tree = Self::new(capacity);
        for event in events {
            tree.observe(event);
        }
        tree
    }

    /// Takes in one event. Each event is to be given once for the counts to be right; the rest
    /// does not change by repetition or order.
    pub fn observe(&mut self, event: &Event) {
        let process = &*event.process;
        let Some(uid) = process.uid.clone() else { return };
        self.add_parent(process);
        let Some(node) = self.node_mut(&uid) else { return };
        node.in_scope = true;
        if node.described.is_none_or(|seen| seen <= event.time) {
            node.described = Some(event.time);
            describe(node, process);
        }
        match &event.activity {
            Activity::Process(ProcessActivity::Exit) => {
                node.end = Some(event.time);
                node.exit_code = process.exit_code.or(node.exit_code);
            }
            Activity::File(..) => node.counts.file += 1,
            Activity::Network(..) => node.counts.network += 1,
            Activity::Dns(_) => node.counts.dns += 1,
            _ => {}
        }
        if let Some(parent) = node.parent_uid.clone() {
            self.children.entry(parent).or_default().insert(uid);
        }
    }

    fn add_parent(&mut self, process: &Process) {
        let Some(uid) = &process.parent_uid else { return };
        if let Some(node) = self.node_mut(uid)
            && node.described.is_none()
        {
            node.pid = process.parent_pid;
            fill(&mut node.name, process.parent_name.as_ref());
            fill(&mut node.exe, process.parent_exe.as_ref());
            fill(&mut node.cmd_line, process.parent_cmd_line.as_ref());
            fill(&mut node.user, process.parent_user_name.as_ref());
        }
    }

    fn node_mut(&mut self, uid: &Text) -> Option<&mut Node> {
        if !self.nodes.contains_key(uid) && self.nodes.len() >= self.capacity {
            self.refused += 1;
            return None;
        }
        let new = || Node { uid: Text::clone(uid), ..Node::default() };
        Some(self.nodes.entry(Text::clone(uid)).or_insert_with(new))
    }

    /// Every process, ordered by identity.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// How many processes it holds.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How often a process found no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The process `uid`.
    pub fn node(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// Who `uid` started.
    pub fn children(&self, uid: &str) -> impl Iterator<Item = &Node> {
        self.children.get(uid).into_iter().flatten().filter_map(|child| self.nodes.get(child))
    }

    /// Parent, grandparent and so on.
    pub fn ancestors(&self, uid: &str) -> impl Iterator<Item = &Node> {
        let parent = |node: &Node| self.nodes.get(node.parent_uid.as_deref()?);
        std::iter::successors(self.node(uid).and_then(parent), move |node| parent(node))
            .take(MAX_DEPTH)
    }

    /// `uid` and everything descended from it, parents before children.
    pub fn descendants(&self, uid: &str) -> Vec<&Node> {
        let mut found: Vec<&Node> = self.node(uid).into_iter().collect();
        let mut seen: BTreeSet<&str> = found.iter().map(|node| &*node.uid).collect();
        let mut next = 0;
        while let Some(node) = found.get(next).copied() {
            next += 1;
            found.extend(self.children(&node.uid).filter(|child| seen.insert(&child.uid)));
        }
        found
    }

    /// The members of a storyline, ordered by identity.
    pub fn storyline<'a>(&'a self, storyline: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes.values().filter(move |node| node.storyline.as_deref() == Some(storyline))
    }

    /// The processes that have no parent in the tree.
    pub fn roots(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| {
            node.parent_uid.as_deref().is_none_or(|parent| !self.nodes.contains_key(parent))
        })
    }
}

fn fill<T: Clone>(target: &mut Option<T>, source: Option<&T>) {
    if let Some(value) = source {
        *target = Some(value.clone());
    }
}

fn describe(node: &mut Node, process: &Process) {
    fill(&mut node.parent_uid, process.parent_uid.as_ref());
    fill(&mut node.pid, process.pid.as_ref());
    fill(&mut node.name, process.name.as_ref());
    fill(&mut node.exe, process.exe.as_ref());
    fill(&mut node.cmd_line, process.cmd_line.as_ref());
    fill(&mut node.cwd, process.cwd.as_ref());
    fill(&mut node.user, process.user_name.as_ref());
    fill(&mut node.sha256, process.sha256.as_ref());
    fill(&mut node.storyline, process.storyline.as_ref());
    fill(&mut node.start, process.start_time.as_ref());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metsuke_event::{Event, Kind, Process, Timestamp};

    use super::Tree;

    fn event(kind: Kind, time: i64, uid: &str, parent: &str, name: &str) -> Event {
        let mut event = Event::empty(kind);
        event.time = Timestamp::from_millis(time);
        event.process = Arc::new(Process {
            uid: Some(uid.into()),
            parent_uid: Some(parent.into()),
            name: Some(name.into()),
            storyline: Some("a".into()),
            exit_code: (kind == Kind::ProcessExit).then_some(3),
            ..Process::default()
        });
        event
    }

    fn story() -> Vec<Event> {
        vec![
            event(Kind::ProcessExec, 1, "a", "outside", "sh"),
            event(Kind::ProcessFork, 2, "b", "a", "sh"),
            event(Kind::ProcessExec, 3, "b", "a", "curl"),
            event(Kind::FileCreate, 4, "b", "a", "curl"),
            event(Kind::ProcessExit, 5, "b", "a", "curl"),
            event(Kind::ProcessFork, 6, "c", "b", "sh"),
        ]
    }

    #[test]
    fn order_does_not_matter() {
        let tree = Tree::build(100, &story());
        let mut reversed = story();
        reversed.reverse();
        let other = Tree::build(100, &reversed);
        let nodes: Vec<_> = tree.nodes().collect();
        assert_eq!(nodes, other.nodes().collect::<Vec<_>>());
        let child = tree.node("b").unwrap();
        assert_eq!((child.name.as_deref(), child.exit_code), (Some("curl"), Some(3)));
        assert_eq!(child.counts.file, 1);
        assert_eq!(child.end, Some(Timestamp::from_millis(5)));
    }

    #[test]
    fn knows_who_descends_from_whom() {
        let tree = Tree::build(100, &story());
        let uids = |nodes: Vec<&super::Node>| -> String {
            nodes.iter().flat_map(|node| [&*node.uid, " "]).collect()
        };
        assert_eq!(uids(tree.ancestors("c").collect()), "b a outside ");
        assert_eq!(uids(tree.descendants("a")), "a b c ");
        assert_eq!(uids(tree.children("a").collect()), "b ");
        assert_eq!(uids(tree.roots().collect()), "outside ");
        assert_eq!(uids(tree.storyline("a").collect()), "a b c ");
        assert!(!tree.node("outside").unwrap().in_scope);
    }

    #[test]
    fn a_forged_loop_ends() {
        let events = [
            event(Kind::ProcessFork, 1, "a", "b", "x"),
            event(Kind::ProcessFork, 1, "b", "a", "y"),
        ];
        let tree = Tree::build(100, &events);
        assert_eq!(tree.descendants("a").len(), 2);
        assert_eq!(tree.ancestors("a").count(), super::MAX_DEPTH);
    }

    #[test]
    fn is_bounded_and_counts() {
        let tree = Tree::build(2, &story());
        assert_eq!((tree.len(), tree.refused() > 0), (2, true));
    }
}
