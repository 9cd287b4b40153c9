//! Where a sensor may act.
//!
//! Invariant: there is no value of [`EnforceScope::Cgroup`] that contains the whole host.

use std::fs;
use std::path::{Path, PathBuf};

/// Why a scope cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// No cgroup v2 hierarchy.
    #[error("this host has no cgroup v2 hierarchy mounted; mount one, or run without a scope")]
    NoHierarchy,
    /// Nothing was given.
    #[error("the scope is empty; name a control group below {0}")]
    Empty(PathBuf),
    /// Not a control group.
    #[error("{path} is no readable control group below {hierarchy}; create it first")]
    NoCgroup {
        /// What was given.
        path: PathBuf,
        /// Where the hierarchy is mounted.
        hierarchy: PathBuf,
    },
    /// The whole hierarchy.
    #[error("{0} is the root of the hierarchy, which is the whole host; name a group below it")]
    Root(PathBuf),
}

/// Where a sensor may act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnforceScope {
    /// On processes in one control group or below it.
    Cgroup(CgroupScope),
    /// On every process of the host.
    Host,
}

/// One control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupScope {
    directory: PathBuf,
    /// As `/proc/PID/cgroup` writes it: with a leading and without a trailing `/`.
    path: String,
}

/// Where the cgroup v2 hierarchy is mounted, from `/proc/self/mountinfo`.
pub fn hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        tail.starts_with("cgroup2 ").then(|| head.split(' ').nth(4).map(PathBuf::from))?
    })
}

impl EnforceScope {
    /// The control group at `directory` (an absolute path of its folder).
    ///
    /// # Errors
    /// When it is empty, no readable control group, or the root of the hierarchy.
    pub fn cgroup(directory: &Path) -> Result<Self, ScopeError> {
        let hierarchy = hierarchy().ok_or(ScopeError::NoHierarchy)?;
        if directory.as_os_str().is_empty() {
            return Err(ScopeError::Empty(hierarchy));
        }
        let none =
            || ScopeError::NoCgroup { path: directory.to_owned(), hierarchy: hierarchy.clone() };
        let real = fs::canonicalize(directory).map_err(|_| none())?;
        let below = real.strip_prefix(&hierarchy).map_err(|_| none())?;
        if below.as_os_str().is_empty() {
            return Err(ScopeError::Root(real));
        }
        fs::read(real.join("cgroup.procs")).map_err(|_| none())?;
        let path = format!("/{}", below.to_str().ok_or_else(none)?);
        Ok(Self::Cgroup(CgroupScope { directory: real, path }))
    }

    /// Whether a process whose control group is `cgroup` lies within. An unknown group lies
    /// nowhere.
    pub fn contains(&self, cgroup: Option<&str>) -> bool {
        match self {
            Self::Host => true,
            Self::Cgroup(scope) => cgroup
                .and_then(|cgroup| cgroup.strip_prefix(&scope.path))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    /// The control group's folder, if it is one.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Host => None,
            Self::Cgroup(scope) => Some(&scope.directory),
        }
    }
}

impl std::fmt::Display for EnforceScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Cgroup(scope) => f.write_str(&scope.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{CgroupScope, EnforceScope, ScopeError, hierarchy};

    #[test]
    fn a_neighbour_with_the_same_beginning_is_outside() {
        let scope = EnforceScope::Cgroup(CgroupScope {
            directory: PathBuf::new(),
            path: "/a/b".to_owned(),
        });
        for (cgroup, inside) in [
            (Some("/a/b"), true),
            (Some("/a/b/c"), true),
            (Some("/a/bc"), false),
            (Some("/a"), false),
            (Some("/"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(scope.contains(cgroup), inside, "{cgroup:?}");
        }
    }

    #[test]
    fn nothing_and_everything_are_no_scope() {
        let Some(root) = hierarchy() else {
            eprintln!("NOT RUN: nothing_and_everything_are_no_scope: no cgroup v2 hierarchy");
            return;
        };
        let scope = |path: &Path| EnforceScope::cgroup(path);
        assert!(matches!(scope(Path::new("")), Err(ScopeError::Empty(_))));
        assert!(matches!(scope(&root), Err(ScopeError::Root(_))));
        assert!(matches!(scope(&root.join(".")), Err(ScopeError::Root(_))));
        assert!(matches!(scope(Path::new("/etc")), Err(ScopeError::NoCgroup { .. })));
        assert!(matches!(scope(&root.join("no-such-group")), Err(ScopeError::NoCgroup { .. })));
    }
}
