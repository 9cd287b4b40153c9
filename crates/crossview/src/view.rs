//! A way of looking (*view*) and what it showed. Pure values.
//!
//! Invariant: a view that was refused has no subjects, and nothing is concluded from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Subjects of one view at most; a host with more is told that the rest was not compared.
pub(crate) const MAX_SUBJECTS: usize = 262_144;

/// What can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectType {
    /// A process (thread-group leader).
    Process,
    /// A kernel module.
    Module,
    /// A socket.
    Socket,
    /// A file, or the executable of a process.
    File,
    /// A mount.
    Mount,
    /// A BPF program, map or link.
    Bpf,
}

impl SubjectType {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Process, Self::Module, Self::Socket, Self::File, Self::Mount, Self::Bpf];

    /// Its name in reports and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Module => "module",
            Self::Socket => "socket",
            Self::File => "file",
            Self::Mount => "mount",
            Self::Bpf => "bpf",
        }
    }
}

/// The process a subject is or belongs to, as far as a view knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Thread-group id.
    pub pid: u32,
    /// Start in clock ticks since boot.
    pub start_ticks: Option<u64>,
    /// Short name.
    pub name: String,
    /// The kernel's id of its control group (v2).
    pub cgroup: Option<u64>,
}

/// One thing that a view shows. What identifies it is its key in [`View::subjects`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// For people: pid and name, address, path, id.
    pub label: String,
    /// The process it is or belongs to.
    pub process: Option<ProcessRef>,
}

impl Subject {
    /// A subject with only a label.
    pub fn labelled(label: impl Into<String>) -> Self {
        Self { label: label.into(), process: None }
    }
}

/// Whether a view could look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewState {
    /// It did.
    Works,
    /// It could not, and why.
    Refused(String),
}

/// One way of looking at one type of subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name, for example `bpf_iter_task`.
    pub name: &'static str,
    /// What it looks at.
    pub of: SubjectType,
    /// Whether it could.
    pub state: ViewState,
    /// What it showed, by identity.
    pub subjects: BTreeMap<String, Subject>,
    /// Subjects beyond the bound of 262,144.
    pub cut: u64,
}

impl View {
    /// A view that works and shows nothing yet.
    pub fn new(name: &'static str, of: SubjectType) -> Self {
        Self { name, of, state: ViewState::Works, subjects: BTreeMap::new(), cut: 0 }
    }

    /// A view that could not look.
    pub fn refused(name: &'static str, of: SubjectType, reason: impl Into<String>) -> Self {
        Self { state: ViewState::Refused(reason.into()), ..Self::new(name, of) }
    }

    /// A view of what `shown` gives, or of its refusal.
    pub fn from_result(
        name: &'static str,
        of: SubjectType,
        shown: Result<Vec<(String, Subject)>, String>,
    ) -> Self {
        match shown {
            Ok(shown) => {
                let mut view = Self::new(name, of);
                for (id, subject) in shown {
                    view.show(id, subject);
                }
                view
            }
            Err(reason) => Self::refused(name, of, reason),
        }
    }

    /// Adds a subject; the first one with an identity stays. Beyond the bound it is counted only.
    pub fn show(&mut self, id: String, subject: Subject) {
        if self.subjects.len() < MAX_SUBJECTS {
            self.subjects.entry(id).or_insert(subject);
        } else {
            self.cut += 1;
        }
    }

    /// Whether conclusions may stand on it: it worked and nothing was cut off.
    pub fn is_whole(&self) -> bool {
        self.state == ViewState::Works && self.cut == 0
    }
}

/// What a closer look at one subject said of how it is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clue {
    /// The technique.
    pub technique: &'static str,
    /// More for people.
    pub detail: String,
}

/// Everything that one look at the host gave.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// The views.
    pub views: Vec<View>,
    /// What closer looks said, by type and identity.
    pub clues: BTreeMap<(SubjectType, String), Clue>,
}

impl Pass {
    /// The view called `name` of `of`, if it was tried.
    pub fn view(&self, of: SubjectType, name: &str) -> Option<&View> {
        self.views.iter().find(|view| view.of == of && view.name == name)
    }

    /// Takes in what a collector gave.
    pub fn add(&mut self, other: Self) {
        self.views.extend(other.views);
        self.clues.extend(other.clues);
    }

    /// Notes a clue; the first one of a subject stays.
    pub fn clue(&mut self, of: SubjectType, id: &str, technique: &'static str, detail: String) {
        self.clues.entry((of, id.to_owned())).or_insert(Clue { technique, detail });
    }
}
