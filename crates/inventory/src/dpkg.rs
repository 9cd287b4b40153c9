//! Packages of dpkg(1): its status file, and which path belongs to which of them.
//!
//! Paths in its lists are from before `/bin` became a link to `/usr/bin`; diversions
//! (dpkg-divert(1)) move files of one package out of the way of another's. Both are undone here.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use metsuke_event::inventory::Package;

use crate::pace::Pace;

/// Where dpkg keeps its state, below the root.
const STATE: &str = "var/lib/dpkg";
/// Largest status file read: ten times what a host with every package has.
const STATUS_MAX: u64 = 256 << 20;
/// Most packages kept.
pub(crate) const PACKAGES_MAX: usize = 50_000;
/// Longest line taken; a path has at most 4,096 bytes.
const LINE_MAX: usize = 16 << 10;

/// Packages and the checksums of their configuration files (md5, in hexadecimal) by path.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) packages: Vec<Package>,
    pub(crate) conffiles: HashMap<String, String>,
}

/// A package that a path belongs to, and the content it brought, where its list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) package: String,
    pub(crate) md5: Option<String>,
}

/// The status file's path.
pub(crate) fn status_file(root: &Path) -> PathBuf {
    root.join(STATE).join("status")
}

/// Reads the status file. `wanted` says whether the checksum of a configuration file is asked for.
pub(crate) fn status(root: &Path, wanted: impl Fn(&str) -> bool) -> std::io::Result<Status> {
    let file = File::open(status_file(root))?;
    if file.metadata()?.len() > STATUS_MAX {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    let mut status = Status::default();
    let mut stanza = Stanza::default();
    lines(BufReader::new(file), |line| {
        if line.is_empty() {
            status.packages.extend(std::mem::take(&mut stanza).package());
        } else if let Some(conffile) = stanza.take(line) {
            let mut words = conffile.split(' ');
            if let (Some(path), Some(md5)) = (words.next(), words.next())
                && md5.len() == 32
                && wanted(path)
            {
                status.conffiles.insert(path.to_owned(), md5.to_owned());
            }
        }
        status.packages.len() < PACKAGES_MAX
    })?;
    status.packages.extend(stanza.package());
    Ok(status)
}

#[derive(Debug, Default)]
struct Stanza {
    name: String,
    version: String,
    arch: String,
    installed: bool,
    in_conffiles: bool,
}

impl Stanza {
    /// Takes a line; gives it back, trimmed, when it is one of the field `Conffiles`.
    fn take<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        if let Some(more) = line.strip_prefix(' ') {
            return self.in_conffiles.then_some(more);
        }
        self.in_conffiles = line == "Conffiles:";
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name {
            "Package" => value.clone_into(&mut self.name),
            "Version" => value.clone_into(&mut self.version),
            "Architecture" => value.clone_into(&mut self.arch),
            // Third word: what it is now, not what it shall be.
            "Status" => self.installed = value.split(' ').nth(2) == Some("installed"),
            _ => {}
        }
        None
    }

    fn package(self) -> Option<Package> {
        (self.installed && !self.name.is_empty()).then(|| Package {
            name: self.name,
            version: self.version,
            arch: self.arch,
            manager: "dpkg".to_owned(),
        })
    }
}

/// Calls `take` for each line, lossily read, until it says no. Lines too long are passed over.
fn lines(mut from: impl BufRead, mut take: impl FnMut(&str) -> bool) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > LINE_MAX {
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        if !take(text.trim_end_matches('\n')) {
            return Ok(());
        }
    }
}

/// What turns a path of a package list into the path where the file is.
#[derive(Debug, Default)]
struct Places {
    /// Folders that are links now: `/bin` → `/usr/bin`.
    merged: Vec<(String, String)>,
    /// Diverted: from → (to, the package that is not diverted).
    diverted: HashMap<String, (String, String)>,
}

impl Places {
    fn of(root: &Path) -> Self {
        let folders = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
        let merged = folders.iter().filter_map(|name| {
            let target = fs::read_link(root.join(name)).ok()?;
            let target = target.to_str()?.trim_start_matches('/').to_owned();
            Some((format!("/{name}/"), format!("/{target}/")))
        });
        let text = fs::read_to_string(root.join(STATE).join("diversions")).unwrap_or_default();
        let mut diverted = HashMap::new();
        let mut lines = text.lines();
        while let (Some(from), Some(to), Some(by)) = (lines.next(), lines.next(), lines.next()) {
            diverted.insert(from.to_owned(), (to.to_owned(), by.to_owned()));
        }
        Self { merged: merged.collect(), diverted }
    }

    /// Where `path` of `package` is.
    fn real(&self, package: &str, path: &str) -> String {
        let path = match self.diverted.get(path) {
            Some((to, by)) if by != package => to,
            _ => path,
        };
        let merged = self.merged.iter().find_map(|(from, to)| {
            path.strip_prefix(from.as_str()).map(|rest| format!("{to}{rest}"))
        });
        merged.unwrap_or_else(|| path.to_owned())
    }
}

/// Owners of those paths that `wanted` asks for, out of every package's lists.
pub(crate) fn owners(
    root: &Path,
    wanted: impl Fn(&str) -> bool,
    pace: &mut Pace,
) -> std::io::Result<HashMap<String, Owner>> {
    let places = Places::of(root);
    let conffiles = status(root, |path| wanted(&places.real("", path)))?.conffiles;
    let mut owners: HashMap<String, Owner> = HashMap::new();
    for entry in fs::read_dir(root.join(STATE).join("info"))? {
        let path = entry?.path();
        let Some(name) = list_of(&path) else { continue };
        let package = name.split(':').next().unwrap_or(name);
        let mut any = false;
        lines(BufReader::new(File::open(&path)?), |line| {
            let real = places.real(package, line);
            if wanted(&real) {
                any = true;
                let md5 = conffiles.get(line).cloned();
                owners.insert(real, Owner { package: package.to_owned(), md5 });
            }
            true
        })?;
        pace.step(entry_bytes(&path));
        let sums = path.with_file_name(format!("{name}.md5sums"));
        if any && let Ok(file) = File::open(&sums) {
            lines(BufReader::new(file), |line| {
                if let Some((md5, rest)) = line.split_once("  ") {
                    let real = places.real(package, &format!("/{rest}"));
                    if let Some(owner) = owners.get_mut(&real).filter(|o| o.package == package) {
                        owner.md5 = Some(md5.to_owned());
                    }
                }
                true
            })?;
            pace.step(entry_bytes(&sums));
        }
        if pace.stopped() {
            break;
        }
    }
    Ok(owners)
}

fn list_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(".list")
}

fn entry_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}
