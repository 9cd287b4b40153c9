//! Which files are sensitive to read.

use crate::config::{MAX_SENSITIVE, Sensitive};

/// Patterns, ready to match.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    patterns: Vec<Sensitive>,
}

/// What the kernel looks up before it reports an open: one name of the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum KernelName {
    /// The file's own name.
    File(String),
    /// The name of the folder it lies in.
    Folder(String),
}

/// Lengths of names that the kernel tells apart (`NAME_LENGTHS`); longer ones count as the longest.
pub(crate) const NAME_LENGTHS: usize = 32;

/// What sensitive names look like: by length a bit for each first character, of files and of
/// folders (`looks` in `shared.h`). Most names are told by it to be none.
pub(crate) type Looks = [[u64; NAME_LENGTHS]; 2];

impl Patterns {
    pub(crate) fn new(patterns: &[Sensitive]) -> Self {
        Self { patterns: patterns.iter().take(MAX_SENSITIVE).cloned().collect() }
    }

    /// What makes `path` sensitive.
    pub(crate) fn of(&self, path: &str) -> Option<&str> {
        let found = self.patterns.iter().find(|sensitive| matches(&sensitive.pattern, path))?;
        Some(&found.sensitivity)
    }

    /// The names that stand for all patterns in the kernel; a pattern without one is passed over.
    pub(crate) fn kernel_names(&self) -> Vec<KernelName> {
        let name = |sensitive: &Sensitive| {
            let mut parts = sensitive.pattern.rsplit('/');
            let file = parts.next()?;
            if !file.contains('*') {
                return Some(KernelName::File(file.to_owned()));
            }
            let folder = parts.next()?;
            (!folder.is_empty() && !folder.contains('*'))
                .then(|| KernelName::Folder(folder.to_owned()))
        };
        let mut names: Vec<_> = self.patterns.iter().filter_map(name).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// The looks of `names`.
pub(crate) fn looks(names: &[KernelName]) -> Looks {
    let mut looks = [[0; NAME_LENGTHS]; 2];
    for name in names {
        let (kind, name) = match name {
            KernelName::File(name) => (0, name.as_bytes()),
            KernelName::Folder(name) => (1, name.as_bytes()),
        };
        let first = name.first().copied().unwrap_or_default();
        looks[kind][name.len().min(NAME_LENGTHS - 1)] |= 1 << (first & 63);
    }
    looks
}

/// Whether `path` meets `pattern`: `*` for any characters but `/`, a leading `**/` for any folder.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**/") {
        let mut tail = path;
        while let Some((_, after)) = tail.split_once('/') {
            if parts_match(rest, after) {
                return true;
            }
            tail = after;
        }
        return false;
    }
    parts_match(pattern, path)
}

fn parts_match(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_matches(pattern, part) => {}
            _ => return false,
        }
    }
}

/// `*` stands for any run; linear, since each piece is taken at its first place.
fn part_matches(pattern: &str, part: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == part };
    let Some(mut tail) = part.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = tail.find(piece) else { return false };
        tail = &tail[at + piece.len()..];
    }
    tail.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{KernelName, NAME_LENGTHS, Patterns, looks, matches};
    use crate::defaults::default_sensitive;

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("/etc/shadow", "/etc/shadow", true),
            ("/etc/shadow", "/tmp/etc/shadow", false),
            ("**/.ssh/id_*", "/home/a/.ssh/id_rsa", true),
            ("**/.ssh/id_*", "/.ssh/id_", true),
            ("**/.ssh/id_*", "/home/a/.ssh/known_hosts", false),
            ("**/.ssh/id_*", "/home/.ssh/id_a/b", false),
            ("/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_ed25519_key", true),
            ("/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_ed25519_key.pub", false),
            ("a*b*c", "axbxbc", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_sensitive_names_look_like() {
        let long = "x".repeat(99);
        let names = [
            KernelName::File("shadow".into()),
            KernelName::Folder(".ssh".into()),
            KernelName::File(long),
        ];
        let looks = looks(&names);
        let bits: u32 = looks.iter().flatten().map(|bits| bits.count_ones()).sum();
        assert_eq!(bits, 3);
        let bit = |first: u8| 1_u64 << (first & 63);
        assert_eq!((looks[0][6], looks[1][4]), (bit(b's'), bit(b'.')));
        assert_eq!(looks[0][NAME_LENGTHS - 1], bit(b'x'), "as long as can be told");
    }

    #[test]
    fn every_default_has_a_name_for_the_kernel() {
        let patterns = default_sensitive();
        for one in &patterns {
            let names = Patterns::new(std::slice::from_ref(one)).kernel_names();
            assert_eq!(names.len(), 1, "{}", one.pattern);
        }
        let names = Patterns::new(&patterns).kernel_names();
        assert!(names.contains(&KernelName::File("shadow".into())));
        assert!(names.contains(&KernelName::Folder(".ssh".into())));
    }
}
