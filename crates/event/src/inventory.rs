//! What is on a host, resident: executables with their hashes, packages, users, listening services,
//! other security products, who holds the kernel's observation interfaces, the system itself.
//!
//! Invariant: an item is named by its kind and [`Item::key`]; two items of one host never share
//! both. Leaves to others: how it is taken (`inventory`), how it travels (`link`), where it is kept
//! (`catalog`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What kinds of things an inventory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// Files the system could run: ELF, scripts, PE.
    Executable,
    /// Installed packages.
    Package,
    /// Accounts.
    User,
    /// Sockets that wait for others.
    Service,
    /// Other security products.
    Product,
    /// Who holds fanotify, audit, BPF, LSM.
    Holder,
    /// The operating system and its kernel.
    System,
}

impl ItemKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Executable,
        Self::Package,
        Self::User,
        Self::Service,
        Self::Product,
        Self::Holder,
        Self::System,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Package => "package",
            Self::User => "user",
            Self::Service => "service",
            Self::Product => "product",
            Self::Holder => "holder",
            Self::System => "system",
        }
    }
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no kind of item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no kind of inventory item; there are executable, package, user, service, product, holder, system"
)]
pub struct UnknownKind(String);

impl FromStr for ItemKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| UnknownKind(text.chars().take(64).collect()))
    }
}

/// What an executable file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// ELF: programs, libraries, kernel modules.
    Elf,
    /// `#!`.
    Script,
    /// Windows program (`MZ`).
    Pe,
}

/// How a file stands to the package it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// Its content is what the package brought.
    Unmodified,
    /// Its content is another one.
    Modified,
    /// The package has no checksum of it, or the file has no hash here.
    Unknown,
}

/// A file the system could run, whether or not it ever did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executable {
    /// Path.
    pub path: String,
    /// SHA-256, lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Why there is no hash: `too_large`, `unreadable`, `changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_missing: Option<String>,
    /// What it is.
    pub format: Format,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits of `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// When its content last changed, as the file system says.
    pub modified: Timestamp,
    /// The package it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Whether it is as the package brought it; `None` when it belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version, as the package manager writes it.
    pub version: String,
    /// Architecture.
    pub arch: String,
    /// `dpkg` or `rpm`.
    pub manager: String,
}

/// Whether one can sign in to an account with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Password {
    /// There is one.
    Set,
    /// There was one, and it is locked (`!` before the hash).
    Locked,
    /// No password fits.
    Disabled,
    /// None is asked for.
    Empty,
    /// The shadow file could not be read, or has no line of this account.
    Unknown,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Id of the main group.
    pub gid: u32,
    /// Home folder.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Names of all groups, the main one first.
    pub groups: Vec<String>,
    /// Whether a password signs in.
    pub password: Password,
}

/// A socket that waits for others, and who holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `tcp`, `tcp6`, `udp`, `udp6`.
    pub protocol: String,
    /// Local address.
    pub address: String,
    /// Local port.
    pub port: u16,
    /// Owner of the socket.
    pub uid: u32,
    /// Executable of the process that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// Short name of that process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// SHA-256 of the executable, where it is in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Package of the executable, where it is in the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
}

/// Another security product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// What it is for: `edr`, `antivirus`, `audit`, `integrity`, `network`, `hardening`, `management`.
    pub category: String,
    /// Whether a process of it runs.
    pub running: bool,
    /// What it was known by: `process falcon-sensor`, `package clamav-daemon` …
    pub evidence: Vec<String>,
}

/// Who holds one of the kernel's observation interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `fanotify`, `audit`, `bpf_program`, `bpf_link`, `bpf_map`, `lsm`.
    pub interface: String,
    /// Who: executable of a process, or name of a security module.
    pub by: String,
    /// How many of them it holds.
    pub count: u32,
}

/// Until when something is supported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// Last day, `YYYY-MM-DD`; `None` when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// Where that is from, or why it is not known.
    pub source: String,
}

/// The operating system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// `PRETTY_NAME` of os-release(5).
    pub name: String,
    /// `ID` of os-release(5).
    pub id: String,
    /// `VERSION_ID` of os-release(5).
    pub version: String,
    /// Until when the operating system is supported.
    pub support: Support,
    /// Kernel release.
    pub kernel: String,
    /// Until when the kernel is supported.
    pub kernel_support: Support,
    /// Architecture.
    pub arch: String,
}

/// One thing of an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Item {
    /// A file the system could run.
    Executable(Executable),
    /// A package.
    Package(Package),
    /// An account.
    User(User),
    /// A listening socket.
    Service(Service),
    /// Another security product.
    Product(Product),
    /// A holder of an interface.
    Holder(Holder),
    /// The operating system.
    System(System),
}

impl Item {
    /// Its kind.
    pub const fn kind(&self) -> ItemKind {
        match self {
            Self::Executable(_) => ItemKind::Executable,
            Self::Package(_) => ItemKind::Package,
            Self::User(_) => ItemKind::User,
            Self::Service(_) => ItemKind::Service,
            Self::Product(_) => ItemKind::Product,
            Self::Holder(_) => ItemKind::Holder,
            Self::System(_) => ItemKind::System,
        }
    }

    /// What tells it from others of its kind on one host.
    pub fn key(&self) -> String {
        match self {
            Self::Executable(file) => file.path.clone(),
            Self::Package(package) => format!("{}:{}", package.name, package.arch),
            Self::User(user) => user.name.clone(),
            Self::Service(one) => format!(
                "{} {} {} {}",
                one.protocol,
                one.address,
                one.port,
                one.exe.as_deref().unwrap_or("-")
            ),
            Self::Product(product) => product.name.clone(),
            Self::Holder(holder) => format!("{} {}", holder.interface, holder.by),
            Self::System(_) => "system".to_owned(),
        }
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Executable(file) => &file.path,
            Self::Package(package) => &package.name,
            Self::User(user) => &user.name,
            Self::Service(service) => service.process.as_deref().unwrap_or("-"),
            Self::Product(product) => &product.name,
            Self::Holder(holder) => &holder.by,
            Self::System(system) => &system.name,
        }
    }

    /// The SHA-256 it can be asked for by.
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::Executable(file) => file.sha256.as_deref(),
            Self::Service(service) => service.sha256.as_deref(),
            _ => None,
        }
    }
}

/// Things that were not looked at, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Stable reason, for example `limit`, `unreadable`, `network_file_system`.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// One of them.
    pub example: String,
}

/// How far one kind was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Of what.
    pub kind: ItemKind,
    /// When it was last taken in full; `None` while the first one is on its way.
    pub taken: Option<Timestamp>,
    /// How many items it found.
    pub items: u64,
    /// Where was looked, for people: folders, files.
    pub places: Vec<String>,
    /// What was left out.
    pub left_out: Vec<LeftOut>,
    /// Set when this kind cannot be had at all.
    pub missing: Option<String>,
}

/// What changed on a host since a generation, or the beginning of all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The generation it builds on; ignored when `stage` is [`Stage::First`].
    pub base: u64,
    /// The generation it makes; greater than every one before.
    pub generation: u64,
    /// Which part of a whole inventory it is, if any.
    pub stage: Stage,
    /// How far each kind was looked at, where that changed.
    pub surveys: Vec<Survey>,
    /// New or changed.
    pub set: Vec<Item>,
    /// Gone: kind and key.
    pub removed: Vec<(ItemKind, String)>,
}

/// Whether a delta is a part of a whole inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A change of what is known.
    Change,
    /// The beginning of a whole one: whatever it and the following do not name is gone at its end.
    First,
    /// More of a whole one.
    More,
    /// Its end.
    Last,
    /// A whole one in one message.
    Whole,
}

impl Stage {
    /// Whether a whole inventory begins here.
    pub const fn begins(self) -> bool {
        matches!(self, Self::First | Self::Whole)
    }

    /// Whether a whole inventory ends here.
    pub const fn ends(self) -> bool {
        matches!(self, Self::Last | Self::Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, ItemKind, Package};

    #[test]
    fn kinds_are_read_by_name_and_others_are_named() {
        for kind in ItemKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "files".parse::<ItemKind>().expect_err("none").to_string();
        assert!(error.starts_with("`files` is no kind"), "{error}");
    }

    #[test]
    fn one_package_in_two_architectures_is_two_items() {
        let package = |arch: &str| {
            Item::Package(Package {
                name: "libc6".to_owned(),
                version: "2".to_owned(),
                arch: arch.to_owned(),
                manager: "dpkg".to_owned(),
            })
        };
        assert_ne!(package("amd64").key(), package("i386").key());
    }
}
