//! Settings of the kernel (sysctl, `binfmt_misc`) whose writing is told, and the values they had.

use std::collections::HashMap;
use std::fs;

use crate::procfs;
use crate::sensitive::matches;

/// Values remembered at most: the shipped patterns meet a few hundred settings on a host with many
/// network interfaces. Of others the value before is not told.
const MAX_KNOWN: usize = 4_096;

/// Longest value remembered, in bytes; also the kernel record's bound (`MAX_VALUE`).
const MAX_VALUE: usize = 256;

/// Settings of interest and what they are set to.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    patterns: Vec<String>,
    known: HashMap<String, String>,
    network: Option<u64>,
}

impl Settings {
    /// Settings whose name (dots for slashes) meets one of `patterns`; `*` stands for one part.
    pub(crate) fn new(patterns: &[String]) -> Self {
        let patterns: Vec<_> = patterns.iter().map(|name| name.replace('.', "/")).collect();
        let mut known = HashMap::new();
        for pattern in patterns.iter().filter(|pattern| !pattern.contains('*')) {
            if let Ok(value) = fs::read_to_string(format!("/proc/sys/{pattern}")) {
                known.insert(pattern.clone(), cut(value.trim_end()));
            }
        }
        Self { patterns, known, network: procfs::namespace(std::process::id(), "net") }
    }

    /// Whether the setting called `name` is of interest.
    pub(crate) fn concerns(&self, name: &str) -> bool {
        let path = name.replace('.', "/");
        self.patterns.iter().any(|pattern| matches(pattern, &path))
    }

    /// Remembers the new value of `name`; gives the one before where it is known. Settings of the
    /// network differ by `namespace`: only those of the sensor's own are known.
    pub(crate) fn replace(
        &mut self,
        name: &str,
        namespace: Option<u64>,
        value: &str,
    ) -> Option<String> {
        if name.starts_with("net.") && namespace != self.network {
            return None;
        }
        let path = name.replace('.', "/");
        if !self.known.contains_key(&path) && self.known.len() >= MAX_KNOWN {
            return None;
        }
        self.known.insert(path, cut(value))
    }
}

fn cut(value: &str) -> String {
    let end = (0..=MAX_VALUE.min(value.len())).rev().find(|at| value.is_char_boundary(*at));
    value[..end.unwrap_or(0)].to_owned()
}

/// The name of the setting that lies at `path`, wherever procfs is mounted.
pub(crate) fn name(path: &str) -> Option<String> {
    if let Some((_, rest)) = path.split_once("/binfmt_misc/") {
        return Some(format!("fs.binfmt_misc.{}", rest.replace('/', ".")));
    }
    let (_, rest) = path.split_once("/sys/")?;
    Some(rest.replace('/', "."))
}

#[cfg(test)]
mod tests {
    use super::{Settings, name};

    #[test]
    fn names_and_values() {
        assert_eq!(name("/proc/sys/net/ipv4/ip_forward").as_deref(), Some("net.ipv4.ip_forward"));
        let register = "/proc/sys/fs/binfmt_misc/register";
        assert_eq!(name(register).as_deref(), Some("fs.binfmt_misc.register"));
        assert_eq!(name("/proc/1/comm"), None);
        let mut settings = Settings::new(&["a.*.c".to_owned(), "kernel.none_such".to_owned()]);
        assert!(settings.concerns("a.b.c") && !settings.concerns("a.b.d"));
        assert_eq!(settings.replace("a.b.c", None, "1"), None);
        assert_eq!(settings.replace("a.b.c", None, "2").as_deref(), Some("1"));
        assert_eq!(settings.replace("net.b", Some(1), "2"), None);
        assert_eq!(settings.replace("net.b", Some(1), "3"), None, "of another namespace");
    }
}
